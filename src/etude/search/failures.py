"""The search itself: a searcher proposes, rollouts answer, the archive keeps, until the budget is spent."""

from collections.abc import Callable, Sequence
from pathlib import Path

from etude.core import Case, MismatchError, Outcome, Perturbation, Searcher, derive_seed
from etude.search.archive import Archive, ArchiveRow

type Roll = Callable[[Sequence[Case]], Sequence[Outcome]]
"""Runs cases and returns their outcomes, in order."""


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
    path: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Search until the archive holds `budget` rows of this searcher and round.

    A search that was cut short continues by replay: the fresh searcher is told again what the archive already knows, so
    it ends where it would have ended.

    Args:
        searcher: Proposes perturbations; in its initial state.
        archive: Rows are added here.
        roll_policy: Runs the policy under search.
        budget: Rollouts of that policy.
        seed: Root of the cases' seeds.
        name: The searcher's name in the archive.
        round: Round of the loop.
        roll_expert: Runs the expert where the policy failed; where it fails too, the searcher is told severity 0.
        path: Where the archive is saved after every batch.
        progress: Told (rollouts done, budget) after every batch.

    Raises:
        MismatchError: The archive holds rows of this searcher and round that it would not have proposed.
    """
    known = [row for row in archive.rows if (row.searcher, row.round) == (name, round)]
    done = 0
    while done < budget:
        thetas = list(searcher.ask())
        cases = _cases(thetas[: budget - done], seed, name, round, done)
        rows = _replay(known[done : done + len(cases)], cases)
        if len(rows) < len(cases):
            rows += (fresh := _roll(cases[len(rows) :], roll_policy, roll_expert, name, round))
            archive.extend(fresh)
            if path:
                archive.save(path)
        done += len(cases)
        if progress:
            progress(done, budget)
        if len(cases) == len(thetas):
            searcher.tell([row.severity if row.weakness else 0.0 for row in rows])


def _cases(thetas: Sequence[Perturbation], seed: int, name: str, round: int, done: int) -> list[Case]:
    return [Case(theta, derive_seed(seed, "search", name, round, done + i)) for i, theta in enumerate(thetas)]


def _replay(rows: Sequence[ArchiveRow], cases: Sequence[Case]) -> list[ArchiveRow]:
    if [row.case for row in rows] != list(cases[: len(rows)]):
        raise MismatchError("the archive holds rows of another search: same searcher and round, but other cases.")
    return list(rows)


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
