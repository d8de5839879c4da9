"""The worlds, a folder for each robot."""
