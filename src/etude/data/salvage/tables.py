"""The data files of a recording that may have been killed, read episode by episode."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from jaxtyping import UInt8
from numpy.typing import NDArray

from etude.core import EtudeError
from etude.data.parquet import as_numbers
from etude.data.salvage.footer import has_footer, mend
from etude.data.statistics import Statistics, image_statistics, spread, vector_statistics

_INDEX = ("episode_index", "frame_index", "task_index")
SAMPLES = 16
"""Frames of an episode that image statistics are taken from."""


@dataclass(frozen=True)
class Numbers:
    """An episode whose numbers are on disk.

    Attributes:
        file: The readable data file it is in.
        length: Frames.
        tasks: Indices of its tasks.
    """

    file: Path
    length: int
    tasks: tuple[int, ...]


def readable_files(root: Path, features: Mapping[str, Any], scratch: Path) -> list[Path]:
    """The data files of a dataset, those without a footer as mended copies.

    Args:
        root: The dataset; nothing in it is changed.
        features: Its features, as info.json has them.
        scratch: Where to put the copies.
    """
    files: list[Path] = []
    row = None
    for path in sorted((root / "data").glob("*/*.parquet")):
        if not has_footer(path):
            row = _one_row(features) if row is None else row
            mended = scratch / path.relative_to(root)
            mended.parent.mkdir(parents=True, exist_ok=True)
            mend(path, mended, row)
            path = mended
        files.append(path)
    return files


def find_numbers(files: list[Path]) -> tuple[dict[int, Numbers], dict[int, str]]:
    """The episodes that are whole in some data files, and what is wrong with the others."""
    found: dict[int, Numbers] = {}
    lost: dict[int, str] = {}
    for path in files:
        for episode, table in episode_tables(path, _INDEX):
            frames = table["frame_index"].to_numpy()
            if found and episode <= max(found):
                lost[episode] = f"it comes after episode {max(found)} in '{path.name}'"
            elif not np.array_equal(frames, np.arange(len(frames))):
                lost[episode] = "its frames are not the first ones in order"
            else:
                tasks = tuple(dict.fromkeys(table["task_index"].to_pylist()))
                found[episode] = Numbers(path, len(frames), tasks)
    return found, {episode: why for episode, why in lost.items() if episode not in found}


def episode_tables(path: Path, columns: tuple[str, ...] | None = None) -> Iterator[tuple[int, Any]]:
    """The episodes of a data file, one after the other, each as a table.

    What follows a damaged row group is left out.
    """
    episode, parts = -1, list[Any]()
    with pyarrow.parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            try:
                table = file.read_row_group(group, columns=list(columns) if columns else None)
            except (OSError, pa.ArrowException):
                break
            numbers = table["episode_index"].to_numpy()
            bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
            for begin, end in pairwise(bounds):
                if parts and numbers[begin] != episode:
                    yield episode, pa.concat_tables(parts)
                    parts = []
                episode = int(numbers[begin])
                parts.append(table.slice(begin, end - begin))
    if parts:
        yield episode, pa.concat_tables(parts)


def renumbered(table: Any, *, episode: int, first_frame: int) -> Any:
    """The table of an episode that gets another place in its dataset."""
    columns = {
        "episode_index": np.full(len(table), episode),
        "index": np.arange(first_frame, first_frame + len(table)),
    }
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    return table


def table_statistics(table: Any, features: Mapping[str, Any]) -> dict[str, Statistics]:
    """Statistics of an episode's numbers, and of the images that are in its table."""
    found: dict[str, Statistics] = {}
    for name in table.column_names:
        feature = features[name]
        if feature["dtype"] == "image":
            found[name] = image_statistics(_sampled_images(table[name]))
        elif feature["dtype"] not in ("string", "language"):
            statistics = vector_statistics(as_numbers(table[name].combine_chunks(), len(table)))
            found[name] = {
                key: value if key == "count" else value.reshape(feature["shape"]) for key, value in statistics.items()
            }
    return found


def write_tables(path: Path, tables: Iterator[Any]) -> None:
    """Write a data file, one row group per episode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    try:
        for table in tables:
            writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema, compression="snappy")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def sampled(length: int) -> NDArray[np.int64]:
    """The frames that stand for all of an episode."""
    return spread(length, SAMPLES)


def _sampled_images(column: Any) -> UInt8[NDArray[np.uint8], "T H W 3"]:
    from PIL import Image

    frames = (column[int(t)].as_py()["bytes"] for t in sampled(len(column)))
    return np.stack([np.asarray(Image.open(BytesIO(frame)).convert("RGB")) for frame in frames])


def _one_row(features: Mapping[str, Any]) -> Any:
    """A table of one row, as LeRobot writes the datasets of these features."""
    import datasets
    from lerobot.datasets.feature_utils import get_hf_features_from_features
    from PIL import Image

    def blank(feature: Mapping[str, Any]) -> Any:
        one = feature["shape"] == (1,)
        if feature["dtype"] == "image":
            return Image.new("RGB", (1, 1))
        if feature["dtype"] == "string":
            return "" if one else [""] * feature["shape"][0]
        zeros = np.zeros(feature["shape"], feature["dtype"])
        return zeros.item() if one else zeros

    try:
        given = {name: {**feature, "shape": tuple(feature["shape"])} for name, feature in features.items()}
        schema = get_hf_features_from_features(given)
        row = {name: [blank(given[name])] for name in schema}
        return datasets.Dataset.from_dict(row, features=schema).with_format("arrow")[:]
    except (KeyError, TypeError, ValueError) as error:
        raise EtudeError(f"the features in meta/info.json are none of LeRobot's: {error!r}.") from error
