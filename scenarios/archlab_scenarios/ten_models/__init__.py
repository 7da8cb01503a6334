"""Ten models, batch or real time."""
