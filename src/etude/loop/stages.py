"""The stages of a round after its training, each usable alone: evaluate, search, freeze suites, sit them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etude.core import (
    Case,
    Executor,
    MismatchError,
    Outcome,
    Pocket,
    PolicyFactory,
    Rate,
    Searcher,
    Suite,
    Task,
    stream,
)
from etude.core.files import read_json, write_json
from etude.evaluation import Expert, Runner, write_outcomes
from etude.evaluation.runner import OnCalls
from etude.loop.progress import Progress, silent
from etude.search import (
    Archive,
    ConfirmConfig,
    CrossEntropyConfig,
    RandomSearch,
    SuiteConfig,
    SuiteReport,
    build_suites,
    confirm_pockets,
    find_boxes,
    search_failures,
)
from etude.search.failures import Roll

ARCHIVE, POCKETS = "archive.parquet", "pockets.json"
UNIFORM = "uniform"
"""Name in the archive of the rollouts that were drawn uniformly."""
TESTS = {"exam": "exam.json", "uniform_test": "uniform.json", "nominal": "nominal.json"}
"""What every policy sits -> file of the suite."""


def evaluate(
    task: Task,
    policy: PolicyFactory,
    cases: Sequence[Case],
    *,
    executor: Executor,
    progress: Progress = silent,
    title: str = "evaluate",
    journal: Path | None = None,
    on_calls: OnCalls | None = None,
) -> list[Outcome]:
    """Run a policy on every case.

    Args:
        task: Where.
        policy: Who.
        cases: What.
        executor: Where the episodes run; it does not change the outcomes.
        progress: Shows how far it is.
        title: What the progress is called.
        journal: File that keeps finished cases, so that a killed evaluation goes on.
        on_calls: Told how long the policy's network took.

    Returns:
        Outcomes in the order of the cases.
    """
    outcomes: list[Outcome] = []
    with progress(title, len(cases)) as update:
        for outcome in Runner(task, policy, executor).stream(cases, journal=journal, on_calls=on_calls):
            outcomes.append(outcome)
            update(len(outcomes), f"{sum(o.success for o in outcomes)}/{len(outcomes)} succeed")
    return outcomes


@dataclass(frozen=True)
class Arena:
    """Where policies are tried: a task, what its episodes run on, and who is told how far they are.

    Attributes:
        task: Where.
        executor: Where the episodes run; it does not change the outcomes.
        progress: Shows how far it is.
    """

    task: Task
    executor: Executor
    progress: Progress = silent

    def evaluate(
        self, policy: PolicyFactory, cases: Sequence[Case], *, title: str = "", journal: Path | None = None
    ) -> list[Outcome]:
        """Run a policy on every case; without a title nobody is told how far it is."""
        progress = self.progress if title else silent
        executor = self.executor
        return evaluate(self.task, policy, cases, executor=executor, progress=progress, title=title, journal=journal)

    def policy(self, policy: PolicyFactory, title: str = "") -> Roll:
        """The function that runs cases with a policy."""
        return lambda cases: self.evaluate(policy, cases, title=title)

    def expert(self, title: str = "") -> Roll:
        """The same for the task's expert."""
        return self.policy(Expert(self.task), title)


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What a search for failures may spend.

    Attributes:
        rollouts: Rollouts of the policy that look for failures.
        uniform_share: Share of them drawn uniformly; the rest follow the cross-entropy search.
        confirm: Fresh rollouts inside each box, and twice as many outside all, that make it a pocket.
    """

    rollouts: int = 400
    uniform_share: float = 0.5
    confirm: int = 20


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found and spent.

    Attributes:
        pockets: Confirmed pockets, the worst first.
        rollouts: Rollouts of the policy spent on finding and confirming them.
        failures: Failures among the uniform rollouts of the search, k of n: the volume of failure.
    """

    pockets: tuple[Pocket, ...]
    rollouts: int
    failures: Rate


def search_for_failures(
    arena: Arena, policy: PolicyFactory, out: Path, *, settings: SearchSettings, seed: int, title: str = "search"
) -> SearchResult:
    """Search where a policy fails and the expert does not, and confirm the pockets with fresh rollouts.

    Leaves `archive.parquet` and `pockets.json` in `out`; continues from an archive that is there.
    """
    space, archive_path = arena.task.space, out / ARCHIVE
    archive = Archive.load(archive_path, space) if archive_path.exists() else Archive(space)

    roll_policy, roll_expert = arena.policy(policy), arena.expert()
    uniform = round(settings.uniform_share * settings.rollouts)
    batch = max(4, min(40, settings.rollouts // 8))
    cross_entropy = CrossEntropyConfig(batch=batch)
    searchers: list[tuple[str, int, Searcher]] = [
        (UNIFORM, uniform, RandomSearch(space, stream(seed, UNIFORM), batch=batch)),
        ("cross-entropy", settings.rollouts - uniform, cross_entropy.create(space, stream(seed, "cross-entropy"))),
    ]
    with arena.progress(f"{title}: search for failures", settings.rollouts) as update:
        for name, budget, searcher in searchers:
            before = 0 if name == UNIFORM else uniform
            search_failures(
                searcher,
                archive,
                roll_policy,
                budget=budget,
                seed=seed,
                name=name,
                roll_expert=roll_expert,
                path=archive_path,
                progress=lambda done, _total, before=before: update(before + done, ""),
            )
    boxes = find_boxes(space, archive.points(), archive.weaknesses())
    confirmed = confirm_pockets(
        space,
        boxes,
        arena.policy(policy, f"{title}: confirm pockets"),
        roll_expert,
        ConfirmConfig(inside=settings.confirm, outside=2 * settings.confirm),
        stream(seed, "confirm"),
    )
    kinds = {"pockets": confirmed.pockets, "refuted": confirmed.refuted}
    write_json(out / POCKETS, {kind: [pocket.to_json() for pocket in pockets] for kind, pockets in kinds.items()})
    drawn = [row for row in archive.rows if row.searcher == UNIFORM]
    return SearchResult(
        pockets=confirmed.pockets,
        rollouts=settings.rollouts + confirmed.policy_rollouts,
        failures=Rate.of([not row.success for row in drawn]),
    )


def freeze_suites(
    arena: Arena,
    policy: PolicyFactory,
    pockets: Sequence[Pocket],
    out: Path,
    *,
    sizes: SuiteConfig,
    seed: int,
    title: str = "freeze the exam",
) -> SuiteReport:
    """Draw exam, dev, uniform and nominal suites from a baseline and its pockets, and write them to `out` for good."""
    suites = build_suites(
        arena.task.space,
        arena.task.name,
        pockets,
        arena.policy(policy, title),
        arena.expert(),
        sizes,
        stream(seed, "suites"),
    )
    suites.save(out)
    write_json(out / "building.json", suites.report.to_json())
    return suites.report


def load_pockets(search: Path) -> tuple[Pocket, ...]:
    """The confirmed pockets that a search left in its folder."""
    return tuple(Pocket.from_json(record) for record in read_json(search / POCKETS)["pockets"])


def sit_suites(
    arena: Arena, policy: PolicyFactory, suites: Path, out: Path, *, title: str = "evaluate"
) -> dict[str, Rate]:
    """Run a policy on the exam, the uniform and the nominal test found in `suites`; outcomes go to `out`.

    Raises:
        MismatchError: A suite that was changed, or of another space.
    """
    tests = {test: load_suite(suites / file, arena.task) for test, file in TESTS.items()}
    cases = [case for suite in tests.values() for case in suite.cases]
    journal = out / "journal.jsonl"
    outcomes = arena.evaluate(policy, cases, title=title, journal=journal)
    rates: dict[str, Rate] = {}
    for test, suite in tests.items():
        own, outcomes = outcomes[: len(suite.cases)], outcomes[len(suite.cases) :]
        write_outcomes(out / f"{test}.parquet", own)
        rates[test] = Rate.of([outcome.success for outcome in own])
    journal.unlink(missing_ok=True)
    return rates


def load_suite(path: Path, task: Task) -> Suite:
    """Read a suite and check that it is of the task's space.

    Raises:
        MismatchError: A suite that was changed, or of another space.
    """
    suite = Suite.load(path)
    if suite.space_hash != task.space.hash:
        raise MismatchError(
            f"suite '{path}' was made for {suite.task} (space {suite.space_hash}); "
            f"{task.name} has space {task.space.hash}."
        )
    return suite
