"""The planted truth of the package with boxes that a test chooses, and a record of what was rolled out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from etude.core import Bounds, Case, Outcome, Perturbation, holds
from etude.search.planted import PlantedTruth, planted_space

SPACE = planted_space(10)


def box(*intervals: tuple[int, float, float]) -> Bounds:
    """Bounds in physical units from (factor, low, high) in the unit cube."""
    return {SPACE.names[factor]: (4 * low - 1, 4 * high - 1) for factor, low, high in intervals}


@dataclass
class PlantedWorld:
    """A policy that fails in `boxes`, an expert that fails in `hard`, and every case that either was asked."""

    boxes: Sequence[Bounds]
    failure: float = 0.95
    elsewhere: float = 0.02
    hard: Sequence[Bounds] = ()
    policy_cases: list[Case] = field(default_factory=list[Case])
    expert_cases: list[Case] = field(default_factory=list[Case])

    def __post_init__(self) -> None:
        self.truth = PlantedTruth(
            space=SPACE,
            pockets=tuple(self.boxes),
            hard=tuple(self.hard),
            failure=self.failure,
            elsewhere=self.elsewhere,
            graded=False,
        )

    def policy(self, cases: Sequence[Case]) -> list[Outcome]:
        self.policy_cases += cases
        return self.truth.policy(cases)

    def expert(self, cases: Sequence[Case]) -> list[Outcome]:
        self.expert_cases += cases
        return self.truth.expert(cases)


def inside(bounds: Bounds, theta: Perturbation) -> bool:
    return holds(bounds, theta, SPACE)
