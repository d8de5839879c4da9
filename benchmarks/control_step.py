"""One control step with two cameras: franka-stack against gym-hil's own environment, in one process and in turns.

Ours draws the two cameras at every step, as gym-hil does. Both apply random actions; physics is included on both sides.
"""

import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("MUJOCO_GL", "egl")  # gym-hil's renderer has to be told, before MuJoCo is imported

from benchmarks.timing import Comparison, Side, compare
from etude.core import Perturbation, stream
from etude.sim import make_task

STEPS = 40


def main(repeats: int = 7) -> list[Comparison]:
    """Measure at 96² against gym-hil's 128², and at 128² on both sides."""
    if importlib.util.find_spec("gym_hil") is None:
        raise SystemExit("this benchmark compares with gym-hil: pip install 'etude[hil]' (make bench does).")
    theirs = Side("gym-hil PandaPickCubeBase, two 128² cameras", gym_hil_steps())
    results: list[Comparison] = []
    for size, wanted in ((96, 100), (128, 50)):
        ours = Side(f"franka-stack, two {size}² cameras", etude_steps(size))
        results.append(compare("control steps", ours, theirs, unit="steps", repeats=repeats))
        results[-1].show(wanted=wanted)
    return results


def etude_steps(size: int) -> Callable[[], int]:
    environment: Any = make_task(f"franka-stack:cubes=2,distractors=0,image_size={size}").environment()
    rng = stream(0, "actions")

    def run() -> int:
        environment.reset(seed=0, options={"perturbation": Perturbation()})
        for _ in range(STEPS):
            observation, *_ = environment.step(rng.uniform(-1, 1, 7).astype(np.float32))
            assert len(observation["pixels"]) == 2
        return STEPS

    return run


def gym_hil_steps() -> Callable[[], int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium on gym-hil's float64 boxes
        import gym_hil  # noqa: F401 - registers the environments
        import gymnasium

        environment = gymnasium.make("gym_hil/PandaPickCubeBase-v0", image_obs=True, disable_env_checker=True).unwrapped
    rng = stream(0, "actions")
    shape = environment.action_space.shape
    few = 4  # its steps are slow

    def run() -> int:
        environment.reset(seed=0)
        for _ in range(few):
            observation, *_ = environment.step(rng.uniform(-1, 1, shape).astype(np.float32))
            assert len(observation["pixels"]) == 2
        return few

    return run


if __name__ == "__main__":
    main()
