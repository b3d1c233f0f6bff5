"""Device allow-lists: rules, and what is decided about them on the host."""
