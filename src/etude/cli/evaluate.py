"""`etude eval`: how often a policy succeeds, with what certainty, and how it fails."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from etude.cli.cases import CaseOptions, Chosen, case_settings, choose_cases
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import resumable_folder
from etude.cli.policy import ExecutionOptions, execution_settings, execution_words, resolve_policy
from etude.cli.rates import means, parts_tables, summary_table, theta_words, troubles
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, Executor, Outcome, PolicyFactory, Task
from etude.core.files import read_json, write_json
from etude.loop.progress import Progress

if TYPE_CHECKING:
    from etude.evaluation import Breakdown, Summary
    from etude.policies.execution.latency import Latency

OUTCOMES, MATCHED, SUMMARY, TIMING = "outcomes.parquet", "matched.parquet", "summary.json", "timing.json"
"""What an evaluation leaves; docs/evaluation.md says what is in them."""


@dataclass(frozen=True, kw_only=True)
class Options(CaseOptions, ExecutionOptions, WorkerOptions):
    """Run a policy and measure its success, with a 95 % interval.

    The cases are those of a frozen suite, or drawn: nominal worlds by default. Outcomes do not depend on --processes.
    An evaluation that was stopped, or killed, goes on with --resume.

    Examples:
        etude eval franka-stack:cubes=2 --policy runs/first --episodes 50 --out results/first
        etude eval franka-stack:cubes=2 --policy runs/first --suite search/first/exam.json --out results/exam
        etude eval franka-stack:cubes=2 --policy runs/first --execute 8 --overlap 2 --smooth 0.3 --out results/smooth
        etude eval franka-stack:cubes=2 --policy expert --episodes 20 --space uniform --out results/expert --videos 3
        etude eval franka-stack:cubes=2 --policy runs/first --space factors --out results/factors
        etude eval franka-stack:cubes=2 --policy runs/first --grid light.intensity=0.4:1.3:4 cube.scale=0.9,1.1 --out g
        etude eval franka-stack:cubes=2 --policy replay:data/first --out results/replay

    Attributes:
        task: Task, with settings if they differ from its defaults: NAME:key=value,key=value.
        policy: A checkpoint folder, `expert`, `random`, `replay:DATASET` (recorded episodes), `planted:FILE` (the
            expert made to fail) or ws://HOST:PORT (a server).
        out: Folder for outcomes.parquet, summary.json, timing.json and videos.
        videos: Record this many cases: failures of every mode in turn, those that came least far first.
        resume: Continue an evaluation that was begun with the same options.
        json: Print the summary as one line of JSON, and nothing else.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    policy: str
    out: Path
    videos: int = 0
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        CaseOptions.__post_init__(self)
        ExecutionOptions.__post_init__(self)
        WorkerOptions.__post_init__(self)
        require_at_least(0, videos=self.videos)


def run(options: Options) -> None:
    """Evaluate."""
    from etude.sim import make_task

    task = make_task(options.task)
    if options.videos and not task.cameras:
        raise ConfigError(f"--videos {options.videos}: task '{task.name}' has no cameras.")

    from etude.evaluation import break_down, summarise

    policy = resolve_policy(options.policy, task, options)
    chosen = choose_cases(options, task, policy)
    progress = watch()
    asked = _asked(options, task, policy, chosen)
    with (
        resumable_folder(options.out, {**asked, "episodes": len(chosen.cases)}, resume=options.resume) as folder,
        make_executor(options) as executor,
    ):
        outcomes, matched = _outcomes(task, policy, chosen, folder, executor, progress)
        summary = summarise(outcomes)
        breakdown = break_down(outcomes, task.space, matched=matched, labels=chosen.labels, cells=chosen.grid)
        infeasible = [{"theta": dict(theta.values), "reason": reason} for theta, reason in chosen.infeasible]
        record = {**asked, **summary.to_json(), **breakdown.to_json(), "infeasible": infeasible}
        write_json(folder / SUMMARY, record)
        _film(task, policy, outcomes, folder / "videos", options.videos, executor, progress)
    for line in troubles([*outcomes, *matched]):
        print(f"etude: {line}", file=sys.stderr)
    if options.json:
        latency = _latency(folder)
        show_json({**record, "latency": latency.to_json() if latency else None})
    else:
        _tell(options, task, summary, breakdown, chosen)


def _outcomes(
    task: Task, policy: PolicyFactory, chosen: Chosen, folder: Path, executor: Executor, progress: Progress
) -> tuple[Sequence[Outcome], Sequence[Outcome]]:
    """Run the cases that were not run yet, and keep all outcomes in `folder`: of the cases, and of the matched ones."""
    from etude.evaluation import read_outcomes, write_outcomes
    from etude.loop.stages import evaluate
    from etude.policies.execution.latency import Latency, NetworkCall

    finished, journal = folder / OUTCOMES, folder / "journal.jsonl"
    if finished.exists():
        journal.unlink(missing_ok=True)
        return read_outcomes(finished), read_outcomes(folder / MATCHED) if chosen.matched else []
    calls: list[NetworkCall] = []
    cases = [*chosen.cases, *chosen.matched]
    both = evaluate(task, policy, cases, executor=executor, progress=progress, journal=journal, on_calls=calls.extend)
    outcomes, matched = both[: len(chosen.cases)], both[len(chosen.cases) :]
    latency = Latency.of(calls)
    write_json(folder / TIMING, {"latency": latency.to_json() if latency else None})
    if matched:
        write_outcomes(folder / MATCHED, matched)
    write_outcomes(finished, outcomes)  # the last: where it is, all is
    journal.unlink()
    return outcomes, matched


def _asked(options: Options, task: Task, policy: PolicyFactory, chosen: Chosen) -> dict[str, Any]:
    from etude.loop.fingerprint import fingerprint

    asked = {"task": task.name, "policy": options.policy, "fingerprint": fingerprint(task, policy)}
    return {**asked, **execution_settings(options), **case_settings(options, chosen)}


def _latency(folder: Path) -> "Latency | None":
    """What the network took, when the outcomes were made."""
    from etude.policies.execution.latency import Latency

    record = read_json(folder / TIMING)["latency"] if (folder / TIMING).exists() else None
    return Latency.from_json(record) if record else None


def _film(
    task: Task,
    policy: PolicyFactory,
    outcomes: Sequence[Outcome],
    folder: Path,
    count: int,
    executor: Executor,
    progress: Progress,
) -> None:
    from etude.evaluation import film_cases, worth_seeing

    if not count:
        return
    folder.mkdir(exist_ok=True)
    indices = worth_seeing(outcomes, count)
    with progress("videos", len(indices)) as update:
        for done, _ in enumerate(film_cases(task, policy, outcomes, indices, folder, executor), 1):
            update(done, "")


def _tell(options: Options, task: Task, summary: "Summary", breakdown: "Breakdown", chosen: Chosen) -> None:
    """Show what a person reads."""
    show(summary_table(summary, breakdown, task.subtasks), "", means(summary))
    for table in parts_tables(breakdown):
        show("", table)
    show("")
    if chosen.infeasible:
        theta, reason = chosen.infeasible[0]
        cells = len(breakdown.cells) + len(chosen.infeasible)
        cell = theta_words(theta)
        show(f"{len(chosen.infeasible)} of {cells} cells are infeasible and left out, the first {cell}: {reason}.")
    extra = [*([MATCHED] if chosen.matched else []), *(["videos"] if options.videos else [])]
    if latency := _latency(options.out):
        show(str(latency))
    show(f"{', '.join([OUTCOMES, SUMMARY, TIMING, *extra])} in {options.out}")
    show_next(_next(options, task))


def _next(options: Options, task: Task) -> str:
    if options.policy in ("expert", "random"):
        return f"etude collect {task.name} --episodes 50 --out data/first"
    if options.policy.startswith("replay:"):
        return f"etude train --dataset {options.policy.split(':')[1]} --policy flow --out runs/first"
    same = f"--policy {options.policy}{execution_words(options)}"
    return f"etude search {task.name} {same} --budget 400 --out search/{options.out.name}"
