"""Counterfactual rollouts as a Parquet table, one row per rollout."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from etude.core.files import write_bytes
from etude.diagnosis.counterfactuals import Counterfactual


def write_counterfactuals(path: Path, rolled: Sequence[Counterfactual]) -> None:
    """Write rollouts, whole or not at all.

    Columns: `cause`, `undone` (factors joined by " + ", or "sham"), `seed`, `success`, `failure_mode`, `progress`, then
    for every factor `before:<name>`, its value in the failure, and `factor:<name>`, its value in the rollout; null
    where θ leaves it unset.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        "cause": pa.array([one.cause for one in rolled], pa.string()),
        "undone": pa.array([" + ".join(one.undone) for one in rolled], pa.string()),
        "seed": pa.array([one.case.seed for one in rolled], pa.int64()),
        "success": pa.array([one.outcome.success for one in rolled], pa.bool_()),
        "failure_mode": pa.array([one.outcome.failure_mode for one in rolled], pa.string()),
        "progress": pa.array([one.outcome.progress for one in rolled], pa.float64()),
    }
    for name in sorted({name for one in rolled for name in one.case.theta.values}):
        before = [one.case.theta.values.get(name) for one in rolled]
        after = [one.outcome.case.theta.values.get(name) for one in rolled]
        columns[f"before:{name}"] = pa.array(before, pa.float64())
        columns[f"factor:{name}"] = pa.array(after, pa.float64())
    buffer = BytesIO()
    pq.write_table(pa.table(columns), buffer)
    write_bytes(path, buffer.getvalue())
