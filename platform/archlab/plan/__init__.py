"""From what is declared to what should run: load, resolve, lay out, compare. Pure but for reading a file."""
