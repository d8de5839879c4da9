"""`etude data convert`: any LeRobot dataset as LeRobot v3, one file per episode."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from etude.cli.data.writing import new_folder, open_dataset, show_dataset, show_uses


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a LeRobot dataset (v2.1 or v3, with videos or single images) anew as LeRobot v3.

    Videos are copied as they are wherever an episode begins at a key frame; numbers, tasks, statistics and what is
    known of the episodes' origin are kept. The result can be added to, and survives a crash of whoever does.

    Examples:
        etude data convert data/old --out data/new
        etude data convert lerobot/pusht --out data/pusht --storage video
        etude data convert data/old --out data/new --without next.reward next.done

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face Hub.
        out: Folder of the new one.
        storage: How to keep images: as they are, as H.264 video, or as lossless single images.
        without: Columns to leave out.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    out: Path
    storage: Literal["as-is", "video", "image"] = "as-is"
    without: Annotated[tuple[str, ...], arg(metavar="COLUMN …")] = ()


def run(options: Options) -> None:
    """Convert."""
    from etude.data.editing.selecting import Selection, write_selections

    meta = open_dataset(options.dataset)
    storage = None if options.storage == "as-is" else options.storage
    with new_folder(options.out, meta.total_episodes) as (folder, on_saved):
        write_selections(folder, [Selection(meta=meta)], without=options.without, storage=storage, on_saved=on_saved)
    show_dataset(options.out, [meta])
    show_uses(options.out)
