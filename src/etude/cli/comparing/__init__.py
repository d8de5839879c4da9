"""What `etude compare` does: name the two sides, run them, film them, tell what came of it."""
