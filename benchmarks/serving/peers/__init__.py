"""What runs inside the peers' own environments. Each module imports its peer, so none is imported from here."""
