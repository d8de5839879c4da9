"""`etude annotate`: demonstrations made into sources that `etude generate` makes new ones from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.data.writing import open_dataset, parse_episodes
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import nothing_if_nothing, remember_settings, require_free, require_same_settings
from etude.cli.terminal import show, show_json, show_next, watch
from etude.core import ConfigError

if TYPE_CHECKING:
    from etude.generation.annotation import Annotation, Parted

SETTINGS = Path("meta/etude/annotate.json")


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Write a dataset that says of every frame where objects and grippers were, and which sub-tasks were done.

    With --auto each demonstration is replayed in its world; only those that succeed again are kept, the others are
    listed with where they parted.

    Examples:
        etude annotate data/first --auto --out data/sources

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face hub.
        out: Folder of the annotated dataset.
        auto: Replay the demonstrations.
        task: The world they were made in; by default the one that the dataset names.
        episodes: Which: numbers and ranges such as 3 7-9; by default all.
        tolerance: How far a number of the state may be off before a replay counts as parted, in the state's own units.
        resume: Go on with a dataset that was begun with the same options.
        json: Print one line of JSON per episode, and nothing else.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    out: Path
    auto: bool = False
    task: str = ""
    episodes: Annotated[tuple[str, ...], arg(metavar="N …")] = ()
    tolerance: float = 0.01
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        if not self.tolerance > 0:
            raise ConfigError(f"--tolerance {self.tolerance:g}: must be positive.")


def run(options: Options) -> None:
    """Annotate."""
    from etude.generation.annotating import annotate_dataset
    from etude.generation.annotation import Parted
    from etude.sim import make_task

    meta = open_dataset(options.dataset)
    if not (options.task or meta.task):
        raise ConfigError(f"'{options.dataset}' does not say which world it was made in: name it with --task.")
    task = make_task(options.task or meta.task)
    wanted = _wanted(options, meta.total_episodes)
    settings = {"dataset": str(meta.root), "task": task.name, "episodes": wanted, "tolerance": options.tolerance}
    require_free(options.out, resume=options.resume)
    require_same_settings(options.out / SETTINGS, settings)
    with (
        nothing_if_nothing(options.out, SETTINGS),
        make_executor(options) as executor,
        watch()("episodes", len(wanted)) as update,
    ):
        parted_now = 0

        def on_episode(episode: int, result: "Annotation | Parted") -> None:
            nonlocal parted_now
            parted_now += isinstance(result, Parted)
            if options.out.exists():
                remember_settings(options.out / SETTINGS, settings)
            if options.json:
                told = {"parted": asdict(result)} if isinstance(result, Parted) else {"kept": result.length}
                show_json({"episode": episode, **told})
            update(wanted.index(episode) + 1, f"{parted_now} parted" if parted_now else "")

        annotated = annotate_dataset(
            meta,
            options.out,
            task,
            executor=executor,
            episodes=wanted,
            tolerance=options.tolerance,
            on_episode=on_episode,
        )
    if options.json:
        return
    for episode, parted in annotated.parted.items():
        show(f"left out: episode {episode} {parted}")
    show(f"{annotated.kept} of {len(wanted)} demonstrations annotated: {options.out}")
    show_next(f"etude generate --source {options.out} --task {task.name} --accepted 100 --out {options.out}-generated")


def _wanted(options: Options, total: int) -> list[int]:
    if not options.episodes:
        return list(range(total))
    return sorted(parse_episodes(options.episodes, total, "--episodes", options.dataset))
