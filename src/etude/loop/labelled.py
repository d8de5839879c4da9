"""Episodes of a dataset with success labels and factors, as people have them who have a robot and no simulator."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.core import Case, ConfigError, EtudeError, Perturbation
from etude.data import DatasetMeta
from etude.diagnosis import Episodes, space_of

INDEX, SUCCESS, MODE = "episode_index", "success", "failure_mode"
_TRUE, _FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_LEROBOTS = (INDEX, "tasks", "length", "dataset_from_index", "dataset_to_index", "task_index")
"""Columns of meta/episodes that say nothing of the world; so do all with a slash in their names."""

type Row = Mapping[str, Any]


def labelled_episodes(root: Path, factors: Path | None = None) -> Episodes:
    """The episodes of a dataset that say whether they succeeded, with their factors.

    Both come from a table with the columns `episode_index`, `success` and one per factor; without one, from what Etude
    wrote beside the dataset, or from columns that somebody added to meta/episodes.

    Args:
        root: A LeRobot dataset.
        factors: The table, CSV or Parquet; success may be left out of it where the dataset says it.

    Raises:
        EtudeError: No episode says whether it succeeded, or none has factors.
        ConfigError: A table that does not fit the dataset, or a factor that is no number.
    """
    meta = DatasetMeta.open(root)
    own = _own_rows(meta)
    rows = _joined(own, read_table(factors), factors, meta.total_episodes) if factors else own
    labelled = [row for row in rows if row.get(SUCCESS) is not None]
    if not labelled:
        raise EtudeError(
            f"no episode of '{root}' says whether it succeeded: give a table with the columns {INDEX}, {SUCCESS} and "
            "one per factor as --factors FILE.csv."
        )
    names = [name for name in labelled[0] if _is_factor(name) and (factors or all(name in row for row in labelled))]
    columns = {name: _numbers(name, labelled, factors) for name in names}
    if not columns:
        raise EtudeError(
            f"the episodes of '{root}' have no factors: give a table with the columns {INDEX}, {SUCCESS} and one per "
            "factor (lamp_lux, cup_x_m, …) as --factors FILE.csv."
        )
    thetas = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Episodes(
        space=space_of(columns),
        cases=tuple(Case(Perturbation(theta), int(row[INDEX])) for theta, row in zip(thetas, labelled, strict=True)),
        success=tuple(_truth(row[SUCCESS], row[INDEX]) for row in labelled),
        failure_modes=tuple(str(row.get(MODE) or "") for row in labelled),
    )


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV or Parquet file.

    Raises:
        EtudeError: It is missing, or neither.
    """
    if not path.exists():
        raise EtudeError(f"'{path}' does not exist.")
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [dict(row) for row in csv.DictReader(file)]
    if path.suffix != ".parquet":
        raise EtudeError(f"'{path}' must be a .csv or .parquet file with the columns {INDEX}, {SUCCESS} and factors.")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        raise EtudeError(f"'{path}' is not a Parquet file: {error}.") from error


def _own_rows(meta: DatasetMeta) -> list[dict[str, Any]]:
    """What the dataset itself says of its episodes: Etude's sidecar, else columns somebody added."""
    if meta.episodes:
        return [
            {INDEX: e.index, SUCCESS: e.success, MODE: e.failure_mode, **(e.case.theta.values if e.case else {})}
            for e in meta.episodes
        ]
    return [
        {INDEX: row[INDEX], **{k: v for k, v in row.items() if k in (SUCCESS, MODE) or _is_added(k, v)}}
        for row in meta.rows
    ]


def _joined(own: Sequence[Row], table: Sequence[dict[str, Any]], path: Path | None, total: int) -> list[dict[str, Any]]:
    """The table's rows, with the dataset's own label where the table has none."""
    if not table or INDEX not in table[0]:
        raise ConfigError(f"--factors {path}: has no column '{INDEX}', which says which episode a row is about.")
    labels = {row[INDEX]: row.get(SUCCESS) for row in own}
    joined: dict[int, dict[str, Any]] = {}
    for line, row in enumerate(table, 2):
        text = str(row[INDEX]).strip()
        index = int(text) if text.isdigit() else -1
        if not 0 <= index < total or index in joined:
            again = " a second time" if index in joined else ""
            raise ConfigError(
                f"--factors {path}, line {line}: {INDEX} {text!r}{again}; the dataset has episodes 0 to {total - 1}."
            )
        label = row.get(SUCCESS)
        joined[index] = {**row, INDEX: index, SUCCESS: labels.get(index) if label in (None, "") else label}
    return list(joined.values())


def _is_factor(name: str) -> bool:
    return name not in (INDEX, SUCCESS, MODE)


def _is_added(name: str, value: Any) -> bool:
    return name not in _LEROBOTS and "/" not in name and isinstance(value, bool | int | float)


def _numbers(name: str, rows: Sequence[Row], path: Path | None) -> list[float]:
    """A factor's value in every episode."""
    where = f"--factors {path}: " if path else ""
    numbers: list[float] = []
    for row in rows:
        try:
            number = float(row.get(name))  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError):
            number = float("nan")
        if not abs(number) < float("inf"):
            raise ConfigError(
                f"{where}{name} of episode {row[INDEX]} is {row.get(name)!r}, and a factor is a number in every "
                "episode: leave out the row or the column; of words make a column of 0 and 1 each."
            )
        numbers.append(number)
    return numbers


def _truth(label: Any, index: int) -> bool:
    text = str(label).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise ConfigError(f"{SUCCESS} of episode {index} is {label!r}: write 1 or 0, true or false.")
    return text in _TRUE
