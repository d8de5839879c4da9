"""What a lockstep found, as plain values with stable names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from etude.core import Outcome, Task
from etude.evaluation.lockstep.divergence import (
    Parting,
    Series,
    Tolerance,
    action_errors,
    partings,
    path_errors,
    position_errors,
    rotation_errors,
    state_errors,
)
from etude.evaluation.lockstep.running import Pair
from etude.evaluation.lockstep.trace import Trace


@dataclass(frozen=True, kw_only=True)
class Lockstep:
    """A demonstration and a policy from one state, compared.

    Attributes:
        task: Where.
        start_step: The step at which the policy took over.
        tolerance: Up to where they count as together.
        pair: Both episodes.
        partings: Where each thing leaves the tolerance, the first before the others.
    """

    task: Task
    start_step: int
    tolerance: Tolerance
    pair: Pair
    partings: Sequence[Parting]

    @staticmethod
    def of(task: Task, pair: Pair, *, start_step: int, tolerance: Tolerance) -> "Lockstep":
        """Compare both episodes."""
        found = partings(pair.demonstration, pair.policy, tolerance, task.subtasks)
        return Lockstep(task=task, start_step=start_step, tolerance=tolerance, pair=pair, partings=found)

    @property
    def position_m(self) -> Mapping[str, Series]:
        """Thing -> distance at every moment that both episodes have."""
        return position_errors(self.pair.demonstration, self.pair.policy)

    @property
    def rotation_rad(self) -> Mapping[str, Series]:
        """Thing -> angle at every moment that both episodes have."""
        return rotation_errors(self.pair.demonstration, self.pair.policy)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; what is not a number is null."""
        pair, fps = self.pair, self.task.fps
        both = {"demonstration": pair.demonstration, "policy": pair.policy}
        return {
            "task": self.task.name,
            "case": pair.policy_outcome.case.to_json(),
            "fps": fps,
            "start_step": self.start_step,
            "tolerance": asdict(self.tolerance),
            "replay": asdict(pair.replay),
            "demonstration": _ending(pair.demonstration_outcome),
            "policy": _ending(pair.policy_outcome),
            "partings": [{**asdict(parting), "time_s": parting.step / fps} for parting in self.partings],
            "subtasks": {
                name: {who: trace.reached.get(name) for who, trace in both.items()} for name in self.task.subtasks
            },
            "series": {
                "position_m": _lists(self.position_m),
                "rotation_rad": _lists(self.rotation_rad),
                "path_m": _lists(path_errors(pair.demonstration, pair.policy)),
                "state": _lists(state_errors(pair.demonstration, pair.policy, self.task.state_names)),
                "action": _list(action_errors(pair.demonstration, pair.policy)),
                "action_in_the_demonstrations_place": _list(pair.forced),
                "progress": {who: _list(trace.progress) for who, trace in both.items()},
                "stage": {who: list(trace.stages) for who, trace in both.items()},
            },
        }

    def findings(self) -> list[str]:
        """A line for each thing that a person wants to know, first where they part."""
        demonstration, policy = self.pair.demonstration_outcome, self.pair.policy_outcome
        lines = [self._where()]
        lines += [f"  {self._place(parting)}" for parting in self.partings[1:]]
        lines += self._only_slower()
        lines.append(f"the policy {_told(policy)}; the demonstration {_told(demonstration)}")
        missed = [name for name in self.task.subtasks if _only(self.pair.demonstration, self.pair.policy, name)]
        return [*lines, *([f"only the demonstration reaches {', '.join(missed)}"] if missed else [])]

    def _where(self) -> str:
        if not self.partings:
            return f"they never part by more than {self._limits()}"
        first = self.partings[0]
        during = f" while '{first.during}'" if first.during else ""
        return f"they part at {self._place(first)}{during}"

    def _only_slower(self) -> list[str]:
        """A line for policies that do the same at another speed."""
        paths = path_errors(self.pair.demonstration, self.pair.policy)
        furthest = max((float(values.max()) for values in paths.values()), default=self.tolerance.m)
        turned = any(parting.rotation_rad > self.tolerance.rad for parting in self.partings)
        if not self.partings or turned or furthest >= self.tolerance.m:
            return []
        return [f"  but nothing is ever more than {100 * furthest:.1f} cm off its path: the same at another speed"]

    def _place(self, parting: Parting) -> str:
        back = "" if parting.for_good is not None else ", and is back at the end"
        when = f"step {parting.step} ({parting.step / self.task.fps:.2f} s)"
        distance = off(parting.thing, parting.position_m, parting.rotation_rad, self.tolerance)
        return f"{when}: {distance}{back}"

    def _limits(self) -> str:
        return f"{100 * self.tolerance.m:g} cm or {self.tolerance.rad:g} rad"


def off(thing: str, position_m: float, rotation_rad: float, tolerance: Tolerance) -> str:
    """How far a thing is off in words: by its angle where only that is outside the tolerance."""
    if rotation_rad > tolerance.rad and position_m <= tolerance.m:
        return f"{thing} {rotation_rad:.2f} rad"
    return f"{thing} {100 * position_m:.1f} cm"


def _only(demonstration: Trace, policy: Trace, name: str) -> bool:
    return demonstration.reached.get(name) is not None and policy.reached.get(name) is None


def _told(outcome: Outcome) -> str:
    if outcome.success:
        return f"succeeds after {outcome.length} steps"
    return f"ends by {outcome.failure_mode.replace('_', ' ')} after {outcome.length} steps ({outcome.progress:.0%})"


def _ending(outcome: Outcome) -> dict[str, Any]:
    names = ("success", "progress", "stage", "failure_mode", "length")
    return {name: getattr(outcome, name) for name in names}


def _lists(series: Mapping[str, Series]) -> dict[str, list[float | None]]:
    return {name: _list(values) for name, values in series.items()}


def _list(values: Series) -> list[float | None]:
    return [value if isfinite(value) else None for value in values.tolist()]
