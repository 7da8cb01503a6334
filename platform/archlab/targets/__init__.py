"""Where a lab runs: what every target can do, and the local one."""
