"""One episode of a dataset, read without decoding the others: for looking at, where training reads a FrameCache."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from etude.core import ConfigError, EtudeError, UnknownNameError
from etude.data.metadata import DatasetMeta
from etude.data.parquet import read_columns, read_pictures
from etude.data.video import open_video


class DamagedEpisodeError(EtudeError):
    """What is wrong with a file of some episodes, and how to do without them."""

    def __init__(self, root: Path, episodes: Sequence[int], reason: str) -> None:
        which = _ranges(episodes)
        them, word = ("it", "episode") if len(episodes) == 1 else ("them", "episodes")
        super().__init__(
            f"{word} {which} of '{root}': {reason.removesuffix('.')}; or leave {them} out with "
            f"`etude data delete {root} --episodes {which} --out …`."
        )


@contextmanager
def about_episodes(meta: DatasetMeta, episodes: Sequence[int]) -> Generator[None]:
    """Let errors say which episodes they are about, unless they say it already."""
    try:
        yield
    except DamagedEpisodeError:
        raise
    except EtudeError as error:
        raise DamagedEpisodeError(meta.root, episodes, str(error)) from error


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
    columns = read_typed(meta, episode, features)
    return {feature: columns[feature].astype(np.float64) for feature in features}


def read_typed(meta: DatasetMeta, episode: int, features: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Like `read_numbers`, in the types that the columns have."""
    require_episode(meta, episode)
    path = data_file(meta, episode)
    with about_episodes(meta, [episode]):
        columns = read_columns([path], ("episode_index", "frame_index", *features), episode=episode)
    kept = np.flatnonzero(columns["episode_index"][:, 0] == episode)
    kept = kept[np.argsort(columns["frame_index"][kept, 0], kind="stable")]
    if len(kept) != meta.lengths[episode]:
        reason = f"'{path}' has {len(kept)} of its frames, where the metadata says {meta.lengths[episode]}"
        raise DamagedEpisodeError(meta.root, [episode], f"{reason}: copy the dataset anew")
    return {feature: columns[feature][kept] for feature in features}


def data_file(meta: DatasetMeta, episode: int) -> Path:
    """The Parquet file with the frames of an episode."""
    row = meta.rows[episode]
    return meta.root / meta.data_path.format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])


def video_file(meta: DatasetMeta, episode: int, camera: str) -> tuple[Path, float]:
    """The video with an episode's images from one camera, and the time in it [s] at which the episode begins."""
    key, row = meta.camera_keys[camera], meta.rows[episode]
    name = meta.video_path.format(
        video_key=key, chunk_index=row[f"videos/{key}/chunk_index"], file_index=row[f"videos/{key}/file_index"]
    )
    return meta.root / name, float(row[f"videos/{key}/from_timestamp"])


def read_images(meta: DatasetMeta, episode: int, camera: str) -> Iterator[UInt8[NDArray[np.uint8], "H W 3"]]:
    """The images of one camera, first to last, from a video or from single images.

    Args:
        meta: The dataset.
        episode: Index of the episode.
        camera: Name of the camera.

    Raises:
        EtudeError: The camera's file is missing, damaged, or too short.
    """
    require_episode(meta, episode)
    if camera not in meta.camera_keys:
        raise UnknownNameError(f"camera of '{meta.root}'", camera, meta.cameras)
    length, given = meta.lengths[episode], 0
    if meta.features[meta.camera_keys[camera]].dtype == "video":
        path, images = video_file(meta, episode, camera)[0], _from_video(meta, episode, camera)
    else:
        path, images = data_file(meta, episode), _from_pictures(meta, episode, camera)
    with about_episodes(meta, [episode]):
        for image in islice(images, length):
            yield image
            given += 1
        if given < length:
            raise EtudeError(f"'{path}' has {given} of its {length} frames ('{camera}'): copy the file anew.")


def _from_video(meta: DatasetMeta, episode: int, camera: str) -> Iterator[UInt8[NDArray[np.uint8], "H W 3"]]:
    """From the episode's first frame to the end of the file; what comes before is jumped over."""
    path, from_s = video_file(meta, episode, camera)
    begin_s = from_s - 0.5 / meta.fps
    with open_video(path) as (container, stream):
        container.seek(max(0, int(begin_s / stream.time_base)), stream=stream)
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= begin_s:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _from_pictures(meta: DatasetMeta, episode: int, camera: str) -> Iterator[UInt8[NDArray[np.uint8], "H W 3"]]:
    path = data_file(meta, episode)
    for frame, picture in enumerate(read_pictures(path, meta.camera_keys[camera], episode)):
        try:
            with Image.open(BytesIO(picture)) as image:
                yield np.asarray(image.convert("RGB"), np.uint8)
        except (OSError, SyntaxError, ValueError) as error:
            reason = "it is no image" if isinstance(error, UnidentifiedImageError) else str(error)
            raise EtudeError(
                f"the image of '{camera}' at frame {frame} in '{path}' cannot be read: {reason}; copy the file anew."
            ) from error


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers as a person, or --episodes, takes them: "2 5-9"."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
