"""The world on a business clock: replay, callers, labels, value."""
