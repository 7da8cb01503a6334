"""A region's files: what lies there, how the other region gets it, what is kept outside both."""
