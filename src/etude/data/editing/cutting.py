"""Episodes cut into sub-skills, where their sub-tasks are marked as done."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from etude.core import ConfigError
from etude.data.editing.pieces import OnPiece, Piece, first_true, part, write_pieces
from etude.data.encoding import EncodedEpisode, encode
from etude.data.metadata import DatasetMeta
from etude.data.reading import read_episode, spec_of


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

    if not write_pieces(meta, out, pieces, on_piece):
        raise ConfigError(f"no sub-task of '{meta.root}' is done in any episode for {least_s:g} s: nothing to cut out.")


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
        mark = first_true(subtasks[name])
        if mark is not None:
            done.setdefault(mark, []).append(name)
    found: list[tuple[str, int, int]] = []
    begin = 0
    for mark in sorted(done):
        end = min(mark + 1 + after, len(subtasks[done[mark][0]]))
        found.append((" and ".join(done[mark]), begin, end))
        begin = mark + 1
    return found
