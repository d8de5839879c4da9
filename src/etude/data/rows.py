"""The rows of meta/episodes on disk: one file per committed episode, merged into one when a writer is done.

Merging replaces the whole folder: the new one is made durable beside it and then takes its place, and whichever step a
crash comes after, `repair` can tell and finish.
"""

import shutil
from pathlib import Path

from etude.core import EtudeError
from etude.core.files import sync_directory, write_bytes
from etude.data.layout import ROW_PATH, ROW_TYPES, STATS_PREFIX, location
from etude.data.parquet import Row, encode_rows, join_rows, read_rows

_FOLDER, _NEW, _OLD = Path("meta/episodes"), Path("meta/.episodes.new"), Path("meta/.episodes.old")


def episode_rows(root: Path, *, statistics: bool = False) -> list[Row]:
    """All rows, in the order of the episodes.

    Args:
        root: The dataset.
        statistics: Also read the episodes' statistics.

    Raises:
        EtudeError: A row file cannot be read, or episodes are missing between others.
    """
    files = sorted((root / _FOLDER).glob("*/*.parquet"))
    rows = read_rows(files, without="" if statistics else STATS_PREFIX)
    by_episode = {int(row["episode_index"]): row for row in rows}
    missing = [index for index in range(len(by_episode)) if index not in by_episode]
    if missing:
        raise EtudeError(f"dataset '{root}' is damaged: the row of episode {missing[0]} in meta/episodes is missing.")
    return [by_episode[index] for index in range(len(by_episode))]


def add_row(root: Path, row: Row) -> None:
    """Add the row of a new episode durably, whole or not at all."""
    write_bytes(root / location(ROW_PATH, row["episode_index"]), encode_rows([row], ROW_TYPES))


def discard_row(root: Path, episode: int) -> None:
    """Take back a row whose writing failed, however far it had come."""
    (root / location(ROW_PATH, episode)).unlink(missing_ok=True)


def merge_rows(root: Path) -> None:
    """Put all rows into one file: LeRobot opens thousands of small files slowly."""
    files = sorted((root / _FOLDER).glob("*/*.parquet"))
    if len(files) <= 1:
        return
    here = {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
    write_bytes(root / _NEW / location(ROW_PATH, 0).relative_to(_FOLDER), join_rows(files, "episode_index", here))
    sync_directory(root / _NEW)
    (root / _FOLDER).replace(root / _OLD)
    repair(root)


def repair(root: Path) -> None:
    """Finish, or undo, a merge that a crash interrupted."""
    if (root / _FOLDER).exists():
        shutil.rmtree(root / _NEW, ignore_errors=True)
    elif (root / _NEW).exists():  # whole, or the old folder would still be in its place
        (root / _NEW).replace(root / _FOLDER)
        sync_directory(root / "meta")
    shutil.rmtree(root / _OLD, ignore_errors=True)
