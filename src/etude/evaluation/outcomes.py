"""Outcomes as a Parquet table: one row per case.

Columns: `seed`, `success`, `progress`, `stage`, `failure_mode`, `length`, `total_reward`, `smoothness` (null where
nothing moved), then `factor:<name>` (null where θ leaves it unset) and `subtask:<name>`, each in alphabetical order.
"""

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from etude.core import Case, EtudeError, Outcome, Perturbation
from etude.core.files import write_bytes

_FIELDS = ("success", "progress", "stage", "failure_mode", "length", "total_reward", "smoothness")
_FACTOR, _SUBTASK = "factor:", "subtask:"


def write_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write outcomes, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = (pa.bool_(), pa.float64(), pa.string(), pa.string(), pa.int64(), pa.float64(), pa.float64())
    columns: dict[str, Any] = {"seed": pa.array([o.case.seed for o in outcomes], pa.int64())}
    for name, kind in zip(_FIELDS, types, strict=True):
        columns[name] = pa.array([getattr(o, name) for o in outcomes], kind)
    for name in _union(o.case.theta.values for o in outcomes):
        columns[_FACTOR + name] = pa.array([o.case.theta.values.get(name) for o in outcomes], pa.float64())
    for name in _union(o.subtasks for o in outcomes):
        columns[_SUBTASK + name] = pa.array([o.subtasks.get(name) for o in outcomes], pa.bool_())
    buffer = BytesIO()
    pq.write_table(pa.table(columns), buffer)
    write_bytes(path, buffer.getvalue())


def read_outcomes(path: Path) -> list[Outcome]:
    """Read what write_outcomes wrote.

    Raises:
        EtudeError: The file is missing, or not a table of outcomes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise EtudeError(f"'{path}' does not exist.")
    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return [_outcome(row) for row in rows]
    except (pa.ArrowInvalid, KeyError) as error:
        raise EtudeError(f"'{path}' is not a table of outcomes: {error}.") from error


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for some in names for name in some})


def _outcome(row: dict[str, Any]) -> Outcome:
    theta = {name.removeprefix(_FACTOR): value for name, value in _present(row, _FACTOR)}
    subtasks = {name.removeprefix(_SUBTASK): value for name, value in _present(row, _SUBTASK)}
    row.setdefault("smoothness", None)  # tables of before it was measured lack it
    fields = {name: row[name] for name in _FIELDS}
    return Outcome(case=Case(Perturbation(theta), row["seed"]), subtasks=subtasks, **fields)


def _present(row: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in row.items() if name.startswith(prefix) and value is not None]
