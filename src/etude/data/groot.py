"""Datasets as GR00T N1.6 and N1.7 are fine-tuned on them: LeRobot v2.1 with `meta/modality.json`.

    data/chunk-000/episode_000017.parquet
    videos/chunk-000/observation.images.front/episode_000017.mp4        H.264
    meta/info.json  meta/tasks.jsonl  meta/episodes.jsonl  meta/episodes_stats.jsonl  meta/stats.json
    meta/modality.json         which of the state's and the action's numbers belong together, e.g. an arm and a gripper
    modality_config.py         the same for Isaac-GR00T's `--modality-config-path`

Actions are passed on as they are (absolute in GR00T's words, whatever they mean to the robot).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError, ShapeError
from etude.core.files import write_bytes, write_json
from etude.data.encoding import EncodedEpisode
from etude.data.episode import read_images
from etude.data.layout import FILES_PER_CHUNK
from etude.data.metadata import DatasetMeta
from etude.data.parquet import encode_columns
from etude.data.reading import read_encoded, spec_of
from etude.data.spec import ACTION, IMAGE, STATE, DatasetSpec, Feature
from etude.data.statistics import vector_statistics
from etude.data.video import CODEC, PIXEL_FORMAT, encode_video

VERSION = "v2.1"
DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
CONFIG = "modality_config.py"
_HORIZON = 16
_KEPT = ("mean", "std", "min", "max", "q01", "q99")  # GR00T cuts all of them into groups: nothing else may be there
_TASK = "human.task_description"


def export_groot(meta: DatasetMeta, root: Path, *, on_saved: Callable[[int], None] = lambda _done: None) -> None:
    """Write a dataset into an empty folder.

    Args:
        meta: The dataset.
        root: The folder.
        on_saved: Called with the number of episodes written.

    Raises:
        EtudeError: The dataset is empty, damaged, without cameras, or of images that H.264 cannot take.
    """
    if not meta.total_episodes or not meta.cameras:
        lacks = "episodes" if not meta.total_episodes else "cameras"
        raise EtudeError(f"dataset '{meta.root}' has no {lacks}, which GR00T needs.")
    spec = spec_of(meta)
    tasks: dict[str, int] = {}
    episodes: list[dict[str, Any]] = []
    statistics: list[dict[str, Any]] = []
    numbers: list[Mapping[str, NDArray[Any]]] = []
    for index in range(meta.total_episodes):
        episode = read_encoded(meta, index)
        texts = episode.frame_tasks or (episode.task,) * episode.length
        for text in texts:
            tasks.setdefault(text, len(tasks))
        columns = _columns(
            episode, index, sum(e["length"] for e in episodes), [tasks[text] for text in texts], meta.fps
        )
        write_bytes(root / _path(DATA, index), encode_columns(columns))
        for camera in spec.cameras:
            write_bytes(root / _path(VIDEO, index, IMAGE + camera), _video(meta, episode, index, camera))
        episodes.append({"episode_index": index, "tasks": list(dict.fromkeys(texts)), "length": episode.length})
        statistics.append({"episode_index": index, "stats": _statistics(episode, columns)})
        numbers.append({name: columns[name] for name in (STATE, ACTION, "timestamp")})
        on_saved(index + 1)
    _write_meta(root, spec, tasks, episodes, statistics)
    write_json(root / "meta/stats.json", _whole(numbers))


def groups(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Numbers that belong together by their names: "eef_pos.0", … by what they are of, joints by arm and gripper.

    Args:
        names: What the numbers are.

    Returns:
        Group -> (start, end).
    """
    found: dict[str, tuple[int, int]] = {}
    start = 0
    for word, same in groupby(_group(name) for name in names):
        end = start + len(list(same))
        free = next(w for n in range(1, len(names) + 2) if (w := word if n == 1 else f"{word}_{n}") not in found)
        found[free] = (start, end)
        start = end
    return found


def fine_tuning_command(root: Path) -> str:
    """The command that fine-tunes GR00T N1.7 on an exported dataset, run in a checkout of Isaac-GR00T."""
    folder = root.resolve()
    lines = (
        "uv run python gr00t/experiment/launch_finetune.py",
        "--base-model-path nvidia/GR00T-N1.7-3B",
        f"--dataset-path {quote(str(folder))}",
        "--embodiment-tag NEW_EMBODIMENT",
        f"--modality-config-path {quote(str(folder / CONFIG))}",
        "--num-gpus 1",
        f"--output-dir {quote(f'checkpoints/{folder.name}')}",
        "--max-steps 10000",
        "--save-steps 2000",
        "--global-batch-size 32",
    )
    return " \\\n    ".join(lines)


def _group(name: str) -> str:
    if re.search(r"\.\d+$", name):
        return re.sub(r"\.\d+$", "", name)
    lower = name.lower()
    side = next((f"{side}_" for side in ("left", "right") if side in lower), "")
    part = next((part for part in ("gripper", "hand", "base", "waist_yaw", "leg") if part in lower), "arm")
    return side + part


def _path(template: str, index: int, key: str = "") -> str:
    return template.format(episode_chunk=index // FILES_PER_CHUNK, episode_index=index, video_key=key)


def _columns(
    episode: EncodedEpisode, index: int, first: int, tasks: Sequence[int], fps: int
) -> dict[str, NDArray[Any]]:
    frames = np.arange(episode.length)
    return {
        STATE: episode.state.astype(np.float32),
        ACTION: episode.action.astype(np.float32),
        "timestamp": (frames / fps).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.full_like(frames, index),
        "index": first + frames,
        "task_index": np.array(tasks, np.int64),
    }


def _video(meta: DatasetMeta, episode: EncodedEpisode, index: int, camera: str) -> bytes:
    """The episode's video, copied where it is H.264 already."""
    codec, _ = episode.codecs.get(camera, (CODEC, PIXEL_FORMAT))
    if camera in episode.videos and codec == CODEC:
        return episode.videos[camera]
    try:
        return encode_video(np.stack(list(read_images(meta, index, camera))), meta.fps)
    except ShapeError as error:
        raise EtudeError(f"camera '{camera}' of '{meta.root}' cannot become H.264: {error}") from error


def _statistics(episode: EncodedEpisode, columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    found = {IMAGE + camera: values for camera, values in episode.image_statistics.items()}
    found |= {name: vector_statistics(values.reshape(len(values), -1)) for name, values in columns.items()}
    return {name: {key: value.tolist() for key, value in values.items()} for name, values in found.items()}


def _whole(numbers: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, Any]:
    """Statistics over all frames; those of single episodes cannot be merged into exact quantiles."""
    whole = {name: np.concatenate([part[name] for part in numbers]) for name in numbers[0]}
    found = {name: vector_statistics(values.reshape(len(values), -1)) for name, values in whole.items()}
    return {name: {key: values[key].tolist() for key in _KEPT} for name, values in found.items()}


def _write_meta(
    root: Path,
    spec: DatasetSpec,
    tasks: Mapping[str, int],
    episodes: Sequence[Mapping[str, Any]],
    statistics: Iterable[Mapping[str, Any]],
) -> None:
    _write_lines(root / "meta/episodes.jsonl", episodes)
    _write_lines(root / "meta/episodes_stats.jsonl", statistics)
    _write_lines(root / "meta/tasks.jsonl", [{"task_index": index, "task": text} for text, index in tasks.items()])
    write_json(root / "meta/info.json", _info(spec, episodes, len(tasks)))
    write_json(root / "meta/modality.json", _modality(spec))
    write_bytes(root / CONFIG, _config(spec).encode())


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    write_bytes(path, "".join(json.dumps(record) + "\n" for record in records).encode())


def _info(spec: DatasetSpec, episodes: Sequence[Mapping[str, Any]], tasks: int) -> dict[str, Any]:
    kept = {n: f for n, f in spec.features.items() if n not in spec.extras and n != "subtasks"}
    return {
        "codebase_version": VERSION,
        "robot_type": spec.robot_type or "unknown",
        "total_episodes": len(episodes),
        "total_frames": sum(episode["length"] for episode in episodes),
        "total_tasks": tasks,
        "total_videos": len(episodes) * len(spec.cameras),
        "total_chunks": -(-len(episodes) // FILES_PER_CHUNK),
        "chunks_size": FILES_PER_CHUNK,
        "fps": spec.fps,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": DATA,
        "video_path": VIDEO,
        "features": {name: _feature(feature, spec.fps) for name, feature in kept.items()},
    }


def _feature(feature: Feature, fps: int) -> dict[str, Any]:
    image = len(feature.shape) == 3
    record: dict[str, Any] = {"dtype": "video" if image else feature.dtype, "shape": list(feature.shape)}
    record["names"] = list(feature.names) or None
    if image:
        stream = {"height": feature.shape[0], "width": feature.shape[1], "codec": CODEC, "pix_fmt": PIXEL_FORMAT}
        stream |= {"is_depth_map": False, "fps": fps, "channels": 3}
        record["info"] = {f"video.{key}": value for key, value in stream.items()} | {"has_audio": False}
    return record


def _modality(spec: DatasetSpec) -> dict[str, Any]:
    """The content of meta/modality.json."""

    def spans(names: Sequence[str]) -> dict[str, Any]:
        return {group: {"start": start, "end": end} for group, (start, end) in groups(names).items()}

    return {
        "state": spans(spec.state_names),
        "action": spans(spec.action_names),
        "video": {camera: {"original_key": IMAGE + camera} for camera in spec.cameras},
        "annotation": {_TASK: {"original_key": "task_index"}},
    }


def _config(spec: DatasetSpec) -> str:
    """A module for `--modality-config-path`."""
    actions = list(groups(spec.action_names))
    return f'''"""How GR00T reads this dataset; change the horizon, or an action's representation, here."""

from gr00t.configs.data.embodiment_configs import register_modality_config
from gr00t.data.embodiment_tags import EmbodimentTag
from gr00t.data.types import ActionConfig, ActionFormat, ActionRepresentation, ActionType, ModalityConfig

AS_IT_IS = ActionConfig(
    rep=ActionRepresentation.ABSOLUTE, type=ActionType.NON_EEF, format=ActionFormat.DEFAULT
)
CONFIG = {{
    "video": ModalityConfig(delta_indices=[0], modality_keys={list(spec.cameras)!r}),
    "state": ModalityConfig(delta_indices=[0], modality_keys={list(groups(spec.state_names))!r}),
    "action": ModalityConfig(
        delta_indices=list(range({_HORIZON})), modality_keys={actions!r}, action_configs=[AS_IT_IS] * {len(actions)}
    ),
    "language": ModalityConfig(delta_indices=[0], modality_keys=["annotation.{_TASK}"]),
}}

register_modality_config(CONFIG, embodiment_tag=EmbodimentTag.NEW_EMBODIMENT)
'''
