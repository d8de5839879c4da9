"""What the replicates of a study say, arm by arm, as its plan said it would be read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from etude.core import EtudeError, cvar, holm, stream
from etude.core.statistics import AcrossReplicates, Paired, across_replicates, mean_difference, mean_rate
from etude.loop.arms import BASELINE, MORE_STEPS, RESEEDED, UNIFORM
from etude.loop.stages import TESTS
from etude.loop.study.choice import Choice
from etude.loop.study.curves import Needed, demonstrations_needed, gain_at_equal_cost
from etude.loop.study.plan import StudyPlan
from etude.loop.study.record import Failure, Replicate

TAIL = 0.1
"""The worst tenth of the uniform test."""


@dataclass(frozen=True, kw_only=True)
class ArmAnalysis:
    """An arm over all confirming replicates.

    Attributes:
        name: The arm.
        success: Test -> success over replicates; `values` are the rates.
        above: (other arm, test) -> gain above the other: `uniform`, the baseline on every test, controls on the exam.
        paired: Each replicate's exam, this arm against `uniform`.
        p: Two-sided p of the gain above `uniform` on the exam, Holm-adjusted over the arms that are compared.
        needed: Demonstrations to reach what `uniform` ends with on the exam; None for `uniform` and the controls.
        at_equal_steps: Gain above `uniform` on the exam at equal simulator steps, discovery included; None as above.
        pockets: Change in the number of pockets by a fresh search; None where there was none.
        fates: What became of pockets, over all replicates.
        tail: Mean progress in the worst tenth of the uniform test, less the same of `uniform`.
        tail_progress: The arm's own, over replicates.
        lost: Test -> cases over all replicates that the baseline solved and this arm does not, of so many.
    """

    name: str
    success: Mapping[str, AcrossReplicates]
    above: Mapping[tuple[str, str], AcrossReplicates]
    paired: tuple[Paired, ...]
    p: float
    needed: Needed | None
    at_equal_steps: AcrossReplicates | None
    pockets: AcrossReplicates | None
    fates: Mapping[str, int]
    tail: AcrossReplicates
    tail_progress: AcrossReplicates
    lost: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A study's numbers.

    Attributes:
        plan: What was registered.
        choice: What the pilots chose; None where there were none.
        pilots: Pilot replicates that came to their end.
        confirmed: Confirming replicates that did; all numbers below are theirs alone.
        failures: Replicates that did not.
        missing: Names of replicates that have not run yet.
        arms: The arms, the baseline first.
    """

    plan: StudyPlan
    choice: Choice | None
    pilots: tuple[Replicate, ...]
    confirmed: tuple[Replicate, ...]
    failures: tuple[Failure, ...]
    missing: tuple[str, ...]
    arms: tuple[ArmAnalysis, ...]

    def arm(self, name: str) -> ArmAnalysis:
        """One of the arms."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def compared(self) -> tuple[ArmAnalysis, ...]:
        """The arms that the hypotheses are about."""
        return tuple(arm for arm in self.arms if arm.name in self.plan.compared)

    @property
    def resumable(self) -> bool:
        """Whether there is a replicate to run or to try again; no pilot is, once they have chosen."""
        due = [*self.missing, *(failure.name for failure in self.failures if not failure.final)]
        return any(not (self.choice and name.startswith("pilot/")) for name in due)

    def uneven(self, arm: str) -> tuple[str, ...]:
        """Replicates in which an arm did not have as many demonstrations and gradient steps as `uniform`."""
        ends = {each.name: (each.arms[arm].last, each.arms[UNIFORM].last) for each in self.confirmed}
        return tuple(
            name
            for name, (a, b) in ends.items()
            if (a.demonstrations, a.train_steps) != (b.demonstrations, b.train_steps)
        )


def analyse(
    plan: StudyPlan,
    choice: Choice | None,
    pilots: Sequence[Replicate | Failure | None],
    confirmed: Sequence[Replicate | Failure | None],
) -> Analysis:
    """Compute everything the plan promised.

    Args:
        plan: What was registered.
        choice: What the pilots chose.
        pilots: What became of every pilot; None where it has not run.
        confirmed: The same of the confirming replicates.

    Raises:
        EtudeError: No confirming replicate came to its end.
    """
    finished = [each for each in confirmed if isinstance(each, Replicate)]
    if not finished:
        final = {each.why for each in confirmed if isinstance(each, Failure) and each.final}
        yet = f": {' '.join(sorted(final))}" if final else " yet: go on with --resume."
        raise EtudeError(f"not one confirming replicate of this study came to its end{yet}")
    names = [
        *(f"pilot/replicate-{i:02d}" for i, each in enumerate(pilots) if each is None),
        *(f"confirm/replicate-{i:02d}" for i, each in enumerate(confirmed) if each is None),
    ]
    arms = [_arm(name, finished, plan) for name in (BASELINE, *plan.config.arms) if name in finished[0].arms]
    return Analysis(
        plan=plan,
        choice=choice,
        pilots=tuple(each for each in pilots if isinstance(each, Replicate)),
        confirmed=tuple(finished),
        failures=tuple(each for each in (*pilots, *confirmed) if isinstance(each, Failure)),
        missing=tuple(names),
        arms=tuple(_adjusted(arms, plan)),
    )


def _arm(name: str, replicates: Sequence[Replicate], plan: StudyPlan) -> ArmAnalysis:
    level = 1 - plan.alpha
    rng = stream(plan.config.seed, "analysis", name)
    others = [(other, test) for other in (UNIFORM, BASELINE) for test in TESTS]
    above = {
        (other, test): across_replicates([each.paired(name, other, test) for each in replicates], rng, level=level)
        for other, test in [*others, (MORE_STEPS, "exam"), (RESEEDED, "exam")]
        if other != name
    }
    tails = {arm: np.array([_tail(each, arm) for each in replicates]) for arm in (name, UNIFORM)}
    changes = [_change(each, name) for each in replicates]
    known = np.array([change for change in changes if change is not None], dtype=np.float64)
    practises = all(each.arms[name].last.demonstrations for each in replicates)
    return ArmAnalysis(
        name=name,
        success={test: _success(replicates, name, test, level) for test in TESTS},
        above=above,
        paired=tuple(each.paired(name, UNIFORM, "exam") for each in replicates),
        p=above[UNIFORM, "exam"].p if name != UNIFORM else 1.0,
        needed=demonstrations_needed(replicates, name, UNIFORM, "exam", rng, level=level)
        if practises and name != UNIFORM
        else None,
        at_equal_steps=_at_equal_steps(replicates, name, level) if practises and name != UNIFORM else None,
        pockets=mean_difference(known, level=level) if len(known) == len(replicates) else None,
        fates=sum((Counter(each.arms[name].fates) for each in replicates), Counter()),
        tail=mean_difference(tails[name] - tails[UNIFORM], level=level),
        tail_progress=mean_difference(tails[name], level=level),
        lost={test: _lost(replicates, name, test) for test in TESTS},
    )


def _at_equal_steps(replicates: Sequence[Replicate], arm: str, level: float) -> AcrossReplicates:
    gains = gain_at_equal_cost(replicates, arm, UNIFORM, "steps", "exam")
    return mean_difference(np.array(gains), level=level)


def _adjusted(arms: Sequence[ArmAnalysis], plan: StudyPlan) -> list[ArmAnalysis]:
    """With Holm's p over the arms that are compared."""
    compared = [arm for arm in arms if arm.name in plan.compared]
    adjusted = dict(zip((arm.name for arm in compared), holm([arm.p for arm in compared]), strict=True))
    return [replace(arm, p=adjusted.get(arm.name, arm.p)) for arm in arms]


def _success(replicates: Sequence[Replicate], arm: str, test: str, level: float) -> AcrossReplicates:
    return mean_rate([each.arms[arm].last.rate(test) for each in replicates], level=level)


def _tail(replicate: Replicate, arm: str) -> float:
    return cvar(np.array(replicate.arms[arm].progress, dtype=np.float64), TAIL)


def _change(replicate: Replicate, arm: str) -> int | None:
    """Pockets after less pockets before."""
    after = replicate.arms[arm].pockets
    return None if after is None else after - replicate.pockets


def _lost(replicates: Sequence[Replicate], arm: str, test: str) -> tuple[int, int]:
    """Cases that the baseline solved and the arm does not, and all cases that the baseline solved."""
    lost = sum(each.paired(arm, BASELINE, test).losses for each in replicates)
    return lost, sum(each.arms[BASELINE].last.rate(test).k for each in replicates)
