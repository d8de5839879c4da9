"""One root error; every error builds its own one-line message and keeps its evidence as attributes."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class EtudeError(Exception):
    """Something a person can put right. The command line prints it as one line and exits with 2.

    It crosses processes whole: of the same class, with its message and its evidence.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # By default unpickling would hand the finished message to the subclass's own __init__.
        return _restore, (type(self), self.args, dict(vars(self)))


def _restore(kind: type[EtudeError], args: tuple[Any, ...], evidence: dict[str, Any]) -> EtudeError:
    error = kind.__new__(kind, *args)
    vars(error).update(evidence)
    return error


class UnknownNameError(EtudeError):
    """A name that is none of the valid ones.

    Args:
        kind: What the name stands for, e.g. "task".
        name: The name given.
        valid: The names that exist.
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        self.kind, self.name, self.valid = kind, name, sorted(valid)
        near = get_close_matches(name, self.valid, n=1, cutoff=0.4)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        colon = ":" if kind.endswith("'") else ""  # two quoted names in a row would read as one
        super().__init__(f"unknown {kind}{colon} '{name}'.{hint} Valid: {', '.join(self.valid) or '(none)'}.")


class ConfigError(EtudeError):
    """A setting whose value cannot work; the message names the value, the valid choices and the fix."""


class FactorRangeError(EtudeError):
    """A factor set outside its bounds, or not to a number."""

    def __init__(self, factor: str, value: float, low: float, high: float, unit: str) -> None:
        self.factor, self.value, self.low, self.high, self.unit = factor, value, low, high, unit
        unit = "" if unit == "1" else f" {unit}"
        super().__init__(f"factor '{factor}' = {value:g}{unit} is outside its range [{low:g}, {high:g}]{unit}.")


class InfeasibleError(EtudeError):
    """A perturbation inside all bounds that the world cannot take, with the reason why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"infeasible perturbation: {reason}.")


class ShapeError(EtudeError):
    """An array of another shape, or with values that are not finite."""

    def __init__(self, name: str, expected: object, got: object) -> None:
        self.name, self.expected, self.got = name, expected, got
        super().__init__(f"{name}: expected {expected}, got {got}.")


class MismatchError(EtudeError):
    """Two things that must agree and do not: space hashes, features, a checkpoint and its data."""


class RunExistsError(EtudeError):
    """An output folder that already holds something."""

    def __init__(self, path: object, fix: str = "choose another name, or pass --resume to continue it") -> None:
        self.path = path
        super().__init__(f"'{path}' already exists: {fix}.")


class MissingDependencyError(EtudeError):
    """A library or system package that this feature needs and the machine lacks."""


class StageFailedError(EtudeError):
    """Work that stopped in the middle; what was finished before is kept."""
