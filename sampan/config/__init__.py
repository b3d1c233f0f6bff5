"""Container configuration: the key table and what is generated from it."""
