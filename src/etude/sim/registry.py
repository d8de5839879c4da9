"""Tasks by name: `make_task("franka-stack:cubes=2,image_size=128")`.

A task is registered under its name in the entry-point group `etude.tasks`; what is registered is a frozen dataclass
whose fields are the task's options. Etude's own tasks need no entry point.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from etude.core import ConfigError, Task, UnknownNameError
from etude.sim.worlds.franka.stack import FrankaStack

TASK_GROUP = "etude.tasks"

_OWN: Mapping[str, Callable[..., Task]] = {"franka-stack": FrankaStack}
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
    config = _config_class(name)
    # Nested settings (how to draw) have no place in a name.
    options = {f.name: f for f in fields(config) if isinstance(_default(f), int | float | str | tuple)}  # pyright: ignore[reportArgumentType]
    values: dict[str, Any] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if key not in options:
            raise UnknownNameError(f"option of task '{name}'", key, options)
        if not equals or key in values:
            raise ConfigError(f"'{part}' in task '{spec}': write every option once, as {key}=value.")
        values[key] = _parsed(options[key], value)
    return config(**values)


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=TASK_GROUP)}


def _config_class(name: str) -> Callable[..., Task]:
    if name in _OWN:
        return _OWN[name]
    plugins = _plugins()
    if name not in plugins:
        raise UnknownNameError("task", name, {*_OWN, *plugins})
    return plugins[name].load()


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
