"""Demonstrations small enough to learn by heart, and a training that a test can kill.

In every episode a bright square lies somewhere in the image; the demonstrated chunk goes towards it and then stays.
Run as a script it trains on them: `python demonstrations.py OUT [--resume]`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etude.core import stream
from etude.data import FeatureStatistics, WindowBatch
from etude.policies import Features
from etude.policies.checkpoint import build_policy
from etude.policies.model import ChunkModel
from etude.training import TrainConfig

HORIZON, SIZE = 8, 24
FEATURES = Features(cameras=("front", "wrist"), image_size=(SIZE, SIZE), state_size=3, action_size=2)
STATISTICS = FeatureStatistics(
    {
        "observation.state": {"mean": np.zeros(3), "std": np.ones(3)},
        "action": {"mean": np.zeros(2), "std": np.full(2, 0.5)},
    }
)
TINY = {
    "horizon": HORIZON,
    "vision_widths": (8, 16),
    "keypoints": 8,
    "embedding_size": 32,
    "head_width": 64,
    "head_blocks": 2,
    "shift_px": 1,
}
CONFIG = TrainConfig(
    steps=12, batch_size=8, warmup_steps=2, validate_every=4, checkpoint_every=5, threads=1, precision="float32"
)


class Demonstrations:
    """Windows at the start of a few episodes; any batch of any step, whichever was asked for before."""

    def __init__(self, episodes: int = 10, batch_size: int = 8, seed: int = 0, horizon: int = HORIZON) -> None:
        self._batch_size, self._seed = batch_size, seed
        rng = stream(seed, "episodes")
        corners = rng.integers(0, SIZE - 6, size=(episodes, 2))
        self.images = {camera: rng.integers(0, 60, (episodes, SIZE, SIZE, 3), np.uint8) for camera in FEATURES.cameras}
        for index, (row, column) in enumerate(corners):
            self.images["front"][index, row : row + 6, column : column + 6] = 250
        self.state = rng.standard_normal((episodes, 3)).astype(np.float32)
        goal = (corners / (SIZE - 6) * 2 - 1).astype(np.float32)
        reached = np.minimum(np.linspace(0.25, 2, horizon, dtype=np.float32), 1)
        self.action = goal[:, None] * reached[:, None]  # (episodes, H, 2)

    def batch(self, step: int) -> WindowBatch:
        """The batch of a step."""
        return self._windows(stream(self._seed, "batch", step).integers(len(self.state), size=self._batch_size))

    def sweep(self) -> Iterator[WindowBatch]:
        """All of them, in order."""
        for first in range(0, len(self.state), self._batch_size):
            yield self._windows(np.arange(first, min(first + self._batch_size, len(self.state))))

    def _windows(self, episode: NDArray[np.int64]) -> WindowBatch:
        return WindowBatch(
            images={camera: pixels[episode] for camera, pixels in self.images.items()},
            state=self.state[episode],
            action=self.action[episode],
            is_pad=np.zeros(self.action[episode].shape[:2], bool),
            source=np.zeros_like(episode),
            episode=episode,
            frame=np.zeros_like(episode),
        )


def tiny_flow(seed: int = 0) -> ChunkModel:
    """An untrained flow policy for these demonstrations."""
    return build_policy("flow", FEATURES, STATISTICS, np.random.default_rng(seed), **TINY)


def main(out: Path, *, resume: bool) -> None:
    from etude.training.train import train

    def report(done: int, _total: int, _loss: float) -> None:
        print(done, flush=True)

    data = Demonstrations()
    train(tiny_flow(), data, [data.batch(10**6)], CONFIG, out, resume=resume, progress=report)


if __name__ == "__main__":
    main(Path(sys.argv[1]), resume="--resume" in sys.argv)
