"""`etude data split`: one dataset as several."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from etude.cli.data.writing import new_folder, open_dataset, parse_episodes, show_dataset, show_uses
from etude.cli.usage import require_at_least
from etude.core import ConfigError, stream


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a dataset as several, by shares of its episodes drawn at random or by their numbers.

    Each part becomes a folder in --out. No episode is in two parts drawn by share; each remembers where it came from.

    Examples:
        etude data split data/demo --parts train=0.9 eval=0.1 --out data/parts
        etude data split data/demo --parts easy=0-19 hard=20-39,45 --out data/parts

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face Hub.
        parts: Name of each part and its episodes: a share with a decimal point, or numbers and ranges.
        out: Folder of the parts.
        seed: Fixes which episodes are drawn.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    parts: Annotated[tuple[str, ...], arg(metavar="NAME=SHARE|EPISODES …")]
    out: Path
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(0, seed=self.seed)
        names = [text.partition("=")[0] for text in self.parts]
        for text, name in zip(self.parts, names, strict=True):
            if not name or not text.partition("=")[2] or "/" in name or name.startswith("."):
                raise ConfigError(f"--parts {text}: expected NAME=SHARE or NAME=EPISODES, e.g. train=0.9 or first=0-9.")
        if not names or len(set(names)) < len(names):
            raise ConfigError("--parts needs one part or more, each of another name, e.g. train=0.9 eval=0.1.")


def run(options: Options) -> None:
    """Split."""
    from etude.data.editing.selecting import Selection, write_selections

    meta = open_dataset(options.dataset)
    parts = _parts(options, meta.total_episodes)
    with new_folder(options.out, sum(map(len, parts.values()))) as (folder, on_saved):
        before = 0
        for name, episodes in parts.items():
            write_selections(
                folder / name,
                [Selection(meta=meta, episodes=episodes)],
                on_saved=lambda done, before=before: on_saved(before + done),
            )
            before += len(episodes)
    for name in parts:
        show_dataset(options.out / name, [meta])
    show_uses(options.out / next(iter(parts)))


def _parts(options: Options, total: int) -> dict[str, list[int]]:
    """Name of each part -> its episodes."""
    texts = dict(text.split("=", 1) for text in options.parts)
    if not any("." in text for text in texts.values()):
        return {
            name: parse_episodes([text], total, f"--parts {name}=", options.dataset) for name, text in texts.items()
        }
    try:
        shares = {name: float(text) for name, text in texts.items()}
    except ValueError:
        raise ConfigError(
            f"--parts {' '.join(options.parts)}: give all as shares such as 0.9, or all as episodes."
        ) from None
    return draw_parts(shares, total, options.seed)


def draw_parts(shares: Mapping[str, float], total: int, seed: int) -> dict[str, list[int]]:
    """Draw episodes for each part; shares of 1 in all leave none over.

    Raises:
        ConfigError: Shares that are not positive or exceed 1 in all, or too few episodes for one each.
    """
    whole = sum(shares.values())
    if any(not share > 0 for share in shares.values()) or whole > 1 + 1e-9:
        raise ConfigError(f"--parts: shares must be positive and at most 1 in all, not {whole:g}.")
    bounds, reached = [0], 0.0
    for share in shares.values():
        reached += share
        bounds.append(round(reached * total))
    counts = [high - low for low, high in pairwise(bounds)]
    if min(counts) < 1:
        empty = list(shares)[counts.index(min(counts))]
        raise ConfigError(f"--parts: '{empty}' gets none of the {total} episodes; give it a larger share.")
    order = stream(seed, "split").permutation(total).tolist()
    return {name: sorted(order[bounds[i] : bounds[i + 1]]) for i, name in enumerate(shares)}
