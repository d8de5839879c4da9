"""What a picture of the findings needs: images around a fault, and the curve of the joint it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError
from etude.data.checking.check import Checkup
from etude.data.checking.columns import load
from etude.data.checking.evidence import Evidence
from etude.data.checking.finding import Finding
from etude.data.spec import STATE
from etude.data.video import decode_video


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlier:
    """One finding with what there is to see of it.

    Attributes:
        finding: The finding.
        fps: Frames per second.
        camera: The camera that the images are from, or "".
        images: (frame, image) around the fault; None where there is none.
        name: What the curve shows.
        curve: (T,), or empty.
    """

    finding: Finding
    fps: int
    camera: str
    images: Sequence[tuple[int, NDArray[np.uint8] | None]]
    name: str
    curve: NDArray[np.float64]


def outliers(checkup: Checkup, most: int = 8, images: int = 5) -> list[Outlier]:
    """The worst finding of each episode that has one, broken episodes first.

    Args:
        checkup: A checked dataset.
        most: How many episodes at most.
        images: How many images of each.
    """
    worst: dict[int, tuple[int, Finding]] = {}
    for finding in checkup.report.findings:
        if finding.episode is None or finding.severity == "note":
            continue
        # Statistics that do not match follow from something else, which shows more.
        rank = 2 * (finding.severity == "warning" or finding.check == "statistics") + (finding.first is None)
        if finding.episode not in worst or rank < worst[finding.episode][0]:
            worst[finding.episode] = (rank, finding)
    broken = {episode: checkup.report.verdict(episode) == "broken" for episode in worst}
    chosen = sorted(worst.values(), key=lambda item: (not broken.get(item[1].episode or 0), item[1].episode))[:most]
    of_index = {e.index: e for e in checkup.evidence}
    return [_outlier(checkup, of_index[f.episode], f, images) for _, f in chosen if f.episode in of_index]


def _outlier(checkup: Checkup, e: Evidence, finding: Finding, count: int) -> Outlier:
    camera = finding.camera or next(iter(checkup.raw.meta.cameras), "")
    first, last = finding.first or 0, finding.last if finding.last is not None else finding.first
    if finding.first is None or last is None:
        first, last = 0, max(e.frames - 1, 0)
    reach = max(2, (last - first) // 4)
    end = max(e.frames, e.raw.length or 0, 1) - 1
    frames = np.unique(np.linspace(max(first - reach, 0), min(last + reach, end), count).round().astype(int)).tolist()
    name, curve = _curve(checkup, e, finding)
    pictures = _images(checkup, e, camera, frames) if camera else {}
    shown = [(frame, pictures.get(frame)) for frame in frames] if camera else []
    return Outlier(finding=finding, fps=e.fps, camera=camera, images=shown, name=name, curve=curve)


def _curve(checkup: Checkup, e: Evidence, finding: Finding) -> tuple[str, NDArray[np.float64]]:
    """The numbers that a finding is about; of a camera, how much its picture changes."""
    seen = e.seen.get(finding.camera)
    if seen is not None and seen.traits is not None:
        return "change of the picture", seen.traits.change
    feature = finding.feature or STATE
    values = e.series(feature)
    if finding.check == "timestamps":
        column = e.column("timestamp")
        return (
            ("time from frame to frame [s]", np.diff(column, prepend=column[:1])) if column is not None else ("", _NONE)
        )
    if values is None or values.ndim != 2:
        return "", _NONE
    j = finding.dimension or 0
    known = checkup.raw.meta.features.get(feature)
    names = known.names if known is not None else ()
    return f"{feature} {names[j] if j < len(names) else j}", values[:, j]


_NONE = np.zeros(0)


def _images(checkup: Checkup, e: Evidence, camera: str, frames: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
    """As many of some frames as can be decoded."""
    wanted, found = set(frames), dict[int, NDArray[np.uint8]]()
    clip = e.raw.clips.get(camera)
    try:
        if clip is not None and (checkup.raw.root / clip.path).is_file():
            for t, image in enumerate(decode_video(checkup.raw.root / clip.path)):
                if t - clip.first in wanted:
                    found[t - clip.first] = image
                if t - clip.first >= max(wanted):
                    break
        elif clip is None and e.raw.data is not None:
            from PIL import Image

            pictures = load(checkup.raw.root / e.raw.data).pictures.get(checkup.raw.meta.camera_keys[camera], [])
            for t in wanted & set(range(len(e.rows))):
                found[t] = np.asarray(Image.open(BytesIO(pictures[e.rows[t]] or b"")).convert("RGB"), np.uint8)
    except (EtudeError, OSError, IndexError):
        return found  # what cannot be decoded is what the picture shows
    return found
