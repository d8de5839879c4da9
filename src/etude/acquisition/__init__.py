"""Which demonstrations teach a policy most: scores, and where and from what to make the next ones."""
