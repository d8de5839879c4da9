"""The search itself: a searcher proposes, rollouts answer, the archive keeps, until the budget is spent."""

from collections.abc import Callable, Sequence
from pathlib import Path

from etude.core import Case, Perturbation, Roll, Searcher, derive_seed
from etude.search.archive import Archive, ArchiveRow


def search_failures(
    searcher: Searcher,
    archive: Archive,
    roll_policy: Roll,
    *,
    budget: int,
    seed: int,
    name: str,
    round: int = 0,
    roll_expert: Roll | None = None,
    left: Archive | None = None,
    path: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ArchiveRow]:
    """Ask a searcher until its budget is spent, and add what becomes of its proposals to the archive.

    No (θ, seed) is rolled out that the archive, or `left`, already knows. So a search that was cut short continues by
    replay: begun anew with what it left, it comes to where it was for nothing, and ends where it would have ended.

    Args:
        searcher: Proposes perturbations; in its initial state.
        archive: Rows are added here.
        roll_policy: Runs the policy under search.
        budget: Rollouts of that policy.
        seed: Root of the cases' seeds.
        name: The searcher's name in the archive.
        round: Round of the loop.
        roll_expert: Runs the expert where the policy failed; where it fails too, the searcher is told severity 0.
        left: What the same search left when it was cut short.
        path: Where the archive is saved after every batch.
        progress: Told (rollouts done, budget) after every batch.

    Returns:
        The rows that the budget went on, in order.
    """
    spent: list[ArchiveRow] = []
    while len(spent) < budget:
        thetas = list(searcher.ask())
        cases = _cases(thetas[: budget - len(spent)], seed, name, round, len(spent))
        known = {case: archive.get(case) or (left.get(case) if left else None) for case in cases}
        missing = [case for case, row in known.items() if row is None]
        fresh = {row.case: row for row in _roll(missing, roll_policy, roll_expert, name, round)} if missing else {}
        rows = [known[case] or fresh[case] for case in cases]
        archive.extend(rows)
        if path and fresh:
            archive.save(path)
        spent += rows
        if progress:
            progress(len(spent), budget)
        if len(cases) == len(thetas):
            searcher.tell([row.told for row in rows])
    return spent


def _cases(thetas: Sequence[Perturbation], seed: int, name: str, round: int, done: int) -> list[Case]:
    return [Case(theta, derive_seed(seed, "search", name, round, done + i)) for i, theta in enumerate(thetas)]


def _roll(
    cases: Sequence[Case], roll_policy: Roll, roll_expert: Roll | None, name: str, round: int
) -> list[ArchiveRow]:
    outcomes = roll_policy(cases)
    failed = [o.case for o in outcomes if not o.success]
    answers = roll_expert(failed) if roll_expert and failed else ()
    expert = {answer.case: answer.success for answer in answers}
    return [
        ArchiveRow(
            case=o.case,
            severity=1.0 - o.progress,
            success=o.success,
            expert=expert.get(o.case),
            searcher=name,
            round=round,
        )
        for o in outcomes
    ]
