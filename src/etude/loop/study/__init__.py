"""A fair, pre-registered comparison of ways of choosing what to practise, over replicates of the whole chain."""
