"""`etude search`: where a policy fails, as pockets and frozen suites."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import resumable_folder
from etude.cli.policy import ExecutionOptions, execution_settings, execution_words, resolve_policy
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, Pocket, Task

if TYPE_CHECKING:
    from etude.loop.searching import SearchResult

_NEARLY_EVERYWHERE = 0.8


@dataclass(frozen=True, kw_only=True)
class Options(ExecutionOptions, WorkerOptions):
    """Search the perturbation space for where a policy fails, confirm it with fresh rollouts, and freeze suites.

    Writes archive.parquet (every θ tried), pockets.json (boxes in which the policy fails and the expert does not), a
    picture of both (pockets.svg) and the suites exam.json and dev.json, whose cases the expert solved, with
    uniform.json and nominal.json. search.json says who found what.

    Examples:
        etude search franka-stack:cubes=2 --policy runs/first --budget 400 --out search/first
        etude search franka-stack:cubes=2 --policy runs/first --searcher cross-entropy cma --no-suites --out search/two
        etude search franka-stack:cubes=2 --policy runs/first --archive search/first/archive.parquet --out search/more
        etude eval franka-stack:cubes=2 --policy runs/second --suite search/first/exam.json --out results/exam

    Attributes:
        task: Task, with settings if they differ from its defaults: NAME:key=value,key=value.
        policy: A checkpoint folder, or any other policy that `etude eval` takes.
        out: Folder for the archive, the pockets and the suites.
        budget: Rollouts that the search may spend; confirming and freezing come on top.
        searcher: Who searches, one or several: cross-entropy, random, sobol, grid, cma, quality-diversity. Half of the
            budget is drawn uniformly before them, to measure how much of the space fails; they share the rest, and one
            archive.
        archive: Archive of an earlier search of the same policy, to go on from.
        no_suites: Leave it at the search: freeze no suites.
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
    searcher: tuple[str, ...] = ("cross-entropy",)
    archive: Path | None = None
    no_suites: bool = False
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
    settings = {
        "task": task.name,
        **{name: getattr(options, name) for name in names},
        **execution_settings(options),
        # None as in settings that do not know of it
        "searcher": None if options.searcher == ("cross-entropy",) else list(options.searcher),
        "archive": str(options.archive) if options.archive else None,
        "no_suites": options.no_suites or None,
    }

    from etude.loop.fingerprint import fingerprint
    from etude.loop.searching import SearchSettings, search_for_failures
    from etude.loop.stages import Arena, freeze_suites
    from etude.search import Archive, SuiteConfig, require_installed

    search = SearchSettings(rollouts=options.budget, searchers=options.searcher, confirm=options.confirm)
    require_installed(search.searchers)
    known = Archive.load(options.archive, task.space, fingerprint(task, policy)) if options.archive else None
    with (
        resumable_folder(options.out, settings, resume=options.resume) as out,
        make_executor(options) as executor,
    ):
        arena = Arena(task, executor, watch())
        found = search_for_failures(arena, policy, out, settings=search, seed=options.seed, known=known)
        _draw(out, task, found.pockets)
        frozen = not options.no_suites and found.weaknesses > 0
        notes: tuple[str, ...] = ()
        if frozen:
            tests = options.test_cases
            sizes = SuiteConfig(exam=options.exam_cases, dev=options.dev_cases, uniform=tests, nominal=tests)
            notes = freeze_suites(arena, policy, found.pockets, out, sizes=sizes, seed=options.seed).notes
    if options.json:
        pockets = [pocket.to_json() for pocket in found.pockets]
        failures = [found.failures.k, found.failures.n]
        told = {"out": str(out), "pockets": pockets, "rollouts": found.rollouts, "failures": failures}
        show_json({**told, "weaknesses": found.weaknesses, "exam": str(out / "exam.json") if frozen else None})
    else:
        _tell(options, task, found, notes, frozen=frozen)


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

    rows = [SearchRow.of(row) for row in Archive.load(out / ARCHIVE, task.space).rows]
    write_pocket_map(out / "pockets.svg", task.space, rows, pockets)


def _tell(options: Options, task: Task, found: "SearchResult", notes: Sequence[str], *, frozen: bool) -> None:
    if not found.weaknesses:
        _tell_nothing(options, task, found)
        return
    show(f"the policy fails {found.failures} of uniformly drawn cases", "")
    show(*(describe(pocket, task) for pocket in found.pockets))
    exam = " The exam is drawn from the whole space." if frozen else ""
    if found.searched.k == found.searched.n:
        show(
            f"no pocket: it failed in all {found.searched.n} rollouts, so there are none to tell apart. "
            f"Collect broader demonstrations or train longer first.{exam}"
        )
    elif not found.pockets and found.failures.value > _NEARLY_EVERYWHERE:
        show(f"no pocket: it fails nearly everywhere, so train it more first.{exam}")
    elif not found.pockets:
        show(f"no pocket: nowhere does it fail clearly more often than elsewhere.{exam}")
    show(*notes)
    suites = " and suites" if frozen else ""
    show("", f"archive.parquet, pockets.json, search.json, pockets.svg{suites} in {options.out}")
    suite = f"--suite {options.out}/exam.json --out results/{options.out.name}-exam"
    if frozen:
        show_next(f"etude eval {task.name} --policy {options.policy}{execution_words(options)} {suite}")
    else:
        show_next(f"etude diagnose {options.out} --out diagnosis/{options.out.name}")


def _tell_nothing(options: Options, task: Task, found: "SearchResult") -> None:
    """Without a failure of the policy's own there is no exam, but there is a bound."""
    bound = f"at most {found.weakness_volume.high:.1%} of the space"
    drawn = f"95 %, from {found.weakness_volume.n} uniform draws"
    if found.searched.k == 0:
        show(f"no failures in {found.searched.n} rollouts: {bound} fails ({drawn}).")
    else:
        show(
            f"{found.searched.k} failures in {found.searched.n} rollouts, and the expert fails at every one of them as "
            f"well: in {bound} the policy fails where the expert does not ({drawn})."
        )
    show("No exam can be frozen without failures. A larger budget would find rarer ones.")
    more = f"--budget {10 * options.budget} --archive {options.out}/archive.parquet --out {options.out}-more"
    show_next(f"etude search {task.name} --policy {options.policy}{execution_words(options)} {more}")


def describe(pocket: Pocket, task: Task) -> str:
    """A pocket in words."""
    return (
        f"{pocket.name}: {pocket.describe(task.space)}; the expert succeeds {pocket.expert} inside; "
        f"{pocket.volume:.1%} of the space"
    )
