"""Random streams that do not depend on order: one root seed, one key per use.

stream(seed, "collect", 17)     # the 17th collected episode, the same in any process and after any resume
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from etude.core.errors import ConfigError

type Key = int | str


def _sequence(root: int, key: Sequence[Key]) -> np.random.SeedSequence:
    for number in (root, *key):
        if not isinstance(number, str) and number < 0:
            raise ConfigError(f"seed {number}: seeds and the numbers in their keys must be at least 0.")
    # Words enter by their CRC, so that a stage's name, not its position, decides its stream.
    spawn_key = tuple(crc32(part.encode()) if isinstance(part, str) else part for part in key)
    return np.random.SeedSequence(root, spawn_key=spawn_key)


def stream(root: int, *key: Key) -> np.random.Generator:
    """Make the generator that belongs to (root, key).

    Args:
        root: Seed of the whole run, >= 0.
        key: Words and non-negative integers, e.g. ("train", round, worker).

    Raises:
        ConfigError: A negative number.
    """
    return np.random.default_rng(_sequence(root, key))


def derive_seed(root: int, *key: Key) -> int:
    """Derive a seed in [0, 2**31) from (root, key), for interfaces that take an integer."""
    return int(_sequence(root, key).generate_state(1, np.uint32)[0] >> 1)
