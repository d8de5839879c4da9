"""The checks of a dataset as a whole: its totals, its files, its statistics, and what its episodes share."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from etude.data.checking.evidence import Evidence, foreign_frames
from etude.data.checking.finding import Finding, Severity
from etude.data.checking.norms import Norms
from etude.data.checking.picture_checks import USUALLY_REPEATED
from etude.data.checking.source import RawDataset
from etude.data.checking.statistics import compare_statistics
from etude.data.spec import ACTION, STATE


def check_dataset(raw: RawDataset, evidence: Sequence[Evidence], norms: Norms) -> Iterator[Finding]:
    """All findings that concern no single episode."""
    yield from _totals(raw)
    yield from _files(raw)
    yield from _statistics(raw, evidence)
    yield from _shared(raw, evidence, norms)


def _totals(raw: RawDataset) -> Iterator[Finding]:
    lengths = [episode.length or 0 for episode in raw.episodes.values()]
    expected: dict[str, int] = {"total_episodes": len(lengths), "total_frames": sum(lengths)}
    if raw.tasks is not None:
        expected["total_tasks"] = len(raw.tasks)
    if raw.meta.version != "v3.0":
        videos = sum(feature.dtype == "video" for feature in raw.meta.features.values())
        expected["total_videos"] = videos * len(lengths)
    for name, value in expected.items():
        if name in raw.info and raw.info[name] != value:
            yield _finding("totals", "broken", f"'{name}' is {raw.info[name]} in info.json, and there are {value}")
    splits: Any = raw.info.get("splits") or {}
    ends = [int(part.partition(":")[2]) for part in splits.values() if str(part).partition(":")[2].isdecimal()]
    if ends and max(ends) > len(lengths):
        yield _finding("totals", "broken", f"'splits' go up to episode {max(ends)}, and there are {len(lengths)}")


def _files(raw: RawDataset) -> Iterator[Finding]:
    known = {episode.data for episode in raw.episodes.values()}
    known |= {clip.path for episode in raw.episodes.values() for clip in episode.clips.values()}
    found = (path for folder in ("data", "videos") for path in sorted((raw.root / folder).rglob("*")) if path.is_file())
    extra = [str(path.relative_to(raw.root)) for path in found if path.relative_to(raw.root) not in known]
    if extra:
        more = f" and {len(extra) - 5} more" if len(extra) > 5 else ""
        yield _finding("extra files", "warning", f"files that no episode uses: {', '.join(extra[:5])}{more}")
    for episode, frames in foreign_frames(raw).items():
        message = f"the data files have {frames} frames of episode {episode}, which the metadata does not know"
        yield _finding("extra files", "warning", message)


def _statistics(raw: RawDataset, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    for name in (STATE, ACTION):
        stored, episodes = raw.statistics.get(name), [e.series(name) for e in evidence]
        whole = [values for values in episodes if values is not None and np.isfinite(values).all()]
        if stored is None or len(whole) < len(evidence) or len({values.shape[1] for values in whole}) != 1:
            continue  # what is missing is said elsewhere
        differing = compare_statistics(stored, np.concatenate(whole))
        if differing:
            message = f"the statistics of {name} do not match the data: {differing}"
            yield _finding("statistics", "broken", message, feature=name)


def _shared(raw: RawDataset, evidence: Sequence[Evidence], norms: Norms) -> Iterator[Finding]:
    for name, norm in norms.features.items():
        feature = raw.meta.features[name]
        series = [values for e in evidence if (values := e.series(name)) is not None]
        series = [values for values in series if values.shape[1] == len(norm.scale)]
        still = np.all([np.ptp(values, axis=0) == 0 for values in series], axis=0)
        joints = [feature.names[j] if j < len(feature.names) else str(j) for j in np.flatnonzero(still)]
        if joints:
            message = f"{name}: {', '.join(joints)} never move{'s' if len(joints) == 1 else ''} in any episode"
            yield _finding("constant joints", "note", message, feature=name)
    for camera, norm in norms.cameras.items():
        if norm.repeated > USUALLY_REPEATED:
            message = (
                f"camera '{camera}' repeats {norm.repeated:.0%} of its pictures in most episodes: it is slower than "
            )
            message += f"the {raw.meta.fps} frames per second of the recording"
            yield _finding("duplicated frames", "note", message, camera=camera)


def _finding(check: str, severity: Severity, message: str, **place: Any) -> Finding:
    return Finding(check=check, severity=severity, message=message, **place)
