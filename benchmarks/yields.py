"""Yield of generation: of every world with segments, from ten human-like sources, by how the source is selected.

Attempts are state-only, in nominal worlds: the published reset ranges. Where the name says so, episodes are given twice
the usual time, for a person's hand takes that.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from etude.core import Case, EtudeError, Perturbation, Rate, Step, Task, derive_seed, rollout, stream
from etude.generation.annotation import Annotation, annotate_episode
from etude.generation.config import GenerationConfig
from etude.generation.cutting import segment_plan, why_uncut
from etude.generation.generate import generate
from etude.generation.human import HumanLike
from etude.generation.source import SourceDemonstration
from etude.sim import make_task

WORLDS = {
    "franka-stack:cubes=2,distractors=0": 0.94,
    "franka-stack:distractors=0": 0.70,
    "franka-lift:distractors=0": None,
    "so101-sort:max_steps=400": 0.85,
    "aloha-transfer-cube:max_steps=1000": 0.80,
    "aloha-insertion:max_steps=1000": 0.50,
    "aloha-one-arm:max_steps=1000": None,
}
"""Task -> the yield that is wanted of it."""
SOURCES = 10
CONFIGS = [
    GenerationConfig(select=select, per_subtask=per_subtask)
    for select, per_subtask in product(("random", "nearest-object", "nearest-robot"), (False, True))
]


def main(attempts: int = 200, worlds: Sequence[str] = tuple(WORLDS)) -> None:
    """Measure and print."""
    for name in worlds:
        comma = "," if ":" in name else ":"
        task = make_task(f"{name}{comma}cameras=none")
        environment: Any = task.environment(object_state=True)
        sources = human_sources(task, environment)
        wanted = WORLDS.get(name)
        print(f"\n{name}, {len(sources)} sources" + (f" (wanted {wanted:.0%})" if wanted else ""), flush=True)
        for config in CONFIGS:
            rate, failed = measure(task, environment, sources, config, attempts)
            how = f"{config.select}, {'per sub-task' if config.per_subtask else 'per episode'}"
            worst = ", ".join(f"{mode} {n}" for mode, n in failed.most_common(3))
            print(f"  {how:30} {rate}  {rate.value:.1%}  {worst}", flush=True)


def human_sources(task: Task, environment: Any) -> list[SourceDemonstration]:
    """The first ten successes of a human-like hand in nominal worlds, annotated."""
    plan, sources = segment_plan(task), list[SourceDemonstration]()
    for index in range(10 * SOURCES):
        case = Case(Perturbation(), derive_seed(7, "source", index))
        actions = _Actions()
        if not rollout(environment, HumanLike(task.expert(), environment, task.fps), case, [actions]).success:
            continue
        annotation = annotate_episode(environment, np.stack(actions.taken), case)
        if not isinstance(annotation, Annotation):
            continue
        source = SourceDemonstration(
            episode=len(sources),
            actions=np.stack(actions.taken)[: annotation.length],
            objects=annotation.objects,
            grippers=annotation.grippers,
            targets=annotation.targets,
            commands=annotation.commands,
            signals=annotation.signals,
        )
        if not why_uncut(source, plan):
            sources.append(source)
        if len(sources) == SOURCES:
            return sources
    raise EtudeError(f"a human-like hand succeeds too seldom on {task.name} to give {SOURCES} sources.")


def measure(
    task: Task, environment: Any, sources: Sequence[SourceDemonstration], config: GenerationConfig, attempts: int
) -> tuple[Rate, "Counter[str]"]:
    """The yield over fresh nominal worlds, and how the others failed."""
    plan, failed = segment_plan(task), Counter[str]()
    for index in range(attempts):
        case = Case(Perturbation(), derive_seed(99, "attempt", index))
        outcome = generate(environment, plan, sources, case, stream(case.seed, "generate"), config).outcome
        if not outcome.success:
            failed[f"{outcome.failure_mode} after {outcome.stage or 'nothing'}"] += 1
    return Rate(attempts - failed.total(), attempts), failed


class _Actions:
    def __init__(self) -> None:
        self.taken: list[Any] = []

    def begin(self, case: Case) -> None:
        del case

    def step(self, step: Step) -> None:
        self.taken.append(np.array(step.action, np.float32))

    def end(self, observation: Any, outcome: Any) -> None:
        del observation, outcome


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2:] or tuple(WORLDS))
