"""`etude data inspect`: what is in an HDF5 file, or in a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from etude.cli.terminal import show, show_json, show_next


@dataclass(frozen=True, kw_only=True)
class Options:
    """Show the tree of an HDF5 file with shapes, types, compression and attributes, or the summary of a dataset.

    Examples:
        etude data inspect demo.hdf5
        etude data inspect data/demo --json

    Attributes:
        what: An HDF5 file, a folder of such (the first is shown), the folder of a LeRobot dataset, or a dataset's name
            on the Hugging Face Hub.
        json: Print one line of JSON, and nothing else.
    """

    what: Annotated[Positional[str], arg(metavar="FILE|DATASET")]
    json: bool = False


def run(options: Options) -> None:
    """Inspect."""
    if Path(options.what).is_file() or Path(options.what).suffix in (".hdf5", ".h5"):
        _inspect_file(Path(options.what), as_json=options.json)
    elif files := _hdf5_files(Path(options.what)):
        _inspect_files(files, as_json=options.json)
    else:
        _inspect_dataset(options.what, as_json=options.json)


def _hdf5_files(folder: Path) -> list[Path]:
    """The HDF5 files of a folder of recordings; none of a dataset's."""
    return [] if (folder / "meta").is_dir() else [*folder.glob("*.hdf5"), *folder.glob("*.h5")]


def _inspect_files(files: list[Path], *, as_json: bool) -> None:
    """The first file, which stands for all: they are imported together."""
    first, *others = sorted(files, key=lambda path: (len(path.name), path.name))
    if not as_json and others:
        show(f"{first.parent}: {len(files)} HDF5 files, of which this is the first", "")
    _inspect_file(first, as_json=as_json, whole=first.parent)


def _inspect_file(path: Path, *, as_json: bool, whole: Path | None = None) -> None:
    from etude.data.hdf5.tree import read_tree, tree_lines

    tree, layout = read_tree(path)
    size = path.stat().st_size
    if as_json:
        show_json({"file": str(path), "bytes": size, "layout": layout or None, "tree": tree.to_json()})
        return
    show(f"{path}: {told_bytes(size)}, layout {layout or 'unknown'}", *tree_lines(tree))
    if layout:
        show_next(f"etude data import {whole or path} --out data/{(whole or path).stem}")


def _inspect_dataset(name: str, *, as_json: bool) -> None:
    from etude.data.finding import find_dataset
    from etude.data.summary import summarise

    summary = summarise(find_dataset(name))
    if as_json:
        show_json(summary)
        return
    show(*_summary_lines(summary))


def _summary_lines(summary: dict[str, Any]) -> list[str]:
    lines = [
        f"{summary['root']}: LeRobot {summary['version']}"
        + (f", robot {summary['robot_type']}" if summary["robot_type"] else ""),
        f"  {summary['episodes']} episodes, {summary['frames']} frames at {summary['fps']} Hz, "
        f"{summary['duration_s']:.1f} s; {told_bytes(summary['bytes'])} on disk",
    ]
    if summary["episodes"]:
        lengths = summary["lengths"]
        lines.append(f"  lengths: {lengths['min']} to {lengths['max']} frames, {lengths['median']:g} in the middle")
    if summary["successes"] is not None:
        lines.append(f"  successes: {summary['successes']} of {summary['judged']}")
    lines += [f"  task {index}: {task}" for index, task in enumerate(summary["tasks"])]
    lines += ["", "cameras:" if summary["cameras"] else "cameras: none"]
    lines += [
        f"  {name}: {c['height']}×{c['width']}, {c['storage']}, {c['codec'] or 'codec unknown'}"
        for name, c in summary["cameras"].items()
    ]
    lines += ["", "features:"]
    for name, feature in summary["features"].items():
        shape = "×".join(map(str, feature["shape"]))
        names = f"  ({', '.join(feature['names'])})" if feature["names"] else ""
        lines.append(f"  {name}: {shape} {feature['dtype']}{names}")
    return lines


def told_bytes(size: float) -> str:
    """A size for people: "3.4 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.3g} GB"
