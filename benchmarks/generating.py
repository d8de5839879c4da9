"""Generated demonstrations a minute: three cubes from ten human-like sources, two processes.

State only, attempts are counted, whether they succeed or not; with two 96² cameras into a dataset, those that were
accepted. The rates are absolute, so they depend on the machine; the spread over repeats shows how quiet it was.
"""

import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, cast

from etude.compute import ProcessExecutor
from etude.core import Case, Executor, Perturbation, Task, derive_seed, stream
from etude.data import DatasetMeta
from etude.generation.annotating import annotate_dataset
from etude.generation.config import GenerationConfig
from etude.generation.generate import generate
from etude.loop.making.collecting import collect
from etude.loop.making.generating import GeneratorMaker, read_sources, segment_plan
from etude.loop.making.human import HumanMaker
from etude.sim import make_task

TASK = "franka-stack:distractors=0,max_steps=400"
ATTEMPTS, BATCH = 80, 4


def main(repeats: int = 5) -> None:
    """Measure and print."""
    with ProcessExecutor(2) as executor, tempfile.TemporaryDirectory() as folder:
        sources = make_sources(executor, Path(folder))
        figures: tuple[tuple[str, int, Callable[..., None]], ...] = (
            ("attempts a minute, state only", 600, state_only),
            ("accepted a minute, with two 96² cameras, written as a dataset", 200, with_images),
        )
        for name, wanted, run in figures:
            run(executor, sources, 8, 0)  # starts the processes and compiles the scene
            rates = [60 * ATTEMPTS / seconds(run, executor, sources, 1 + i) for i in range(repeats)]
            print(f"{name}: median {median(rates):,.0f}, from {min(rates):,.0f} to {max(rates):,.0f} (wanted {wanted})")


def make_sources(executor: Executor, folder: Path) -> Path:
    """Ten annotated human-like demonstrations; without images, which nobody looks at."""
    task = make_task(f"{TASK},cameras=none")
    demos, sources = folder / "demos", folder / "sources"
    collect(task, demos, accepted=10, draw=nominal, seed=7, executor=executor, maker=HumanMaker(), generator="human")
    annotate_dataset(DatasetMeta.open(demos), sources, task, executor=executor)
    return sources


def seconds(run: Callable[..., None], executor: Executor, sources: Path, seed: int) -> float:
    begin = time.perf_counter()
    run(executor, sources, ATTEMPTS, seed)
    return time.perf_counter() - begin


def state_only(executor: Executor, sources: Path, attempts: int, seed: int) -> None:
    jobs = [(sources, seed, first) for first in range(0, attempts, BATCH)]
    assert sum(executor.map(attempt, jobs)) >= 0


def attempt(job: tuple[Path, int, int]) -> int:
    """Some attempts; how many succeeded."""
    sources, seed, first = job
    task, environment = world()
    cases = [Case(Perturbation(), derive_seed(seed, i)) for i in range(first, first + BATCH)]
    made = [
        generate(
            environment,
            segment_plan(task),
            read_sources(sources, task),
            case,
            stream(case.seed, "generate"),
            GenerationConfig(),
        )
        for case in cases
    ]
    return sum(one.outcome.success for one in made)


@lru_cache(maxsize=1)
def world() -> tuple[Task, Any]:
    task = make_task(f"{TASK},cameras=none")
    return task, cast(Any, task.environment())


def with_images(executor: Executor, sources: Path, accepted: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        maker = GeneratorMaker(sources=str(sources))
        out = Path(folder, "dataset")
        collect(make_task(TASK), out, accepted=accepted, draw=nominal, seed=seed, executor=executor, maker=maker)


def nominal(rng: Any) -> Perturbation:
    del rng
    return Perturbation()


if __name__ == "__main__":
    main()
