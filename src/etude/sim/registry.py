"""Tasks by name: `make_task("franka-stack:cubes=2,image_size=128")`.

A task is registered under its name in the entry-point group `etude.tasks`; what is registered is a frozen dataclass
whose fields are the task's options, or a GymnasiumConfig. Etude's own tasks need no entry point, and neither do
Gymnasium's environments, whose names have a "/".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import gymnasium

from etude.core import ConfigError, Environment, Task, UnknownNameError
from etude.sim.adapter import GymnasiumConfig, GymnasiumTask, ready_config
from etude.sim.adapter.config import OPTIONS
from etude.sim.worlds.aloha.insertion import AlohaInsertion
from etude.sim.worlds.aloha.one_arm import AlohaOneArm
from etude.sim.worlds.aloha.transfer import AlohaTransferCube
from etude.sim.worlds.franka.lift import FrankaLift
from etude.sim.worlds.franka.stack import FrankaStack
from etude.sim.worlds.so101.sort import SO101Sort

TASK_GROUP = "etude.tasks"

_OWN: Mapping[str, Callable[..., Task]] = {
    "aloha-insertion": AlohaInsertion,
    "aloha-one-arm": AlohaOneArm,
    "aloha-transfer-cube": AlohaTransferCube,
    "franka-lift": FrankaLift,
    "franka-stack": FrankaStack,
    "so101-sort": SO101Sort,
}
_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}


def task_names() -> tuple[str, ...]:
    """Every registered task, sorted."""
    return tuple(sorted({*_OWN, *_plugins()}))


def make_task(spec: str) -> Task:
    """Make a task from its name and options.

    Args:
        spec: `name` or `name:option=value,…`; a value of several parts is joined by +, e.g. `cameras=front+wrist`,
            and without any it is `none`.

    Raises:
        UnknownNameError: No such task, or no such option of it.
        ConfigError: A value that cannot work.
    """
    name, _, text = spec.partition(":")
    plugins = _plugins()
    if name in _OWN:
        known = _OWN[name]
    elif name in plugins:
        known = _load(plugins[name])
    elif "/" in name:
        known = ready_config(name)
    else:
        raise UnknownNameError("task", name, {*_OWN, *plugins})
    if isinstance(known, GymnasiumConfig):
        return _adapted(known, spec, text)
    # Nested settings (how to draw) have no place in a name.
    options = {f.name: f for f in fields(known) if isinstance(_default(f), int | float | str | tuple)}  # pyright: ignore[reportArgumentType]
    return known(**{key: _parsed(options[key], value) for key, value in _pairs(spec, text, options).items()})


def _adapted(config: GymnasiumConfig, spec: str, text: str) -> Task:
    """The task of somebody else's environment; `make.KEY=VALUE` are its own arguments."""
    options = {f.name: f for f in fields(GymnasiumConfig) if f.name in OPTIONS}
    pairs = _pairs(spec, text, options, free="make.")
    own = {key: _parsed(options[key], value) for key, value in pairs.items() if key in options}
    arguments = {key.removeprefix("make."): value for key, value in pairs.items() if key not in options}
    return GymnasiumTask(config.with_options(own, arguments))


def _pairs(spec: str, text: str, options: Iterable[str], free: str = "") -> dict[str, str]:
    """Option -> value as written; names that begin with `free`, if any, are not checked."""
    pairs: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if key not in options and not (free and key.startswith(free)):
            raise UnknownNameError(f"option of task '{spec.partition(':')[0]}'", key, options)
        if not equals or key in pairs:
            raise ConfigError(f"'{part}' in task '{spec}': write every option once, as {key}=value.")
        pairs[key] = value
    return pairs


def register_gymnasium() -> None:
    """Register Etude's own worlds with Gymnasium: `gymnasium.make("etude/franka-stack-v0", cubes=2)`.

    Importing etude.sim does it, as importing other packages of environments does; without an import,
    `gymnasium.make("etude.sim:etude/franka-stack-v0")`.
    """
    for name in _OWN:
        env_id = f"etude/{name}-v0"
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point=f"{__name__}:gymnasium_environment", kwargs={"world": name})


def gymnasium_environment(
    world: str,
    *,
    render_mode: str | None = None,
    lazy_images: bool = False,
    object_state: bool = False,
    **options: Any,
) -> Environment:
    """What gymnasium.make calls.

    Args:
        world: Name of the task.
        render_mode: None or "rgb_array", which are the same.
        lazy_images: See core's Task.
        object_state: See core's Task.
        **options: The task's settings.

    Raises:
        ConfigError: Another render mode.
        UnknownNameError: No such option of the task.
    """
    if render_mode not in (None, "rgb_array"):
        raise ConfigError(f"render_mode '{render_mode}': the worlds draw images only; choose rgb_array.")
    for option in options:
        if option not in (known := {f.name for f in fields(_OWN[world])}):  # pyright: ignore[reportArgumentType]
            raise UnknownNameError(f"option of task '{world}'", option, known)
    return _OWN[world](**options).environment(lazy_images=lazy_images, object_state=object_state)


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=TASK_GROUP)}


def _load(plugin: EntryPoint) -> Any:
    """What a plugin registered.

    Raises:
        ConfigError: Its module does not import.
    """
    try:
        return plugin.load()
    except Exception as error:  # other people's code may fail in any way as it is imported
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"task '{plugin.name}' cannot be loaded from '{plugin.value}': {what}") from error


def _default(option: Field[Any]) -> Any:
    return None if option.default is MISSING else option.default


def _parsed(option: Field[Any], text: str) -> Any:
    """The value of an option, of the type its default has."""
    kind = type(_default(option))
    if kind is tuple:
        return () if text == "none" else tuple(text.split("+"))
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise ConfigError(f"option {option.name}='{text}' is not {_EXPECTED[kind]}.") from None


register_gymnasium()
