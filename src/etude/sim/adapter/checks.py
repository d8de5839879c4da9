"""Does a mapping reach the environment? A reset option that it ignores raises no error, so one has to look."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from etude.core import ConfigError, Perturbation
from etude.sim.adapter.task import GymnasiumTask


def silent_factors(task: GymnasiumTask, seed: int = 0) -> tuple[str, ...]:
    """Factors between whose lowest and highest value the first observation stays the same.

    A factor of the dynamics, such as friction, is rightly silent; any other is not heard by the environment.

    Args:
        task: Whose factors; its environment is made and closed.
        seed: Of every reset.

    Raises:
        ConfigError: The seed does not fix the first observation, so that nothing can be told.
    """
    env = task.environment(object_state=True)

    def first(theta: Mapping[str, float]) -> Mapping[str, Any]:
        return env.reset(seed=seed, options={"perturbation": Perturbation(theta)})[0]

    try:
        if not _same(first({}), first({})):
            raise ConfigError(
                f"'{task.name}' starts differently with the same seed: map what varies with drawn=True, or correct it."
            )
        return tuple(f.name for f in task.space.factors if _same(first({f.name: f.low}), first({f.name: f.high})))
    finally:
        env.close()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return all(_same(one[key], other[key]) for key in one)
    return np.array_equal(one, other)
