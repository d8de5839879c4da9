"""Everything that was tried: one row per rollout, shared by all searchers of a policy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import Case, EtudeError, MismatchError, Perturbation, PerturbationSpace
from etude.core.files import write_bytes

_FACTOR = "factor:"


@dataclass(frozen=True, kw_only=True)
class ArchiveRow:
    """One rollout of the policy under search.

    Attributes:
        case: Its (θ, seed).
        severity: 1 − progress.
        success: Whether the policy succeeded.
        expert: Whether the expert succeeded at the same case; None where it was not asked.
        searcher: Who proposed θ.
        round: In which round of the loop.
    """

    case: Case
    severity: float
    success: bool
    expert: bool | None = None
    searcher: str = ""
    round: int = 0

    @property
    def weakness(self) -> bool:
        """Whether it shows a weakness of the policy: it failed, and the expert is not known to fail as well."""
        return not self.success and self.expert is not False


class Archive:
    """Rows of one space, in the order of the rollouts.

    Args:
        space: The space of every θ.
        rows: Rows to begin with.
    """

    def __init__(self, space: PerturbationSpace, rows: Iterable[ArchiveRow] = ()) -> None:
        self.space = space
        self._rows = list(rows)

    @property
    def rows(self) -> tuple[ArchiveRow, ...]:
        """All rows."""
        return tuple(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def extend(self, rows: Sequence[ArchiveRow]) -> None:
        """Add rows. Raises what PerturbationSpace.check raises when a θ is not of the space."""
        for row in rows:
            self.space.check(row.case.theta)
        self._rows.extend(rows)

    def points(self) -> Float64[NDArray[np.float64], "N D"]:
        """All θ in the unit cube, shape (N, D)."""
        return np.array([self.space.to_unit(r.case.theta) for r in self._rows]).reshape(-1, len(self.space.factors))

    def weaknesses(self) -> Bool[NDArray[np.bool_], " N"]:
        """Which rows show a weakness of the policy, shape (N,)."""
        return np.array([row.weakness for row in self._rows], dtype=bool)

    def save(self, path: Path) -> None:
        """Write the archive as Parquet, whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = self._rows
        columns: dict[str, Any] = {
            "seed": pa.array([r.case.seed for r in rows], pa.int64()),
            "severity": pa.array([r.severity for r in rows], pa.float64()),
            "success": pa.array([r.success for r in rows], pa.bool_()),
            "expert": pa.array([r.expert for r in rows], pa.bool_()),
            "searcher": pa.array([r.searcher for r in rows], pa.string()),
            "round": pa.array([r.round for r in rows], pa.int64()),
        }
        for name in self.space.names:
            columns[_FACTOR + name] = pa.array([r.case.theta.values.get(name) for r in rows], pa.float64())
        buffer = BytesIO()
        pq.write_table(pa.table(columns, metadata={"space_hash": self.space.hash}), buffer)
        write_bytes(path, buffer.getvalue())

    @staticmethod
    def load(path: Path, space: PerturbationSpace) -> "Archive":
        """Read an archive.

        Raises:
            EtudeError: The file is missing, or not an archive.
            MismatchError: It belongs to another space.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.exists():
            raise EtudeError(f"'{path}' does not exist.")
        try:
            table = pq.read_table(path)
        except pa.ArrowInvalid as error:
            raise EtudeError(f"'{path}' is not an archive: {error}.") from error
        found = (table.schema.metadata or {}).get(b"space_hash", b"").decode()
        if found != space.hash:
            raise MismatchError(
                f"archive '{path}' is of space {found or '(none)'}, not of '{space.name}' ({space.hash})."
            )
        return Archive(space, [_row(record) for record in table.to_pylist()])


def _row(record: dict[str, Any]) -> ArchiveRow:
    theta = {k.removeprefix(_FACTOR): v for k, v in record.items() if k.startswith(_FACTOR) and v is not None}
    fields = {k: v for k, v in record.items() if not k.startswith(_FACTOR) and k != "seed"}
    return ArchiveRow(case=Case(Perturbation(theta), record["seed"]), **fields)
