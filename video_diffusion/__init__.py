"""Paint: controls become a small video."""
