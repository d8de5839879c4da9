"""What is wrong with a series of numbers: functions of arrays that return the frames at fault."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

type Series = Float[NDArray[np.float64], "T n"]
type Span = tuple[int, int]
"""First and last frame, both included."""


def spans(mask: Bool[NDArray[np.bool_], " T"], least: int = 1) -> list[Span]:
    """Runs of at least `least` frames at which the mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


def not_finite(values: Series) -> list[tuple[int, int]]:
    """(first frame, dimension) of every dimension that has a NaN or infinity."""
    bad = ~np.isfinite(values)
    return [(int(np.argmax(bad[:, j])), int(j)) for j in np.flatnonzero(bad.any(axis=0))]


def timestamp_gaps(t_s: Float[NDArray[np.float64], " T"], fps: float, tolerance: float = 0.5) -> list[int]:
    """Frames whose time since the frame before is off by more than a share of the period, or runs backwards.

    Args:
        t_s: Timestamps [s].
        fps: Frames per second that they should come at.
        tolerance: Share of the period that may be off; at 0.5 a frame that was lost is found and jitter is not.
    """
    step = np.diff(t_s)
    return [int(i) + 1 for i in np.flatnonzero((np.abs(step * fps - 1) > tolerance) | (step <= 0))]


def timestamp_drift(t_s: Float[NDArray[np.float64], " T"], fps: float) -> float:
    """Largest distance of a timestamp from frame / fps [s]."""
    return float(np.abs(t_s - np.arange(len(t_s)) / fps).max()) if len(t_s) else 0.0


def not_counting(column: Int[NDArray[np.integer], " T"], first: int) -> int | None:
    """The first frame at which a column does not count up by one from `first`, or None."""
    wrong = np.flatnonzero(column != first + np.arange(len(column)))
    return int(wrong[0]) if len(wrong) else None


def jumps(values: Series, largest_usual: Float[NDArray[np.float64], " n"]) -> list[tuple[int, int]]:
    """(frame, dimension) of every step larger than usual.

    Args:
        values: A series.
        largest_usual: Steps up to this are fine; infinite for a dimension that jumps by nature, as a gripper's.
    """
    steps = np.abs(np.diff(values, axis=0))
    return [(int(t) + 1, int(j)) for t, j in np.argwhere(steps > largest_usual)]


def spikes(values: Series, least: Float[NDArray[np.float64], " n"], most_frames: int = 2) -> list[tuple[int, int]]:
    """(frame, dimension) at which a series leaves its course and is back within a few frames: no robot moves so.

    Args:
        values: A series.
        least: How far it must leave to count.
        most_frames: How long it may be away.
    """
    found: list[tuple[int, int]] = []
    for width in range(1, most_frames + 1):
        before, inside, after = values[: -width - 1], values[1:-width], values[width + 1 :]
        away = np.minimum(np.abs(inside - before), np.abs(inside - after))
        found += [(int(t) + 1, int(j)) for t, j in np.argwhere((away > least) & (np.abs(after - before) < 0.2 * away))]
    return sorted(dict.fromkeys(found))


def skips(values: Series, scale: Float[NDArray[np.float64], " n"]) -> list[tuple[int, int]]:
    """(frame, frames lost) where a motion goes on in its direction but for one step much faster: frames are missing.

    Args:
        values: Joint positions; noise must be small against a step.
        scale: What counts as one unit in each dimension, e.g. its range.
    """
    steps = np.diff(values, axis=0) / scale
    if len(steps) < 3:
        return []
    speed = np.linalg.norm(steps, axis=1)
    before, here, after = speed[:-2], speed[1:-1], speed[2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        straight = np.minimum(_cosine(steps[:-2], steps[1:-1]), _cosine(steps[1:-1], steps[2:]))
        ratio = 2 * here / (before + after)
        steady = np.maximum(before, after) < 1.5 * np.minimum(before, after)
    floor = max(0.3 * float(np.median(speed)), 1e-3)
    found = np.flatnonzero(steady & (straight > 0.9) & (ratio > 2.6) & (np.minimum(before, after) > floor))
    return [(int(t) + 2, round(float(ratio[t])) - 1) for t in found]


def outside(values: Series, low: NDArray[np.float64], high: NDArray[np.float64]) -> list[tuple[Span, int]]:
    """(span, dimension) of every run of frames outside limits."""
    beyond = (values < low) | (values > high)
    return [(run, int(j)) for j in np.flatnonzero(beyond.any(axis=0)) for run in spans(beyond[:, j])]


def constant(values: Series) -> Bool[NDArray[np.bool_], " n"]:
    """Which dimensions never change."""
    return np.ptp(values, axis=0) == 0 if len(values) else np.zeros(values.shape[1], np.bool_)


def _cosine(a: Series, b: Series) -> Float[NDArray[np.float64], " T"]:
    return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
