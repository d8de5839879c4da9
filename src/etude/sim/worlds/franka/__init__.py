"""A Panda at a table."""
