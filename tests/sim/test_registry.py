"""Tasks by name: round trips and one-line errors."""

import pickle
from importlib.metadata import EntryPoint

import pytest

from etude.core import ConfigError, UnknownNameError
from etude.sim import FrankaStack, make_task, registry, task_names


def test_every_name_makes_its_task_again() -> None:
    assert "franka-stack" in task_names()
    for task in (
        FrankaStack(),
        FrankaStack(cubes=2),
        FrankaStack(cubes=2, image_size=64, cameras=(), max_steps=50),
        FrankaStack(cameras=("wrist",)),
    ):
        assert make_task(task.name) == task
        assert pickle.loads(pickle.dumps(task)) == task


def test_default_settings_stay_out_of_the_name() -> None:
    assert make_task("franka-stack:cubes=2,image_size=96").name == "franka-stack:cubes=2"


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("franka-stak", UnknownNameError, "Did you mean 'franka-stack'"),
        ("franka-stack:cube=2", UnknownNameError, "Did you mean 'cubes'"),
        ("franka-stack:cubes=two", ConfigError, "'two' is not a whole number"),
        ("franka-stack:cubes", ConfigError, "as cubes=value"),
        ("franka-stack:cubes=2,cubes=3", ConfigError, "once"),
        ("franka-stack:cubes=7", ConfigError, "choose 2 or 3"),
        ("franka-stack:cameras=front+side", UnknownNameError, "camera 'side'"),
    ],
)
def test_a_mistake_in_the_name_is_named(spec: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make_task(spec)


def test_a_registered_task_whose_module_is_broken_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_module:Task", registry.TASK_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken] if group == registry.TASK_GROUP else [])
    assert "broken" in task_names()
    with pytest.raises(ConfigError, match="task 'broken' cannot be loaded from 'no_such_module:Task': ModuleNotFound"):
        make_task("broken")
