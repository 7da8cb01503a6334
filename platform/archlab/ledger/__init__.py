"""Usage becomes lines of a bill, and a second path that shares no code with the first computes the total again."""
