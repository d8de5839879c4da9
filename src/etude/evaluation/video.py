"""H.264 that every browser plays, written frame by frame: a long film needs no more memory than a short one."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from etude.core import Image
from etude.core.files import write_bytes

type Camera = Callable[[Image], None]
"""Takes one frame, (H, W, 3) uint8 with H and W even, all of one size."""

_OPTIONS = {"crf": "20", "preset": "veryfast"}


@contextmanager
def shoot(path: Path, fps: int) -> Generator[Camera]:
    """Write an mp4 (H.264, yuv420p, index first) of the frames that it is given, whole or not at all.

    Args:
        path: The video; an older one is replaced when the new one is whole.
        fps: Frames per second.
    """
    import av

    with TemporaryDirectory() as folder:  # to put its index first, FFmpeg reads the file again by its name
        draft = Path(folder, "film.mp4")
        with av.open(str(draft), "w", options={"movflags": "faststart"}) as container:
            stream: Any = container.add_stream("libx264", rate=fps, options=_OPTIONS)
            stream.pix_fmt, stream.thread_count = "yuv420p", 1

            def add(frame: Image) -> None:
                stream.height, stream.width = frame.shape[:2]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))

            yield add
            container.mux(stream.encode())
        write_bytes(path, draft.read_bytes())
