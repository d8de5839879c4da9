"""`etude eval`: how often a policy succeeds, with what certainty, and how it fails."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table
from tyro.conf import Positional, arg

from etude.cli.drawing import Spread, draw_cases, make_draw
from etude.cli.executing import make_executor
from etude.cli.output import require_at_least, require_free, whole_folder
from etude.cli.policy import resolve_policy
from etude.cli.terminal import show, show_json, show_next, watch
from etude.core import Case, ConfigError, MismatchError, Outcome, PolicyFactory, Rate, Suite, Task
from etude.core.files import write_json


@dataclass(frozen=True, kw_only=True)
class Options:
    """Run a policy and measure its success, with a 95 % interval.

    The cases are those of a frozen suite, or drawn: nominal worlds by default. Outcomes do not depend on --processes.

    Examples:
        etude eval franka-stack:cubes=2 --policy runs/first --episodes 50 --out results/first
        etude eval franka-stack:cubes=2 --policy runs/first --suite search/first/exam.json --out results/exam
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
        execute: Actions of a predicted chunk to execute before the policy looks again.
        processes: Processes that run episodes; they do not change the result.
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
    execute: int = 8
    processes: int = 2
    json: bool = False


def run(options: Options) -> None:
    """Evaluate."""
    from etude.sim import make_task

    require_at_least(processes=options.processes, execute=options.execute)
    task = make_task(options.task)
    require_free(options.out, resumable=False)
    suite = load_suite(options.suite, task) if options.suite else None
    cases = choose_cases(options, task, suite)
    policy = resolve_policy(options.policy, task, execute=options.execute)

    from etude.evaluation import write_outcomes
    from etude.loop.stages import evaluate

    progress = watch()
    with whole_folder(options.out) as folder:
        with make_executor(options.processes) as executor:
            outcomes = evaluate(task, policy, cases, executor=executor, progress=progress)
        write_outcomes(folder / "outcomes.parquet", outcomes)
        asked = {"task": task.name, "policy": options.policy, "execute": options.execute, "seed": options.seed}
        summary = {**asked, "suite": {"name": suite.name, "hash": suite.hash} if suite else None, **summarise(outcomes)}
        write_json(folder / "summary.json", summary)
        with progress("videos", options.videos) as update:
            for done, outcome in enumerate(worth_seeing(outcomes, options.videos), 1):
                _record(task, policy, outcome, folder / "videos")
                update(done, "")
    if options.json:
        show_json(summary)
        return
    show(table(outcomes), "", f"outcomes, summary{' and videos' if options.videos else ''}: {options.out}")
    show_next(f"etude search {task.name} --policy {options.policy} --budget 400 --out search/{options.out.name}")


def load_suite(path: Path, task: Task) -> Suite:
    """Read a suite that must be of this task's space.

    Raises:
        MismatchError: It belongs to another space.
    """
    suite = Suite.load(path)
    if suite.space_hash != task.space.hash:
        raise MismatchError(
            f"suite '{path}' is of task '{suite.task}' (space {suite.space_hash}), "
            f"not of '{task.name}' (space {task.space.hash}): θ means something else there."
        )
    return suite


def choose_cases(options: Options, task: Task, suite: Suite | None) -> Sequence[Case]:
    """The cases that the options ask for.

    Raises:
        ConfigError: More than the suite has, none, or a suite together with a way of drawing.
    """
    if suite is None:
        count = 50 if options.episodes is None else options.episodes
        require_at_least(episodes=count)
        return draw_cases(make_draw(task.space, options.space, options.theta), count, options.seed)
    if options.theta or options.space != "nominal":
        raise ConfigError("--suite says which cases: leave out --theta and --space.")
    count = len(suite.cases) if options.episodes is None else options.episodes
    require_at_least(episodes=count)
    if count > len(suite.cases):
        raise ConfigError(f"--episodes {count}: suite '{options.suite}' has {len(suite.cases)} cases.")
    return suite.cases[:count]


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Rates and counts as plain JSON values."""
    rates = {"success": Rate.of([o.success for o in outcomes]), **subtask_rates(outcomes)}
    return {
        "rates": {name: {"k": r.k, "n": r.n, "low": r.low, "high": r.high} for name, r in rates.items()},
        "failure_modes": dict(Counter(o.failure_mode for o in outcomes if not o.success)),
        "progress": sum(o.progress for o in outcomes) / len(outcomes),
        "length": sum(o.length for o in outcomes) / len(outcomes),
    }


def subtask_rates(outcomes: Sequence[Outcome]) -> dict[str, Rate]:
    """How often each sub-task was reached, in the task's order."""
    return {name: Rate.of([o.subtasks.get(name, False) for o in outcomes]) for name in outcomes[0].subtasks}


def table(outcomes: Sequence[Outcome]) -> Table:
    """What a person reads: success, sub-tasks reached, and how it failed."""
    shown = Table("", "k/n", "rate", "95 % interval", box=None, header_style="bold")
    for name, rate in {"success": Rate.of([o.success for o in outcomes]), **subtask_rates(outcomes)}.items():
        label = name if name == "success" else f"  reached {name}"
        shown.add_row(label, f"{rate.k}/{rate.n}", f"{rate.value:.0%}", f"{rate.low:.0%}–{rate.high:.0%}")
    for mode, count in Counter(o.failure_mode for o in outcomes if not o.success).most_common():
        shown.add_row(f"  failed: {mode}", f"{count}/{len(outcomes)}", f"{count / len(outcomes):.0%}", "")
    return shown


def worth_seeing(outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """The failures first, those that came least far before the others."""
    return sorted(outcomes, key=lambda o: o.progress)[:count]


def _record(task: Task, policy: PolicyFactory, outcome: Outcome, folder: Path) -> None:
    from etude.evaluation import record_video

    folder.mkdir(exist_ok=True)
    end = "success" if outcome.success else outcome.failure_mode
    record_video(task, policy, outcome.case, folder / f"{end}-seed-{outcome.case.seed}.mp4")
