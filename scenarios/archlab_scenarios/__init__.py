"""Scenarios: content apart from the engine."""
