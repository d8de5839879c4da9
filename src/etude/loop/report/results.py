"""What a finished run leaves for the report to draw: plain frozen records, nothing computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from etude.acquisition.distributions import MutationDistributions
from etude.core import (
    Case,
    Diagnosis,
    MismatchError,
    Outcome,
    Perturbation,
    PerturbationSpace,
    Pocket,
    Rate,
    Suite,
    UnknownNameError,
)
from etude.loop.arms import BASELINE, Purpose
from etude.search import ArchiveRow, FollowedPocket

type Plain = bool | int | float | str | Sequence["Plain"] | Mapping[str, "Plain"] | None
"""A JSON value."""

TESTS = ("exam", "uniform_test", "nominal")
"""The suites every arm sits, in the order of tables."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an arm spent.

    Attributes:
        attempts: Demonstrations tried.
        generated: Those that succeeded; more than accepted where an arm chooses among them.
        accepted: Demonstrations practised on.
        frames: Frames of these.
        train_steps: Optimiser steps.
        rollouts: Policy rollouts spent on discovery.
        score_s: Wall-clock time of scoring [s]; as wall_s it may differ between equal runs.
        wall_s: Wall-clock time of all of it [s].
    """

    attempts: int = 0
    generated: int = 0
    accepted: int = 0
    frames: int = 0
    train_steps: int = 0
    rollouts: int = 0
    score_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PracticeRound:
    """What an arm practised in one round.

    Attributes:
        index: The round, from 1.
        places: Label of a place -> (demonstrations made there, attempts).
        by_expert: Demonstrations that the expert made where another maker failed.
        without_pocket: Whether the search that the arm follows had confirmed no pocket, so that it drew everywhere.
        regime: What was measured of the regime and what follows, in words, where an arm chose by it.
        score: What its demonstrations were chosen by; "" where they were taken as they came.
        candidates: θ of all that were made, where there was a choice.
        scores: Their scores.
        chosen: Which of them were practised, by index.
        elites: Those of the chosen that scored best.
        effective: How many candidates the scores speak for.
        before: The distributions that they were drawn from, where there were any.
        after: Those that the next round draws from.
    """

    index: int
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    by_expert: int = 0
    without_pocket: bool = False
    regime: str = ""
    score: str = ""
    candidates: tuple[Perturbation, ...] = ()
    scores: tuple[float, ...] = ()
    chosen: tuple[int, ...] = ()
    elites: tuple[int, ...] = ()
    effective: float = 0.0
    before: MutationDistributions | None = None
    after: MutationDistributions | None = None


@dataclass(frozen=True, kw_only=True)
class ArmResults:
    """One way of choosing data, and what its policy did.

    Attributes:
        budget: What it spent.
        purpose: What it is for.
        exam: One outcome per case of the exam, in the suite's order; empty when there is no exam.
        uniform_test: The same for the uniform test.
        nominal: The same for the nominal world.
        new_data: θ of every demonstration the arm added.
        practice: What it practised, round by round.
        curves: Name of a loss -> (step, value) pairs.
        fresh_search: *Failures* among the uniform rollouts of a new search against this arm's policy, where one was
            made; of the baseline then those of the first search.
        followed: What that search made of the baseline's pockets, and the pockets it found: gone, or moved?
    """

    budget: Budget
    purpose: Purpose = "aim"
    exam: tuple[Outcome, ...] = ()
    uniform_test: tuple[Outcome, ...] = ()
    nominal: tuple[Outcome, ...] = ()
    new_data: tuple[Perturbation, ...] = ()
    practice: tuple[PracticeRound, ...] = ()
    curves: Mapping[str, tuple[tuple[int, float], ...]] = field(
        default_factory=dict[str, tuple[tuple[int, float], ...]]
    )
    fresh_search: Rate | None = None
    followed: tuple[FollowedPocket, ...] = ()

    def outcomes(self, test: str) -> tuple[Outcome, ...]:
        """Outcomes on one of TESTS."""
        by_test = {"exam": self.exam, "uniform_test": self.uniform_test, "nominal": self.nominal}
        if test not in by_test:
            raise UnknownNameError("test", test, TESTS)
        return by_test[test]

    def rate(self, test: str) -> Rate:
        """Successes on one of TESTS."""
        return Rate.of([outcome.success for outcome in self.outcomes(test)])


@dataclass(frozen=True, kw_only=True)
class SearchRow:
    """One rollout of the failure search.

    Attributes:
        theta: Where.
        seed: Its seed.
        severity: 1 − progress, in [0, 1].
        success: Whether the policy succeeded.
    """

    theta: Perturbation
    seed: int
    severity: float
    success: bool

    @staticmethod
    def of(row: ArchiveRow) -> "SearchRow":
        """What a report shows of a row of the archive."""
        return SearchRow(theta=row.case.theta, seed=row.case.seed, severity=row.severity, success=row.success)


@dataclass(frozen=True, kw_only=True)
class VideoPair:
    """The same case before and after practice.

    Attributes:
        case: The (θ, seed) of both.
        category: Heading it is shown under: "fixed", "still failing", "newly lost", …
        label: One line about it.
        before: Video of the baseline; a file that does not exist is shown as missing.
        after: Video of the arm.
    """

    case: Case
    category: str
    label: str
    before: Path
    after: Path


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """Everything the report shows of one run.

    Attributes:
        run: Name of the run.
        task: The task with its settings.
        space: What was varied.
        arms: Arm name -> results, in the order of tables; "baseline" is what the others are compared with.
        suites: Suite name ("exam", "dev", "uniform_test", "nominal") -> suite.
        pockets: Confirmed pockets of the baseline.
        diagnosis: Why the baseline fails, whose plan the targeted arm carried out; None where it was not asked.
        archive: Every rollout of the search.
        narrow: Factor -> (low, high) that the first demonstrations were kept to, physical units.
        exclusions: Candidate demonstrations refused, for every arm, for lying too near an exam case.
        videos: Pairs to show, in order.
        seeds: What a seed is for -> seed.
        config: The resolved configuration.
        provenance: Versions, machine, commit: nothing that differs between equal runs.
        command: The command that reproduces the run.
        pages: Stage -> link to its own page, from the report's folder.
    """

    run: str
    task: str
    space: PerturbationSpace
    arms: Mapping[str, ArmResults]
    suites: Mapping[str, Suite]
    pockets: tuple[Pocket, ...] = ()
    diagnosis: Diagnosis | None = None
    archive: tuple[SearchRow, ...] = ()
    narrow: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    exclusions: int = 0
    videos: tuple[VideoPair, ...] = ()
    seeds: Mapping[str, int] = field(default_factory=dict[str, int])
    config: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    provenance: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    command: str = ""
    pages: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", MappingProxyType(dict(self.arms)))
        object.__setattr__(self, "suites", MappingProxyType(dict(self.suites)))
        for name in [*self.narrow, *(factor for pocket in self.pockets for factor in pocket.bounds)]:
            self.space[name]  # raises on a factor of another space
        for test in TESTS:
            self._check_same_cases(test)

    def _check_same_cases(self, test: str) -> None:
        """Comparisons are paired: everybody who sat a test must have sat the same cases."""
        expected = self.suites[test].cases if test in self.suites else None
        for name, arm in self.arms.items():
            cases = tuple(outcome.case for outcome in arm.outcomes(test))
            if not cases:
                continue
            if expected is not None and cases != expected:
                raise MismatchError(f"arm '{name}' did not sit the cases of '{test}' that the others did.")
            expected = cases


def foremost(arms: Mapping[str, ArmResults]) -> str | None:
    """The arm that a run is about: the first that aims, else the last that practises, else the last.

    Args:
        arms: Arm name -> results, in the run's order.
    """
    others = {name: arm.purpose for name, arm in arms.items() if name != BASELINE}
    aiming = [name for name, purpose in others.items() if purpose == "aim"]
    practising = [name for name, purpose in others.items() if purpose != "control"]
    return next(iter(aiming or practising[-1:] or list(others)[-1:]), None)
