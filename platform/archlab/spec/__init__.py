"""What can be declared or reported: versioned, frozen data, no I/O."""
