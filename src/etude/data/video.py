"""H.264 in MP4, in memory, the same bytes for the same frames."""

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from etude.core import EtudeError, ShapeError

CODEC, PIXEL_FORMAT = "h264", "yuv420p"
# Ultrafast costs 0.15 ms per 96x96 frame. A key frame every second frame, as LeRobot does, keeps its random access
# quick. One thread: more would make the bytes depend on the machine.
_OPTIONS = {"preset": "ultrafast", "crf": "18", "g": "2"}

type Frames = UInt8[NDArray[np.uint8], "T H W 3"]


def encode_video(frames: Frames, fps: int) -> bytes:
    """Encode frames at exactly `fps`, the first at time 0.

    Args:
        frames: RGB, (T, H, W, 3) uint8, with even H and W.
        fps: Frames per second.

    Returns:
        An MP4 file.

    Raises:
        ShapeError: Not RGB frames of even size.
    """
    if frames.ndim != 4 or len(frames) == 0 or frames.shape[3] != 3 or frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ShapeError("video frames", "(T, H, W, 3) with T >= 1 and even H and W", frames.shape)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=_OPTIONS)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], PIXEL_FORMAT
        stream.codec_context.thread_count = 1
        for image in frames:
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            # Colour is stored at half the resolution: by area, so that it is averaged and not sampled.
            container.mux(stream.encode(rgb.reformat(format=PIXEL_FORMAT, interpolation="AREA")))
        container.mux(stream.encode())
    return buffer.getvalue()


def decode_video(path: Path, size: tuple[int, int] | None = None) -> Iterator[UInt8[NDArray[np.uint8], "H W 3"]]:
    """Decode a video from its first frame to its last.

    Args:
        path: The video.
        size: Height and width [px] to resize to (by area); by default as it is.

    Raises:
        EtudeError: The file cannot be read.
    """
    with open_video(path) as (container, stream):
        for frame in container.decode(stream):
            yield to_rgb(frame, size or (frame.height, frame.width))


def to_rgb(frame: Any, size: tuple[int, int]) -> UInt8[NDArray[np.uint8], "H W 3"]:
    """One of PyAV's frames as an image of this height and width [px], resized by area."""
    height, width = size
    same = size == (frame.height, frame.width)
    return np.asarray(
        frame.reformat(width, height, "rgb24", interpolation=None if same else "AREA").to_ndarray(), np.uint8
    )


@contextmanager
def open_video(path: Path) -> Generator[tuple[Any, Any]]:
    """Open a video to decode or copy it; what fails while it is open is one clear error, too.

    Returns:
        PyAV's container and its first video stream.

    Raises:
        EtudeError: The file is missing or damaged, is no video, or of a codec that is not known here.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise EtudeError(f"'{path}' has no video in it: copy the file anew.")
            stream: Any = container.streams.video[0]
            if stream.codec_context is None:  # decoding would end the process
                raise EtudeError(
                    f"video '{path}' has a codec that is not known here: encode it again, e.g. with "
                    f"`ffmpeg -i {path} -c:v libx264 FILE`."
                )
            yield container, stream
    except (OSError, av.error.FFmpegError) as error:
        raise EtudeError(f"video '{path}' cannot be read: {error.strerror or error}; copy the file anew.") from error
