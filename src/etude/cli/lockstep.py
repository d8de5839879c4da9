"""`etude lockstep`: a demonstration and a policy from one state, and where they part."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from etude.cli.output import require_free, whole_folder
from etude.cli.policy import ExecutionOptions, execution_settings, execution_words, resolve_policy
from etude.cli.terminal import show, show_json, show_next
from etude.cli.usage import require_at_least
from etude.core import ConfigError, EtudeError, MismatchError, Task
from etude.core.files import write_json

if TYPE_CHECKING:
    from etude.data import DatasetMeta
    from etude.evaluation.lockstep import Lockstep, Tolerance

TILE_PX = 288
_BLIND = ("expert", "random", "replay:", "planted:")
"""Policies that do not look at images; a person does, and sees sharper ones."""


@dataclass(frozen=True, kw_only=True)
class Options(ExecutionOptions):
    """Put a recorded demonstration and a policy in two worlds of one state, and see where and how they part.

    Both worlds are those of the episode, and both execute its actions up to --start-step; from there one goes on with
    the demonstration and the other with the policy. Written are lockstep.json, divergence.png, and, where the task has
    cameras, lockstep.mp4 with both side by side.

    Examples:
        etude lockstep data/first --episode 0 --policy runs/first --out lockstep/first
        etude lockstep data/first --episode 3 --start-step 20 --policy runs/first --execute 2 --out lockstep/late
        etude lockstep data/first --episode 0 --policy expert --tolerance 0.01 --out lockstep/expert

    Attributes:
        dataset: Folder of a dataset that `etude collect` wrote, or its name on the Hugging Face Hub.
        episode: Its number, from 0.
        policy: A checkpoint folder, `expert` or `random`, or any other policy that `etude eval` takes.
        out: Folder for what is found.
        start_step: The step at which the policy takes over.
        task: Task with its settings, if not the one that the dataset names.
        tolerance: Up to this distance [m] things count as together; without poses, a difference of the state's numbers.
        tolerance_rad: And up to this angle.
        json: Print lockstep.json as one line, and nothing else.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    policy: str
    out: Path
    episode: int = 0
    start_step: int = 0
    task: Annotated[str, arg(metavar="TASK")] = ""
    tolerance: Annotated[float, arg(metavar="M")] = 0.02
    tolerance_rad: Annotated[float, arg(metavar="RAD")] = 0.2
    json: bool = False

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        require_at_least(0, episode=self.episode, start_step=self.start_step)
        for name, value in (("--tolerance", self.tolerance), ("--tolerance-rad", self.tolerance_rad)):
            if not 0 < value < float("inf"):
                raise ConfigError(f"{name} {value:g}: must be a positive number.")
        if self.policy.startswith("replay:") and self.start_step:
            raise ConfigError(
                f"--start-step {self.start_step} with --policy {self.policy}: a replay begins with its first action; "
                "leave out --start-step."
            )


def run(options: Options) -> None:
    """Compare."""
    from etude.data import DatasetMeta, find_dataset
    from etude.evaluation.lockstep import Tolerance, divergence_picture

    require_free(options.out, resumable=False)
    meta = DatasetMeta.open(find_dataset(options.dataset))
    task = task_of(meta, options.task)
    title = f"{meta.root.resolve().name}, episode {options.episode} · {task.name} · policy {options.policy}"
    with whole_folder(options.out) as folder:
        found = _compare(options, meta, task, folder, Tolerance(m=options.tolerance, rad=options.tolerance_rad))
        record = _record(options, found)
        write_json(folder / "lockstep.json", record)
        divergence_picture(found, title).save(folder / "divergence.png")
    replay = found.pair.replay
    if not replay.bit_equal:
        print(
            f"etude: replayed here, the demonstration's states part from the recorded ones at step {replay.parted} "
            f"(by {replay.largest:.2g} at most); it ends as it was recorded, and is compared as it is replayed.",
            file=sys.stderr,
        )
    if options.json:
        show_json(record)
        return
    video = ", lockstep.mp4" if task.cameras else " (no video: the task has no cameras)"
    show(*found.findings(), "", f"lockstep.json, divergence.png{video} in {options.out}")
    show_next(*_next(options, meta, found))


def task_of(meta: "DatasetMeta", name: str) -> Task:
    """The task of a dataset, or the one named, if its episodes' worlds are in it.

    Raises:
        ConfigError: The dataset names none.
        UnknownNameError: No such task is installed.
        MismatchError: The task has another space.
    """
    from etude.sim import make_task

    if not name and not meta.task:
        raise ConfigError(
            f"dataset '{meta.root}' does not say which task it is of, as those of `etude collect` do: name it with "
            "--task."
        )
    try:
        task = make_task(name or meta.task)
    except EtudeError as error:
        if name:
            raise
        raise EtudeError(
            f"the task of '{meta.root}' cannot be made here: {str(error).removesuffix('.')}. Install what it needs, or "
            "name another with --task."
        ) from error
    if meta.space_hash and meta.space_hash != task.space.hash:
        raise MismatchError(
            f"dataset '{meta.root}' is of another space ({meta.task}, {meta.space_hash}) than task '{task.name}' "
            f"({task.space.hash}): name the task it was made with by --task."
        )
    return task


def _compare(options: Options, meta: "DatasetMeta", task: Task, folder: Path, tolerance: "Tolerance") -> "Lockstep":
    from etude.evaluation import sharper, shoot
    from etude.evaluation.lockstep import Demonstration, Lockstep, Reel, run_both

    demonstration = Demonstration.read(meta, options.episode)
    policy = resolve_policy(options.policy, task, options)
    blind = options.policy.startswith(_BLIND) and bool(task.cameras)
    shown = sharper(task, TILE_PX) if blind else task
    with ExitStack() as stack:
        reel = None
        if task.cameras:
            reel = Reel(shown, stack.enter_context(shoot(folder / "lockstep.mp4", task.fps)), tile_px=TILE_PX)
        watch = (reel.demonstration(), reel.policy) if reel else (None, None)
        pair = run_both(shown, demonstration, policy, start_step=options.start_step, watch=watch)
    return Lockstep.of(task, pair, start_step=options.start_step, tolerance=tolerance)


def _record(options: Options, found: "Lockstep") -> dict[str, Any]:
    asked = {"dataset": options.dataset, "episode": options.episode, "policy_name": options.policy}
    return {**asked, "execution": execution_settings(options), **found.to_json()}


def _next(options: Options, meta: "DatasetMeta", found: "Lockstep") -> list[str]:
    named = f" --task {options.task}" if options.task else ""
    same = f"etude lockstep {options.dataset}{named} --policy {options.policy}{execution_words(options)}"
    following = options.episode + 1
    commands = [f"{same} --episode {following} --out {options.out}-{following}"]
    if found.partings and (late := max(found.partings[0].step - options.execute, 0)) > options.start_step:
        commands.insert(0, f"{same} --episode {options.episode} --start-step {late} --out {options.out}-from-{late}")
    if following >= meta.total_episodes:
        commands[-1] = f"etude view {options.dataset} --episode {options.episode}"
    return commands
