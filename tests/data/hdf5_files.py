"""Small HDF5 files as robomimic, Isaac Lab and ACT write them: names, shapes, types and attributes are theirs."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from data.recordings import moving_images
from PIL import Image

from etude.core import stream

OBJECTS = ("cube_1", "cube_2", "cube_3")
ISAAC_CAMERAS, ISAAC_ENV = ("table_cam", "wrist_cam"), "Isaac-Stack-Cube-Franka-IK-Rel-Visuomotor-v0"


def quaternions(rng: np.random.Generator, *shape: int) -> np.ndarray:
    values = rng.standard_normal((*shape, 4))
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def write_robomimic(
    path: Path, lengths: tuple[int, ...] = (6, 5, 7), *, mimicgen: bool = False, size: int = 84, seed: int = 0
) -> Path:
    """A file of robomimic's, or of MimicGen's writer, which leaves out rewards and dones and adds datagen_info."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(lengths)
        settings = {"robots": ["Panda"], "control_freq": 20, "camera_heights": size, "camera_widths": size}
        data.attrs["env_args"] = json.dumps({"env_name": "Stack_D0", "type": 1, "env_kwargs": settings})
        for index, frames in enumerate(lengths):
            rng = stream(seed, "robomimic", index)
            demo = data.create_group(f"demo_{index}")
            demo.attrs["num_samples"] = frames
            demo.attrs["model_file"] = f"<mujoco model='stack'>{'<geom/>' * 2000}</mujoco>"
            demo.attrs["ep_meta"] = json.dumps({"lang": "stack the red cube"})
            demo["actions"] = rng.uniform(-1, 1, (frames, 7))
            demo["states"] = rng.standard_normal((frames, 45))
            images = moving_images(frames + 1, rng, (size, size))
            low = {"robot0_eef_pos": 3, "robot0_eef_quat": 4, "robot0_gripper_qpos": 2, "object": 14}
            numbers = {key: rng.standard_normal((frames + 1, n)) for key, n in low.items()}
            for group, begin in (("obs", 0), ("next_obs", 1)):
                shown = images[begin : begin + frames]
                demo.create_dataset(f"{group}/agentview_image", data=shown, compression="gzip")
                for key, values in numbers.items():
                    demo[f"{group}/{key}"] = values[begin : begin + frames]
            if mimicgen:
                _add_datagen_info(demo, frames, rng)
            else:
                demo["rewards"] = (np.arange(frames) == frames - 1).astype(np.float64)
                demo["dones"] = (np.arange(frames) == frames - 1).astype(np.int64)
        names = [f"demo_{i}".encode() for i in range(len(lengths))]
        file["mask/train"], file["mask/valid"] = np.array(names[:-1]), np.array(names[-1:])
    return path


def _add_datagen_info(demo: h5py.Group, frames: int, rng: np.random.Generator) -> None:
    for name in ("eef_pose", "target_pose", "object_poses/cubeA", "object_poses/cubeB"):
        demo[f"datagen_info/{name}"] = rng.standard_normal((frames, 4, 4))
    demo["datagen_info/gripper_action"] = rng.uniform(-1, 1, (frames, 1))
    demo["datagen_info/subtask_term_signals/grasp"] = (np.arange(frames) > 2).astype(np.int64)
    demo["src_demo_inds"] = np.array([3, 8])
    demo["src_demo_labels"] = (np.arange(frames)[:, None] > 2).astype(np.int64)


def write_isaaclab(
    path: Path,
    lengths: tuple[int, ...] = (6, 5, 7),
    *,
    annotated: bool = False,
    size: int = 84,
    seed: int = 0,
    images: bool = True,
) -> Path:
    """A file of Isaac Lab's recorder; `annotated` as its annotation and Mimic write them."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(lengths)
        data.attrs["env_args"] = json.dumps({"env_name": ISAAC_ENV, "type": 2})
        for index, frames in enumerate(lengths):
            rng = stream(seed, "isaaclab", index)
            demo = data.create_group(f"demo_{index}")
            demo.attrs["num_samples"] = frames
            demo.attrs["seed"] = 100 + index
            demo.attrs["success"] = np.bool_(index != 1)
            for name, values in _isaaclab_arrays(frames, rng, size if images else 0, annotated).items():
                demo.create_dataset(name, data=values, compression="gzip")
    return path


def _isaaclab_arrays(frames: int, rng: np.random.Generator, size: int, annotated: bool) -> dict[str, np.ndarray]:
    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    def pose(rows: int) -> np.ndarray:
        return np.concatenate([normal(rows, 3), quaternions(rng, rows)], axis=1)

    # One moment more than there are actions: the first is the initial state, the others follow the actions.
    states = {
        "articulation/robot/root_pose": pose(frames + 1),
        "articulation/robot/root_velocity": normal(frames + 1, 6),
    }
    states |= {f"articulation/robot/joint_{kind}": normal(frames + 1, 9) for kind in ("position", "velocity")}
    for name in OBJECTS:
        states |= {f"rigid_object/{name}/root_pose": pose(frames + 1)}
        states |= {f"rigid_object/{name}/root_velocity": normal(frames + 1, 6)}
    actions = rng.uniform(-1, 1, (frames, 7)).astype(np.float32)
    cubes = [states[f"rigid_object/{name}/root_pose"][:-1] for name in OBJECTS]
    arrays = {"actions": actions, "processed_actions": normal(frames, 8)}
    arrays |= {f"initial_state/{name}": values[:1] for name, values in states.items()}
    arrays |= {f"states/{name}": values[1:] for name, values in states.items()}
    observations = {
        "actions": np.concatenate([np.zeros_like(actions[:1]), actions[:-1]]),
        "joint_pos": states["articulation/robot/joint_position"][:-1],
        "joint_vel": states["articulation/robot/joint_velocity"][:-1],
        "object": np.concatenate([*cubes, normal(frames, 18)], axis=1),
        "cube_positions": np.concatenate([cube[:, :3] + 2.5 for cube in cubes], axis=1),
        "cube_orientations": np.concatenate([cube[:, 3:] for cube in cubes], axis=1),
        "eef_pos": normal(frames, 3),
        "eef_quat": quaternions(rng, frames),
        "gripper_pos": normal(frames, 2),
    }
    if size:
        observations |= {camera: moving_images(frames, rng, (size, size)) for camera in ISAAC_CAMERAS}
    if annotated:
        for name in ("object_pose/cube_1", "eef_pose/franka", "target_eef_pose/franka"):
            observations[f"datagen_info/{name}"] = normal(frames, 4, 4)
        observations["datagen_info/subtask_term_signals/grasp_1"] = np.arange(frames) > 2
        observations["datagen_info/subtask_term_signals/stack_1"] = np.arange(frames)[:, None] > 3
    return arrays | {f"obs/{name}": values for name, values in observations.items()}


def write_act(
    folder: Path,
    lengths: tuple[int, ...] = (6, 5),
    *,
    sim: bool = True,
    compressed: bool = False,
    mobile: bool = False,
    size: tuple[int, int] = (480, 640),
    cameras: tuple[str, ...] = ("top", "angle"),
) -> list[Path]:
    """One file per episode, as ACT's recorders write them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"episode_{index}.hdf5" for index in range(len(lengths))]
    for index, (path, frames) in enumerate(zip(paths, lengths, strict=True)):
        rng = stream(index, "act")
        with h5py.File(path, "w") as file:
            file.attrs["sim"] = sim
            if compressed:
                file.attrs["compress"] = True
            for name in ("observations/qpos", "observations/qvel", "action"):
                file[name] = rng.standard_normal((frames, 14)).astype(np.float32)
            if mobile:
                file["base_action"] = rng.standard_normal((frames, 2)).astype(np.float32)
            images = {camera: moving_images(frames, rng, size) for camera in cameras}
            _add_images(file, images, compressed)
    return paths


def _add_images(file: h5py.File, images: dict[str, np.ndarray], compressed: bool) -> None:
    if not compressed:
        for camera, frames in images.items():
            file.create_dataset(f"observations/images/{camera}", data=frames, chunks=(1, *frames.shape[1:]))
        return
    packed = {camera: [jpeg(image) for image in frames] for camera, frames in images.items()}
    longest = max(len(one) for files in packed.values() for one in files)
    for camera, files in packed.items():
        padded = np.stack([np.frombuffer(one.ljust(longest, b"\0"), np.uint8) for one in files])
        file.create_dataset(f"observations/images/{camera}", data=padded, chunks=(1, longest))
    # In the order of the recorder's list of cameras, which is not the file's.
    file["compress_len"] = np.array([[len(one) for one in files] for files in packed.values()], np.float32)


def jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=50)
    return buffer.getvalue()


def unpadded(row: np.ndarray, length: float) -> np.ndarray:
    """An image of a compressed file, cut to its length and decoded."""
    with Image.open(io.BytesIO(row.tobytes()[: int(length)])) as image:
        return np.asarray(image)


def contents(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Everything in a file but how it is compressed: path -> type, shape, bytes; attributes under "path@name"."""
    found: dict[str, Any] = {}

    def keep(name: str, thing: h5py.Group | h5py.Dataset) -> None:
        for key, value in thing.attrs.items():
            plain = np.asarray(value)
            found[f"{name}@{key}"] = (str(plain.dtype), plain.shape, str(value).encode())
        if isinstance(thing, h5py.Dataset):
            values = np.asarray(thing[()])
            found[name] = (str(values.dtype), values.shape, values.tobytes())

    with h5py.File(path) as file:
        keep("", file)
        file.visititems(keep)
    return found
