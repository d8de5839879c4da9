"""Drawing the cases of suites: θ at which a policy fails again and again, with seeds at which the expert succeeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etude.core import Bounds, Case, ConfigError, Perturbation, PerturbationSpace, Rate, Roll, StageFailedError
from etude.search.pockets import sample_inside

EVERYWHERE = "everywhere"
"""Label of exam cases drawn from the whole space, because there was no pocket."""

_ROLLOUTS_PER_CASE, _ROLLOUTS_AT_LEAST = 20, 1000


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
        max_rollouts: Policy rollouts that may be spent; 0 stands for 20 a case of exam and dev, and 1,000 at least.
        hopeless: A pocket is given up when fewer than this share of at least 40 draws was accepted.
    """

    exam: int = 60
    dev: int = 20
    uniform: int = 100
    nominal: int = 60
    failures: int = 3
    tries: int = 4
    witness_tries: int = 3
    max_rollouts: int = 0
    hopeless: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.failures <= self.tries:
            raise ConfigError(f"needs 1 <= failures <= tries, got {self.failures} and {self.tries}.")
        if min(self.exam, self.witness_tries) < 1 or min(self.dev, self.uniform, self.nominal, self.max_rollouts) < 0:
            raise ConfigError("suite sizes and max_rollouts must be >= 0, the exam's and witness_tries >= 1.")
        if not self.max_rollouts:
            allowance = max(_ROLLOUTS_AT_LEAST, _ROLLOUTS_PER_CASE * (self.exam + self.dev))
            object.__setattr__(self, "max_rollouts", allowance)


class Meter:
    """Runs cases and counts them."""

    def __init__(self, roll_policy: Roll, roll_expert: Roll, rng: np.random.Generator) -> None:
        self._roll_policy, self._roll_expert, self.rng = roll_policy, roll_expert, rng
        self.policy = self.expert = 0

    def seed(self) -> int:
        """A fresh seed."""
        return int(self.rng.integers(2**31))

    def fails(self, thetas: Sequence[Perturbation]) -> list[bool]:
        """Whether the policy fails at each θ, on a fresh seed each."""
        self.policy += len(thetas)
        return [not o.success for o in self._roll_policy([Case(theta, self.seed()) for theta in thetas])]

    def witnessed(self, cases: Sequence[Case]) -> list[bool]:
        """Whether the expert succeeds at each case."""
        self.expert += len(cases)
        return [o.success for o in self._roll_expert(cases)]


class Source:
    """The cases found in one pocket so far."""

    def __init__(self, name: str, bounds: Bounds, space: PerturbationSpace, config: SuiteConfig, meter: Meter) -> None:
        self.name, self._bounds, self._space, self._config, self._meter = name, bounds, space, config, meter
        self.cases: list[Case] = []
        self.drawn = self.without_witness = 0

    @property
    def hopeless(self) -> bool:
        """Whether it gave so little that it is given up."""
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


def fill(sources: Sequence[Source], config: SuiteConfig, meter: Meter) -> None:
    """Draw until all cases are there, balanced over the pockets that can give any, or the budget is spent."""
    total = config.exam + config.dev
    while True:
        given_up = sum(len(one.cases) for one in sources if one.hopeless)
        able = [one for one in sources if not one.hopeless]
        share = -(-(total - given_up) // len(able)) if able else 0
        short = [one for one in able if len(one.cases) < share]
        most = (config.max_rollouts - meter.policy) // (config.tries * max(1, len(short)))
        if not short or most == 0:
            return
        batches = [(one, one.draw(share - len(one.cases), most)) for one in short]
        candidates = [theta for _, thetas in batches for theta in thetas]
        failing = iter(_persistent(candidates, config, meter))
        for source, thetas in batches:
            source.add([theta for theta in thetas if next(failing)])


def _persistent(thetas: Sequence[Perturbation], config: SuiteConfig, meter: Meter) -> list[bool]:
    """Whether the policy fails `failures` of at most `tries` times at each θ; stops as soon as that is decided."""
    failed, passed = [0] * len(thetas), [0] * len(thetas)
    allowed = config.tries - config.failures
    while undecided := [i for i in range(len(thetas)) if failed[i] < config.failures and passed[i] <= allowed]:
        for i, fails in zip(undecided, meter.fails([thetas[i] for i in undecided]), strict=True):
            failed[i] += fails
            passed[i] += not fails
    return [count >= config.failures for count in failed]


def _witnesses(thetas: Sequence[Perturbation], tries: int, meter: Meter) -> list[Case]:
    """For each θ the first of a few fresh seeds at which the expert succeeds; θ without one are left out."""
    found: dict[int, Case] = {}
    for _ in range(tries):
        cases = {i: Case(theta, meter.seed()) for i, theta in enumerate(thetas) if i not in found}
        succeeded = meter.witnessed(list(cases.values())) if cases else []
        found |= {i: case for (i, case), ok in zip(cases.items(), succeeded, strict=True) if ok}
    return [found[i] for i in sorted(found)]


def draw_uniform(space: PerturbationSpace, size: int, meter: Meter) -> tuple[list[tuple[str, Case]], int]:
    """Uniform (θ, seed) that the expert masters, and how many were drawn for them."""
    kept: list[Case] = []
    drawn = 0
    while len(kept) < size:
        cases = [Case(space.sample(meter.rng), meter.seed()) for _ in range(size - len(kept))]
        drawn += len(cases)
        kept += [case for case, ok in zip(cases, meter.witnessed(cases), strict=True) if ok]
        if drawn >= 20 * size and len(kept) < size:
            raise StageFailedError(
                f"no uniform test: the expert succeeded at only {len(kept)} of {drawn} uniform draws. Narrow the "
                "ranges of the task's factors to what it masters, or mend the expert."
            )
    return [(EVERYWHERE, case) for case in kept], drawn


def divide(
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
