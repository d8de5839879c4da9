"""An episode's part of a video copied as it is, packet by packet: nothing is decoded, so nothing is lost.

LeRobot v3 puts several episodes into one file, each beginning with a key frame, so each can be cut out. Where that does
not hold (an encoder that was not told where episodes begin), the frames have to be decoded and encoded once more.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from etude.data.video import open_video


@dataclass(frozen=True, kw_only=True)
class VideoPart:
    """A part of a video as a file of its own that begins at time 0.

    Attributes:
        content: The MP4 file.
        codec: Name and pixel format, e.g. ("av1", "yuv420p").
        height, width: Of the images [px].
    """

    content: bytes
    codec: tuple[str, str]
    height: int
    width: int


def copy_video(path: Path, *, from_s: float, frames: int, fps: int) -> VideoPart | None:
    """Copy some frames of a video without decoding them.

    Args:
        path: The video.
        from_s: Time of the first frame.
        frames: How many.
        fps: Frames per second.

    Returns:
        The copy; None where it cannot be cut out, or has not these frames.

    Raises:
        EtudeError: The file cannot be read.
    """
    with open_video(path) as (container, stream):
        packets = _packets(container, stream, from_s, frames, fps)
        if packets is None:
            return None
        alone = stream.frames == frames and packets[0].pts == 0
        content = path.read_bytes() if alone else _mux(stream, packets)
        context = stream.codec_context
        codec = (str(context.codec.canonical_name), str(context.pix_fmt))
        return VideoPart(content=content, codec=codec, height=context.height, width=context.width)


def _packets(container: Any, stream: Any, from_s: float, frames: int, fps: int) -> list[Any] | None:
    """The packets of the frames in the order of decoding, if they stand for themselves."""
    tick, kept = float(stream.time_base), list[Any]()
    begin, end = from_s - 0.5 / fps, from_s + (frames - 0.5) / fps
    container.seek(max(0, round(from_s / tick)), stream=stream)
    for packet in container.demux(stream):
        if packet.pts is None or packet.pts * tick < begin:
            continue
        if packet.pts * tick >= end:
            if not packet.is_keyframe:  # may be needed by frames of ours that are decoded after it
                return None
            break
        if packet.is_corrupt or (not kept and not packet.is_keyframe):
            return None
        kept.append(packet)
    times = sorted(packet.pts * tick for packet in kept)
    even = all(abs(time - from_s - t / fps) < 0.5 / fps for t, time in enumerate(times))
    return kept if len(kept) == frames and even else None


def _mux(stream: Any, packets: list[Any]) -> bytes:
    buffer, first = io.BytesIO(), packets[0].pts
    with av.open(buffer, "w", format="mp4") as output:
        copied = output.add_stream_from_template(stream, opaque=True)  # needs no encoder of that codec
        for packet in packets:
            packet.pts -= first
            packet.dts -= first
            packet.stream = copied
            output.mux(packet)
    return buffer.getvalue()
