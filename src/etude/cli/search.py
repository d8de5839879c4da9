"""`etude search`: where a policy fails, as pockets and frozen suites."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import resumable_folder
from etude.cli.policy import ExecutionOptions, execution_settings, resolve_policy
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, Pocket, Task

if TYPE_CHECKING:
    from etude.loop.searching import SearchResult


@dataclass(frozen=True, kw_only=True)
class Options(ExecutionOptions, WorkerOptions):
    """Search the perturbation space for where a policy fails, confirm it with fresh rollouts, and freeze suites.

    Writes archive.parquet (every θ tried), pockets.json (boxes in which the policy fails and the expert does not), a
    picture of both (pockets.svg) and the suites exam.json and dev.json, whose cases the expert solved, with
    uniform.json and nominal.json.

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
        resume: Continue a search that was begun with the same options.
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
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        WorkerOptions.__post_init__(self)
        require_at_least(1, budget=self.budget, confirm=self.confirm, exam_cases=self.exam_cases)
        require_at_least(0, dev_cases=self.dev_cases, test_cases=self.test_cases, seed=self.seed)


def run(options: Options) -> None:
    """Search."""
    from etude.sim import make_task

    task = make_task(options.task)
    _require_searchable(task)
    policy = resolve_policy(options.policy, task, options)
    names = ("policy", "budget", "confirm", "exam_cases", "dev_cases", "test_cases", "seed")
    settings = {"task": task.name, **{name: getattr(options, name) for name in names}, **execution_settings(options)}

    from etude.loop.searching import SearchSettings, search_for_failures
    from etude.loop.stages import Arena, freeze_suites
    from etude.search import SuiteConfig

    with (
        resumable_folder(options.out, settings, resume=options.resume) as out,
        make_executor(options) as executor,
    ):
        arena = Arena(task, executor, watch())
        spent = SearchSettings(rollouts=options.budget, confirm=options.confirm)
        found = search_for_failures(arena, policy, out, settings=spent, seed=options.seed)
        tests = options.test_cases
        sizes = SuiteConfig(exam=options.exam_cases, dev=options.dev_cases, uniform=tests, nominal=tests)
        freeze_suites(arena, policy, found.pockets, out, sizes=sizes, seed=options.seed)
        _draw(out, task, found.pockets)
    if options.json:
        pockets = [pocket.to_json() for pocket in found.pockets]
        show_json({"out": str(out), "pockets": pockets, "rollouts": found.rollouts})
    else:
        _tell(options, task, found)


def _require_searchable(task: Task) -> None:
    """Raise, before anything is written, unless something can vary and an expert says where failing is no excuse."""
    if not task.space.factors:
        raise ConfigError(
            f"task '{task.name}' has no factors, so there is nothing to search: say what can vary with "
            "GymnasiumConfig(factors=…), as docs/any-environment.md shows; `etude eval` runs without."
        )
    task.expert()


def _draw(out: Path, task: Task, pockets: Sequence[Pocket]) -> None:
    from etude.loop.report import SearchRow
    from etude.loop.report.drawing.pocketmap import write_pocket_map
    from etude.loop.stages import ARCHIVE
    from etude.search import Archive

    rows = [
        SearchRow(theta=row.case.theta, seed=row.case.seed, severity=row.severity, success=row.success)
        for row in Archive.load(out / ARCHIVE, task.space).rows
    ]
    write_pocket_map(out / "pockets.svg", task.space, rows, pockets)


def _tell(options: Options, task: Task, found: "SearchResult") -> None:
    show(f"the policy fails {found.failures} of uniformly drawn cases", "")
    show(*(describe(pocket, task) for pocket in found.pockets))
    if not found.pockets and found.failures.value > 0.8:
        show("no pocket: it fails nearly everywhere, so train it more first. The exam is drawn from the whole space.")
    elif not found.pockets:
        show(
            "no pocket: nowhere does it fail clearly more often than elsewhere. The exam is drawn from the whole space."
        )
    show("", f"archive.parquet, pockets.json, pockets.svg and suites in {options.out}")
    suite = f"--suite {options.out}/exam.json --out results/{options.out.name}-exam"
    show_next(f"etude eval {task.name} --policy {options.policy} {suite}")


def describe(pocket: Pocket, task: Task) -> str:
    """A pocket in words."""
    return (
        f"{pocket.name}: {pocket.describe(task.space)}; the expert succeeds {pocket.expert} inside; "
        f"{pocket.volume:.1%} of the space"
    )
