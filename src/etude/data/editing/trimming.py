"""Episodes without the waiting before and after, ended at the same time after their success.

People wait before they begin, and when they are done; a policy that learns from that learns to wait. Episodes that end
at different times after their success teach it nothing about when it is done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from etude.core import ConfigError
from etude.data.editing.pieces import OnPiece, Piece, first_true, part, write_pieces
from etude.data.encoding import EncodedEpisode, encode
from etude.data.episode import read_numbers
from etude.data.metadata import DatasetMeta
from etude.data.reading import read_encoded, read_episode, spec_of
from etude.data.recording import RecordedEpisode
from etude.data.spec import ACTION, STATE

SUCCESS = "next.success"
"""LeRobot's column of success, frame by frame."""
_SMOOTH_S = 0.5  # Speeds are over this long, so that a sensor's noise and a hand's tremor are no motion.

type Series = Float[NDArray[np.float64], "T n"]


@dataclass(frozen=True, kw_only=True)
class TrimConfig:
    """How much of an episode to keep.

    Attributes:
        idle_speed: A robot is idle while every joint of state and action moves slower [of its range per s].
        margin_s: How much of the idle time to keep before the first motion and after the last.
        at_success: End an episode `after_s` after its success.
        after_s: How long to go on after the success.
    """

    idle_speed: float = 0.15
    margin_s: float = 0.25
    at_success: bool = False
    after_s: float = 0.5

    def __post_init__(self) -> None:
        for name in ("idle_speed", "margin_s", "after_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)} must not be negative.")


def motion_span(
    values: Sequence[Series], scales: Sequence[Float[NDArray[np.float64], " n"]], fps: float, idle_speed: float
) -> tuple[int, int] | None:
    """First and last frame at which anything moves, or None.

    Args:
        values: Series of equal length T, e.g. states and actions.
        scales: Range of each number of each series; what has none does not count.
        fps: Frames per second.
        idle_speed: What is slower does not move [of the range per s].
    """
    length, reach = len(values[0]), max(1, round(_SMOOTH_S * fps / 2))
    fastest = np.zeros(length)
    for series, scale in zip(values, scales, strict=True):
        after, before = np.minimum(np.arange(length) + reach, length - 1), np.maximum(np.arange(length) - reach, 0)
        seconds = np.maximum(after - before, 1)[:, None] / fps
        speed = np.abs(series[after] - series[before]) / seconds
        counted = scale > 0
        if counted.any():
            fastest = np.maximum(fastest, (speed[:, counted] / scale[counted]).max(axis=1))
    moving = np.flatnonzero(fastest > idle_speed)
    # A speed is over a window around its frame: what moves begins and ends half a window further in.
    return (min(int(moving[0]) + reach, length - 1), max(int(moving[-1]) - reach, 0)) if len(moving) else None


def success_frame(episode: RecordedEpisode) -> int | None:
    """The frame at which an episode's success is marked, or None.

    That is where the column `next.success` first holds, or the last of the sub-tasks to be done where all of them are.
    """
    marks = episode.extras.get(SUCCESS)
    if marks is not None:
        return first_true(np.asarray(marks).reshape(len(marks), -1)[:, 0].astype(np.bool_))
    done = [first_true(signal) for signal in episode.subtasks.values()]
    return max((frame for frame in done if frame is not None), default=None) if None not in done else None


def keep(
    episode: RecordedEpisode, index: int, scales: Sequence[NDArray[np.float64]], fps: float, config: TrimConfig
) -> Piece:
    """What to keep of an episode.

    Args:
        episode: The episode.
        index: Its index.
        scales: Ranges of the numbers of state and action in the dataset.
        fps: Frames per second.
        config: How much to keep.
    """
    length, margin = episode.length, round(config.margin_s * fps)
    series = [episode.state.astype(np.float64), episode.action.astype(np.float64)]
    span = motion_span(series, scales, fps, config.idle_speed)
    if span is None:
        return Piece(episode=index, first=0, end=length, length=length, why="it never moves: kept as it is")
    first, end = max(span[0] - margin, 0), min(span[1] + 1 + margin, length)
    success = success_frame(episode) if config.at_success else None
    if success is None:
        why = "success is not marked: ends with its motion" if config.at_success else ""
        return Piece(episode=index, first=first, end=max(end, first + 1), length=length, why=why)
    wanted = success + 1 + round(config.after_s * fps)
    late = f", and it ends {(length - 1 - success) / fps:.2f} s after" if wanted > length else ""
    why = f"success at {success / fps:.2f} s{late}"
    return Piece(episode=index, first=min(first, success), end=min(wanted, length), length=length, why=why)


def trim(meta: DatasetMeta, out: Path, config: TrimConfig, on_piece: OnPiece) -> None:
    """Write a dataset with its episodes trimmed; those that lose nothing are copied as they are.

    Args:
        meta: The dataset.
        out: Folder of the new one.
        config: How much to keep.
        on_piece: Called for every episode once it is written.

    Raises:
        EtudeError: An episode cannot be read, or `out` cannot be written.
    """
    scales, storage = _ranges(meta), spec_of(meta).storage

    def pieces(index: int) -> Iterator[tuple[Piece, EncodedEpisode]]:
        # What to keep follows from the numbers: images are decoded only where some of them go.
        piece = keep(read_episode(meta, index, cameras=()), index, scales, meta.fps, config)
        if (piece.first, piece.end) == (0, piece.length):
            yield piece, read_encoded(meta, index)
        else:
            yield piece, encode(part(read_episode(meta, index), piece), meta.fps, storage=storage)

    write_pieces(meta, out, pieces, on_piece)


def _ranges(meta: DatasetMeta) -> list[NDArray[np.float64]]:
    """The ranges that state and action have in the dataset, at least the median one."""
    numbers = [read_numbers(meta, index, [STATE, ACTION]) for index in range(meta.total_episodes)]
    pooled = [np.concatenate([of[name] for of in numbers]) for name in (STATE, ACTION)]
    ranges = [np.quantile(values, 0.99, axis=0) - np.quantile(values, 0.01, axis=0) for values in pooled]
    # An arm that only holds its pose trembles over all of its range: measured by what the others move, that is little.
    return [np.maximum(of, float(np.median(of[of > 0]))) if (of > 0).any() else of for of in ranges]
