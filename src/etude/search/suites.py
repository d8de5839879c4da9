"""Exam, dev, uniform and nominal suites: drawn once, from one baseline, before any arm has data.

A θ enters exam or dev only if the baseline failed at it 3 times in at most 4 tries. That choice alone would make any
other policy look better, so the suite's cases carry *fresh* seeds, on which the baseline is measured again; and the
expert must have succeeded at that very (θ, seed), or the exam would measure the impossible.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import Bounds, Case, Perturbation, PerturbationSpace, Pocket, Roll, StageFailedError, Suite
from etude.search.drawing import EVERYWHERE, Meter, Source, SuiteConfig, divide, draw_uniform, fill


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
        notes: What a person should know of them, a sentence each: what is missing and why, pockets given up.
    """

    drawn: Mapping[str, int]
    accepted: Mapping[str, int]
    without_witness: Mapping[str, int]
    uniform_drawn: int
    policy_rollouts: int
    expert_rollouts: int
    complete: bool
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "SuiteReport":
        """The inverse of to_json."""
        fields: dict[str, Any] = {**record, "notes": tuple(record["notes"])}
        return SuiteReport(**fields)


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
        StageFailedError: Not one θ failed often enough, or the expert succeeds hardly anywhere.
    """
    meter = Meter(roll_policy, roll_expert, rng)
    boxes: dict[str, Bounds] = {p.name: p.bounds for p in pockets} or {EVERYWHERE: {}}
    sources = [Source(name, bounds, space, config, meter) for name, bounds in boxes.items()]
    fill(sources, config, meter)
    exam, dev = divide({source.name: source.cases for source in sources}, config, rng)
    if not exam:
        raise StageFailedError(_why_no_exam(sources, config))
    uniform, drawn = draw_uniform(space, config.uniform, meter)
    nominal = [(EVERYWHERE, Case(Perturbation(), meter.seed())) for _ in range(config.nominal)]
    report = SuiteReport(
        drawn={one.name: one.drawn for one in sources},
        accepted={one.name: len(one.cases) for one in sources},
        without_witness={one.name: one.without_witness for one in sources},
        uniform_drawn=drawn,
        policy_rollouts=meter.policy,
        expert_rollouts=meter.expert,
        complete=len(exam) + len(dev) == config.exam + config.dev,
        notes=tuple(_notes(sources, config, meter, len(exam), len(dev))),
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


def _why_no_exam(sources: Sequence[Source], config: SuiteConfig) -> str:
    """One line, with what to do."""
    drawn, beyond = sum(one.drawn for one in sources), sum(one.without_witness for one in sources)
    often = f"{config.failures} of {config.tries} times"
    if beyond:
        return f"no exam: of {drawn} perturbations {beyond} failed {often}, but there the expert failed, too; mend it."
    return (
        f"no exam: of {drawn} perturbations none failed {often}: failures are rare, or chance. Search with a larger "
        "budget, or compare policies on uniform cases."
    )


def _notes(sources: Sequence[Source], config: SuiteConfig, meter: Meter, exam: int, dev: int) -> Iterator[str]:
    """What is missing, and why."""
    for source in sources:
        if source.hopeless or source.without_witness > len(source.cases):
            often = f"failed {config.failures} of {config.tries} times"
            yield (
                f"{source.name}: of {source.drawn} draws {len(source.cases)} {often} where the expert succeeds, "
                f"{source.without_witness} where it fails, too."
            )
    if exam + dev < config.exam + config.dev:
        spent = meter.policy > config.max_rollouts - config.tries * len(sources)
        no_more = "the space gives no more" if sources[0].name == EVERYWHERE else "no pocket gives more"
        why = f"the {config.max_rollouts} rollouts for it are spent" if spent else no_more
        yield f"exam and dev have {exam} and {dev} of {config.exam} and {config.dev} cases: {why}."
