"""Lineage: what each run read and wrote as OpenLineage events, and the way back from an answer to its sources."""
