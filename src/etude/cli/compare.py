"""`etude compare`: which of two policies is better, on the same cases."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from etude.cli.comparing.cases import SharedCases
from etude.cli.comparing.contest import Contest, finished_contest, fresh_contest, is_evaluation, names_of
from etude.cli.comparing.films import film_contested
from etude.cli.comparing.rolling import Outcomes, Rolling, keep, known_outcomes
from etude.cli.comparing.telling import told
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import resumable_folder
from etude.cli.policy import ExecutionOptions, execution_settings
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, Task
from etude.core.files import write_json
from etude.loop.progress import Progress

if TYPE_CHECKING:
    from etude.evaluation.comparison import Analysis, Stopping

_MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class Options(SharedCases, ExecutionOptions, WorkerOptions):
    """Find out which of two policies is better: both run the same cases, and are compared case by case.

    With --sequential both run a few cases at a time and stop as soon as it can be said; the verdict stays valid however
    often one looks. A and B may also be folders that `etude eval` wrote, of the same cases: nothing is run again.

    Examples:
        etude compare franka-stack runs/first runs/second --suite search/first/exam.json --out results/compared
        etude compare franka-stack runs/first runs/second --space uniform --sequential --out results/sooner
        etude compare franka-stack runs/a-0,runs/a-1,runs/a-2 runs/b-0,runs/b-1,runs/b-2 --out results/seeds
        etude compare franka-stack results/first results/second --videos 3 --out results/evaluated

    Attributes:
        task: Task, with settings if they differ from its defaults: NAME:key=value,key=value.
        a: A policy, or several training seeds of it as FIRST,SECOND,…; or evaluations.
        b: The other policy, written so too.
        out: Folder for comparison.json, a.parquet, b.parquet and videos.
        sequential: Look after every 16 cases, and stop when it can be said; --episodes is then how many at most.
        margin: With --sequential also stop when the success rates certainly differ by less than this; by default 0.05.
        alpha: How often a verdict may be wrong.
        videos: Record this many cases that only A solved, and as many that only B did, side by side.
        resume: Continue a comparison that was begun with the same options.
        json: Print comparison.json as one line, and nothing else.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    a: Annotated[Positional[str], arg(metavar="A")]
    b: Annotated[Positional[str], arg(metavar="B")]
    out: Path
    sequential: bool = False
    margin: Annotated[float | None, arg(metavar="SHARE")] = None
    alpha: float = 0.05
    videos: int = 0
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        SharedCases.__post_init__(self)
        ExecutionOptions.__post_init__(self)
        WorkerOptions.__post_init__(self)
        require_at_least(0, videos=self.videos)
        if not 0 < self.alpha < 1:
            raise ConfigError(f"--alpha {self.alpha:g}: needs a number between 0 and 1, such as 0.05.")
        if self.margin is not None and not 0 <= self.margin < 1:
            raise ConfigError(f"--margin {self.margin:g}: needs a share from 0 to below 1, such as 0.05 for 5 points.")
        if self.margin is not None and not self.sequential:
            raise ConfigError("--margin says when to stop early: add --sequential.")


def run(options: Options) -> None:
    """Compare."""
    from etude.evaluation.comparison import analyse
    from etude.sim import make_task

    task = make_task(options.task)
    if options.videos and not task.cameras:
        raise ConfigError(f"--videos {options.videos}: task '{task.name}' has no cameras: leave out --videos.")
    contest, stopping, progress = _contest(options, task), _stopping(options), watch()
    asked = {"task": task.name, **contest.settings, "alpha": options.alpha}
    asked |= {"margin": stopping.margin if stopping else None}
    with resumable_folder(options.out, asked, resume=options.resume) as folder:
        outcomes = _outcomes(options, task, contest, stopping, folder, progress)
        analysis = analyse(*outcomes, alpha=options.alpha, stopping=stopping, planned=len(contest.cases))
        record = _record(asked, contest, analysis)
        write_json(folder / "comparison.json", record)
        if options.videos:
            film_contested(task, contest, outcomes, analysis, folder / "videos", options.videos, progress)
    if options.json:
        show_json(record)
        return
    tables = [side.file(i) for side in (contest.a, contest.b) for i in range(len(side.names))]
    written = ["comparison.json", *tables, *(["videos"] if options.videos else [])]
    show(*told(contest, analysis, options.alpha), "", f"{', '.join(written)} in {options.out}")
    show_next(_next(options, task, contest, analysis))


def _next(options: Options, task: Task, contest: Contest, analysis: "Analysis") -> str:
    """Look for what the better one still fails at, or look longer, or look at the cases that decided it."""
    side = {"a": contest.a, "b": contest.b}.get(analysis.judgement.better)
    if analysis.judgement.better == "unclear" and not options.suite and not contest.a.outcomes:
        more = f"--episodes {4 * len(contest.cases)}{' --sequential' if analysis.seeds is None else ''}"
        return f"etude compare --config {options.out}/settings.json {more} --out {options.out}-longer"
    if side and not side.outcomes and side.names[0] not in ("expert", "random"):
        return f"etude search {options.task} --policy {side.names[0]} --budget 400 --out search/{options.out.name}"
    if task.cameras and not options.videos and (analysis.won or analysis.lost):
        return f"etude compare --config {options.out}/settings.json --videos 3 --resume --out {options.out}"
    return f"xdg-open {options.out / 'index.html'}"


def _contest(options: Options, task: Task) -> Contest:
    a, b = names_of(options.a, "A"), names_of(options.b, "B")
    evaluations = [name for name in (*a, *b) if is_evaluation(name)]
    if options.sequential and len(a) + len(b) > 2:
        raise ConfigError("--sequential looks at one policy a side: leave it out, or name one training seed of each.")
    if (len(a) == 1) != (len(b) == 1):
        raise ConfigError(f"A names {len(a)} and B {len(b)}: name at least two training seeds of each, or one of each.")
    if not evaluations:
        return fresh_contest(a, b, task, cases=options, execution=options, shuffled=options.sequential)
    if len(evaluations) < len(a) + len(b):
        raise ConfigError(
            f"'{evaluations[0]}' is an evaluation, and others are policies: name policies only, or evaluations only."
        )
    _require_nothing_else(options)
    return finished_contest(a, b, task, films=options.videos > 0)


def _require_nothing_else(options: Options) -> None:
    """Evaluations say what was run, and how."""
    default = SharedCases()
    cases = any(getattr(options, name) != getattr(default, name) for name in vars(default))
    if cases or options.sequential or execution_settings(options) != execution_settings(ExecutionOptions()):
        raise ConfigError(
            "A and B are finished evaluations: leave out --sequential and what says which cases are run, or how."
        )


def _outcomes(
    options: Options, task: Task, contest: Contest, stopping: "Stopping | None", folder: Path, progress: Progress
) -> tuple[Outcomes, Outcomes]:
    """What is known already, or what the sides do now; kept in the folder."""
    known = known_outcomes(contest, folder)
    if known is None:
        with make_executor(options) as executor:
            rolling = Rolling(task=task, executor=executor, folder=folder, progress=progress)
            known = rolling.in_turns(contest, stopping) if stopping else rolling.all(contest)
    keep(contest, known, folder)
    return known


def _stopping(options: Options) -> "Stopping | None":
    from etude.evaluation.comparison import Stopping

    margin = _MARGIN if options.margin is None else options.margin
    return Stopping(alpha=options.alpha, margin=margin) if options.sequential else None


def _record(asked: dict[str, Any], contest: Contest, analysis: "Analysis") -> dict[str, Any]:
    """What comparison.json holds."""
    record = {**{key: asked[key] for key in ("task", "suite", "drawn", "alpha", "margin")}, **analysis.to_json()}
    for side in (contest.a, contest.b):
        record[side.label]["policies"] = list(side.names)
    return record
