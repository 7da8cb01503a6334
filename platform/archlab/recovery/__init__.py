"""What recovery is made of: a Postgres per region, links between regions, fences, archives. Knows no lab."""
