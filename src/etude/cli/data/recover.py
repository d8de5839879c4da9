"""`etude data recover`: a loadable dataset of what a crash left."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.output import require_free, whole_folder
from etude.cli.terminal import show, show_json, show_next, watch
from etude.core import ConfigError

if TYPE_CHECKING:
    from etude.data.salvage import Salvaged


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a loadable dataset of what a crash left, with every episode whose numbers and images reached the disk.

    With --out the recording is only read. Without, a dataset of Etude's is put in order where it is, which removes
    nothing that was saved; one that LeRobot was recording needs --out. LeRobot loses the index of its files when it is
    killed before finalize(): here the episodes are found again from the files' pages and the videos' frames.

    Examples:
        etude data recover data/crashed --out data/rescued
        etude data recover data/mine

    Attributes:
        dataset: Folder of the recording.
        out: Folder of the new dataset.
        like: A dataset of the same robot and settings, to tell the features if the crash destroyed meta/info.json.
        json: Print one line of JSON instead of text.
    """

    dataset: Annotated[Positional[Path], arg(metavar="DATASET")]
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    like: Annotated[Path | None, arg(metavar="DATASET")] = None
    json: bool = False


def run(options: Options) -> None:
    """Recover."""
    from etude.data import DatasetMeta, recover
    from etude.data.layout import SIDECAR_INFO

    root, out = options.dataset, options.out or options.dataset
    if options.out is not None:
        require_free(options.out, resumable=False)
        salvaged = _recover_to(root, options.out, options.like)
    elif (root / SIDECAR_INFO).exists():
        recover(root)
        salvaged = None
    else:
        raise ConfigError(
            f"--out is missing: '{root}' is no dataset that Etude wrote, so what is recovered goes to a new folder; "
            f"add e.g. --out {root}-recovered."
        )
    meta = DatasetMeta.open(out)
    lost = dict(salvaged.lost) if salvaged is not None else {}
    if options.json:
        show_json({"episodes": meta.total_episodes, "frames": meta.total_frames, "lost": lost, "out": str(out)})
        return
    show(f"{meta.total_episodes} episodes, {meta.total_frames} frames: {out}")
    show(*(f"lost: episode {episode} ({why})" for episode, why in lost.items()))
    show_next(f"etude data check {out}", f"etude view {out} --episode {meta.total_episodes - 1}")


def _recover_to(root: Path, out: Path, like: Path | None) -> "Salvaged | None":
    """Write the recovered dataset to a new folder; None where the dataset was Etude's and so nothing is lost."""
    from etude.core import EtudeError
    from etude.data import recover
    from etude.data.layout import SIDECAR_INFO
    from etude.data.salvage import salvage

    with whole_folder(out) as partial:
        if (root / SIDECAR_INFO).exists():
            try:
                shutil.copytree(root, partial, dirs_exist_ok=True)
                recover(partial)
                return None
            except EtudeError:  # LeRobot went on with it
                shutil.rmtree(partial)
                partial.mkdir()
        with watch()("percent recovered", 100) as update:
            return salvage(
                root,
                partial,
                like=like,
                on_progress=lambda done, total: update(100 * done // total, f"{done} of {total} episodes"),
            )
