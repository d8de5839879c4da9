"""A whole episode of any dataset, to be written again: decoded, or encoded as it lies there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError, Outcome, ShapeError
from etude.data.encoding import EncodedEpisode, encode, encode_picture
from etude.data.episode import about_episodes, data_file, read_images, read_typed, require_episode, video_file
from etude.data.layout import sidecar_outcome, sidecar_row
from etude.data.metadata import DatasetMeta
from etude.data.parquet import read_pictures
from etude.data.recording import RecordedEpisode
from etude.data.remux import VideoPart, copy_video
from etude.data.spec import ACTION, INDEX_FEATURES, STATE, SUBTASKS, DatasetSpec, Feature, Storage
from etude.data.statistics import Statistics, image_statistics
from etude.data.video import CODEC, PIXEL_FORMAT, encode_video


def spec_of(meta: DatasetMeta) -> DatasetSpec:
    """What a dataset holds, as a writer would be told to make one that holds the same.

    Raises:
        EtudeError: It has no state or no actions.
    """
    for name in (STATE, ACTION):
        if name not in meta.features:
            raise EtudeError(f"dataset '{meta.root}' has no column '{name}': only datasets with both can be written.")
    sizes = {camera: (shape[0], shape[1]) for camera, shape in meta.image_shapes.items()}
    return DatasetSpec(
        fps=meta.fps,
        cameras=meta.cameras,
        image_size=next(iter(sizes.values()), 0) if len(set(sizes.values())) <= 1 else sizes,
        state_names=_names(meta.features[STATE], "state"),
        action_names=_names(meta.features[ACTION], "action"),
        subtasks=meta.features[SUBTASKS].names if _has_subtasks(meta) else (),
        extras=_extras(meta),
        storage=_storage(meta),
        robot_type=meta.robot_type,
        task=meta.task,
        space_hash=meta.space_hash,
    )


def left_out(meta: DatasetMeta) -> list[str]:
    """Columns of a dataset that cannot be written again: those without numbers, and depth images."""
    kept = {STATE, ACTION, *INDEX_FEATURES, *meta.camera_keys.values(), *_extras(meta)}
    return sorted(set(meta.features) - kept - ({SUBTASKS} if _has_subtasks(meta) else set()))


def read_episode(meta: DatasetMeta, index: int, cameras: Sequence[str] | None = None) -> RecordedEpisode:
    """Read and decode an episode; its origin is where it was read from.

    Args:
        meta: The dataset.
        index: Index of the episode.
        cameras: Whose images to decode; by default all.

    Raises:
        EtudeError: A file is missing or damaged, or the dataset has no such episode.
    """
    require_episode(meta, index)
    chosen = meta.cameras if cameras is None else cameras
    images = {camera: np.stack(list(read_images(meta, index, camera))) for camera in chosen}
    return replace(_without_images(meta, index), images=images)


def read_encoded(meta: DatasetMeta, index: int) -> EncodedEpisode:
    """Read an episode with its images as they are: videos and image files are copied wherever that is possible.

    Args:
        meta: The dataset.
        index: Index of the episode.

    Raises:
        EtudeError: A file is missing or damaged, or the dataset has no such episode.
    """
    numbers = _without_images(meta, index)
    episode = encode(numbers, meta.fps)
    statistics = {c: _image_statistics(meta, index, c) for c in meta.cameras}
    if _storage(meta) == "image":
        pictures = {camera: _pictures(meta, index, camera) for camera in meta.cameras}
        shapes = {camera: (s[0], s[1], 3) for camera, s in meta.image_shapes.items()}
        return replace(episode, pictures=pictures, image_shapes=shapes, image_statistics=statistics)
    parts = {camera: _video(meta, index, camera) for camera in meta.cameras}
    return replace(
        episode,
        videos={camera: part.content for camera, part in parts.items()},
        image_shapes={camera: (part.height, part.width, 3) for camera, part in parts.items()},
        codecs={camera: part.codec for camera, part in parts.items() if part.codec != (CODEC, PIXEL_FORMAT)},
        image_statistics=statistics,
    )


def _without_images(meta: DatasetMeta, index: int) -> RecordedEpisode:
    spec, sidecar = spec_of(meta), sidecar_row(meta.rows[index])
    wanted = [STATE, ACTION, "task_index", *spec.extras, *([SUBTASKS] if spec.subtasks else [])]
    columns = read_typed(meta, index, wanted)
    outcome: Outcome | None = sidecar_outcome(sidecar)
    frame_tasks = _frame_tasks(meta, index, columns["task_index"][:, 0])
    signals = columns[SUBTASKS].astype(np.bool_) if spec.subtasks else np.zeros((0, 0), np.bool_)
    origin = f"{meta.root}:{index}"
    try:
        return RecordedEpisode(
            images={},
            state=columns[STATE].astype(np.float32),
            action=columns[ACTION].astype(np.float32),
            extras={name: _shaped(columns[name], feature) for name, feature in spec.extras.items()},
            subtasks={name: signals[:, i] for i, name in enumerate(spec.subtasks)},
            task=frame_tasks[0],
            frame_tasks=frame_tasks if len(set(frame_tasks)) > 1 else (),
            outcome=outcome,
            generator=sidecar.get("generator") or "",
            source_episode=-1 if sidecar.get("source_episode") is None else sidecar["source_episode"],
            origin=f"{origin} < {sidecar['origin']}" if sidecar.get("origin") else origin,
        )
    except ShapeError as error:
        raise EtudeError(f"episode {index} of '{meta.root}' cannot be used: {error}") from error


def _frame_tasks(meta: DatasetMeta, index: int, task_index: NDArray[Any]) -> tuple[str, ...]:
    """The task text of each frame."""
    of_episode = [str(text) for text in meta.rows[index].get("tasks") or ()]
    if len(of_episode) == 1:
        return (of_episode[0],) * len(task_index)
    first = of_episode[0] if of_episode else ""
    return tuple(meta.tasks[i] if 0 <= i < len(meta.tasks) else first for i in task_index.astype(int).tolist())


def _shaped(column: NDArray[Any], feature: Feature) -> NDArray[Any]:
    shape = () if feature.shape == (1,) else feature.shape
    return column.astype(feature.dtype).reshape(len(column), *shape)


def _video(meta: DatasetMeta, index: int, camera: str) -> VideoPart:
    path, from_s = video_file(meta, index, camera)
    with about_episodes(meta, [index]):
        part = copy_video(path, from_s=from_s, frames=meta.lengths[index], fps=meta.fps)
    if part is not None:
        return part
    images = np.stack(list(read_images(meta, index, camera)))
    height, width = images.shape[1:3]
    return VideoPart(content=encode_video(images, meta.fps), codec=(CODEC, PIXEL_FORMAT), height=height, width=width)


def _pictures(meta: DatasetMeta, index: int, camera: str) -> list[bytes]:
    key = meta.camera_keys[camera]
    if meta.features[key].dtype == "image":
        with about_episodes(meta, [index]):
            return list(read_pictures(data_file(meta, index), key, index))
    return [encode_picture(image) for image in read_images(meta, index, camera)]


def _image_statistics(meta: DatasetMeta, index: int, camera: str) -> Statistics:
    """Those that the dataset keeps; counted anew where it keeps none, or others."""
    kept = meta.episode_statistics[index].get(meta.camera_keys[camera], {})
    needed: Mapping[str, tuple[int, ...]] = dict.fromkeys(("min", "max", "mean", "std"), (3, 1, 1)) | {"count": (1,)}
    if all(name in kept and kept[name].shape == shape for name, shape in needed.items()):
        return kept
    return image_statistics(np.stack(list(read_images(meta, index, camera))))


def _names(feature: Feature, word: str) -> tuple[str, ...]:
    size = feature.shape[0]
    return feature.names if len(feature.names) == size else tuple(f"{word}_{i}" for i in range(size))


def _has_subtasks(meta: DatasetMeta) -> bool:
    feature = meta.features.get(SUBTASKS)
    return feature is not None and feature.dtype == "bool" and feature.shape == (len(feature.names),)


def _extras(meta: DatasetMeta) -> dict[str, Feature]:
    taken = {STATE, ACTION, *INDEX_FEATURES, *([SUBTASKS] if _has_subtasks(meta) else [])}
    return {name: feature for name, feature in meta.features.items() if name not in taken and feature.is_numeric}


def _storage(meta: DatasetMeta) -> Storage:
    """Images where any camera's are: nothing is lost so."""
    kinds = {meta.features[key].dtype for key in meta.camera_keys.values()}
    return "image" if "image" in kinds else "video"
