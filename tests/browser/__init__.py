"""A real browser on a page of another origin."""
