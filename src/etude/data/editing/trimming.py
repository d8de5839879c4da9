"""Episodes without the waiting before and after, ended at the same time after their success; or cut into sub-skills.

People wait before they begin, and when they are done; a policy that learns from that learns to wait. Episodes that end
at different times after their success teach it nothing about when it is done.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from etude.core import ConfigError
from etude.data.encoding import EncodedEpisode, encode
from etude.data.episode import read_numbers
from etude.data.metadata import DatasetMeta
from etude.data.reading import read_encoded, read_episode, spec_of
from etude.data.recording import RecordedEpisode
from etude.data.spec import ACTION, STATE
from etude.data.writer import DatasetWriter

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


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of an episode.

    Attributes:
        episode: The episode it is of.
        first, end: Its frames; the end is not included.
        length: Frames of the episode.
        why: What decided its end, or what it is, in words.
        task: Its task, or "" for the episode's.
    """

    episode: int
    first: int
    end: int
    length: int
    why: str = ""
    task: str = ""


type OnPiece = Callable[[Piece], None]


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
        return _first(np.asarray(marks).reshape(len(marks), -1)[:, 0].astype(np.bool_))
    done = [_first(signal) for signal in episode.subtasks.values()]
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


def part(episode: RecordedEpisode, piece: Piece) -> RecordedEpisode:
    """The frames of an episode that a piece has; its origin says which."""
    frames, shorter = slice(piece.first, piece.end), piece.end - piece.first
    origin, before, older = episode.origin.partition(" < ")
    if piece.task:
        outcome, task, frame_tasks = None, piece.task, ()
    else:
        outcome = None if episode.outcome is None else replace(episode.outcome, length=shorter)
        frame_tasks = episode.frame_tasks[frames]
        task = frame_tasks[0] if frame_tasks else episode.task
    return replace(
        episode,
        images={camera: images[frames] for camera, images in episode.images.items()},
        state=episode.state[frames],
        action=episode.action[frames],
        subtasks={name: signal[frames] for name, signal in episode.subtasks.items()},
        extras={name: values[frames] for name, values in episode.extras.items()},
        task=task,
        frame_tasks=frame_tasks if len(set(frame_tasks)) > 1 else (),
        outcome=outcome,
        origin=f"{origin}[{piece.first}:{piece.end}]{before}{older}",
    )


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
    scales = _ranges(meta)

    def pieces(index: int) -> Iterator[tuple[Piece, EncodedEpisode]]:
        spec, episode = spec_of(meta), read_episode(meta, index)
        piece = keep(episode, index, scales, meta.fps, config)
        whole = (piece.first, piece.end) == (0, piece.length)
        yield (
            piece,
            read_encoded(meta, index) if whole else encode(part(episode, piece), meta.fps, storage=spec.storage),
        )

    _write(meta, out, pieces, on_piece)


def sub_skills(
    subtasks: Mapping[str, Bool[NDArray[np.bool_], " T"]],
    wanted: Sequence[str] = (),
    after: int = 0,
) -> list[tuple[str, int, int]]:
    """(sub-tasks, first frame, end) of the parts that an episode's marks cut it into.

    A part goes from where the one before was done to where its own sub-task is first done, the frame of the mark
    included. Sub-tasks that are done at once share a part; what comes after the last mark is of no part.

    Args:
        subtasks: Sub-task -> whether it is done at each frame.
        wanted: Sub-tasks whose marks to cut at; by default all.
        after: Frames to go on after a mark.
    """
    done: dict[int, list[str]] = {}
    for name in wanted or subtasks:
        mark = _first(subtasks[name])
        if mark is not None:
            done.setdefault(mark, []).append(name)
    found: list[tuple[str, int, int]] = []
    begin = 0
    for mark in sorted(done):
        end = min(mark + 1 + after, len(subtasks[done[mark][0]]))
        found.append((" and ".join(done[mark]), begin, end))
        begin = mark + 1
    return found


def cut(
    meta: DatasetMeta,
    out: Path,
    *,
    subtasks: Sequence[str],
    texts: Mapping[str, str],
    after_s: float,
    least_s: float,
    on_piece: OnPiece,
) -> None:
    """Write a dataset of the sub-skills of another: one episode each.

    Args:
        meta: The dataset, with marks of sub-tasks.
        out: Folder of the new one.
        subtasks: Sub-tasks whose marks to cut at; empty for all.
        texts: Sub-task -> its task in words; by default its name.
        after_s: How long to go on after a mark.
        least_s: Shorter parts are left out.
        on_piece: Called for every part once it is written.

    Raises:
        ConfigError: The dataset has no marks, or none of such names.
        EtudeError: An episode cannot be read, or no part is left.
    """
    spec = spec_of(meta)
    unknown = sorted({*subtasks, *texts} - set(spec.subtasks))
    if not spec.subtasks or unknown:
        fix = f"valid sub-tasks are {', '.join(spec.subtasks)}" if spec.subtasks else "it has no column 'subtasks'"
        raise ConfigError(f"'{meta.root}' has no marks{f' of {unknown[0]!r}' if unknown else ''}: {fix}.")

    def pieces(index: int) -> Iterator[tuple[Piece, EncodedEpisode]]:
        episode = read_episode(meta, index)
        for name, first, end in sub_skills(episode.subtasks, subtasks, round(after_s * meta.fps)):
            if end - first >= max(1, round(least_s * meta.fps)):
                text = " and ".join(texts.get(one, one.replace("_", " ")) for one in name.split(" and "))
                piece = Piece(episode=index, first=first, end=end, length=episode.length, why=name, task=text)
                yield piece, encode(part(episode, piece), meta.fps, storage=spec.storage)

    if not _write(meta, out, pieces, on_piece):
        raise ConfigError(f"no sub-task of '{meta.root}' is done in any episode for {least_s:g} s: nothing to cut out.")


def _write(
    meta: DatasetMeta, out: Path, pieces: Callable[[int], Iterator[tuple[Piece, EncodedEpisode]]], on_piece: OnPiece
) -> int:
    """Write the pieces of all episodes; returns how many there were."""
    with DatasetWriter.create(out, spec_of(meta)) as writer:
        for index in range(meta.total_episodes):
            for piece, encoded in pieces(index):
                writer.commit(encoded)
                on_piece(piece)
        return writer.episodes


def _ranges(meta: DatasetMeta) -> list[NDArray[np.float64]]:
    """The ranges that state and action have in the dataset, at least the median one."""
    numbers = [read_numbers(meta, index, [STATE, ACTION]) for index in range(meta.total_episodes)]
    pooled = [np.concatenate([of[name] for of in numbers]) for name in (STATE, ACTION)]
    ranges = [np.quantile(values, 0.99, axis=0) - np.quantile(values, 0.01, axis=0) for values in pooled]
    # An arm that only holds its pose trembles over all of its range: measured by what the others move, that is little.
    return [np.maximum(of, float(np.median(of[of > 0]))) if (of > 0).any() else of for of in ranges]


def _first(signal: Bool[NDArray[np.bool_], " T"]) -> int | None:
    return int(np.argmax(signal)) if signal.any() else None
