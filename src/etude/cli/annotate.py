"""`etude annotate`: demonstrations made into sources that `etude generate` makes new ones from."""

import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from etude.cli.data.writing import open_dataset, parse_episodes
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import nothing_if_nothing, remember_settings, require_free_or_own, require_same_settings
from etude.cli.terminal import show, show_json, show_next, watch
from etude.core import ConfigError, EtudeError, Task
from etude.core.files import read_json, write_json

if TYPE_CHECKING:
    from etude.data import DatasetMeta
    from etude.generation.annotating import Annotated as Done
    from etude.generation.annotation import Result
    from etude.generation.recorded import Recording
    from etude.loop.progress import Update

SETTINGS = Path("meta/etude/annotate.json")
_IMPORTED = Path("meta/etude/imported.json")
_FILES = (".hdf5", ".h5")


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Write a dataset that says of every frame where objects and grippers were, and which sub-tasks were done.

    Demonstrations of Etude's own worlds are replayed; those that do not succeed again are left out and listed with
    where they parted. Demonstrations of another simulator do not replay: what they recorded is used, their datagen
    columns or their states and observations.

    By hand: space plays and pauses, . and , step, > and < jump by ten frames, m marks the next sub-task and 1 to 9 a
    certain one, u takes a mark back, Enter keeps the marks, s skips the episode, q saves and stops. Only tasks whose
    demonstrations are cut into several pieces have something to mark; those of franka-lift are of one piece.

    Examples:
        etude annotate data/first --auto --out data/sources
        etude annotate data/first --manual --out data/marked
        etude annotate isaac.hdf5 --auto --task franka-lift --objects cube_red=cube_2 --out data/isaac

    Attributes:
        dataset: Folder of the dataset, its name on the Hugging Face hub, or an HDF5 file.
        out: Folder of the annotated dataset.
        auto: Take the sub-tasks' signals from the replay, or from what was recorded.
        manual: Mark them by hand: the episodes are shown, and keys say when a sub-task is done.
        task: The world they were made in, or whose kind they are; by default the one that the dataset names.
        episodes: Which: numbers and ranges such as 3 7-9; by default all.
        tolerance: How far a number of the state may be off before a replay counts as parted, in the state's own units.
        objects: What the task's objects are called in demonstrations of another simulator.
        signals: The same of the sub-tasks' signals.
        action_scale: What one of their actions of 1 asks for, in metres and radians; by default their targets are used.
        close_positive: Their fingers close at positive commands, as robosuite's do.
        quaternion: Order of the quaternions in Isaac Lab's files: wxyz in 2.x, xyzw in 3.x.
        picture: With --manual, also write the frame that is shown to this PNG file.
        resume: Go on with a dataset that was begun with the same options.
        json: Print one line of JSON per episode, and nothing else.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET|FILE.hdf5")]
    out: Path
    auto: bool = False
    manual: bool = False
    task: str = ""
    episodes: Annotated[tuple[str, ...], arg(metavar="N …")] = ()
    tolerance: float = 0.01
    objects: Annotated[tuple[str, ...], arg(metavar="NAME=THEIRS …")] = ()
    signals: Annotated[tuple[str, ...], arg(metavar="NAME=THEIRS …")] = ()
    action_scale: Annotated[tuple[float, float] | None, arg(metavar="M RAD")] = None
    close_positive: bool = False
    quaternion: Literal["wxyz", "xyzw"] = "wxyz"
    picture: Annotated[Path | None, arg(metavar="FILE.png")] = None
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        if self.auto == self.manual:
            raise ConfigError(
                "say how: --auto takes the signals from replays or recordings, --manual asks you for them."
            )
        if not self.tolerance > 0:
            raise ConfigError(f"--tolerance {self.tolerance:g}: must be positive.")
        if self.picture and self.picture.suffix != ".png":
            raise ConfigError(f"--picture {self.picture}: a picture's name ends in .png.")
        for flag in ("objects", "signals"):
            for text in getattr(self, flag):
                if not all(text.partition("=")[::2]):
                    raise ConfigError(f"--{flag} {text}: write NAME=THEIRS, the task's name first.")
        if self.quaternion != "wxyz" and not self.dataset.endswith(_FILES):
            raise ConfigError(
                f"--quaternion {self.quaternion}: is for HDF5 files, and '{self.dataset}' is none; leave it out."
            )


def run(options: Options) -> None:
    """Annotate."""
    from etude.generation.annotated import LEFT_OUT
    from etude.generation.annotating import annotate_dataset
    from etude.generation.cutting import segment_plan

    require_free_or_own(options.out, SETTINGS, LEFT_OUT, resume=options.resume)
    with _source(options) as meta:
        task = _task(options, meta)
        rows = [[s.signal for s in row if s.signal] for row in segment_plan(task).segments.values()]
        if options.manual and not any(rows):
            raise ConfigError(f"--manual: demonstrations of {task.name} are of one piece, nothing to mark; use --auto.")
        _require_known(options, task)
        _require_used(options, meta, task)
        wanted = _wanted(options, meta.total_episodes)
        settings = _settings(options, task, wanted)
        require_same_settings(options.out / SETTINGS, settings)
        with (
            nothing_if_nothing(options.out, SETTINGS),
            make_executor(options) as executor,
            _progress(options, len(wanted)) as update,
        ):

            def on_episode(episode: int, result: "Result") -> None:
                if options.out.exists():
                    remember_settings(options.out / SETTINGS, settings)
                if options.json:
                    show_json(_told(episode, result))
                update(wanted.index(episode) + 1, "")

            done = annotate_dataset(
                meta,
                options.out,
                task,
                executor=executor,
                episodes=wanted,
                recording=_recording(options),
                marker=_marker(options, meta, rows),
                tolerance=options.tolerance,
                on_episode=on_episode,
            )
    if not options.json:
        _show(options, task, done, wanted)


@contextmanager
def _source(options: Options) -> "Generator[DatasetMeta]":
    """The dataset; one that an HDF5 file is imported into is kept beside the output until that is whole."""
    if not options.dataset.endswith(_FILES):
        yield open_dataset(options.dataset)
        return
    from etude.data import DatasetMeta
    from etude.data.hdf5.importing import import_demonstrations
    from etude.data.hdf5.planning import ImportConfig, find_demonstrations, find_files, plan_import

    imported = options.out.with_name(f".{options.out.name}.imported")
    config = ImportConfig(quaternion=options.quaternion)
    files = find_files([Path(options.dataset)])
    layout, sources = find_demonstrations(files, config)
    plan = plan_import(layout, sources, config)
    begun = _begun(files, options)
    if not (options.resume and (imported / _IMPORTED).exists() and read_json(imported / _IMPORTED) == begun):
        shutil.rmtree(imported, ignore_errors=True)
    try:
        import_demonstrations(
            plan,
            {imported: list(range(len(sources)))},
            resume=options.resume,
            on_saved=lambda _index, root: write_json(root / _IMPORTED, begun),
        )
        yield DatasetMeta.open(imported)
    except EtudeError as error:
        shutil.rmtree(imported, ignore_errors=True)
        told = str(error).replace(str(imported), options.dataset)
        apart = "etude data import --exclude, and annotate what that makes"
        raise EtudeError(told.replace("--exclude", apart)) from error
    shutil.rmtree(imported)


def _begun(files: Sequence[Path], options: Options) -> dict[str, Any]:
    """What an import is of, as JSON: only one of the same is gone on with."""
    states = {str(path.resolve()): path.stat() for path in files}
    return {
        "files": {path: [state.st_size, state.st_mtime_ns] for path, state in states.items()},
        "quaternion": options.quaternion,
    }


def _progress(options: Options, episodes: int) -> "AbstractContextManager[Update]":
    """A bar; none where a person looks at the episodes themselves."""
    return nullcontext(lambda _done, _note: None) if options.manual else watch()("episodes", episodes)


def _task(options: Options, meta: "DatasetMeta") -> Task:
    from etude.sim import make_task

    if not (options.task or meta.task):
        raise ConfigError(f"'{options.dataset}' does not say which world it was made in: name one with --task.")
    return make_task(options.task or meta.task)


def _wanted(options: Options, total: int) -> list[int]:
    if not options.episodes:
        return list(range(total))
    return sorted(parse_episodes(options.episodes, total, "--episodes", options.dataset))


def _require_known(options: Options, task: Task) -> None:
    """Refuse names that the task does not have: nobody would look for them.

    Raises:
        ConfigError: There are such.
    """
    from etude.generation.cutting import segment_plan

    rows = segment_plan(task).segments.values()
    objects = {segment.object for row in rows for segment in row if segment.object}
    for flag, names, kind in (("objects", objects, "objects"), ("signals", set(task.subtasks), "sub-tasks")):
        for name in (text.partition("=")[0] for text in getattr(options, flag)):
            if name not in names:
                raise ConfigError(
                    f"--{flag} {name}=…: {task.name} has no such name; its {kind} are {', '.join(sorted(names))}."
                )


def _require_used(options: Options, meta: "DatasetMeta", task: Task) -> None:
    """Refuse what is for demonstrations of another simulator where they are replayed: nobody would heed it.

    Raises:
        ConfigError: There is such an option.
    """
    from etude.generation.annotating import is_replayable

    given = [flag for flag in ("objects", "signals", "action_scale", "close_positive") if getattr(options, flag)]
    if given and is_replayable(meta, task):
        raise ConfigError(
            f"--{given[0].replace('_', '-')}: '{options.dataset}' is replayed in its own world, and this is for "
            "demonstrations of another simulator; leave it out."
        )


def _settings(options: Options, task: Task, wanted: Sequence[int]) -> dict[str, Any]:
    """What decides the result."""
    named = {
        name: getattr(options, name) for name in ("dataset", "manual", "tolerance", "close_positive", "quaternion")
    }
    listed = {name: sorted(getattr(options, name)) for name in ("objects", "signals")}
    scale = list(options.action_scale) if options.action_scale else None
    return {**named, **listed, "action_scale": scale, "task": task.name, "episodes": list(wanted)}


def _recording(options: Options) -> "Recording":
    from etude.generation.recorded import Recording

    def pairs(texts: Sequence[str]) -> Mapping[str, str]:
        return {name: theirs for name, _, theirs in (text.partition("=") for text in texts)}

    return Recording(
        objects=pairs(options.objects),
        signals=pairs(options.signals),
        action_scale=options.action_scale,
        close_positive=options.close_positive,
    )


def _marker(options: Options, meta: "DatasetMeta", rows: Sequence[Sequence[str]]) -> Any:
    if not options.manual:
        return None
    from etude.cli.marking import TerminalMarker

    return TerminalMarker(meta, rows, picture=options.picture)


def _told(episode: int, result: "Result") -> dict[str, Any]:
    from etude.generation.annotation import Annotation

    if isinstance(result, Annotation):
        return {"episode": episode, "kept": result.length}
    return {"episode": episode, "left_out": {"why": str(result), **asdict(result)}}


def _show(options: Options, task: Task, done: "Done", wanted: Sequence[int]) -> None:
    for episode, why in done.left_out.items():
        show(f"left out: episode {episode} {why}")
    if done.stopped:
        seen = done.kept + len(done.left_out)
        go_on = "; go on with --resume" if done.kept else "; none was kept, so nothing is saved"
        show(f"stopped after {seen} of {len(wanted)} episodes{go_on}")
    elif done.kept:
        uncut = _uncut(options.out, task)
        for episode, why in uncut:
            show(f"cannot be cut: episode {episode} of {options.out}: {why}")
        kept = _ranges([episode for episode in wanted if episode not in done.left_out])
        show(f"{done.kept} of {len(wanted)} demonstrations annotated (episodes {kept}): {options.out}")
        if len(uncut) == done.kept:
            show(f"none of them can be a source of {task.name}: mark where its sub-tasks end with --manual.")
            return
        show_next(
            f"etude generate --source {options.out} --task {task.name} --accepted 100 --out {options.out}-generated"
        )


def _ranges(episodes: Sequence[int]) -> str:
    """Ascending numbers as --episodes reads them: "0-3 5"."""
    runs: list[list[int]] = []
    for episode in episodes:
        if runs and episode == runs[-1][-1] + 1:
            runs[-1].append(episode)
        else:
            runs.append([episode])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _uncut(out: Path, task: Task) -> list[tuple[int, str]]:
    """Annotated episodes that a generator will leave out, with the reasons."""
    from etude.generation.cutting import segment_plan
    from etude.generation.loading import load_sources

    found: list[tuple[int, str]] = []
    with suppress(EtudeError):  # that none is left; all are listed then
        load_sources(out, segment_plan(task), on_left_out=lambda episode, why: found.append((episode, why)))
    return found
