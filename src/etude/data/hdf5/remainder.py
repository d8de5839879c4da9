"""What of a demonstration has no place in a dataset's tables: kept beside them, so that an export can give it back.

meta/etude/hdf5.json           the schema, and the attributes that all demonstrations share
meta/etude/hdf5/000017.hdf5    of episode 17: attributes, filter keys, arrays without one row per frame (initial_state,
                               src_demo_inds), arrays too wide for a table, and what came after the last frame
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError
from etude.core.files import read_json, write_bytes, write_json
from etude.data.hdf5.files import open_hdf5, plain, read, walk
from etude.data.hdf5.schema import Schema

_MANIFEST, _FOLDER = Path("meta/etude/hdf5.json"), Path("meta/etude/hdf5")
_MASKS, _ORIGIN, _ARRAYS, _LAST = "etude_masks", "etude_origin", "arrays", "last"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What all demonstrations of a dataset share.

    Attributes:
        schema: Where their arrays are.
        attributes: Attributes of the group they were in.
    """

    schema: Schema
    attributes: Mapping[str, Any]

    def save(self, root: Path) -> None:
        """Write it into a dataset."""
        write_json(root / _MANIFEST, {"schema": self.schema.to_json(), "attributes": dict(self.attributes)})

    @staticmethod
    def load(root: Path) -> "Manifest | None":
        """Read it from a dataset; None where the dataset was not imported from HDF5.

        Raises:
            EtudeError: It is damaged.
        """
        if not (root / _MANIFEST).exists():
            return None
        record = read_json(root / _MANIFEST)
        try:
            return Manifest(schema=Schema.from_json(record["schema"]), attributes=record["attributes"])
        except (KeyError, TypeError) as error:
            raise EtudeError(f"'{root / _MANIFEST}' is damaged ({error!r}): remove it, or import again.") from error


@dataclass(frozen=True, kw_only=True)
class Remainder:
    """What is kept of one demonstration.

    Attributes:
        attributes: Its own attributes.
        masks: Filter keys that list it.
        arrays: Path -> array, as in the file.
        last: Path -> the last row, (1, …), of what was recorded after a frame's action.
        origin: The demonstration: "demo.hdf5:demo_3".
    """

    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    masks: tuple[str, ...] = ()
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    last: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    origin: str = ""

    def save(self, root: Path, episode: int) -> None:
        """Write it into a dataset."""
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            for name, value in self.attributes.items():
                file.attrs[name] = value
            file.attrs[_ORIGIN] = self.origin
            file.attrs[_MASKS] = np.array(self.masks, h5py.string_dtype())
            for kind, arrays in ((_ARRAYS, self.arrays), (_LAST, self.last)):
                for path, values in arrays.items():
                    packed = "gzip" if values.nbytes > 4096 else None
                    file.create_dataset(f"{kind}/{path}", data=values, compression=packed)
        write_bytes(root / _place(episode), buffer.getvalue())

    @staticmethod
    def load(root: Path, episode: int, *, origin: str) -> "Remainder":
        """Read it from a dataset; an empty one where there is none, or one of another demonstration.

        Args:
            root: The dataset.
            episode: Index of the episode.
            origin: Where the dataset says that the episode came from.

        Raises:
            EtudeError: It is damaged.
        """
        if not (root / _place(episode)).exists():
            return Remainder()
        with open_hdf5(root / _place(episode)) as file:
            if plain(file.attrs[_ORIGIN]) != origin:
                return Remainder()
            datasets = walk(file)
            kept = {
                kind: {p.removeprefix(f"{kind}/"): read(d) for p, d in datasets.items() if p.startswith(f"{kind}/")}
                for kind in (_ARRAYS, _LAST)
            }
            return Remainder(
                attributes={name: value for name, value in file.attrs.items() if name not in (_MASKS, _ORIGIN)},
                masks=tuple(plain(file.attrs[_MASKS])),
                arrays=kept[_ARRAYS],
                last=kept[_LAST],
                origin=origin,
            )


def _place(episode: int) -> Path:
    return _FOLDER / f"{episode:06d}.hdf5"
