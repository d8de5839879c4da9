"""`etude tasks`: what there is to do, and what can vary in it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from rich.table import Table
from tyro.conf import Positional, arg

from etude.cli.output import require_free, whole_folder
from etude.cli.terminal import show, show_json, show_next, watch
from etude.core import ConfigError, EtudeError, Task

TILE_PX = 192
SEEDS = range(4)


@dataclass(frozen=True, kw_only=True)
class Options:
    """List the tasks; or show a task's factors, cameras and sub-tasks, in words or in pictures.

    Examples:
        etude tasks
        etude tasks show franka-stack
        etude tasks show franka-stack:cubes=2 --json
        etude tasks show franka-stack --out pictures

    Attributes:
        what: List all tasks, or show one.
        name: The task to show, with settings if they differ from its defaults: NAME:key=value,key=value.
        json: Print JSON.
        out: Folder for pictures: the nominal world, every factor from low to high, and a page that shows them all.
    """

    what: Annotated[Positional[Literal["list", "show"]], arg(metavar="[show")] = "list"
    name: Annotated[Positional[str], arg(metavar="TASK]")] = ""
    json: bool = False
    out: Path | None = None

    def __post_init__(self) -> None:
        if self.out is not None and self.what == "list":
            raise ConfigError("--out draws one task: etude tasks show NAME --out DIR.")


def run(options: Options) -> None:
    """List or show."""
    from etude.sim import make_task, task_names

    if options.what == "show":
        if not options.name:
            raise ConfigError(f"which task? etude tasks show NAME, with NAME one of {', '.join(task_names())}.")
        _show(make_task(options.name), options)
        return
    found = {name: _made(make_task, name) for name in task_names()}
    if options.json:
        show_json([_line(name, task) for name, task in found.items()])
        return
    table = Table("task", "cameras", "actions", "factors", "what to do", box=None, header_style="bold")
    for name, task in found.items():
        if isinstance(task, str):
            table.add_row(name, "", "", "", task)
        else:
            sizes = (str(len(task.action_names)), str(len(task.space.factors)))
            table.add_row(name, ", ".join(task.cameras), *sizes, task.text)
    show(
        table, "", "Any Gymnasium environment is a task too, by its name: etude tasks show gym_aloha/AlohaInsertion-v0"
    )
    show_next(*(f"etude tasks show {name}" for name in task_names()[:1]))


def _made(make: Callable[[str], Task], name: str) -> Task | str:
    """The task, or why it cannot be made: one that is broken must not hide the others."""
    try:
        return make(name)
    except EtudeError as error:
        return f"cannot be used: {error}"


def _line(name: str, task: Task | str) -> dict[str, Any]:
    if isinstance(task, str):
        return {"name": name, "error": task}
    return {"name": name, "text": task.text, "cameras": list(task.cameras), "actions": len(task.action_names)}


def _show(task: Task, options: Options) -> None:
    if options.out is not None:
        require_free(options.out, resumable=False)
        _draw(task, options.out)
    described = describe(task)
    if options.json:
        show_json(described)
        return
    cameras = f"{', '.join(task.cameras)} at {task.image_size}×{task.image_size} px" if task.cameras else "none"
    show(
        f"{task.name}: {task.text}",
        f"cameras: {cameras}",
        f"sub-tasks: {', '.join(task.subtasks) or 'none'}",
        f"failure modes: {', '.join(task.failure_modes) or 'none'}",
        *(f"options: {', '.join(f'{k}={v}' for k, v in values.items())}" for values in [_options(task)] if values),
        f"at most {task.max_steps} steps of 1/{task.fps} s; {len(task.action_names)} actions: "
        f"{', '.join(task.action_names)}",
        "",
        _factors(task) if task.space.factors else "nothing in it can be varied",
    )
    if options.out is not None:
        show("", f"pictures: {options.out / 'index.html'}")
    show_next(*_next(task, options))


def _factors(task: Task) -> Table:
    table = Table("factor", "unit", "low", "high", "nominal", "kind", "what changes", box=None, header_style="bold")
    for f in task.space.factors:
        table.add_row(f.name, f.unit, f"{f.low:.4g}", f"{f.high:.4g}", f"{f.nominal:.4g}", f.kind, f.description)
    return table


def _next(task: Task, options: Options) -> list[str]:
    pictures = f"etude tasks show {task.name} --out pictures/{task.name.partition(':')[0]}"
    collect = f"etude collect {task.name} --episodes 20 --out data/first"
    who = "expert" if _has_expert(task) else "random"
    evaluate = f"etude eval {task.name} --policy {who} --episodes 20 --out results/{who}"
    theta = "".join(f" --theta {first.name}={first.high:g}" for first in task.space.factors[:1])
    commands = [pictures] if options.out is None and task.cameras else []
    commands += [f"etude watch {task.name} --policy {who}"] if task.cameras else []
    return [*commands, *([collect] if who == "expert" else []), evaluate + theta]


def _has_expert(task: Task) -> bool:
    try:
        task.expert()
    except EtudeError:
        return False
    return True


def describe(task: Task) -> dict[str, Any]:
    """What `tasks show` tells, as plain JSON values."""
    names = ("name", "text", "fps", "max_steps", "image_size")
    lists = ("cameras", "subtasks", "failure_modes", "state_names", "action_names")
    return {
        **{name: getattr(task, name) for name in names},
        **{name: list(getattr(task, name)) for name in lists},
        "options": _options(task),
        "space_hash": task.space.hash,
        "factors": [asdict(factor) for factor in task.space.factors],
    }


def _options(task: Task) -> dict[str, str]:
    """What can stand behind a task's name, as it is now."""
    if not is_dataclass(task):
        return {}
    values = {field.name: getattr(task, field.name) for field in fields(task)}
    written = {name: "+".join(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: str(value).lower() for name, value in written.items() if isinstance(value, int | float | str)}


def _draw(task: Task, out: Path) -> None:
    """Write the task's pictures and their page.

    Raises:
        ConfigError: It has no cameras.
    """
    from etude.evaluation import nominal_picture, sharper, sweep, sweep_picture
    from etude.loop.report import gallery

    if not task.cameras:
        raise ConfigError(f"task '{task.name}' has no cameras to draw; choose some, e.g. leave out cameras=none.")
    sharp, factors = sharper(task, TILE_PX), task.space.factors
    environment = sharp.environment(lazy_images=True)
    sweeps = {factor.name: f"sweeps/{factor.name.replace('/', '_')}.png" for factor in factors}
    try:
        with whole_folder(out) as folder, watch()("pictures", 1 + len(factors)) as update:
            (folder / "sweeps").mkdir()
            nominal_picture(environment, sharp, f"{task.name}, nominal", SEEDS, TILE_PX).save(folder / "nominal.png")
            update(1, "")
            for done, factor in enumerate(factors, 2):
                swept = sweep(environment, sharp, factor)
                sweep_picture(swept, task.cameras, TILE_PX).save(folder / sweeps[factor.name])
                update(done, factor.name)
            (folder / "index.html").write_text(gallery(task, "nominal.png", sweeps), encoding="utf-8")
    finally:
        environment.close()
