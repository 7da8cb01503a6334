"""An audit of records that somebody has changed."""
