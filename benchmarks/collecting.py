"""Scripted demonstrations a minute: three cubes, two processes, with two 96² cameras into a dataset, and state only.

The rates are absolute, so they depend on the machine; the spread over repeats shows how quiet it was.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from etude.compute import ProcessExecutor
from etude.core import Case, Executor, Perturbation, derive_seed
from etude.evaluation import Expert, Runner
from etude.loop.making.collecting import collect
from etude.sim import make_task

EPISODES = 60


def main(repeats: int = 5) -> None:
    """Measure and print."""
    with ProcessExecutor(2) as executor:
        for name, wanted, run in (
            ("with two 96² cameras, written as a dataset", 200, with_images),
            ("state only", 800, state_only),
        ):
            run(executor, 8, 0)  # starts the processes and compiles the scene
            rates = [60 * EPISODES / seconds(run, executor, 1 + i) for i in range(repeats)]
            print(
                f"three-cube episodes a minute, {name}: median {median(rates):,.0f}, "
                f"from {min(rates):,.0f} to {max(rates):,.0f} (wanted {wanted})"
            )


def seconds(run, executor: Executor, seed: int) -> float:
    begin = time.perf_counter()
    run(executor, EPISODES, seed)
    return time.perf_counter() - begin


def with_images(executor: Executor, episodes: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "dataset")
        task = make_task("franka-stack:distractors=0")
        collect(task, out, accepted=episodes, draw=lambda _rng: Perturbation(), seed=seed, executor=executor)


def state_only(executor: Executor, episodes: int, seed: int) -> None:
    task = make_task("franka-stack:distractors=0,cameras=none")
    cases = [Case(Perturbation(), derive_seed(seed, i)) for i in range(episodes)]
    Runner(task, Expert(task), executor, slots=1, cases_per_job=4).run(cases)


if __name__ == "__main__":
    main()
