"""`etude data cache`: what decoded frames take on this machine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etude.cli.terminal import show, show_json

if TYPE_CHECKING:
    from etude.data.caching.store import Stored


@dataclass(frozen=True, kw_only=True)
class Options:
    """List the datasets whose frames are decoded, latest used first, and what they take; or remove them.

    Training decodes every dataset once and keeps its frames for the next time, up to $ETUDE_CACHE_GB (50) gigabytes in
    $ETUDE_CACHE_DIR (or the user's cache); what was not used for longest makes room. Datasets share the frames of equal
    videos, so together they may take less than the sum. Removing them is safe: they are decoded again when needed.

    Examples:
        etude data cache
        etude data cache --clear

    Attributes:
        clear: Remove all that no process is using.
        json: Print one line of JSON instead of a table.
    """

    clear: bool = False
    json: bool = False


def run(options: Options) -> None:
    """List, or clear."""
    from etude.data import default_cache_dir
    from etude.data.caching.store import Store

    store = Store(default_cache_dir())
    freed = store.clear() if options.clear else 0
    datasets = store.datasets()
    if options.json:
        listed = [_json(*each) for each in datasets]
        totals = {"folder": str(store.folder), "bytes": store.size_bytes, "limit_bytes": store.limit_bytes}
        show_json({"datasets": listed, **totals, "freed_bytes": freed})
        return
    if datasets:
        show(_table(datasets))
    if options.clear:
        show(f"removed {freed / 1e9:.3g} GB")
    show(f"{store.size_bytes / 1e9:.3g} of {store.limit_bytes / 1e9:g} GB in {store.folder}")


def _json(stored: "Stored", used_s: float, in_use: bool) -> dict[str, Any]:
    return {
        "dataset": stored.dataset,
        "frames": stored.frames,
        "image_sizes": stored.image_sizes,
        "bytes": sum(stored.files.values()),
        "used_s": used_s,
        "in_use": in_use,
    }


def _table(datasets: "Sequence[tuple[Stored, float, bool]]") -> object:
    from rich.table import Table

    table = Table("dataset", "frames", "images", "GB", "last used", box=None, pad_edge=False)
    for stored, used_s, in_use in datasets:
        images = ", ".join(f"{camera} {height}x{width}" for camera, (height, width) in stored.image_sizes.items())
        used = "in use" if in_use else time.strftime("%Y-%m-%d %H:%M", time.localtime(used_s))
        table.add_row(stored.dataset, str(stored.frames), images, f"{sum(stored.files.values()) / 1e9:.3g}", used)
    return table
