"""Demonstrations imported a second: `etude data import` against a plain loop over LeRobotDataset, from the same file.

A demonstration is 200 frames in Isaac Lab's layout (gzip) with two 84x84 cameras, states and observations. The plain
loop keeps what converters usually keep, actions, the state and the images; ours keeps every number. Then the peak
memory of importing 50 demonstrations and 200.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import h5py
import numpy as np

from benchmarks.timing import Comparison, Side, compare
from etude.core import stream
from etude.data.hdf5.importing import import_demonstrations
from etude.data.hdf5.planning import ImportConfig, find_demonstrations, plan_import

FRAMES, SIZE, CAMERAS, FPS = 200, 84, ("table_cam", "wrist_cam"), 20
STATE = ("eef_pos", "eef_quat", "gripper_pos")
UNLIKE = 4  # demonstrations that differ; the others are links to them, which take no room


def main(repeats: int = 5) -> Comparison:
    """Write the file, measure, print."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["SVT_LOG"] = os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder, "demo.hdf5"), 6)
        ours = Side("etude data import", own_import(file, Path(folder, "own")))
        theirs = Side("loop over LeRobotDataset", lerobot_import(file, Path(folder, "lerobot")))
        comparison = compare("imported demonstrations", ours, theirs, unit="demonstrations", repeats=repeats)
        comparison.show()
        print(f"  wanted: 3 demonstrations/s; measured {comparison.first.median:.1f}")
        peaks = {n: peak_memory_mb(write(Path(folder, f"demo-{n}.hdf5"), n)) for n in (50, 200)}
    for n, peak in peaks.items():
        print(f"  peak memory of importing {n:>3} demonstrations: {peak:,.0f} MB")
    print(json.dumps({"figure": "peak memory of an import [MB]", "demonstrations": peaks}))
    return comparison


def write(path: Path, demonstrations: int) -> Path:
    """Demonstrations as Isaac Lab's recorder writes them."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps({"env_name": "Isaac-Stack-Cube-Franka-IK-Rel-Visuomotor-v0", "type": 2})
        data.attrs["total"] = FRAMES * demonstrations
        for index in range(demonstrations):
            demo = data.create_group(f"demo_{index}")
            demo.attrs["num_samples"], demo.attrs["seed"], demo.attrs["success"] = FRAMES, index, np.True_
            for name, values in (arrays(index) if index < UNLIKE else {}).items():
                demo.create_dataset(name, data=values, compression="gzip")
            if index >= UNLIKE:
                for name in data[f"demo_{index % UNLIKE}"]:
                    demo[name] = data[f"demo_{index % UNLIKE}/{name}"]
    return path


def arrays(index: int) -> dict[str, np.ndarray]:
    rng = stream(0, "demonstration", index)
    sizes = {f"articulation/robot/joint_{kind}": 9 for kind in ("position", "velocity")}
    for body in ("articulation/robot", *(f"rigid_object/cube_{i}" for i in (1, 2, 3))):
        sizes |= {f"{body}/root_pose": 7, f"{body}/root_velocity": 6}
    states = {name: rng.standard_normal((FRAMES + 1, size)).astype(np.float32) for name, size in sizes.items()}
    seen = {"actions": 7, "joint_pos": 9, "joint_vel": 9, "object": 39, "cube_positions": 9, "cube_orientations": 12}
    seen |= {"eef_pos": 3, "eef_quat": 4, "gripper_pos": 2}
    found = {f"obs/{name}": rng.standard_normal((FRAMES, size)).astype(np.float32) for name, size in seen.items()}
    found |= {"actions": rng.uniform(-1, 1, (FRAMES, 7)).astype(np.float32)}
    found |= {"processed_actions": rng.standard_normal((FRAMES, 8)).astype(np.float32)}
    found |= {f"obs/{camera}": images(rng) for camera in CAMERAS}
    found |= {f"initial_state/{name}": values[:1] for name, values in states.items()}
    return found | {f"states/{name}": values[1:] for name, values in states.items()}


def images(rng: np.random.Generator) -> np.ndarray:
    """A bright square that crosses a smooth background with a camera's noise, (T, H, W, 3)."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    background = 120 + 50 * np.sin(rows / 20 + rng.uniform(0, 6)) + 40 * np.cos(columns / 25 + rng.uniform(0, 6))
    noise = rng.normal(0, 1, (FRAMES, SIZE, SIZE, 3))
    frames = (background[..., None] + noise).clip(0, 255).astype(np.uint8)
    for t, image in enumerate(frames):
        left = 2 + (SIZE - 20) * t // FRAMES
        image[34:50, left : left + 16] = (200, 60, 40)
    return frames


def own_import(file: Path, out: Path) -> Callable[[], int]:
    fresh = count()

    def run() -> int:
        config = ImportConfig()
        layout, sources = find_demonstrations([file], config)
        plan = plan_import(layout, sources, config)
        import_demonstrations(plan, {out.with_name(f"{out.name}-{next(fresh)}"): range(len(sources))})
        return len(sources)

    return run


def lerobot_import(file: Path, out: Path) -> Callable[[], int]:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    logging.getLogger().setLevel(logging.ERROR)
    fresh = count()
    image = {"dtype": "video", "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]}
    features = {f"observation.images.{camera}": image for camera in CAMERAS}
    features |= {"observation.state": {"dtype": "float32", "shape": (9,), "names": None}}
    features |= {"action": {"dtype": "float32", "shape": (7,), "names": None}}

    def run() -> int:
        root = out.with_name(f"{out.name}-{next(fresh)}")
        dataset = LeRobotDataset.create("etude/benchmark", FPS, features, root=root)
        with h5py.File(file) as opened:
            for demo in opened["data"].values():
                state = np.concatenate([demo[f"obs/{key}"][()] for key in STATE], axis=1)
                seen = {f"observation.images.{camera}": demo[f"obs/{camera}"][()] for camera in CAMERAS}
                columns = {"observation.state": state, "action": demo["actions"][()], **seen}
                for t in range(FRAMES):
                    dataset.add_frame({name: values[t] for name, values in columns.items()} | {"task": "stack"})
                dataset.save_episode()
            done = len(opened["data"])
        dataset.finalize()
        return done

    return run


def peak_memory_mb(file: Path) -> float:
    """Of a process that imports the file."""
    # Not getrusage: its maximum begins with that of the process that started it.
    code = (
        "import re, sys; from pathlib import Path; from benchmarks.importing import own_import;"
        "own_import(Path(sys.argv[1]), Path(sys.argv[2]))();"
        "print(re.search('VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), str(file.with_suffix(""))], capture_output=True, text=True, check=True
    )
    return int(done.stdout) / 1024


if __name__ == "__main__":
    main()
