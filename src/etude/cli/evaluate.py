"""`etude eval`: how often a policy succeeds, with what certainty, and how it fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from tyro.conf import Positional, arg

from etude.cli.drawing import Spread, draw_cases, make_draw
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import resumable_folder
from etude.cli.policy import ExecutionOptions, execution_settings, resolve_policy
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import Case, ConfigError, Outcome, PolicyFactory, Suite, Task
from etude.core.files import write_json
from etude.loop.progress import Progress

if TYPE_CHECKING:
    from etude.evaluation import Summary
    from etude.policies.execution.latency import Latency


@dataclass(frozen=True, kw_only=True)
class Options(ExecutionOptions, WorkerOptions):
    """Run a policy and measure its success, with a 95 % interval.

    The cases are those of a frozen suite, or drawn: nominal worlds by default. Outcomes do not depend on --processes.
    An evaluation that was stopped, or killed, goes on with --resume.

    Examples:
        etude eval franka-stack:cubes=2 --policy runs/first --episodes 50 --out results/first
        etude eval franka-stack:cubes=2 --policy runs/first --suite search/first/exam.json --out results/exam
        etude eval franka-stack:cubes=2 --policy runs/first --execute 1 --ensemble 0.01 --out results/ensembled
        etude eval franka-stack:cubes=2 --policy runs/first --execute 8 --overlap 2 --smooth 0.3 --out results/smooth
        etude eval franka-stack:cubes=2 --policy expert --episodes 20 --space uniform --out results/expert --videos 3

    Attributes:
        task: Task, with settings if they differ from its defaults: NAME:key=value,key=value.
        policy: A checkpoint folder, `expert` or `random`.
        out: Folder for outcomes.parquet, summary.json and videos.
        episodes: How many cases; by default all of the suite, or 50.
        suite: File of a frozen suite, instead of drawing cases.
        seed: Fixes the cases that are drawn.
        space: Where perturbations come from: the nominal world, or all of the feasible space.
        theta: Factors to fix, in physical units; `etude tasks show TASK` lists them.
        videos: Record this many cases, failures first.
        resume: Continue an evaluation that was begun with the same options.
        json: Print the summary as one line of JSON, and nothing else.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    policy: str
    out: Path
    episodes: Annotated[int | None, arg(metavar="INT")] = None
    suite: Annotated[Path | None, arg(metavar="FILE")] = None
    seed: int = 0
    space: Spread = "nominal"
    theta: Annotated[tuple[str, ...], arg(metavar="FACTOR=VALUE …")] = ()
    videos: int = 0
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        WorkerOptions.__post_init__(self)
        episodes = 1 if self.episodes is None else self.episodes
        require_at_least(1, episodes=episodes)
        require_at_least(0, seed=self.seed, videos=self.videos)
        if self.suite and (self.theta or self.space != "nominal"):
            raise ConfigError("--suite says which cases: leave out --theta and --space.")


def run(options: Options) -> None:
    """Evaluate."""
    from etude.sim import make_task

    task = make_task(options.task)
    if options.videos and not task.cameras:
        raise ConfigError(f"--videos {options.videos}: task '{task.name}' has no cameras.")

    from etude.evaluation import summarise
    from etude.loop.stages import load_suite

    suite = load_suite(options.suite, task) if options.suite else None
    cases = choose_cases(options, task, suite)
    policy = resolve_policy(options.policy, task, options)
    progress = watch()
    asked = _asked(options, task, suite)
    with resumable_folder(options.out, {**asked, "episodes": len(cases)}, resume=options.resume) as folder:
        outcomes, latency = _outcomes(options, task, policy, cases, folder, progress)
        summary = summarise(outcomes)
        record = {**asked, **summary.to_json()}
        write_json(folder / "summary.json", record)
        _film(task, policy, outcomes, folder / "videos", options.videos, progress)
    if options.json:
        show_json({**record, "latency": latency.to_json() if latency else None})
        return
    written = "outcomes.parquet, summary.json" + (", videos" if options.videos else "")
    show(table(summary, task.subtasks), "", *([str(latency)] if latency else []), f"{written} in {options.out}")
    if options.policy in ("expert", "random"):
        show_next(f"etude collect {task.name} --episodes 50 --out data/first")
    else:
        show_next(f"etude search {task.name} --policy {options.policy} --budget 400 --out search/{options.out.name}")


def choose_cases(options: Options, task: Task, suite: Suite | None) -> Sequence[Case]:
    """The cases that the options ask for.

    Raises:
        ConfigError: More than the suite has.
    """
    if suite is None:
        count = 50 if options.episodes is None else options.episodes
        return draw_cases(make_draw(task.space, options.space, options.theta), count, options.seed)
    count = len(suite.cases) if options.episodes is None else options.episodes
    if count > len(suite.cases):
        raise ConfigError(f"--episodes {count}: suite '{options.suite}' has {len(suite.cases)} cases.")
    return suite.cases[:count]


def table(summary: "Summary", order: Sequence[str]) -> Table:
    """What a person reads: success, sub-tasks reached, and how it failed.

    Args:
        summary: The numbers.
        order: The sub-tasks, first to last.
    """
    shown = Table("", "k/n", "rate", "95 % interval", box=None, header_style="bold")
    reached = sorted(summary.subtasks.items(), key=lambda pair: order.index(pair[0]))
    failed = sorted(summary.failure_modes.items(), key=lambda pair: -pair[1].k)
    rows = {
        "success": summary.success,
        **{f"  reached {name}": rate for name, rate in reached},
        **{f"  failed: {mode.replace('_', ' ')}": rate for mode, rate in failed},
    }
    for label, rate in rows.items():
        shown.add_row(label, f"{rate.k}/{rate.n}", f"{rate.value:.0%}", f"{rate.low:.0%}–{rate.high:.0%}")
    return shown


def worth_seeing(outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """The failures first, those that came least far before the others."""
    return sorted(outcomes, key=lambda o: o.progress)[:count]


def _outcomes(
    options: Options, task: Task, policy: PolicyFactory, cases: Sequence[Case], folder: Path, progress: Progress
) -> "tuple[Sequence[Outcome], Latency | None]":
    """Run the cases that were not run yet, and keep all outcomes in `folder`; how long the network took for them."""
    from etude.evaluation import read_outcomes, write_outcomes
    from etude.loop.stages import evaluate
    from etude.policies.execution.latency import Latency, NetworkCall

    finished, journal = folder / "outcomes.parquet", folder / "journal.jsonl"
    if finished.exists():
        return read_outcomes(finished), None
    calls: list[NetworkCall] = []
    with make_executor(options) as executor:
        outcomes = evaluate(
            task, policy, cases, executor=executor, progress=progress, journal=journal, on_calls=calls.extend
        )
    write_outcomes(finished, outcomes)
    journal.unlink()
    return outcomes, Latency.of(calls)


def _asked(options: Options, task: Task, suite: Suite | None) -> dict[str, Any]:
    return {
        "task": task.name,
        "policy": options.policy,
        **execution_settings(options),
        "suite": {"name": suite.name, "hash": suite.hash} if suite else None,
        "drawn": None if suite else {"seed": options.seed, "space": options.space, "theta": list(options.theta)},
    }


def _film(
    task: Task, policy: PolicyFactory, outcomes: Sequence[Outcome], folder: Path, count: int, progress: Progress
) -> None:
    from etude.evaluation import record_video

    if not count:
        return
    folder.mkdir(exist_ok=True)
    with progress("videos", min(count, len(outcomes))) as update:
        for done, outcome in enumerate(worth_seeing(outcomes, count), 1):
            end = "success" if outcome.success else outcome.failure_mode
            record_video(task, policy, outcome.case, folder / f"{done:02d}-{end}-seed-{outcome.case.seed}.mp4")
            update(done, "")
