"""Training samples a second: a Mixture over the frame cache against LeRobotDataset, from the same video dataset.

A sample is two 96x96 images, a state and the 16 actions that follow. Both draw frames at random over all episodes in
one process and end with batches of 64 tensors, images in uint8; LeRobot through a DataLoader without workers, decoding
as it would on this machine. Also what the cache takes on disk, in raw frames.
"""

import importlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.timing import Comparison, Side, compare
from etude.core import Case, Outcome, Perturbation, stream
from etude.data import DatasetSpec, DatasetWriter, FrameCache, Mixture, MixtureSource, RecordedEpisode, encode

EPISODES, FRAMES, SIZE, HORIZON, BATCH = 40, 100, 96, 16, 64
SPEC = DatasetSpec(
    fps=20,
    cameras=("front", "wrist"),
    image_size=SIZE,
    state_names=tuple(f"state_{i}" for i in range(16)),
    action_names=tuple(f"action_{i}" for i in range(7)),
)


def main(repeats: int = 7) -> Comparison:
    """Write the dataset, measure, print."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "dataset")
        write(root)
        cache = FrameCache.open(root, Path(folder, "frames"))
        ours = Side("Mixture over the frame cache", mixture_batches(cache))
        backend = video_backend()
        batches = lerobot_batches(root, Path(folder, "huggingface"), backend)
        theirs = Side(f"LeRobotDataset + DataLoader ({backend})", batches)
        comparison = compare("training samples", ours, theirs, unit="samples", repeats=repeats)
        comparison.show(wanted=50)
        show_size(cache)
    return comparison


def show_size(cache: FrameCache) -> None:
    """Print what the cache takes, against the bytes of its images."""
    raw = sum(images.nbytes for images in cache.images.values())
    ratio = cache.size_bytes / raw
    print(
        f"cache: {cache.size_bytes / 1e6:,.1f} MB for {raw / 1e6:,.1f} MB of raw frames: {ratio:.3f}x, wanted <= 1.1x"
    )
    print(
        json.dumps({"figure": "cache size", "bytes": cache.size_bytes, "raw_bytes": raw, "ratio": ratio, "wanted": 1.1})
    )


def write(root: Path) -> None:
    with DatasetWriter.create(root, SPEC) as writer:
        for index in range(EPISODES):
            writer.commit(encode(episode(stream(0, "episode", index)), SPEC.fps))


def episode(rng: np.random.Generator) -> RecordedEpisode:
    """A bright square that crosses a smooth, slightly noisy background."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    background = 120 + 50 * np.sin(rows / 20 + rng.uniform(0, 6)) + 40 * np.cos(columns / 25 + rng.uniform(0, 6))
    noisy = (background[..., None] + rng.normal(0, 2, (SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
    images = np.repeat(noisy[None], FRAMES, axis=0)
    for t, image in enumerate(images):
        left = 2 + (SIZE - 20) * t // FRAMES
        image[40:56, left : left + 16] = (200, 60, 40)
    return RecordedEpisode(
        images={camera: images[:, :, ::step] for camera, step in zip(SPEC.cameras, (1, -1), strict=True)},
        state=rng.standard_normal((FRAMES, len(SPEC.state_names))).astype(np.float32),
        action=rng.uniform(-1, 1, (FRAMES, len(SPEC.action_names))).astype(np.float32),
        task="move the square",
        outcome=Outcome(
            case=Case(Perturbation({}), 0),
            success=True,
            progress=1.0,
            stage="",
            failure_mode="",
            length=FRAMES,
            total_reward=0.0,
        ),
    )


def mixture_batches(cache: FrameCache, batches: int = 100) -> Callable[[], int]:
    import torch

    mixture = Mixture([MixtureSource(cache)], horizon=HORIZON, batch_size=BATCH)
    step = iter(range(10**9))

    def run() -> int:
        for _ in range(batches):
            batch = mixture.batch(next(step))
            for array in (*batch.images.values(), batch.state, batch.action, batch.is_pad):
                torch.from_numpy(array)
        return batches * BATCH

    return run


def video_backend() -> str:
    """LeRobot's own choice: torchcodec where the system's FFmpeg lets it load, else PyAV."""
    try:
        importlib.import_module("torchcodec")
    except (ImportError, OSError, RuntimeError):
        return "pyav"
    return "torchcodec"


def lerobot_batches(root: Path, cache: Path, backend: str, batches: int = 2) -> Callable[[], int]:
    import datasets.config
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from torch import Generator
    from torch.utils.data import DataLoader, RandomSampler

    datasets.config.HF_DATASETS_CACHE = cache
    ahead = {"action": [i / SPEC.fps for i in range(HORIZON)]}
    dataset = LeRobotDataset(
        "etude/benchmark", root=root, delta_timestamps=ahead, video_backend=backend, return_uint8=True
    )
    order = RandomSampler(dataset, replacement=True, num_samples=10**9, generator=Generator().manual_seed(0))
    loader = iter(DataLoader(dataset, batch_size=BATCH, sampler=order))

    def run() -> int:
        for _ in range(batches):
            next(loader)
        return batches * BATCH

    return run


if __name__ == "__main__":
    main()
