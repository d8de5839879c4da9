"""Acting as in the nearest remembered moments (VINN), as LeRobot's triple: configuration, modeling, processor.

Images are represented by a network that learns without labels; a chunk is the weighted mean of those that followed the
moments that look most alike. Source: Pari et al. 2021, "The surprising effectiveness of representation learning for
visual imitation".
"""
