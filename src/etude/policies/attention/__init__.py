"""What a trained network looks at: feature maps, gates, keypoints, attention, and the pixels that move its actions.

`looking` is what others call; `probes` knows where each kind of policy keeps what; `influence` asks any policy.
"""
