"""`etude search`: where a policy fails, as pockets and frozen suites."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from etude.cli.executing import make_executor
from etude.cli.output import require_at_least, require_free, whole_folder
from etude.cli.policy import resolve_policy
from etude.cli.terminal import show, show_json, show_next, watch
from etude.core import Pocket, Task
from etude.loop.config import preset


@dataclass(frozen=True, kw_only=True)
class Options:
    """Search the perturbation space for where a policy fails, confirm it with fresh rollouts, and freeze suites.

    Writes archive.parquet (every θ tried), pockets.json (boxes in which the policy fails and the expert does not) and
    the suites exam.json and dev.json, whose cases the expert solved, with uniform.json and nominal.json.

    Examples:
        etude search franka-stack:cubes=2 --policy runs/first --budget 400 --out search/first
        etude eval franka-stack:cubes=2 --policy runs/second --suite search/first/exam.json --out results/exam

    Attributes:
        task: Task, with settings if they differ from its defaults: NAME:key=value,key=value.
        policy: A checkpoint folder, `expert` or `random`.
        out: Folder for the archive, the pockets and the suites.
        budget: Rollouts that the search may spend; confirming and freezing come on top.
        confirm: Fresh rollouts that confirm a pocket, inside and again outside.
        exam_cases: Cases of the exam.
        dev_cases: Cases of the dev suite.
        test_cases: Cases of the uniform and of the nominal suite.
        seed: Fixes all randomness.
        execute: Actions of a predicted chunk to execute before the policy looks again.
        processes: Processes that run episodes; they do not change the result.
        json: Print the pockets as one line of JSON, and nothing else.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    policy: str
    out: Path
    budget: int = 400
    confirm: int = 20
    exam_cases: int = 80
    dev_cases: int = 20
    test_cases: int = 100
    seed: int = 0
    execute: int = 8
    processes: int = 2
    json: bool = False


def run(options: Options) -> None:
    """Search."""
    from etude.sim import make_task

    counts = ("budget", "confirm", "exam_cases", "dev_cases", "test_cases", "execute", "processes")
    require_at_least(**{name: getattr(options, name) for name in counts})
    task = make_task(options.task)
    require_free(options.out, resumable=False)
    policy = resolve_policy(options.policy, task, execute=options.execute)
    config = replace(
        preset("demo", task.name, options.seed),
        search_rollouts=options.budget,
        confirm_rollouts=options.confirm,
        exam_cases=options.exam_cases,
        dev_cases=options.dev_cases,
        test_cases=options.test_cases,
    )

    from etude.loop.stages import load_pockets, search_for_failures

    with whole_folder(options.out) as folder, make_executor(options.processes) as executor:
        result = search_for_failures(
            task,
            policy,
            folder,
            settings=config.search_settings(freeze=True),
            seed=options.seed,
            executor=executor,
            progress=watch(),
            title="search",
        )
    pockets = load_pockets(options.out)
    if options.json:
        show_json({"out": str(options.out), "pockets": [pocket.to_json() for pocket in pockets], **result})
        return
    _tell(options, task, pockets)


def _tell(options: Options, task: Task, pockets: Sequence[Pocket]) -> None:
    show(*(describe(pocket) for pocket in pockets))
    if not pockets:
        show("no pocket: nowhere does the policy fail clearly more often than elsewhere where the expert succeeds.")
    show("", f"archive.parquet, pockets.json and suites in {options.out}")
    suite = f"--suite {options.out}/exam.json --out results/{options.out.name}-exam"
    show_next(f"etude eval {task.name} --policy {options.policy} {suite}")


def describe(pocket: Pocket) -> str:
    """A pocket in words."""
    return (
        f"{pocket.name}: {pocket.describe()}: fails {pocket.inside} inside, {pocket.outside} outside; "
        f"the expert succeeds {pocket.expert} inside; {pocket.volume:.1%} of the space"
    )
