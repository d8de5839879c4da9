"""`etude data merge`: several datasets as one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.data.writing import new_folder, open_dataset, show_dataset, show_uses
from etude.cli.datasets import files_of
from etude.core import ConfigError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write the episodes of several datasets as one dataset; each remembers where it came from.

    The features are those of the first. Dimensions in another order are reordered by their names; datasets with other
    dimensions or cameras need a mapping that says how one becomes like the other, and are refused without.

    Examples:
        etude data merge data/a data/b --out data/ab
        etude data merge data/mobile data/static --map data/static=static.json --out data/both
        etude data merge data/a data/b --without next.reward --out data/ab

    Attributes:
        datasets: Folders of the datasets, or their names on the Hugging Face Hub.
        out: Folder of the new one.
        map: Mappings of features: JSON files, as for `etude train`.
        without: Columns to leave out.
    """

    datasets: Annotated[Positional[tuple[str, ...]], arg(metavar="DATASET …")]
    out: Path
    map: Annotated[tuple[str, ...], arg(metavar="DATASET=FILE …")] = ()
    without: Annotated[tuple[str, ...], arg(metavar="COLUMN …")] = ()

    def __post_init__(self) -> None:
        if len(self.datasets) < 2:
            raise ConfigError("a merge needs at least two datasets.")
        twice = [name for name in self.datasets if self.datasets.count(name) > 1]
        if twice:
            raise ConfigError(f"dataset '{twice[0]}' is given twice.")


def run(options: Options) -> None:
    """Merge."""
    from etude.data import FeatureMapping
    from etude.data.editing.selecting import Selection, write_selections

    files = files_of("--map", options.map, options.datasets)
    mappings = {name: FeatureMapping.read(file) for name, file in files.items()}
    metas = {name: open_dataset(name) for name in options.datasets}
    selections = [Selection(meta=meta, mapping=mappings.get(name)) for name, meta in metas.items()]
    with new_folder(options.out, sum(meta.total_episodes for meta in metas.values())) as (folder, on_saved):
        write_selections(folder, selections, without=options.without, on_saved=on_saved)
    show_dataset(options.out, list(metas.values()))
    show_uses(options.out)
