"""What test_worlds.py measures in a process of its own: run as a script, it prints one line of JSON per world.

python apart.py episodes RESETS NAME …   digest of an episode with images, and what RESETS resets leave in memory
python apart.py missing NAME …           what a world says whose asset packages are not installed
"""

import gc
import hashlib
import importlib.util
import json
import resource
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import EtudeError, Perturbation, stream
from etude.sim import SimEnv, SimTask, make_task, rendering

SEED = 7


def small(name: str, **options: object) -> SimTask:
    """The task with small images."""
    given = {"image_size": 32, **options}
    separator = "," if ":" in name else ":"
    task = make_task(name + separator + ",".join(f"{key}={value}" for key, value in given.items()))
    assert isinstance(task, SimTask)
    return task


def random_actions(task: SimTask, seed: int, steps: int) -> np.ndarray:
    """Actions within the bounds, (steps, A)."""
    shares = stream(seed, "actions").uniform(size=(steps, len(task.action_names)))
    low, high = task.sheet.action_bounds
    return (low + shares * (high - low)).astype(np.float32)


def play(environment: SimEnv, theta: Perturbation, seed: int, steps: int = 8) -> list[Mapping[str, Any]]:
    """Observations of an episode of random actions that the seed fixes."""
    observations = [environment.reset(seed=seed, options={"perturbation": theta})[0]]
    return observations + [environment.step(a)[0] for a in random_actions(environment.task, seed, steps)]


def digest(observations: list[Mapping[str, Any]]) -> str:
    """Hash of every bit that was observed."""
    found = hashlib.sha256()
    for seen in observations:
        found.update(seen["agent_pos"].tobytes() + seen["environment_state"].tobytes())
        for camera in sorted(seen["pixels"]):
            found.update(seen["pixels"][camera].tobytes())
    return found.hexdigest()


def episode_digest(task: SimTask, environment: SimEnv) -> str:
    """Digest of one random world."""
    return digest(play(environment, task.space.sample(stream(SEED, "theta")), SEED))


def growth(task: SimTask, environment: SimEnv, resets: int) -> dict[str, Any]:
    """What resets in random worlds, with images, leave behind: [MiB], and numbers of objects."""
    rng, world = stream(0, "resets"), environment.world
    model, data = world.model, world.data
    for i in range(10 + resets):
        if i == 10:  # by now all is loaded
            gc.collect()
            before = resident_mib(), len(gc.get_objects()), len(rendering._RENDERERS)
        environment.reset(seed=i, options={"perturbation": task.space.sample(rng)})
        environment.step(environment.action_space.low)
    gc.collect()
    return {
        "mib": resident_mib() - before[0],
        "objects": len(gc.get_objects()) - before[1],
        "renderers": len(rendering._RENDERERS) - before[2],
        "same": world.model is model and world.data is data,
    }


def resident_mib() -> float:
    """Resident memory of this process."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def episodes(name: str, resets: int) -> dict[str, Any]:
    """Everything about one world."""
    task = small(name)
    environment = task.environment(object_state=True)
    found = {"digest": episode_digest(task, environment), **growth(task, environment, resets)}
    alive = [weakref.ref(environment.world.model), weakref.ref(environment.world.data)]
    del environment
    gc.collect()
    return {**found, "alive": sum(reference() is not None for reference in alive)}


def without_assets(name: str) -> dict[str, Any]:
    """What still works, and what the environment says."""
    task = small(name)
    found = {"name": task.name, "factors": len(task.space.factors), "message": "", "kind": ""}
    try:
        task.environment()
    except EtudeError as error:
        found |= {"kind": type(error).__name__, "message": str(error)}
    return found


def main() -> None:
    command, *rest = sys.argv[1:]
    if command == "missing":
        importlib.util.find_spec = lambda _name, _package=None: None
        found = {name: without_assets(name) for name in rest}
    else:
        found = {name: episodes(name, int(rest[0])) for name in rest[1:]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
