"""Disaster recovery: two regions, and drills on them."""
