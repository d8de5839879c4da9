"""Record with LeRobot in a process and kill it at a random moment, again and again: FOLDER SEED KIND KIND ….

LeRobot takes seconds to import, so one process imports it and forks those that are killed. Prints, for each, how many
episodes LeRobot had said to be saved.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FPS, SIZE = 20, 64
KINDS: dict[str, dict[str, Any]] = {
    "video": {},
    "image": {},
    "stream": {"streaming_encoding": True},
    "batch": {"batch_encoding_size": 3},
}


def features(kind: str) -> dict[str, Any]:
    image = {"dtype": "image" if kind == "image" else "video", "shape": (SIZE, SIZE, 3)}
    image["names"] = ["height", "width", "channels"]
    return {
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
        "action": {"dtype": "float64", "shape": (2,), "names": None},
        "next.done": {"dtype": "bool", "shape": (1,), "names": None},
        "grid": {"dtype": "float32", "shape": (2, 3), "names": None},
        "note": {"dtype": "string", "shape": (1,), "names": None},
        "observation.images.front": image,
        "observation.images.wrist": image,
    }


def frames(episode: int) -> list[dict[str, Any]]:
    """An episode that is fixed by its number; its images tell which frame they are."""
    rng = np.random.default_rng(episode)
    length = 4 + episode * 5 % 7
    return [
        {
            "observation.state": rng.standard_normal(3).astype(np.float32),
            "action": rng.standard_normal(2),
            "next.done": np.array([t == length - 1]),
            "grid": rng.standard_normal((2, 3)).astype(np.float32),
            "note": f"frame {t}",
            "observation.images.front": np.full((SIZE, SIZE, 3), brightness(episode, t), np.uint8),
            "observation.images.wrist": np.full((SIZE, SIZE, 3), 255 - brightness(episode, t), np.uint8),
            "task": f"task {episode % 2}",
        }
        for t in range(length)
    ]


def brightness(episode: int, frame: int) -> int:
    return (40 + 17 * episode + 3 * frame) % 256


def record(root: Path, kind: str, report: int, episodes: int = 10**6, *, resume: bool = False) -> Any:
    from lerobot.configs import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    encoder = RGBEncoderConfig(vcodec="h264")
    if resume:
        dataset = LeRobotDataset.resume("any/name", root=root, rgb_encoder=encoder, video_backend="pyav", **KINDS[kind])
    else:
        dataset = LeRobotDataset.create(
            "any/name",
            FPS,
            features(kind),
            root=root,
            rgb_encoder=encoder,
            video_backend="pyav",
            use_videos=kind != "image",
            **KINDS[kind],
        )
    first = dataset.meta.total_episodes
    for episode in range(first, first + episodes):
        for frame in frames(episode):
            dataset.add_frame(frame)
        dataset.save_episode(parallel_encoding=False)
        os.write(report, b".")
    return dataset


def killed(root: Path, kind: str, after: int, wait_s: float, *, resume: bool = False) -> int:
    """Kill a recording some time after so many episodes; returns how many it said to have saved."""
    here, there = os.pipe()
    child = forked(lambda: record(root, kind, there, resume=resume))
    os.close(there)
    saved = sum(len(os.read(here, 1)) for _ in range(after))
    time.sleep(wait_s)
    os.kill(child, signal.SIGKILL)
    while more := os.read(here, 100):
        saved += len(more)
    os.waitpid(child, 0)
    os.close(here)
    return saved


def finished(root: Path, kind: str, episodes: int) -> None:
    """Record to the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.waitpid(forked(lambda: record(root, kind, nowhere, episodes).finalize()), 0)


def forked(run: Callable[[], Any]) -> int:
    """Run in a child. Only children work: who has started threads cannot be forked safely any more."""
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def main() -> None:
    folder, seed, kinds = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    import lerobot.datasets.lerobot_dataset  # noqa: F401

    for kind in set(kinds):
        finished(folder / f"like-{kind}", kind, 0)
    rng = np.random.default_rng(seed)
    for index, kind in enumerate(kinds):
        root = folder / f"killed-{index}"
        after, wait_s, before = int(rng.integers(0, 4)), rng.uniform(0, 0.6), 2 * (index % 4 == 3)
        if before:
            finished(root, kind, before)
        print(before + killed(root, kind, after, wait_s, resume=before > 0), flush=True)


if __name__ == "__main__":
    main()
