"""`etude data export`: a dataset as an HDF5 file, or as the folder that GR00T is trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from etude.cli.data.writing import new_folder
from etude.cli.terminal import show, show_next, watch
from etude.core import ConfigError

if TYPE_CHECKING:
    from etude.data import DatasetMeta


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a LeRobot dataset as HDF5 in robomimic's or Isaac Lab's layout, or for fine-tuning GR00T.

    A dataset that was imported from HDF5 gives back what it was made of: states, object poses, attributes, filter keys.
    For GR00T the result is a LeRobot v2.1 folder with `meta/modality.json` and a modality configuration; the command
    that fine-tunes on it is printed.

    Examples:
        etude data export data/demo --layout robomimic --out demo.hdf5
        etude data export data/demo --layout isaaclab --quaternion xyzw --out demo.hdf5
        etude data export data/demo --layout groot --out data/demo-groot

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face hub.
        layout: What to write.
        out: The HDF5 file, or the folder for GR00T.
        quaternion: Order to write quaternions in, for Isaac Lab: wxyz for 2.x, xyzw for 3.x.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    layout: Literal["robomimic", "isaaclab", "groot"]
    out: Path
    quaternion: Literal["wxyz", "xyzw"] = "wxyz"

    def __post_init__(self) -> None:
        if self.quaternion != "wxyz" and self.layout != "isaaclab":
            raise ConfigError(f"--quaternion {self.quaternion} is for --layout isaaclab, not {self.layout}.")
        if self.layout != "groot" and self.out.suffix not in (".hdf5", ".h5"):
            raise ConfigError(f"--out {self.out}: the file's name must end in .hdf5 or .h5.")


def run(options: Options) -> None:
    """Export."""
    from etude.data import DatasetMeta
    from etude.data.finding import find_dataset

    meta = DatasetMeta.open(find_dataset(options.dataset))
    if options.layout == "groot":
        _export_groot(meta, options)
    else:
        _export_hdf5(meta, options)


def _export_hdf5(meta: "DatasetMeta", options: Options) -> None:
    from etude.data.hdf5.exporting import export_hdf5

    with watch()("episodes", meta.total_episodes) as update:
        notes = export_hdf5(
            meta,
            options.layout,
            options.out,
            quaternion=options.quaternion,
            on_saved=lambda done: update(done, ""),
        )
    show(f"{options.out}: {meta.total_episodes} demonstrations, {options.layout}", *notes)
    show_next(f"etude data inspect {options.out}")


def _export_groot(meta: "DatasetMeta", options: Options) -> None:
    from etude.data.groot import export_groot, fine_tuning_command

    with new_folder(options.out, meta.total_episodes) as (folder, on_saved):
        export_groot(meta, folder, on_saved=on_saved)
    show(f"{options.out}: {meta.total_episodes} episodes, LeRobot v2.1 with meta/modality.json")
    show("", "Fine-tune GR00T N1.7 in a checkout of Isaac-GR00T:", fine_tuning_command(options.out))
