"""Small episodes to write: smooth moving images with a bright square, like a camera's, and smooth numbers."""

from pathlib import Path

import numpy as np

from etude.core import Case, Outcome, Perturbation, stream
from etude.data import DatasetSpec, DatasetWriter, RecordedEpisode, encode

CAMERAS = ("front", "wrist")
SIZE = (32, 48)
CLOSE = 4.0  # Mean difference [of 255] that compression may make: colour is coarse in images this small.
SPEC = DatasetSpec(
    fps=20,
    cameras=CAMERAS,
    image_size=SIZE,
    state_names=("x_m", "y_m", "z_m"),
    action_names=("dx", "dy"),
    subtasks=("grasp", "stack"),
    robot_type="toy",
    task="toy-stack:cubes=2",
    space_hash="0123456789abcdef",
)


def moving_images(frames: int, rng: np.random.Generator, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A smooth background with a square that moves across it, (T, H, W, 3)."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    phase = rng.uniform(0, 6, 3)
    background = 120 + 50 * np.sin(rows[..., None] / 20 + phase) + 40 * np.cos(columns[..., None] / 25 + phase)
    images = np.repeat(background[None].clip(0, 255).astype(np.uint8), frames, axis=0)
    for t, image in enumerate(images):
        left = 2 + (size[1] - 14) * t // frames
        image[8:18, left : left + 10] = (200, 60, 40)
    return images


def episode(seed: int, frames: int = 9, spec: DatasetSpec = SPEC, task: str = "stack the cubes") -> RecordedEpisode:
    """An episode that is fixed by its seed."""
    rng = stream(seed, "episode")
    outcome = Outcome(
        case=Case(Perturbation({"light.intensity": 0.5 + seed / 100, "cube.yaw_rad": -0.1}), seed),
        success=seed % 3 != 2,
        progress=1.0 if seed % 3 != 2 else 0.4,
        stage="stack" if seed % 3 != 2 else "grasp",
        failure_mode="" if seed % 3 != 2 else "dropped",
        length=frames,
        total_reward=1.0,
        subtasks={"grasp": True, "stack": seed % 3 != 2},
    )
    return RecordedEpisode(
        images={camera: moving_images(frames, rng, spec.image_sizes[camera]) for camera in spec.cameras},
        state=rng.standard_normal((frames, len(spec.state_names))).astype(np.float32),
        action=rng.uniform(-1, 1, (frames, len(spec.action_names))).astype(np.float32),
        task=task,
        subtasks={"grasp": np.arange(frames) > 2, "stack": np.arange(frames) > frames - 2},
        outcome=outcome,
        extras={
            name: rng.standard_normal((frames, *feature.shape)).astype(feature.dtype)
            for name, feature in spec.extras.items()
        },
        generator="expert",
        source_episode=seed - 1,
    )


def write(root: Path, lengths: tuple[int, ...] = (9, 4, 12), spec: DatasetSpec = SPEC) -> list[RecordedEpisode]:
    """Write a dataset of one episode per length; returns what was recorded."""
    episodes = [episode(seed, frames, spec) for seed, frames in enumerate(lengths)]
    with DatasetWriter.create(root, spec) as writer:
        for recorded in episodes:
            writer.commit(encode(recorded, spec.fps, storage=spec.storage))
    return episodes
