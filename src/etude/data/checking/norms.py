"""What is usual in a dataset, so that what is not stands out: learned from most of its episodes, not from all.

Every norm is a median over the episodes or a quantile over the frames, so that what is wrong in some of them does not
move it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import ConfigError
from etude.core.files import read_json
from etude.data.checking.evidence import Evidence
from etude.data.checking.pictures import FLAT, Traits, frozen_spans, repeated_frames
from etude.data.spec import ACTION, STATE, Feature

MOVING_PER_S = 0.1
"""A robot moves where a joint does more than this share of its range in a second."""
STILL_S = 0.5
"""From here on a picture that stays the same is frozen, or a black one is no flicker."""
JUMP_STEPS, JUMP_SHARE = 3.0, 0.3
"""A jump is this many times the largest step of a usual episode, and this share of the joint's range."""
JUMP_PICTURE = 3.0
"""The picture jumps where it changes by this many times the largest change of a usual episode."""
BEYOND_SHARE = 1.0
"""Learned limits leave this share of a joint's usual range on both sides."""
ELSEWHERE = 10.0
"""An episode that is this many ranges away from the others does not count for what is usual."""
_FEW = 3  # Fewer episodes do not say what is usual.

type Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm:
    """What is usual for one feature of n numbers.

    Attributes:
        low, high: Limits, (n,).
        given: Whether the limits were given, and not learned.
        scale: Usual range, (n,); never 0.
        step: The largest step from frame to frame that is usual, (n,).
        spike: How far a number must leave its course to count as a spike, (n,).
        constant: In how many episodes each number never changes, (n,).
        episodes: How many episodes there are.
    """

    low: Vector
    high: Vector
    given: bool
    scale: Vector
    step: Vector
    spike: Vector
    constant: NDArray[np.int64]
    episodes: int

    def usually_moves(self) -> NDArray[np.bool_]:
        """Which numbers change in at least nine of ten episodes, one aside, (n,)."""
        return (self.constant - 1 <= 0.1 * (self.episodes - 1)) & (self.episodes > 1)


@dataclass(frozen=True, kw_only=True)
class CameraNorm:
    """What is usual for one camera.

    Attributes:
        change: The largest change from picture to picture.
        still: Episode -> how many frames the picture stayed the same at most while the robot moved.
        repeated: Share of the frames that repeat the one before while pictures change around them.
        flat: Share of the frames of one colour.
    """

    change: float
    still: Mapping[int, int]
    repeated: float
    flat: float

    def usually_still(self, but: int) -> float | None:
        """For how many frames other episodes' pictures stay the same at most; None where there are no others."""
        others = [frames for episode, frames in self.still.items() if episode != but]
        return float(np.quantile(others, 0.8)) if others else None


@dataclass(frozen=True, kw_only=True)
class Norms:
    """What is usual in a dataset, by feature and by camera."""

    features: Mapping[str, Norm]
    cameras: Mapping[str, CameraNorm]


type Limits = Mapping[str, tuple[Vector, Vector]]
"""Feature -> (low, high), each (n,); infinite where a number has none."""


def read_limits(path: Path, features: Mapping[str, Feature]) -> Limits:
    """Read limits of joints: {"observation.state": {"elbow": [-1.5, 1.5], "3": [0, 1]}, "action": …}.

    Args:
        path: JSON file; joints by name or by index.
        features: Columns of the dataset.

    Raises:
        ConfigError: It names something that the dataset does not have, or no two numbers.
        EtudeError: It cannot be read.
    """
    given, limits = read_json(path), dict[str, tuple[Vector, Vector]]()
    if not isinstance(given, dict) or not set(given) <= set(features):  # pyright: ignore[reportUnknownArgumentType]
        raise ConfigError(
            f"--limits '{path}': valid features are {', '.join(n for n in (STATE, ACTION) if n in features)}."
        )
    records: dict[str, Any] = given
    for name, joints in records.items():
        size = features[name].shape[0]
        low, high = np.full(size, -np.inf), np.full(size, np.inf)
        for joint, bounds in dict[str, Any](joints).items():
            index = _dimension(features[name], joint)
            if index is None or not isinstance(bounds, list) or len(bounds) != 2 or not bounds[0] <= bounds[1]:  # pyright: ignore[reportUnknownArgumentType]
                valid = ", ".join(features[name].names) or f"0 to {size - 1}"
                raise ConfigError(
                    f"--limits '{path}': {name}: {joint} = {bounds}; write JOINT: [low, high] with {valid}."
                )
            low[index], high[index] = bounds
        limits[name] = (low, high)
    return limits


def learn(evidence: Sequence[Evidence], limits: Limits) -> Norms:
    """What is usual in a dataset.

    Args:
        evidence: Its episodes.
        limits: Limits of joints that are known; others are learned.
    """
    features: dict[str, Norm] = {}
    for name in (STATE, ACTION):
        episodes = [values for e in evidence if (values := _finite(e.series(name))) is not None]
        width = max((values.shape[1] for values in episodes), default=0)
        episodes = [values for values in episodes if values.shape[1] == width]
        if episodes:
            features[name] = _norm(episodes, limits.get(name))
    cameras = {camera for e in evidence for camera in e.seen}
    motion = Norms(features=features, cameras={})
    return Norms(features=features, cameras={c: _camera_norm(evidence, c, motion) for c in sorted(cameras)})


def moving(e: Evidence, norms: Norms, frames: int) -> NDArray[np.bool_]:
    """Whether the robot moved at each of the first `frames` frames; always, where nothing tells."""
    name = STATE if STATE in norms.features else ACTION
    values, norm = e.series(name), norms.features.get(name)
    if values is None or norm is None or values.shape[1] != len(norm.scale):
        return np.ones(frames, np.bool_)
    values = np.where(np.isfinite(values), values, norm.low)
    steps = np.abs(np.diff(values, axis=0, prepend=values[:1])) / norm.scale
    moved = steps.max(axis=1, initial=0.0) * e.fps > MOVING_PER_S
    return np.concatenate([moved, np.zeros(max(0, frames - len(moved)), np.bool_)])[:frames]


def _norm(episodes: Sequence[Vector], given: tuple[Vector, Vector] | None) -> Norm:
    pooled = np.concatenate(episodes)
    low, high, scale = _usual_range(episodes)
    steps = [np.abs(np.diff(e, axis=0)) for e in episodes if len(e) > 1] or [np.zeros((1, pooled.shape[1]))]
    step = np.full(pooled.shape[1], np.inf)
    if len(steps) >= _FEW:
        step = np.maximum(JUMP_STEPS * np.median([s.max(axis=0) for s in steps], axis=0), JUMP_SHARE * scale)
    return Norm(
        low=low - BEYOND_SHARE * scale if given is None else given[0],
        high=high + BEYOND_SHARE * scale if given is None else given[1],
        given=given is not None,
        scale=scale,
        step=step,
        spike=np.maximum(5 * np.quantile(np.concatenate(steps), 0.95, axis=0), JUMP_SHARE * scale),
        constant=np.sum([np.ptp(e, axis=0) == 0 for e in episodes], axis=0),
        episodes=len(episodes),
    )


def _usual_range(episodes: Sequence[Vector]) -> tuple[Vector, Vector, Vector]:
    """(low, high, scale) of what most frames of the episodes do.

    The 5th to 95th percentiles of all episodes: a pose held for a whole episode is usual, a short excursion is not.
    Only an episode that is altogether elsewhere, as one in other units, is left out.
    """
    lows, highs = np.stack([np.quantile(e, (0.05, 0.95), axis=0) for e in episodes], axis=1)
    spread = np.median(highs, axis=0) - np.median(lows, axis=0)
    base = np.maximum(spread, _typical(spread))
    low = np.where(np.abs(lows - np.median(lows, axis=0)) <= ELSEWHERE * base, lows, np.median(lows, axis=0)).min(
        axis=0
    )
    near = np.abs(highs - np.median(highs, axis=0)) <= ELSEWHERE * base
    high = np.where(near, highs, np.median(highs, axis=0)).max(axis=0)
    if len(episodes) >= _FEW:  # however short, what most episodes do is usual
        low = np.minimum(low, np.median([e.min(axis=0) for e in episodes], axis=0))
        high = np.maximum(high, np.median([e.max(axis=0) for e in episodes], axis=0))
    return low, high, np.maximum(high - low, 0.1 * _typical(high - low))


def _typical(spread: Vector) -> float:
    """The usual range of the joints that move, which stands in for that of those that do not."""
    return float(np.median(spread[spread > 0])) if (spread > 0).any() else 1.0


def long_frames(fps: float) -> int:
    """From how many frames on the same picture is frozen."""
    return max(5, round(STILL_S * fps))


def _camera_norm(evidence: Sequence[Evidence], camera: str, norms: Norms) -> CameraNorm:
    shown = [(e, t) for e in evidence if camera in e.seen and (t := e.seen[camera].traits) is not None and len(t) > 1]
    if not shown:
        return CameraNorm(change=np.inf, still={}, repeated=0.0, flat=0.0)
    largest = float(np.median([t.change.max() for _, t in shown])) if len(shown) >= _FEW else np.inf
    moves = [moving(e, norms, len(t)) for e, t in shown]
    repeats = [len(repeated_frames(t, m, long_frames(e.fps))) / len(t) for (e, t), m in zip(shown, moves, strict=True)]
    return CameraNorm(
        change=max(JUMP_PICTURE * largest, 20.0),
        still={e.index: _longest_still(t, m) for (e, t), m in zip(shown, moves, strict=True)},
        repeated=float(np.median(repeats)),
        flat=float(np.median([np.mean(t.high - t.low < FLAT) for _, t in shown])),
    )


def _longest_still(seen: Traits, moves: NDArray[np.bool_]) -> int:
    return max((last - first + 1 for first, last in frozen_spans(seen, 2) if moves[first : last + 1].any()), default=0)


def _finite(values: Vector | None) -> Vector | None:
    """The frames without NaN or infinity."""
    if values is None:
        return None
    kept = values[np.isfinite(values).all(axis=1)]
    return kept if len(kept) else None


def _dimension(feature: Feature, joint: str) -> int | None:
    if joint in feature.names:
        return feature.names.index(joint)
    return int(joint) if joint.isdecimal() and int(joint) < feature.shape[0] else None
