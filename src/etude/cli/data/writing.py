"""What the commands that write a dataset from others have in common."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from etude.cli.output import require_free, whole_folder
from etude.cli.terminal import show, show_next, watch
from etude.core import ConfigError

if TYPE_CHECKING:
    from etude.data import DatasetMeta


def open_dataset(name: str) -> "DatasetMeta":
    """Open a dataset by its folder or its name on the Hub, and say which of its columns cannot be kept.

    Raises:
        EtudeError: There is none, or it is damaged.
    """
    from etude.data import DatasetMeta, find_dataset, left_out

    meta = DatasetMeta.open(find_dataset(name))
    if lost := left_out(meta):
        print(f"etude: left out of '{name}', as they hold no plain numbers: {', '.join(lost)}.", file=sys.stderr)
    return meta


@contextmanager
def new_folder(out: Path, episodes: int) -> Generator[tuple[Path, Callable[[int], None]]]:
    """A folder that becomes `out` when all is written, and what to call after each of the episodes.

    Raises:
        RunExistsError: Something is there already.
    """
    require_free(out, resumable=False)
    with whole_folder(out) as folder, watch()("episodes", episodes) as update:
        yield folder, lambda done: update(done, "")


def show_dataset(out: Path, before: "Sequence[DatasetMeta]") -> None:
    """Print what was written, and what to do with it."""
    from etude.data import DatasetMeta

    meta = DatasetMeta.open(out)
    sources = ", ".join(f"'{source.root}' ({source.total_episodes})" for source in before)
    episodes = "1 episode" if meta.total_episodes == 1 else f"{meta.total_episodes} episodes"
    show(f"{out}: {episodes}, {meta.total_frames} frames, from {sources}")


def show_uses(out: Path) -> None:
    """Print the commands that usually follow."""
    show_next(f"etude data check {out}", f"etude train --dataset {out} --policy flow --out runs/{out.name}")


def parse_episodes(texts: Sequence[str], total: int, flag: str, dataset: object) -> list[int]:
    """Read numbers and ranges of episodes: "3", "7-9", "3,7-9".

    Returns:
        The indices in the order given, each once.

    Raises:
        ConfigError: Something else, or episodes that the dataset does not have.
    """
    indices: list[int] = []
    for text in ",".join(texts).split(","):
        first, dash, last = text.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"{flag} {text}: expected a number such as 3, or a range such as 7-9.")
        low, high = int(first), int(last or first)
        if low > high or high >= total:
            raise ConfigError(f"{flag} {text}: '{dataset}' has the episodes 0 to {total - 1}, and ranges run upwards.")
        indices += range(low, high + 1)
    return list(dict.fromkeys(indices))
