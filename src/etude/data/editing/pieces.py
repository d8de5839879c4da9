"""Parts of episodes, and datasets of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from etude.data.encoding import EncodedEpisode
from etude.data.metadata import DatasetMeta
from etude.data.reading import spec_of
from etude.data.recording import RecordedEpisode
from etude.data.writer import DatasetWriter


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


def write_pieces(
    meta: DatasetMeta, out: Path, pieces: Callable[[int], Iterator[tuple[Piece, EncodedEpisode]]], on_piece: OnPiece
) -> int:
    """Write the pieces of all episodes.

    Args:
        meta: The dataset they are of.
        out: Folder of the new one.
        pieces: The pieces of an episode, and what is to be written of each.
        on_piece: Called for every piece once it is written.

    Returns:
        How many there were.
    """
    with DatasetWriter.create(out, spec_of(meta)) as writer:
        for index in range(meta.total_episodes):
            for piece, encoded in pieces(index):
                writer.commit(encoded)
                on_piece(piece)
        return writer.episodes


def first_true(signal: Bool[NDArray[np.bool_], " T"]) -> int | None:
    """The first frame at which a signal holds, or None."""
    return int(np.argmax(signal)) if signal.any() else None
