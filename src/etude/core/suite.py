"""Pockets and suites: where a policy fails, and the frozen lists of cases that measure it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from etude.core.bounds import Bounds, describe_bounds, describe_failures, holds
from etude.core.episode import Case
from etude.core.errors import EtudeError, MismatchError
from etude.core.files import read_json, write_json
from etude.core.space import Perturbation, PerturbationSpace
from etude.core.statistics import Rate


@dataclass(frozen=True, kw_only=True)
class Pocket:
    """A box in few factors in which the policy fails much more often than outside it.

    Attributes:
        name: Short, e.g. "pocket-1".
        bounds: Factor name -> (low, high), physical units; other factors are free.
        inside: *Failures* inside, from fresh rollouts.
        outside: Failures outside.
        expert: The expert's successes inside; without any the pocket is not a weakness of the policy.
        volume: Share of the feasible space that lies inside.
    """

    name: str
    bounds: Bounds
    inside: Rate
    outside: Rate
    expert: Rate
    volume: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", MappingProxyType({k: (lo, hi) for k, (lo, hi) in self.bounds.items()}))

    def __reduce__(self) -> tuple[Any, ...]:
        return Pocket.from_json, (self.to_json(),)

    def contains(self, theta: Perturbation, space: PerturbationSpace) -> bool:
        """Whether θ lies in the box; unset factors stand at their nominal value."""
        return holds(self.bounds, theta, space)

    def describe(self, space: PerturbationSpace) -> str:
        """The pocket in words: "front_camera.yaw_rad in [0.11, 0.2]: 92 % fail, n = 40 (80–97 %); 11 % outside"."""
        return f"{describe_bounds(self.bounds, space)}: {describe_failures(self.inside, self.outside)}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        rates = {key: [getattr(self, key).k, getattr(self, key).n] for key in ("inside", "outside", "expert")}
        bounds = {name: list(b) for name, b in self.bounds.items()}
        return {"name": self.name, "bounds": bounds, **rates, "volume": self.volume}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Pocket":
        """The inverse of to_json."""
        rates = {key: Rate(*record[key]) for key in ("inside", "outside", "expert")}
        bounds = {name: (b[0], b[1]) for name, b in record["bounds"].items()}
        return Pocket(name=record["name"], bounds=bounds, volume=record["volume"], **rates)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A frozen, hashed list of cases.

    Attributes:
        name: "exam", "dev", "uniform", "nominal", …
        task: Name of the task with its settings, as the task writes itself.
        space_hash: Hash of the perturbation space the cases belong to.
        cases: The cases, in order.
        labels: One label per case (the pocket it came from), or empty.
    """

    name: str
    task: str
    space_hash: str
    cases: tuple[Case, ...]
    labels: tuple[str, ...] = field(default=())

    @cached_property
    def hash(self) -> str:
        """SHA-256 over task, space and cases (64 hex digits)."""
        record = {k: v for k, v in self.to_json().items() if k != "hash"}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def require(self, task: str, space: PerturbationSpace) -> None:
        """Raise MismatchError unless the suite was drawn for this task, settings included, and in this space.

        Args:
            task: Name of the task as it writes itself.
            space: Of the task.
        """
        fix = f"Run it on {self.task}, or draw a suite for {task} with `etude search {task}`."
        if self.space_hash != space.hash:
            raise MismatchError(
                f"suite '{self.name}' was made for {self.task} with perturbation space {self.space_hash}; {task} has "
                f"space {space.hash}, in which its cases are other worlds. {fix}"
            )
        if self.task != task:
            raise MismatchError(
                f"suite '{self.name}' was made for {self.task}, not for {task}: its cases are other worlds there. {fix}"
            )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, without the hash."""
        cases = [case.to_json() for case in self.cases]
        fields = {"name": self.name, "task": self.task, "space_hash": self.space_hash}
        return {**fields, "cases": cases, "labels": list(self.labels)}

    def save(self, path: Path) -> None:
        """Write the suite once, whole or not at all."""
        write_json(path, {**self.to_json(), "hash": self.hash})

    @staticmethod
    def load(path: Path) -> "Suite":
        """Read a suite and check its hash.

        Raises:
            EtudeError: The file is not a suite.
            MismatchError: The file was changed after it was frozen.
        """
        record = read_json(path)
        if not isinstance(record, Mapping):
            raise EtudeError(f"'{path}' is not a suite: it holds no JSON object.")
        try:
            suite = Suite(
                name=record["name"],
                task=record["task"],
                space_hash=record["space_hash"],
                cases=tuple(Case.from_json(c) for c in record["cases"]),
                labels=tuple(record["labels"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            fields = "name, task, space_hash, cases, labels and hash"
            raise EtudeError(f"'{path}' is not a suite (such as exam.json): a suite has {fields}.") from error
        if record.get("hash") != suite.hash:
            raise MismatchError(
                f"suite '{path}' was changed after it was frozen: its hash does not match its cases. Take the file as "
                "it was written, or draw a new suite with `etude search`."
            )
        return suite
