"""Proof that a scenario's questions hold: solutions are full, declared mistakes are not, decisions differ by seed."""
