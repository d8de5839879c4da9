"""Two sides of a comparison: policies to be run on the same cases, or evaluations that were."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.cli.comparing.cases import SharedCases, choose_shared, shared_settings
from etude.cli.policy import ExecutionOptions, execution_settings, resolve_policy
from etude.core import Case, ConfigError, MismatchError, Outcome, PolicyFactory, Task, stream
from etude.core.files import read_json

OUTCOMES, SUMMARY = "outcomes.parquet", "summary.json"


@dataclass(frozen=True)
class Side:
    """One side: a policy, or several that differ in their training seed.

    Attributes:
        label: "a" or "b".
        names: As a person typed them.
        policies: What they stand for; none where nobody has to run them.
        outcomes: Of each, where they are known already; none where they are not.
    """

    label: str
    names: tuple[str, ...]
    policies: tuple[PolicyFactory, ...] = ()
    outcomes: tuple[Sequence[Outcome], ...] = field(default=(), repr=False)

    def file(self, index: int) -> str:
        """Name of the table of one policy's outcomes: a.parquet, or a-0.parquet where there are several."""
        return f"{self.label}{f'-{index}' if len(self.names) > 1 else ''}.parquet"


@dataclass(frozen=True)
class Contest:
    """Both sides and their cases.

    Attributes:
        a: The first side.
        b: The second.
        cases: What both run, in order.
        settings: What decides it, as JSON values.
    """

    a: Side
    b: Side
    cases: Sequence[Case]
    settings: dict[str, Any]


def names_of(text: str, side: str) -> tuple[str, ...]:
    """Read "runs/a-0,runs/a-1".

    Raises:
        ConfigError: An empty name, or the same twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ConfigError(f"{side} '{text}': name a policy, or several training seeds of it as FIRST,SECOND.")
    if len(set(names)) < len(names):
        raise ConfigError(f"{side} '{text}' names a policy twice: name other training seeds of it, or one.")
    return names


def is_evaluation(name: str) -> bool:
    """Whether a name is a folder that `etude eval` wrote."""
    return (Path(name) / OUTCOMES).exists()


def fresh_contest(
    a: Sequence[str],
    b: Sequence[str],
    task: Task,
    *,
    cases: SharedCases,
    execution: ExecutionOptions,
    shuffled: bool,
) -> Contest:
    """Policies, and the cases that they are to be run on.

    Args:
        a: Names of the first side's.
        b: Names of the second's.
        task: Where.
        cases: Which cases.
        execution: How chunks are executed.
        shuffled: Whether a suite's cases come in random order. They are sorted by pocket, and who looks before the end
            would see the first pocket only; drawn cases are in random order.

    Raises:
        ConfigError: A policy on both sides.
        EtudeError: A policy or suite that is not there, or not of this task.
    """
    from etude.loop.fingerprint import fingerprint
    from etude.loop.stages import load_suite

    suite = load_suite(cases.suite, task) if cases.suite else None
    chosen = choose_shared(cases, task, suite)
    if suite and shuffled:
        chosen = [chosen[i] for i in stream(cases.seed, "order").permutation(len(chosen)).tolist()]
    first = Side("a", tuple(a), tuple(resolve_policy(name, task, execution) for name in a))
    second = Side("b", tuple(b), tuple(resolve_policy(name, task, execution) for name in b))
    for name, policy in zip(a, first.policies, strict=True):
        if policy in second.policies:
            raise ConfigError(
                f"'{name}' is both A and B: name two policies. A policy differs from itself by chance only."
            )
    found = [fingerprint(task, policy) for policy in (*first.policies, *second.policies)]
    settings = {"a": list(a), "b": list(b), "fingerprints": found}
    settings |= {**execution_settings(execution), **shared_settings(cases, suite)}
    return Contest(first, second, chosen, {**settings, "episodes": len(chosen)})


def finished_contest(a: Sequence[str], b: Sequence[str], task: Task, *, films: bool) -> Contest:
    """Evaluations that were run on the same cases.

    Args:
        a: Folders of the first side's.
        b: Folders of the second's.
        task: Where.
        films: Whether their policies will be run again.

    Raises:
        MismatchError: An evaluation of another task, or of other cases.
    """
    from etude.evaluation import read_outcomes

    if set(a) & set(b):
        raise ConfigError(f"'{min(set(a) & set(b))}' is both A and B: name two evaluations.")
    cases = [outcome.case for outcome in read_outcomes(Path(a[0]) / OUTCOMES)]

    def side(label: str, names: Sequence[str]) -> Side:
        records = [_record(name, task) for name in names]
        policies = tuple(_policy_of(record, task) for record in records) if films else ()
        return Side(label, tuple(names), policies, tuple(_in_order(name, cases, a[0]) for name in names))

    settings = {"a": list(a), "b": list(b), "suite": None, "drawn": None, "episodes": len(cases)}
    return Contest(side("a", a), side("b", b), cases, settings)


def _record(name: str, task: Task) -> dict[str, Any]:
    record: dict[str, Any] = read_json(Path(name) / SUMMARY)
    if record.get("task") != task.name:
        raise MismatchError(f"'{name}' is an evaluation of task '{record.get('task')}', not of '{task.name}'.")
    return record


def _policy_of(record: dict[str, Any], task: Task) -> PolicyFactory:
    """The policy that was evaluated, executed as it was."""
    execution = ExecutionOptions(
        execute=record["execute"],
        ensemble=record["ensemble"],
        smooth=record["smooth"] or 0.0,
        overlap=record["overlap"] or 0,
    )
    return resolve_policy(record["policy"], task, execution)


def _in_order(name: str, cases: Sequence[Case], reference: str) -> list[Outcome]:
    """An evaluation's outcomes, in the order of the cases."""
    from etude.evaluation import read_outcomes

    found = {outcome.case: outcome for outcome in read_outcomes(Path(name) / OUTCOMES)}
    shared = sum(case in found for case in cases)
    if shared < len(cases) or shared < len(found):
        raise MismatchError(
            f"'{reference}' and '{name}' were not evaluated on the same cases ({shared} are shared, of {len(cases)} "
            f"and {len(found)}): evaluate both on one suite, or with the same --episodes, --seed, --space and --theta."
        )
    return [found[case] for case in cases]
