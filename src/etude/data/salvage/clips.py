"""Where the images of each episode are after a crash: in a video, in one not yet appended, or as single pictures."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from etude.data.parquet import Row


@dataclass(frozen=True)
class Clip:
    """An episode's images of one camera.

    Attributes:
        source: A video, or a folder of single pictures.
        first: Frame of the video that is the episode's first.
        begin_s: Time of that frame in the video.
    """

    source: Path
    first: int = 0
    begin_s: float = 0.0


def frame_times(path: Path) -> list[float]:
    """Times of a video's frames [s], in order; empty if it cannot be read."""
    size, times = path.stat().st_size, list[float]()
    try:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is not None and packet.time_base and (packet.pos or 0) + packet.size <= size:
                    times.append(float(packet.pts * packet.time_base))
    except (OSError, IndexError, av.error.FFmpegError):
        pass  # What could be read before counts.
    return sorted(times)


def find_clips(root: Path, key: str, lengths: Mapping[int, int], rows: Mapping[int, Row]) -> dict[int, Clip]:
    """Find the images of one camera.

    LeRobot appends the video of every episode to a file until that is large. So the episodes follow one another in
    the files, and with the lengths of the episodes we know where each begins. Only the last one saved may still be
    elsewhere, or several if they were to be encoded together.

    Args:
        root: The dataset.
        key: LeRobot's name of the camera.
        lengths: Frames of each episode.
        rows: The rows of meta/episodes that can still be read.
    """
    clips = _in_files(root, key, lengths, rows)
    for episode, length in lengths.items():
        if episode in clips:
            continue
        streamed = [p for p in root.glob(f"tmp*/{key}_streaming.mp4") if len(frame_times(p)) == length]
        alone = [p for p in root.glob(f"tmp*/{key}_{episode:03d}.mp4") if len(frame_times(p)) == length]
        folder = root / "images" / key / f"episode-{episode:06d}"
        if alone:
            clips[episode] = Clip(alone[0], 0, frame_times(alone[0])[0])
        elif streamed and episode == max(lengths):
            clips[episode] = Clip(streamed[0], 0, frame_times(streamed[0])[0])
        elif all(_is_picture(folder / f"frame-{t:06d}.png") for t in range(length)):
            clips[episode] = Clip(folder)
    return clips


def unsaved_episodes(root: Path) -> set[int]:
    """The episodes of which there are single pictures."""
    names = (path.name.removeprefix("episode-") for path in root.glob("images/*/episode-*"))
    return {int(name) for name in names if name.isdigit()}


def file_place(path: Path) -> tuple[int, int]:
    """Numbers of the chunk and of the file in a path."""
    numbers = re.findall(r"\d+", f"{path.parent.name} {path.stem}")
    return int(numbers[0]), int(numbers[-1])


def _in_files(root: Path, key: str, lengths: Mapping[int, int], rows: Mapping[int, Row]) -> dict[int, Clip]:
    paths = {file_place(path): path for path in sorted((root / "videos" / key).glob("chunk-*/file-*.mp4"))}
    times = {place: _times_or_rescue(path) for place, path in paths.items()}
    used = dict.fromkeys(paths, 0)
    places = sorted(paths)
    clips: dict[int, Clip] = {}

    def take(episode: int, place: tuple[int, int], first: int) -> bool:
        source, found = times[place]
        if first + lengths[episode] > len(found):
            return False
        clips[episode] = Clip(source, first, found[first])
        used[place] = first + lengths[episode]
        return True

    for episode in sorted(lengths):
        row: Mapping[str, Any] = rows.get(episode, {})
        place = int(row.get(f"videos/{key}/chunk_index", -1)), int(row.get(f"videos/{key}/file_index", -1))
        if place in times:
            found, begin_s = times[place][1], row[f"videos/{key}/from_timestamp"]
            first = int(np.argmin(np.abs(np.array(found) - begin_s))) if found else 0
            take(episode, place, first)
            places = [p for p in places if p >= place]
            continue
        while places and not take(episode, places[0], used[places[0]]):
            # How many episodes were in a file that cannot be read, nobody knows: what follows cannot be told apart.
            places = places[1:] if times[places[0]][1] else []
    return clips


def _times_or_rescue(path: Path) -> tuple[Path, list[float]]:
    """A video and the times of its frames; of one whose copying was interrupted, its original.

    LeRobot appends by writing a new file in the system's temporary folder, and moves it: between file systems, a copy.
    """
    times = frame_times(path)
    if times and _is_whole(path):
        return path, times
    size = path.stat().st_size
    for other in sorted(Path(tempfile.gettempdir()).glob("tmp*.mp4")) if size else ():
        if other.stat().st_size >= size and _begins_with(other, path):
            rescued = frame_times(other)
            if len(rescued) > len(times):
                return other, rescued
    return path, times


def _is_whole(path: Path) -> bool:
    """Whether a video's boxes end where the file ends (ISO 14496-12, 4.2)."""
    size, position = path.stat().st_size, 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            head = file.read(16)
            if len(head) < 8:
                return False
            length = int.from_bytes(head[:4])
            length = int.from_bytes(head[8:]) if length == 1 else length
            if length < 8:
                return length == 0 and position > 0  # the last box may go on to the end
            position += length
    return position == size


def _begins_with(path: Path, beginning: Path) -> bool:
    with path.open("rb") as whole, beginning.open("rb") as part:
        while block := part.read(1 << 20):
            if whole.read(len(block)) != block:
                return False
    return True


def _is_picture(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
        return True
    except (OSError, SyntaxError, ValueError):
        return False
