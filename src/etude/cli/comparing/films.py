"""Cases won and lost, both sides side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.comparing.contest import Contest
from etude.cli.comparing.rolling import Outcomes
from etude.core import Case, Outcome, PolicyFactory, Task
from etude.core.files import write_json
from etude.loop.progress import Progress

if TYPE_CHECKING:
    from etude.evaluation.comparison import Analysis


def film_contested(
    task: Task,
    contest: Contest,
    outcomes: tuple[Outcomes, Outcomes],
    analysis: "Analysis",
    folder: Path,
    count: int,
    progress: Progress,
) -> None:
    """Film the first `count` cases that A won, and that B won, and list them in videos.json.

    Of several training seeds the first is filmed that solved the case, and of the other side the first that did not.
    """
    from etude.evaluation import film, side_by_side

    shown = [("won", i, each.case) for i, each in enumerate(analysis.won[:count], 1)]
    shown += [("lost", i, each.case) for i, each in enumerate(analysis.lost[:count], 1)]
    listed: list[dict[str, Any]] = []
    with progress("videos", len(shown)) as update:
        for done, (kind, index, case) in enumerate(shown, 1):
            a, first = _choose(outcomes[0], contest.a.policies, case, success=kind == "won")
            b, second = _choose(outcomes[1], contest.b.policies, case, success=kind == "lost")
            file = f"{kind}-{index:02d}-seed-{case.seed}.mp4"
            if not (folder / file).exists():
                films = (film(task, policy, case, title=title) for title, policy in (("A", first), ("B", second)))
                side_by_side(*films).save(folder / file)
            listed.append({"file": file, "kind": kind, **case.to_json(), "a": _ended(a), "b": _ended(b)})
            update(done, "")
    write_json(folder / "videos.json", listed)


def _choose(
    outcomes: Outcomes, policies: Sequence[PolicyFactory], case: Case, *, success: bool
) -> tuple[Outcome, PolicyFactory]:
    """The first policy that ended this way at the case, with its outcome."""
    at_case = [next(outcome for outcome in of_one if outcome.case == case) for of_one in outcomes]
    index = next(i for i, outcome in enumerate(at_case) if outcome.success == success)
    return at_case[index], policies[index]


def _ended(outcome: Outcome) -> dict[str, Any]:
    return {"success": outcome.success, "failure_mode": outcome.failure_mode}
