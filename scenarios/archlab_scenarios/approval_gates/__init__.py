"""Twelve candidates at the gate."""
