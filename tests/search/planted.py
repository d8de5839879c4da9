"""Ten factors, failing boxes that we know, and a world that answers at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from etude.core import Case, Factor, Outcome, Perturbation, PerturbationSpace, stream

type Bounds = Mapping[str, tuple[float, float]]

NAMES = tuple(f"thing_{i}.size_m" for i in range(10))
SPACE = PerturbationSpace(
    "planted", tuple(Factor(name=n, unit="m", low=-1.0, high=3.0, nominal=0.0, kind="layout") for n in NAMES)
)


def box(*intervals: tuple[int, float, float]) -> Bounds:
    """Bounds in physical units from (factor, low, high) in the unit cube."""
    return {NAMES[factor]: (4 * low - 1, 4 * high - 1) for factor, low, high in intervals}


def small(*corners: tuple[int, float]) -> Bounds:
    return box(*[(factor, low, low + 0.08) for factor, low in corners])


SIX = (  # 0.05 % of the volume each
    small((0, 0.1), (1, 0.8), (2, 0.5)),
    small((3, 0.85), (4, 0.15), (5, 0.6)),
    small((6, 0.4), (7, 0.05), (8, 0.9)),
    small((9, 0.7), (0, 0.6), (4, 0.8)),
    small((2, 0.05), (5, 0.2), (7, 0.7)),
    small((1, 0.3), (8, 0.3), (3, 0.2)),
)


@dataclass
class PlantedWorld:
    """A policy that fails in `boxes` and an expert that fails in `hard`.

    The policy fails with probability `failure` inside and `elsewhere` outside.
    """

    boxes: Sequence[Bounds]
    failure: float = 0.95
    elsewhere: float = 0.02
    hard: Sequence[Bounds] = ()
    policy_cases: list[Case] = field(default_factory=list[Case])
    expert_cases: list[Case] = field(default_factory=list[Case])

    def policy(self, cases: Sequence[Case]) -> list[Outcome]:
        self.policy_cases += cases
        return [self._policy(case) for case in cases]

    def expert(self, cases: Sequence[Case]) -> list[Outcome]:
        self.expert_cases += cases
        return [outcome(case, not any(inside(hard, case.theta) for hard in self.hard)) for case in cases]

    def _policy(self, case: Case) -> Outcome:
        chance = self.failure if any(inside(b, case.theta) for b in self.boxes) else self.elsewhere
        return outcome(case, bool(stream(case.seed, "planted").random() >= chance))


def severity(theta: Perturbation, boxes: Sequence[Bounds]) -> float:
    """0.9 inside, outside at most 0.4 and less the further away."""
    distance = min(gap(b, theta) for b in boxes)
    return 0.9 if distance == 0 else 0.4 * float(np.exp(-distance / 0.25))


def inside(bounds: Bounds, theta: Perturbation) -> bool:
    return gap(bounds, theta) == 0.0


def gap(bounds: Bounds, theta: Perturbation) -> float:
    """Euclidean distance to a box, in the unit cube."""
    sides = [max(low - theta.values[n], theta.values[n] - high, 0.0) / 4 for n, (low, high) in bounds.items()]
    return float(np.linalg.norm(sides))


def outcome(case: Case, success: bool) -> Outcome:
    return Outcome(
        case=case,
        success=success,
        progress=1.0 if success else 0.1,
        stage="",
        failure_mode="" if success else "timeout",
        length=1,
        total_reward=0.0,
    )
