"""Drills: two regions, faults, recovery, and a probe outside of both that measures what callers saw."""
