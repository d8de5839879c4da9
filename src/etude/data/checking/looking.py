"""A dataset's videos and images decoded once, to a few numbers per picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from etude.data.checking.pictures import Look, Traits
from etude.data.checking.source import Clip
from etude.data.video import to_rgb

WIDTH_PX = 160
"""Pictures are made this small before they are compared: enough to see a gripper, and it evens out a camera's noise."""

type Small = UInt8[NDArray[np.uint8], "H W 3"]
type Sizes = set[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one camera showed in one episode.

    Attributes:
        traits: Its pictures in numbers, or None where they were only counted.
        frames: Pictures there are.
        sizes: Heights and widths that occur [px].
        gaps: Frames whose time in the video says that some are missing before them.
        fault: Why the pictures, or the rest of them, cannot be read, or "".
        beyond: Pictures in the file that belong to no episode.
    """

    traits: Traits | None
    frames: int
    sizes: frozenset[tuple[int, int]] = frozenset()
    gaps: Sequence[int] = ()
    fault: str = ""
    beyond: int = 0


def look_at_video(path: Path, clips: Mapping[int, Clip], fps: float, *, decode: bool = True) -> dict[int, Seen]:
    """Look at one video file.

    Args:
        path: The file.
        clips: Episode -> which of its frames are the episode's.
        fps: Frames per second that it should have.
        decode: Look at the pictures, rather than only count them.

    Returns:
        Episode -> what it shows.
    """
    owner = {clip.first + t: episode for episode, clip in clips.items() for t in range(clip.length)}
    looks = {episode: Look() for episode in clips}
    counts, gaps = dict.fromkeys(clips, 0), {episode: list[int]() for episode in clips}
    sizes: Sizes = set()
    beyond, fault, expected = 0, "", 0
    try:
        for time_s, image in _frames(path, sizes) if decode else _packets(path, sizes):
            place = expected if time_s is None else round(time_s * fps)
            episode = owner.get(place)
            if episode is None:
                beyond += 1
            else:
                counts[episode] += 1
                if place > expected:
                    gaps[episode].append(place - clips[episode].first)
                if image is not None:
                    looks[episode].add(image)
            expected = place + 1
    except (OSError, av.error.FFmpegError, IndexError) as error:
        fault = "it has no video stream" if isinstance(error, IndexError) else error.strerror or str(error)
    return {
        episode: Seen(
            traits=looks[episode].traits if decode and counts[episode] else None,
            frames=counts[episode],
            sizes=frozenset(sizes),
            gaps=gaps[episode],
            fault=fault if counts[episode] < clips[episode].length else "",
            beyond=beyond,
        )
        for episode in clips
    }


def look_at_images(images: Sequence[bytes | None], *, decode: bool = True) -> Seen:
    """Look at the images that a data file keeps for one episode."""
    from PIL import Image as Pillow

    look, sizes, fault = Look(), set[tuple[int, int]](), ""
    for t, encoded in enumerate(images):
        if encoded is None:
            fault = fault or f"the image of frame {t} is missing"
            continue
        try:
            with Pillow.open(BytesIO(encoded)) as picture:
                sizes.add((picture.height, picture.width))
                if decode:
                    height, width = _small(picture.height, picture.width)
                    look.add(np.asarray(picture.convert("RGB").resize((width, height), Pillow.Resampling.BOX)))
        except (OSError, ValueError) as error:
            fault = fault or f"the image of frame {t} cannot be read: {error}"
    seen = look.traits
    return Seen(traits=seen if decode and len(seen) else None, frames=len(images), sizes=frozenset(sizes), fault=fault)


def _frames(path: Path, sizes: Sizes) -> Iterator[tuple[float | None, Small | None]]:
    """(time [s], picture made small) of every frame."""
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        if stream.codec_context is None:  # decoding would end the process
            raise OSError("its codec is not known here")
        for frame in container.decode(stream):
            sizes.add((frame.height, frame.width))
            yield frame.time, to_rgb(frame, _small(frame.height, frame.width))


def _packets(path: Path, sizes: Sizes) -> Iterator[tuple[float | None, Small | None]]:
    """(time [s], None) of every frame, in the order they are shown, without decoding them."""
    shown: list[float] = []
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        sizes.add((stream.height, stream.width))
        shown += [float(packet.pts * stream.time_base) for packet in container.demux(stream) if packet.pts is not None]
    shown.sort()
    for time_s in shown:
        yield time_s - shown[0], None


def _small(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, WIDTH_PX / width)
    return max(1, round(height * scale)), max(1, round(width * scale))
