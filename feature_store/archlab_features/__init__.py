"""The airline's Feast repository and the reader of its online snapshots."""
