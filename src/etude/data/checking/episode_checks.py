"""The checks of one episode's numbers: each a function of what was found and of what is usual, in one table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from etude.data.checking import signals
from etude.data.checking.evidence import Evidence
from etude.data.checking.finding import Finding, Severity, span, spots
from etude.data.checking.norms import Norms
from etude.data.checking.picture_checks import PICTURE_CHECKS
from etude.data.checking.source import RawDataset
from etude.data.checking.statistics import compare_statistics
from etude.data.spec import ACTION, STATE

SYNC_S = 1e-4
"""LeRobot refuses a video frame that is further from its timestamp than this."""
_INDICES = ("timestamp", "frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a check may compare an episode with: the dataset, what is usual in it, and where the episode begins."""

    raw: RawDataset
    norms: Norms
    first_frame: int

    def joint(self, feature: str, dimension: int) -> str:
        """A number of a feature in words."""
        names = self.raw.meta.features[feature].names
        return f"{feature} {names[dimension] if dimension < len(names) else dimension}"


@dataclass(frozen=True)
class Check:
    """One thing that is looked for in every episode.

    Attributes:
        name: Its name in reports.
        finds: What it finds.
        run: Finds it.
    """

    name: str
    finds: str
    run: Callable[[Evidence, Context], Iterator[Finding]]


def _features(e: Evidence, context: Context) -> Iterator[Finding]:
    for camera, seen in e.seen.items():
        height, width = context.raw.meta.image_shapes[camera][:2]
        others = sorted(seen.sizes - {(height, width)})
        if others:
            sizes = f"{others[0][0]}×{others[0][1]}, the metadata says {height}×{width}"
            yield e.finding("features", "broken", f"pictures of camera '{camera}' are {sizes}", camera=camera)
    if not e.frames:
        return
    features = context.raw.meta.features
    for name, feature in features.items():
        wanted = prod(feature.shape)
        if feature.dtype in ("video", "image"):
            if feature.dtype == "image" and not any(name.endswith(f".{camera}") for camera in e.seen):
                yield e.finding("features", "broken", f"its data file has no images in '{name}'", feature=name)
        elif feature.dtype in ("string", "language"):  # texts are for people, or tokenisers
            continue
        elif name in e.unusable:
            yield e.finding("features", "broken", f"'{name}' is no array: {e.unusable[name]}", feature=name)
        elif name not in e.numbers:
            yield e.finding("features", "broken", f"its data file has no column '{name}'", feature=name)
        elif e.numbers[name].shape[1] != wanted:
            message = f"'{name}' has {e.numbers[name].shape[1]} numbers, the metadata says {wanted}"
            yield e.finding("features", "broken", message, feature=name)
    extra = sorted(set(e.numbers) - set(features))
    if extra:
        yield e.finding("features", "warning", f"its data file has columns that the metadata lacks: {', '.join(extra)}")


def _length(e: Evidence, context: Context) -> Iterator[Finding]:
    length, row = e.raw.length, e.raw.row
    if length is None:
        yield e.finding("length", "broken", f"the metadata says it has {row.get('length')!r} frames")
    elif e.frames and length != e.frames:
        yield e.finding("length", "broken", f"the metadata says {length} frames, the data file has {e.frames}")
    begin, end = row.get("dataset_from_index"), row.get("dataset_to_index")
    if length is None or begin is None or end is None:
        return
    if (begin, end) != (context.first_frame, context.first_frame + length):
        expected = f"{context.first_frame} to {context.first_frame + length}"
        yield e.finding("length", "broken", f"the metadata places it at frames {begin} to {end}, not {expected}")


def _counting(e: Evidence, context: Context) -> Iterator[Finding]:
    for name, first in (("frame_index", 0), ("index", context.first_frame)):
        column = e.column(name)
        wrong = None if column is None else signals.not_counting(column, first)
        if column is not None and wrong is not None:
            message = f"'{name}' is {column[wrong]} at {span(wrong, wrong, e.fps)}, not {first + wrong}"
            yield e.finding("index columns", "broken", message, first=wrong, last=wrong, feature=name)
    column = e.column("episode_index")
    others = [] if column is None else np.flatnonzero(column != e.index).tolist()
    if column is not None and others:
        message = f"'episode_index' is {column[others[0]]} at {spots(others, e.fps)}"
        yield e.finding("index columns", "broken", message, first=others[0], last=others[-1], feature="episode_index")
    tasks, column = context.raw.tasks, e.column("task_index")
    unknown = [] if column is None or tasks is None else sorted(set(column.tolist()) - set(tasks))
    if unknown:
        message = f"'task_index' {unknown[0]} stands for no task"
        yield e.finding("index columns", "broken", message, feature="task_index")


def _timestamps(e: Evidence, context: Context) -> Iterator[Finding]:
    column = e.column("timestamp")
    if column is None or not len(column):
        return
    t_s = column.astype(np.float64)
    found = signals.timestamp_gaps(t_s, e.fps)
    for at in found[:3]:
        step, lost = t_s[at] - t_s[at - 1], round((t_s[at] - t_s[at - 1]) * e.fps) - 1
        what = (
            f"time runs backwards by {-step:.3f} s" if step < 0 else f"{step:.3f} s pass instead of {1 / e.fps:.3f} s"
        )
        if lost > 0:
            what += f" ({lost} frame{'s' if lost > 1 else ''} dropped)"
        yield e.finding("timestamps", "broken", f"{what} at {span(at, at, e.fps)}", first=at, last=at)
    if len(found) > 3:
        yield e.finding("timestamps", "broken", f"time jumps at {len(found) - 3} more frames", first=found[3])
    drift = signals.timestamp_drift(t_s, e.fps)
    if not found and drift > max(SYNC_S, 2e-7 * float(t_s.max())):
        severity: Severity = "broken" if drift > 0.5 / e.fps else "warning"
        message = f"timestamps are up to {drift:.4f} s off frame/fps; LeRobot allows {SYNC_S:g} s"
        yield e.finding("timestamps", severity, message)


def _not_finite(e: Evidence, context: Context) -> Iterator[Finding]:
    for name in e.numbers:
        values = e.series(name)
        for first, j in [] if values is None else signals.not_finite(values):
            assert values is not None
            frames = int((~np.isfinite(values[:, j])).sum())
            where = context.joint(name, j) if name in context.raw.meta.features else name
            message = f"{where} is not a finite number at {span(first, first, e.fps)}"
            message += f" and {frames - 1} more" if frames > 1 else ""
            yield e.finding("not finite", "broken", message, first=first, last=first, feature=name, dimension=j)


def _jumps(e: Evidence, context: Context) -> Iterator[Finding]:
    for name, norm in context.norms.features.items():
        values = e.series(name)
        if values is None or len(values) < 4 or values.shape[1] != len(norm.scale):
            continue
        found = {*signals.jumps(values, norm.step), *signals.spikes(values, norm.spike)}
        for j in sorted({j for _, j in found}):
            at = sorted(t for t, dimension in found if dimension == j)
            size = float(np.abs(values[at[0], j] - values[at[0] - 1, j]))
            message = f"{context.joint(name, j)} jumps by {size:.3g} at {spots(at, e.fps)}"
            yield e.finding("jumps", "warning", message, first=at[0], last=at[-1], feature=name, dimension=j)


def _skips(e: Evidence, context: Context) -> Iterator[Finding]:
    norm, values = context.norms.features.get(STATE), e.series(STATE)
    if norm is None or values is None or values.shape[1] != len(norm.scale):
        return
    found = signals.skips(values, norm.scale)
    if found:
        lost = sum(frames for _, frames in found)
        at = [t for t, _ in found]
        message = f"about {lost} frame{'s' if lost > 1 else ''} seem to be missing before {spots(at, e.fps)}: a steady "
        message += "motion is that much faster there"
        yield e.finding("dropped frames", "warning", message, first=at[0], last=at[-1], feature=STATE)


def _limits(e: Evidence, context: Context) -> Iterator[Finding]:
    for name, norm in context.norms.features.items():
        values = e.series(name)
        if values is None or values.shape[1] != len(norm.low):
            continue
        slack = 0.01 * norm.scale if norm.given else 0.0 * norm.scale
        found = signals.outside(values, norm.low - slack, norm.high + slack)
        for j in sorted({j for _, j in found}):
            runs = [run for run, dimension in found if dimension == j]
            (first, last), worst = runs[0], _furthest(values[:, j], norm.low[j], norm.high[j])
            limits = f"{'its limits' if norm.given else 'what is usual here,'} {norm.low[j]:.3g} to {norm.high[j]:.3g}"
            message = f"{context.joint(name, j)} is {worst:.3g}, outside {limits}, at {span(first, last, e.fps)}"
            message += f" and {len(runs) - 1} more times" if len(runs) > 1 else ""
            severity: Severity = "broken" if norm.given else "warning"
            yield e.finding("joint limits", severity, message, first=first, last=last, feature=name, dimension=j)


def _furthest(x: NDArray[np.float64], low: float, high: float) -> float:
    return float(x[np.nanargmax(np.maximum(low - x, x - high))])


def _constant(e: Evidence, context: Context) -> Iterator[Finding]:
    for name, norm in context.norms.features.items():
        values = e.series(name)
        if values is None or len(values) < 2 or values.shape[1] != len(norm.scale):
            continue
        for j in np.flatnonzero(signals.constant(values) & norm.usually_moves()).tolist():
            message = f"{context.joint(name, j)} stays at {values[0, j]:.3g} all the time; in other episodes it moves"
            yield e.finding("constant joints", "warning", message, feature=name, dimension=j)


def _statistics(e: Evidence, context: Context) -> Iterator[Finding]:
    for name in (STATE, ACTION):
        values, stored = e.series(name), e.raw.statistics.get(name)
        if values is not None and stored is not None and np.isfinite(values).all():
            differing = compare_statistics(stored, values)
            if differing:
                yield e.finding(
                    "statistics", "broken", f"its statistics of {name} do not match: {differing}", feature=name
                )


CHECKS = (
    Check("features", "columns that are missing, extra or of another size than the metadata says", _features),
    Check("length", "lengths on which metadata and data files disagree", _length),
    Check("index columns", "frame_index, index, episode_index and task_index that do not count up or refer", _counting),
    Check("timestamps", "gaps, steps back and drift of the timestamps", _timestamps),
    Check("not finite", "NaN and infinity", _not_finite),
    Check("jumps", "states and actions that jump or spike as they do in no usual episode", _jumps),
    Check("dropped frames", "steady motions that are several times as fast for one frame", _skips),
    Check("joint limits", "states and actions outside limits, given or learned", _limits),
    Check("constant joints", "joints that never move in an episode and do in most others", _constant),
    Check("statistics", "statistics of an episode that its numbers do not have", _statistics),
    *(Check(name, finds, lambda e, context, run=run: run(e, context.norms)) for name, finds, run in PICTURE_CHECKS),
)
