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

    @property
    def told(self) -> float:
        """How bad it was, in [0, 1], as searchers are told: above ½ exactly where it shows a weakness.

        So every failure ranks above every near miss (a success whose progress is below 1), and in itself by severity;
        where the expert fails as well it is 0.
        """
        return 0.0 if self.expert is False else (self.severity + (not self.success)) / 2


class Archive:
    """Rows of one policy in one space, in the order of the rollouts; each (θ, seed) once.

    Args:
        space: The space of every θ.
        rows: Rows to begin with.
        policy: Fingerprint of the policy, "" where nobody asks.
    """

    def __init__(self, space: PerturbationSpace, rows: Iterable[ArchiveRow] = (), policy: str = "") -> None:
        self.space, self.policy = space, policy
        self._rows: dict[Case, ArchiveRow] = {}
        for row in rows:
            self._rows.setdefault(row.case, row)

    @property
    def rows(self) -> tuple[ArchiveRow, ...]:
        """All rows."""
        return tuple(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, case: Case) -> ArchiveRow | None:
        """What became of a (θ, seed), if it was tried."""
        return self._rows.get(case)

    def extend(self, rows: Sequence[ArchiveRow]) -> None:
        """Add rows; those of a (θ, seed) that is there already are left out, whoever proposed them.

        Raises what PerturbationSpace.check raises when a θ is not of the space.
        """
        for row in rows:
            self.space.check(row.case.theta)
        for row in rows:
            self._rows.setdefault(row.case, row)

    def points(self) -> Float64[NDArray[np.float64], "N D"]:
        """All θ in the unit cube, shape (N, D)."""
        return np.array([self.space.to_unit(r.case.theta) for r in self.rows]).reshape(-1, len(self.space.factors))

    def severities(self) -> Float64[NDArray[np.float64], " N"]:
        """How bad they were, as searchers are told, shape (N,): see `ArchiveRow.told`."""
        return np.array([row.told for row in self.rows], dtype=np.float64)

    def weaknesses(self) -> Bool[NDArray[np.bool_], " N"]:
        """Which rows show a weakness of the policy, shape (N,)."""
        return np.array([row.weakness for row in self.rows], dtype=bool)

    def save(self, path: Path) -> None:
        """Write the archive as Parquet, whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = self.rows
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
        metadata = {"space_hash": self.space.hash, "policy": self.policy}
        pq.write_table(pa.table(columns, metadata=metadata), buffer)
        write_bytes(path, buffer.getvalue())

    @staticmethod
    def load(path: Path, space: PerturbationSpace, policy: str = "") -> "Archive":
        """Read an archive.

        Args:
            path: The file.
            space: The space that it must be of.
            policy: Fingerprint of the policy that it must be of; "" for any.

        Raises:
            EtudeError: The file is missing, or not an archive.
            MismatchError: It belongs to another space or policy.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.exists():
            raise EtudeError(f"'{path}' does not exist.")
        try:
            table = pq.read_table(path)
        except pa.ArrowInvalid as error:
            raise EtudeError(
                f"'{path}' is not an archive: give the archive.parquet that `etude search` left in its folder."
            ) from error
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        found, theirs = metadata.get("space_hash", ""), metadata.get("policy", "")
        if found != space.hash:
            raise MismatchError(
                f"archive '{path}' is of space {found or '(none)'}, not of '{space.name}' ({space.hash})."
            )
        if policy and theirs != policy:
            raise MismatchError(
                f"archive '{path}' is of another policy, or of this one run otherwise ({theirs or 'unknown'}, not "
                f"{policy}): its failures are not this one's. Search without it."
            )
        return Archive(space, [_row(record) for record in table.to_pylist()], theirs)


def _row(record: dict[str, Any]) -> ArchiveRow:
    theta = {k.removeprefix(_FACTOR): v for k, v in record.items() if k.startswith(_FACTOR) and v is not None}
    fields = {k: v for k, v in record.items() if not k.startswith(_FACTOR) and k != "seed"}
    return ArchiveRow(case=Case(Perturbation(theta), record["seed"]), **fields)
