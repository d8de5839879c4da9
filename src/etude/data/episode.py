"""One episode of a dataset, read without decoding the others: for looking at, where training reads a FrameCache."""

from collections.abc import Iterator, Sequence
from typing import Any

import av
import av.error
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from etude.core import ConfigError, EtudeError
from etude.data.metadata import DatasetMeta
from etude.data.parquet import read_columns
from etude.data.spec import IMAGE


def require_episode(meta: DatasetMeta, episode: int) -> None:
    """Raise unless the dataset has the episode.

    Raises:
        ConfigError: It does not; the message says which there are.
    """
    if not meta.total_episodes:
        raise ConfigError(f"dataset '{meta.root}' has no episodes.")
    if not 0 <= episode < meta.total_episodes:
        raise ConfigError(f"episode {episode}: dataset '{meta.root}' has the episodes 0 to {meta.total_episodes - 1}.")


def read_numbers(meta: DatasetMeta, episode: int, features: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Numeric features of one episode.

    Args:
        meta: The dataset.
        episode: Index of the episode.
        features: LeRobot's names of the columns.

    Returns:
        Feature -> (T, n).

    Raises:
        EtudeError: A file is damaged, or holds other frames than the metadata says.
    """
    require_episode(meta, episode)
    row = meta.rows[episode]
    name = meta.data_path.format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])
    columns = read_columns([meta.root / name], ("episode_index", "frame_index", *features))
    kept = np.flatnonzero(columns["episode_index"][:, 0] == episode)
    kept = kept[np.argsort(columns["frame_index"][kept, 0], kind="stable")]
    if len(kept) != meta.lengths[episode]:
        raise EtudeError(f"'{name}' has {len(kept)} frames of episode {episode}, not {meta.lengths[episode]}.")
    return {feature: columns[feature][kept].astype(np.float64) for feature in features}


def read_images(meta: DatasetMeta, episode: int, camera: str) -> Iterator[UInt8[NDArray[np.uint8], "H W 3"]]:
    """The images of one camera, first to last; what comes before them in the video file is jumped over.

    Args:
        meta: The dataset.
        episode: Index of the episode.
        camera: Name of the camera.

    Raises:
        EtudeError: The camera has no video, or too short a one.
    """
    require_episode(meta, episode)
    key, row, length = IMAGE + camera, meta.rows[episode], meta.lengths[episode]
    if meta.features[key].dtype != "video":
        raise EtudeError(f"dataset '{meta.root}' stores camera '{camera}' as single images; only videos can be read.")
    name = meta.video_path.format(
        video_key=key, chunk_index=row[f"videos/{key}/chunk_index"], file_index=row[f"videos/{key}/file_index"]
    )
    begin_s, given = row[f"videos/{key}/from_timestamp"] - 0.5 / meta.fps, 0
    try:
        with av.open(str(meta.root / name)) as container:
            stream: Any = container.streams.video[0]
            container.seek(max(0, int(begin_s / stream.time_base)), stream=stream)
            for frame in container.decode(stream):
                if frame.time is not None and frame.time >= begin_s:
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                    given += 1
                if given == length:
                    return
    except (OSError, av.error.FFmpegError) as error:
        raise EtudeError(f"video '{meta.root / name}' cannot be read: {error}.") from error
    raise EtudeError(f"video '{meta.root / name}' has {given} of the {length} frames of episode {episode}.")
