"""Exam, dev, uniform and nominal suites: drawn once, from one baseline, before any arm has data.

A θ enters exam or dev only if the baseline failed at it 3 times in at most 4 tries. That choice alone would make any
other policy look better, so the suite's cases carry *fresh* seeds, on which the baseline is measured again; and the
expert must have succeeded at that very (θ, seed), or the exam would measure the impossible.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import Bounds, Case, ConfigError, Perturbation, PerturbationSpace, Pocket, Rate, StageFailedError, Suite
from etude.search.failures import Roll
from etude.search.pockets import sample_inside

EVERYWHERE = "everywhere"
"""Label of exam cases drawn from the whole space, because there was no pocket."""


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """How large the suites are and what may be spent on them.

    Attributes:
        exam: Cases of the exam.
        dev: Cases of the dev suite.
        uniform: Cases of the uniform test.
        nominal: Cases of the nominal test.
        failures: Failures that a θ needs.
        tries: Tries that it has for them.
        witness_tries: Seeds on which the expert may try, per θ.
        max_rollouts: Policy rollouts that may be spent.
        hopeless: A pocket is given up when fewer than this share of at least 40 draws was accepted.
    """

    exam: int = 60
    dev: int = 20
    uniform: int = 100
    nominal: int = 60
    failures: int = 3
    tries: int = 4
    witness_tries: int = 3
    max_rollouts: int = 1000
    hopeless: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.failures <= self.tries:
            raise ConfigError(f"needs 1 <= failures <= tries, got {self.failures} and {self.tries}.")
        if min(self.exam, self.witness_tries) < 1 or min(self.dev, self.uniform, self.nominal) < 0:
            raise ConfigError("suite sizes must be >= 0, the exam's and witness_tries >= 1.")


@dataclass(frozen=True, kw_only=True)
class SuiteReport:
    """What building the suites took.

    Attributes:
        drawn: Pocket -> θ drawn in it.
        accepted: Pocket -> θ that failed often enough, with a witness.
        without_witness: Pocket -> θ that failed often enough, but for the expert too.
        uniform_drawn: (θ, seed) drawn for the uniform test; the rest were beyond the expert.
        policy_rollouts: Spent on the policy.
        expert_rollouts: Spent on the expert.
        complete: Whether exam and dev have all their cases.
    """

    drawn: Mapping[str, int]
    accepted: Mapping[str, int]
    without_witness: Mapping[str, int]
    uniform_drawn: int
    policy_rollouts: int
    expert_rollouts: int
    complete: bool

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SuiteSet:
    """The four suites of a baseline; exam, dev and uniform share no θ."""

    exam: Suite
    dev: Suite
    uniform: Suite
    nominal: Suite
    report: SuiteReport

    def save(self, folder: Path) -> None:
        """Write one file per suite, e.g. `exam.json`."""
        for suite in (self.exam, self.dev, self.uniform, self.nominal):
            suite.save(folder / f"{suite.name}.json")


def build_suites(
    space: PerturbationSpace,
    task_name: str,
    pockets: Sequence[Pocket],
    roll_policy: Roll,
    roll_expert: Roll,
    config: SuiteConfig,
    rng: np.random.Generator,
) -> SuiteSet:
    """Draw the suites; without pockets, exam and dev come from the whole space.

    Args:
        space: The space of the task.
        task_name: Written into the suites.
        pockets: Confirmed pockets; each gives an equal share of exam and dev, as far as it can.
        roll_policy: Runs the baseline.
        roll_expert: Runs the expert.
        config: Sizes and limits.
        rng: Draws perturbations and seeds.

    Raises:
        StageFailedError: Not one θ failed often enough.
    """
    meter = _Meter(roll_policy, roll_expert, rng)
    sources: dict[str, Bounds] = {p.name: p.bounds for p in pockets} or {EVERYWHERE: {}}
    hunts = [_Hunt(name, bounds, space, config, meter) for name, bounds in sources.items()]
    _fill(hunts, config, meter)
    exam, dev = _divide({hunt.name: hunt.cases for hunt in hunts}, config, rng)
    if not exam:
        raise StageFailedError(
            f"no exam: in {sum(h.drawn for h in hunts)} draws no perturbation failed {config.failures} of "
            f"{config.tries} times with an expert's success beside it."
        )
    uniform, drawn = _uniform(space, config.uniform, meter)
    nominal = [(EVERYWHERE, Case(Perturbation(), meter.seed())) for _ in range(config.nominal)]
    report = SuiteReport(
        drawn={h.name: h.drawn for h in hunts},
        accepted={h.name: len(h.cases) for h in hunts},
        without_witness={h.name: h.without_witness for h in hunts},
        uniform_drawn=drawn,
        policy_rollouts=meter.policy,
        expert_rollouts=meter.expert,
        complete=len(exam) + len(dev) == config.exam + config.dev,
    )

    def suite(name: str, labelled: Iterable[tuple[str, Case]], labels: bool) -> Suite:
        pairs = tuple(labelled)
        names = tuple(label for label, _ in pairs) if labels else ()
        cases = tuple(case for _, case in pairs)
        return Suite(name=name, task=task_name, space_hash=space.hash, cases=cases, labels=names)

    return SuiteSet(
        exam=suite("exam", exam, labels=True),
        dev=suite("dev", dev, labels=True),
        uniform=suite("uniform", uniform, labels=False),
        nominal=suite("nominal", nominal, labels=False),
        report=report,
    )


class _Meter:
    """Runs cases and counts them."""

    def __init__(self, roll_policy: Roll, roll_expert: Roll, rng: np.random.Generator) -> None:
        self._roll_policy, self._roll_expert, self.rng = roll_policy, roll_expert, rng
        self.policy = self.expert = 0

    def seed(self) -> int:
        return int(self.rng.integers(2**31))

    def fails(self, thetas: Sequence[Perturbation]) -> list[bool]:
        """Whether the policy fails at each θ, on a fresh seed each."""
        self.policy += len(thetas)
        return [not o.success for o in self._roll_policy([Case(theta, self.seed()) for theta in thetas])]

    def witnessed(self, cases: Sequence[Case]) -> list[bool]:
        """Whether the expert succeeds at each case."""
        self.expert += len(cases)
        return [o.success for o in self._roll_expert(cases)]


class _Hunt:
    """The cases found in one pocket so far."""

    def __init__(self, name: str, bounds: Bounds, space: PerturbationSpace, config: SuiteConfig, meter: _Meter) -> None:
        self.name, self._bounds, self._space, self._config, self._meter = name, bounds, space, config, meter
        self.cases: list[Case] = []
        self.drawn = self.without_witness = 0

    @property
    def hopeless(self) -> bool:
        return self.drawn >= 40 and len(self.cases) < self._config.hopeless * self.drawn

    def draw(self, missing: int, most: int) -> list[Perturbation]:
        """Candidates: rather more than are missing, by the share accepted so far, but at most `most`."""
        share = Rate(len(self.cases), self.drawn).value if self.cases else 0.5
        count = min(most, max(1, round(missing / max(share, 0.25))))
        self.drawn += count
        return [sample_inside(self._space, self._bounds, self._meter.rng) for _ in range(count)]

    def add(self, thetas: Sequence[Perturbation]) -> None:
        """Keep the θ at which the expert succeeds on a fresh seed, with that seed."""
        found = _witnesses(thetas, self._config.witness_tries, self._meter)
        self.without_witness += len(thetas) - len(found)
        self.cases += found


def _fill(hunts: Sequence[_Hunt], config: SuiteConfig, meter: _Meter) -> None:
    """Draw until all cases are there, balanced over the pockets that can give any, or the budget is spent."""
    total = config.exam + config.dev
    while True:
        given_up = sum(len(h.cases) for h in hunts if h.hopeless)
        able = [h for h in hunts if not h.hopeless]
        share = -(-(total - given_up) // len(able)) if able else 0
        short = [h for h in able if len(h.cases) < share]
        most = (config.max_rollouts - meter.policy) // (config.tries * max(1, len(short)))
        if not short or most == 0:
            return
        batches = [(h, h.draw(share - len(h.cases), most)) for h in short]
        candidates = [theta for _, thetas in batches for theta in thetas]
        failing = iter(_persistent(candidates, config, meter))
        for hunt, thetas in batches:
            hunt.add([theta for theta in thetas if next(failing)])


def _persistent(thetas: Sequence[Perturbation], config: SuiteConfig, meter: _Meter) -> list[bool]:
    """Whether the policy fails `failures` of at most `tries` times at each θ; stops as soon as that is decided."""
    failed, passed = [0] * len(thetas), [0] * len(thetas)
    allowed = config.tries - config.failures
    while undecided := [i for i in range(len(thetas)) if failed[i] < config.failures and passed[i] <= allowed]:
        for i, fails in zip(undecided, meter.fails([thetas[i] for i in undecided]), strict=True):
            failed[i] += fails
            passed[i] += not fails
    return [count >= config.failures for count in failed]


def _witnesses(thetas: Sequence[Perturbation], tries: int, meter: _Meter) -> list[Case]:
    """For each θ the first of a few fresh seeds at which the expert succeeds; θ without one are left out."""
    found: dict[int, Case] = {}
    for _ in range(tries):
        cases = {i: Case(theta, meter.seed()) for i, theta in enumerate(thetas) if i not in found}
        succeeded = meter.witnessed(list(cases.values())) if cases else []
        found |= {i: case for (i, case), ok in zip(cases.items(), succeeded, strict=True) if ok}
    return [found[i] for i in sorted(found)]


def _uniform(space: PerturbationSpace, size: int, meter: _Meter) -> tuple[list[tuple[str, Case]], int]:
    """Uniform (θ, seed) that the expert masters, and how many were drawn for them."""
    kept: list[Case] = []
    drawn = 0
    while len(kept) < size:
        cases = [Case(space.sample(meter.rng), meter.seed()) for _ in range(size - len(kept))]
        drawn += len(cases)
        kept += [case for case, ok in zip(cases, meter.witnessed(cases), strict=True) if ok]
        if drawn >= 20 * size and len(kept) < size:
            raise StageFailedError(f"no uniform test: the expert succeeded at only {len(kept)} of {drawn} draws.")
    return [(EVERYWHERE, case) for case in kept], drawn


def _divide(
    cases: Mapping[str, Sequence[Case]], config: SuiteConfig, rng: np.random.Generator
) -> tuple[list[tuple[str, Case]], list[tuple[str, Case]]]:
    """Split every pocket's cases between exam and dev, by chance, in the ratio of their sizes."""
    total = config.exam + config.dev
    exam: list[tuple[str, Case]] = []
    dev: list[tuple[str, Case]] = []
    for name, own in _trimmed(cases, total).items():
        shuffled = [(name, own[i]) for i in rng.permutation(len(own)).tolist()]
        # Rounded so that the sums over pockets come out right, not each pocket by itself.
        before = len(exam) + len(dev)
        upto = (before + len(own)) * config.dev / total
        count = min(len(own), max(0, round(upto) - len(dev)))
        dev += shuffled[:count]
        exam += shuffled[count:]
    return exam, dev


def _trimmed(cases: Mapping[str, Sequence[Case]], total: int) -> dict[str, list[Case]]:
    """At most `total` cases, taken away where there are most."""
    kept = {name: list(own) for name, own in cases.items()}
    while sum(map(len, kept.values())) > total:
        max(kept.values(), key=len).pop()
    return kept
