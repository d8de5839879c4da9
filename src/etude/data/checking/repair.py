"""A copy of a dataset with what can be restored: written anew from the numbers and pictures that are whole.

Everything that follows from the frames (timestamps, index columns, statistics, totals, which files there are) is right
in the copy because the writer derives it; so only episodes whose numbers or pictures are themselves broken are lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError, ShapeError
from etude.data.checking.check import Checkup
from etude.data.checking.columns import load
from etude.data.checking.evidence import Evidence
from etude.data.checking.source import Clip
from etude.data.encoding import EncodedEpisode, encode
from etude.data.layout import sidecar_outcome, sidecar_row
from etude.data.reading import left_out, spec_of
from etude.data.recording import RecordedEpisode
from etude.data.remux import copy_video
from etude.data.spec import ACTION, STATE, SUBTASKS, DatasetSpec
from etude.data.statistics import Statistics, image_statistics
from etude.data.video import CODEC, PIXEL_FORMAT, decode_video, encode_video
from etude.data.writer import DatasetWriter

RESTORED = {
    "totals": "the totals are counted anew",
    "statistics": "statistics are computed anew",
    "extra files": "files that no episode uses are left out",
    "index columns": "index columns count up",
    "timestamps": "timestamps are frame / fps",
    "length": "lengths are those of the data files",
    "metadata": "the metadata is written anew",
    "unreadable": "the metadata is written anew",
}
"""Check of the dataset or of an episode -> what the copy does about it."""
_LOST = frozenset(("metadata", "unreadable"))  # of an episode; of the dataset they are restored


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What a repair did.

    Attributes:
        restored: What was put right, in words.
        dropped: Episode of the original -> why it is not in the copy.
        kept: Episodes of the original in the copy, in its order.
        columns: Columns that cannot be written again.
    """

    restored: Sequence[str]
    dropped: dict[int, str]
    kept: Sequence[int]
    columns: Sequence[str]


def repair(checkup: Checkup, out: Path, on_progress: Callable[[int, int], None] | None = None) -> Repaired:
    """Write what is whole of a dataset as a new one; the original is only read.

    Args:
        checkup: The dataset, checked.
        out: Folder of the copy.
        on_progress: Called after every episode with (done, in all).

    Raises:
        EtudeError: No episode is whole, or the dataset has no state or no actions.
    """
    raw, report = checkup.raw, checkup.report
    spec = spec_of(raw.meta)
    dropped = {e.index: why for e in checkup.evidence if (why := _why_lost(checkup, e))}
    kept = [e for e in checkup.evidence if e.index not in dropped]
    if not kept:
        raise EtudeError(f"no episode of '{raw.root}' is whole; the first: {next(iter(dropped.values()), 'none')}.")
    written: list[int] = []
    with DatasetWriter.create(out, spec) as writer:
        for done, e in enumerate(kept, start=1):
            try:
                writer.commit(_encoded(checkup, e, spec))
                written.append(e.index)
            except (EtudeError, ValueError) as error:
                dropped[e.index] = str(error).rstrip(".")
            if on_progress is not None:
                on_progress(done, len(kept))
    of_interest = {None, *written}
    found = [f.check for f in report.findings if f.severity != "note" and f.episode in of_interest]
    restored = [words for check, words in RESTORED.items() if check in found]
    return Repaired(
        restored=list(dict.fromkeys(restored)),
        dropped=dict(sorted(dropped.items())),
        kept=written,
        columns=left_out(raw.meta),
    )


def _why_lost(checkup: Checkup, e: Evidence) -> str:
    """Why an episode cannot be kept, or ""."""
    for finding in checkup.report.of(e.index):
        if finding.severity == "broken" and (finding.check not in RESTORED or finding.check in _LOST):
            return finding.message
    missing = [camera for camera in checkup.raw.meta.cameras if camera not in e.seen]
    if missing:
        return f"camera '{missing[0]}' is missing"
    short = [camera for camera, seen in e.seen.items() if seen.frames < e.frames]
    if short:
        return f"camera '{short[0]}' has {e.seen[short[0]].frames} of {e.frames} frames"
    return "" if e.frames else "it has no frames"


def _encoded(checkup: Checkup, e: Evidence, spec: DatasetSpec) -> EncodedEpisode:
    meta, numbers = checkup.raw.meta, _numbers(checkup, e, spec)
    episode = encode(numbers, spec.fps)
    shapes = {camera: (height, width, 3) for camera, (height, width) in spec.image_sizes.items()}
    if spec.storage == "image":
        images = _pictures(checkup, e)
        statistics = {camera: _kept_statistics(e, meta.camera_keys[camera]) for camera in meta.cameras}
        return replace(
            episode,
            pictures=images,
            image_shapes=shapes,
            image_statistics={
                camera: kept if kept is not None else image_statistics(_decoded_pictures(images[camera]))
                for camera, kept in statistics.items()
            },
        )
    videos: dict[str, bytes] = {}
    codecs: dict[str, tuple[str, str]] = {}
    of_images: dict[str, Statistics] = {}
    for camera, clip in e.raw.clips.items():
        path = checkup.raw.root / clip.path
        part = copy_video(path, from_s=clip.first / spec.fps, frames=e.frames, fps=spec.fps)
        kept = _kept_statistics(e, meta.camera_keys[camera])
        images = _frames(path, clip, e.frames) if part is None or kept is None else None
        if part is None:
            assert images is not None
            videos[camera] = encode_video(images, spec.fps)
        else:
            videos[camera] = part.content
            codecs |= {camera: part.codec} if part.codec != (CODEC, PIXEL_FORMAT) else {}
        of_images[camera] = kept if images is None and kept is not None else image_statistics(_required(images))
    return replace(episode, videos=videos, codecs=codecs, image_shapes=shapes, image_statistics=of_images)


def _numbers(checkup: Checkup, e: Evidence, spec: DatasetSpec) -> RecordedEpisode:
    raw, sidecar = checkup.raw, sidecar_row(e.raw.row)
    indices, known = e.column("task_index"), raw.tasks or {}
    texts = tuple(known.get(int(i), "") for i in ([] if indices is None else indices))
    task = e.raw.tasks[0] if e.raw.tasks else next(iter(texts), "")
    several = len(e.raw.tasks) > 1 and len(set(texts)) > 1 and "" not in texts
    signals = e.numbers[SUBTASKS].astype(np.bool_) if spec.subtasks else np.zeros((0, 0), np.bool_)
    try:
        return RecordedEpisode(
            images={},
            state=e.numbers[STATE].astype(np.float32),
            action=e.numbers[ACTION].astype(np.float32),
            extras={
                name: _shaped(e.numbers[name], feature.dtype, feature.shape) for name, feature in spec.extras.items()
            },
            subtasks={name: signals[:, i] for i, name in enumerate(spec.subtasks)},
            task=texts[0] if several else task,
            frame_tasks=texts if several else (),
            outcome=sidecar_outcome(sidecar) if sidecar else None,
            generator=str(sidecar.get("generator") or ""),
            source_episode=-1 if sidecar.get("source_episode") is None else sidecar["source_episode"],
            origin=f"{raw.root}:{e.index}",
        )
    except ShapeError as error:
        raise EtudeError(str(error)) from error


def _shaped(column: NDArray[Any], dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    return column.astype(dtype).reshape(len(column), *(() if shape == (1,) else shape))


def _frames(path: Path, clip: Clip, frames: int) -> NDArray[np.uint8]:
    images = [image for t, image in enumerate(decode_video(path)) if clip.first <= t < clip.first + frames]
    return np.stack(images)


def _pictures(checkup: Checkup, e: Evidence) -> dict[str, list[bytes]]:
    assert e.raw.data is not None
    kept = load(checkup.raw.root / e.raw.data).pictures
    keys = checkup.raw.meta.camera_keys
    return {camera: [kept[key][i] or b"" for i in e.rows] for camera, key in keys.items()}


def _decoded_pictures(images: Sequence[bytes]) -> NDArray[np.uint8]:
    from io import BytesIO

    from PIL import Image

    return np.stack([np.asarray(Image.open(BytesIO(image)).convert("RGB"), np.uint8) for image in images])


def _kept_statistics(e: Evidence, key: str) -> Statistics | None:
    """The statistics of a camera that the dataset keeps, where they are whole; they are from the original pictures."""
    kept = e.raw.statistics.get(key, {})
    whole = all(name in kept and kept[name].shape == (3, 1, 1) for name in ("min", "max", "mean", "std"))
    return kept if whole and kept.get("count", np.zeros(0)).shape == (1,) else None


def _required(images: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    assert images is not None
    return images
