"""What is in an HDF5 file, for a person or a program to look at."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from etude.core import EtudeError
from etude.data.hdf5.files import open_hdf5, place, plain
from etude.data.hdf5.layouts import detect, natural

_LONGEST = 100  # characters of an attribute that are shown


@dataclass(frozen=True, kw_only=True)
class Node:
    """A group or a dataset.

    Attributes:
        name: Its last name; "/" for the root.
        shape: Shape of a dataset; None for a group.
        dtype: Numpy's name of a dataset's type, "" for a group.
        compression: "gzip", "lzf", … or "".
        attributes: Name -> value, long texts shortened.
        children: What is in a group.
    """

    name: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    compression: str = ""
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    children: "tuple[Node, ...]" = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        record: dict[str, Any] = {"name": self.name, "attributes": self.attributes}
        if self.shape is None:
            return record | {"children": [child.to_json() for child in self.children]}
        return record | {"shape": list(self.shape), "dtype": self.dtype, "compression": self.compression or None}


def read_tree(path: Path) -> tuple[Node, str]:
    """The tree of an HDF5 file, and the name of its layout ("" where none of those we know).

    Raises:
        EtudeError: It cannot be read.
    """
    with open_hdf5(path) as file:
        layout = detect(file)
        return _node(file, "/"), layout.name if layout else ""


def tree_lines(node: Node) -> list[str]:
    """The tree as text; of children that are numbered and alike (demo_0, demo_1, …) the first stands for all."""
    return [_told(node), *_below(node, "")]


def _node(thing: h5py.Group | h5py.Dataset, name: str) -> Node:
    try:
        attributes = {key: _short(plain(value)) for key, value in thing.attrs.items()}
        if isinstance(thing, h5py.Dataset):
            shape, compression = tuple(int(n) for n in thing.shape), thing.compression or ""
            return Node(name=name, shape=shape, dtype=str(thing.dtype), compression=compression, attributes=attributes)
        children = [(key, thing.get(key)) for key in sorted(thing, key=natural)]
        known = tuple(_node(child, key) for key, child in children if isinstance(child, h5py.Group | h5py.Dataset))
    except (OSError, RuntimeError, KeyError) as error:
        raise EtudeError(f"{place(thing)} cannot be read ({error}): copy or record the file anew.") from error
    return Node(name=name, attributes=attributes, children=known)


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    if len(text) <= _LONGEST:
        return value
    return f"{text[:_LONGEST]}… ({len(text)} characters)"


def _below(node: Node, indent: str) -> Iterator[str]:
    shown = _representatives(node.children)
    for index, (child, alike) in enumerate(shown):
        last = index == len(shown) - 1
        yield f"{indent}{'└─' if last else '├─'} {_told(child)}"
        deeper = indent + ("   " if last else "│  ")
        yield from _below(child, deeper)
        if alike:
            yield f"{deeper}({alike} more like {child.name}, up to their lengths and attributes)"


def _told(node: Node) -> str:
    parts = [node.name]
    if node.shape is not None:
        parts.append(f"{'×'.join(map(str, node.shape)) or 'scalar'} {node.dtype}")
    parts += [node.compression] if node.compression else []
    told = "  ".join(parts)
    said = ", ".join(f"{key} = {' '.join(str(value).split())}" for key, value in node.attributes.items())
    return f"{told}  [{said}]" if said else told


def _representatives(children: tuple[Node, ...]) -> list[tuple[Node, int]]:
    """The children to show, each with how many more are alike."""
    shown: list[tuple[Node, int]] = []
    for child in children:
        if shown and child.shape is None and child.children and _kind(shown[-1][0]) == _kind(child):
            shown[-1] = (shown[-1][0], shown[-1][1] + 1)
        else:
            shown.append((child, 0))
    return shown


def _kind(node: Node) -> Any:
    """What makes nodes alike: the name without its number, and everything below but the first axis."""
    stem = natural(node.name)[0]
    if node.shape is not None:
        return (node.name, node.dtype, node.shape[1:])
    return (stem, tuple(_kind(child) for child in node.children)) if node.children else (stem,)
