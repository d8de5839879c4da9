"""An SO-101 at a table."""
