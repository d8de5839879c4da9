"""The page of a run of the loop: the arms beside each other on every test, and what practice changed."""
