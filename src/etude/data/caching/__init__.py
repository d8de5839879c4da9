"""Decoded frames that training reads: a dataset as arrays (cache, frames), what is decoded into which file (clips,
decoding), and the folder that datasets and processes share (store).
"""

from etude.data.caching.cache import FrameCache, default_cache_dir, statistics
from etude.data.caching.frames import Frames

__all__ = ["FrameCache", "Frames", "default_cache_dir", "statistics"]
