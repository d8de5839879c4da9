"""`etude data delete`: a dataset without some of its episodes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from etude.cli.data.writing import new_folder, open_dataset, parse_episodes, show_dataset, show_uses
from etude.core import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a dataset without some of its episodes to a new place; the dataset itself stays as it is.

    The episodes that remain are numbered anew, in the same order; each remembers where it came from.

    Examples:
        etude data delete data/demo --episodes 3 7-9 --out data/kept

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face Hub.
        episodes: Episodes to leave out: numbers from 0, and ranges.
        out: Folder of the new one.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    episodes: Annotated[tuple[str, ...], arg(metavar="N|A-B …")]
    out: Path

    def __post_init__(self) -> None:
        if not self.episodes:
            raise ConfigError("--episodes names no episode to leave out, e.g. --episodes 3 7-9.")


def run(options: Options) -> None:
    """Delete."""
    from etude.data.editing.selecting import Selection, write_selections

    meta = open_dataset(options.dataset)
    unwanted = set(parse_episodes(options.episodes, meta.total_episodes, "--episodes", meta.root))
    kept = [index for index in range(meta.total_episodes) if index not in unwanted]
    if not kept:
        raise ConfigError(f"--episodes {' '.join(options.episodes)}: that is every episode of '{meta.root}'.")
    with new_folder(options.out, len(kept)) as (folder, on_saved):
        write_selections(folder, [Selection(meta=meta, episodes=kept)], on_saved=on_saved)
    show_dataset(options.out, [meta])
    show_uses(options.out)
