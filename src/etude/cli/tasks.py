"""`etude tasks`: what there is to do, and what can vary in it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from rich.table import Table
from tyro.conf import Positional, arg

from etude.cli.output import require_free, whole_folder
from etude.cli.terminal import show, show_json, show_next
from etude.core import Case, ConfigError, Perturbation, Task


@dataclass(frozen=True, kw_only=True)
class Options:
    """List the tasks; or show a task's factors, cameras and sub-tasks.

    Examples:
        etude tasks
        etude tasks show franka-stack
        etude tasks show franka-stack:cubes=2 --json
        etude tasks show franka-stack --out pictures

    Attributes:
        what: List all tasks, or show one.
        name: The task to show, with settings if they differ from its defaults: NAME:key=value,key=value.
        json: Print JSON.
        out: Folder for a picture of the nominal world through every camera.
    """

    what: Annotated[Positional[Literal["list", "show"]], arg(metavar="[show")] = "list"
    name: Annotated[Positional[str], arg(metavar="TASK]")] = ""
    json: bool = False
    out: Path | None = None


def run(options: Options) -> None:
    """List or show."""
    from etude.sim import make_task, task_names

    if options.what == "show":
        if not options.name:
            raise ConfigError(f"which task? etude tasks show NAME, with NAME one of {', '.join(task_names())}.")
        _show(make_task(options.name), options)
    elif options.json:
        show_json([{"name": name, "text": make_task(name).text} for name in task_names()])
    else:
        show(*(f"{name:<16} {make_task(name).text}" for name in task_names()))
        show_next(f"etude tasks show {task_names()[0]}")


def _show(task: Task, options: Options) -> None:
    if options.out is not None:
        require_free(options.out, resumable=False)
        _draw_nominal(task, options.out)
    described = describe(task)
    if options.json:
        show_json(described)
        return
    table = Table("factor", "unit", "low", "high", "nominal", "kind", "what changes", box=None, header_style="bold")
    for f in task.space.factors:
        table.add_row(f.name, f.unit, f"{f.low:.4g}", f"{f.high:.4g}", f"{f.nominal:.4g}", f.kind, f.description)
    cameras = f"{', '.join(task.cameras)} at {task.image_size}×{task.image_size} px" if task.cameras else "none"
    show(
        f"{task.name}: {task.text}",
        f"cameras: {cameras}",
        f"sub-tasks: {', '.join(described['subtasks'])}",
        f"failure modes: {', '.join(described['failure_modes'])}",
        f"at most {task.max_steps} steps of 1/{task.fps} s; actions: {', '.join(task.action_names)}",
        "",
        table,
    )
    if options.out is not None:
        show("", f"pictures: {options.out}")
    first = task.space.factors[0]
    expert = f"etude eval {task.name} --policy expert --episodes 20 --out results/expert"
    show_next(
        f"etude collect {task.name} --episodes 20 --out data/first", f"{expert} --theta {first.name}={first.high:g}"
    )


def describe(task: Task) -> dict[str, Any]:
    """What `tasks show` tells, as plain JSON values."""
    names = ("name", "text", "fps", "max_steps", "image_size")
    lists = ("cameras", "subtasks", "failure_modes", "state_names", "action_names")
    return {
        **{name: getattr(task, name) for name in names},
        **{name: list(getattr(task, name)) for name in lists},
        "space_hash": task.space.hash,
        "factors": [asdict(factor) for factor in task.space.factors],
    }


def _draw_nominal(task: Task, out: Path) -> None:
    """Write the nominal world's first images, one PNG per camera."""
    from PIL import Image

    if not task.cameras:
        raise ConfigError(f"task '{task.name}' has no cameras to draw.")
    environment = task.environment()
    try:
        case = Case(Perturbation(), 0)
        observation, _ = environment.reset(seed=case.seed, options={"perturbation": case.theta})
        with whole_folder(out) as folder:
            for camera in task.cameras:
                Image.fromarray(observation["pixels"][camera]).save(folder / f"{camera}.png")
    finally:
        environment.close()
