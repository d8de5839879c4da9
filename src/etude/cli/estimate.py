"""`etude estimate`: how many demonstrations each pocket takes, before they are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.table import Table
from tyro.conf import Positional, arg

from etude.cli.datasets import parse_datasets, require_one_space
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.made import known_execution, known_settings
from etude.cli.output import resumable_folder
from etude.cli.policy import resolve_policy
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, EtudeError, PerturbationSpace, Pocket, Task, describe_bounds

if TYPE_CHECKING:
    from etude.acquisition.needs import Need
    from etude.loop.practice.needs import NeedSettings
    from etude.policies import CheckpointPolicy


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Estimate how many demonstrations each pocket of a search takes, before any is made in earnest.

    Measures the expert's success inside every pocket, and the policy's after short trainings on a few demonstrations
    from inside all pockets: a small learning curve for each, extrapolated to the success wanted, with its uncertainty.
    Writes needs.json, needs.svg and the plan that divides --budget among the pockets.

    Examples:
        etude estimate search/first --dataset data/first --out needs/first
        etude estimate search/first --dataset data/first --counts 0 20 60 --budget 200 --out needs/first

    Attributes:
        search: Folder of a search that confirmed pockets.
        dataset: What the policy was trained on, with the weights.
        out: Folder for what is measured.
        policy: The policy's checkpoint; by default the one that was searched.
        counts: Demonstrations from inside each pocket to train with, rising from 0.
        cases: Rollouts inside each pocket after each training, and of the expert.
        steps: Gradient steps of each training.
        batch_size: Windows per gradient step.
        new_share: Sampling weight of the demonstrations from inside pockets.
        target: Success wanted inside a pocket, as a share of the expert's there.
        budget: Demonstrations to divide among the pockets.
        seed: Fixes all randomness.
        threads: Threads to train with; part of the result, to the last bit.
        resume: Continue an estimate that was begun with the same options.
        json: Print the needs as one line of JSON, and nothing else.
    """

    search: Annotated[Positional[Path], arg(metavar="DIR")]
    dataset: Annotated[tuple[str, ...], arg(metavar="DATASET[:WEIGHT] …")]
    out: Path
    policy: Annotated[str | None, arg(metavar="POLICY")] = None
    counts: Annotated[tuple[int, ...], arg(metavar="INT …")] = (0, 10, 20, 40)
    cases: int = 20
    steps: int = 600
    batch_size: int = 64
    new_share: Annotated[float, arg(metavar="SHARE")] = 0.5
    target: Annotated[float, arg(metavar="SHARE")] = 0.8
    budget: Annotated[int | None, arg(metavar="INT")] = None
    seed: int = 0
    threads: int = 2
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        require_at_least(1, cases=self.cases, steps=self.steps, batch_size=self.batch_size, threads=self.threads)
        require_at_least(0, seed=self.seed, budget=self.budget or 0)


def run(options: Options) -> None:
    """Estimate."""
    from etude.sim import make_task

    _require_search(options.search)
    known = known_settings(options.search)
    task = make_task(known["task"])
    pockets = _pockets(options.search)
    policy = _checkpoint(options, task, options.policy or known.get("policy"))
    datasets = parse_datasets(options.dataset)
    require_one_space(datasets, resized=True)
    settings = _settings(options)

    from etude.loop.practice.needs import Measuring, write_practice
    from etude.loop.stages import Arena

    names = ("counts", "cases", "steps", "batch_size", "new_share", "target", "seed", "threads")
    told = {name: getattr(options, name) for name in names}
    told |= {name: list(value) for name, value in told.items() if isinstance(value, tuple)}
    told["dataset"] = [[str(dataset.root), dataset.weight] for dataset in datasets]  # paths may be written differently
    asked = {"task": task.name, "search": str(options.search), "policy": policy.path, **told}
    with resumable_folder(options.out, asked, resume=options.resume) as out, make_executor(options) as executor:
        needs = Measuring(
            arena=Arena(task, executor, watch()),
            policy=policy,
            pockets=pockets,
            first=datasets,
            out=out,
            settings=settings,
            seed=options.seed,
        ).run()
        _draw(out, needs, task.space)
        notes = write_practice(out, task, needs, options.budget) if options.budget else ()
    if options.json:
        show_json({"out": str(options.out), "needs": [need.to_json() for need in needs]})
    else:
        _tell(options, needs, task, notes)


def _require_search(folder: Path) -> None:
    """Refuse what is no folder of a search; of a run, say where its searches are.

    Raises:
        EtudeError: It has no pockets.json.
    """
    from etude.loop.stages import POCKETS

    if (folder / POCKETS).exists():
        return
    found = [path.parent for level in ("", "*/") for path in sorted(folder.glob(f"{level}round-*/search/{POCKETS}"))]
    inside = f"; this run's is '{found[0]}'" if found else ""
    state = f"has no {POCKETS}" if folder.is_dir() else "does not exist"
    raise EtudeError(f"'{folder}' {state}: give a folder of `etude search`{inside}.")


def _pockets(search: Path) -> tuple[Pocket, ...]:
    """The pockets that a search confirmed.

    Raises:
        EtudeError: There are none.
    """
    from etude.loop.stages import load_pockets

    pockets = load_pockets(search)
    if not pockets:
        raise EtudeError(
            f"'{search}' confirmed no pocket, so there is nowhere to aim. Train a policy that fails nearly everywhere "
            "first, or give it demonstrations from everywhere (--space uniform); of one that seldom fails "
            "`etude search --budget` may find some."
        )
    return pockets


def _checkpoint(options: Options, task: Task, name: str | None) -> "CheckpointPolicy":
    """The policy to go on training.

    Raises:
        ConfigError: Nobody says which, or it is none that can be trained here.
    """
    from etude.policies import CheckpointPolicy

    if not name:
        raise ConfigError(f"'{options.search}' does not say whose pockets these are: give --policy.")
    policy = resolve_policy(name, task, known_execution(known_settings(options.search)))
    if not isinstance(policy, CheckpointPolicy):
        raise ConfigError(f"--policy {name}: measuring goes on training a policy, which needs a checkpoint folder.")
    return policy


def _settings(options: Options) -> "NeedSettings":
    from etude.acquisition.needs import NeedConfig
    from etude.loop.practice.needs import NeedSettings

    return NeedSettings(
        counts=options.counts,
        cases=options.cases,
        steps=options.steps,
        batch_size=options.batch_size,
        new_share=options.new_share,
        threads=options.threads,
        asked=NeedConfig(target=options.target),
    )


def _draw(out: Path, needs: "Sequence[Need]", space: PerturbationSpace) -> None:
    from etude.loop.report.drawing.needs import write_need_curves

    write_need_curves(out / "needs.svg", needs, space)


def _tell(options: Options, needs: "Sequence[Need]", task: Task, notes: Sequence[str]) -> None:
    counts = sorted({count for need in needs for count in need.measured})
    table = Table("pocket", "expert", *(f"after {count}" for count in counts), "takes", box=None, header_style="bold")
    for need in needs:
        measured = [need.measured.get(count) for count in counts]
        cells = [f"{rate.k}/{rate.n}" if rate else "–" for rate in measured]
        table.add_row(need.pocket.name, f"{need.expert.k}/{need.expert.n}", *cells, need.describe())
    show(table, "")
    show(*(f"{need.pocket.name}: {describe_bounds(need.pocket.bounds, task.space)}" for need in needs))
    show("", f"takes: demonstrations from inside for {options.target:.0%} of the expert's success there, 90 % interval")
    show(*notes)
    show("", f"needs.json and needs.svg in {options.out}")
    if options.budget:
        show_next(
            f"etude collect {task.name} --episodes {options.budget} --plan {options.out}/practice.json --out data/aimed"
        )
