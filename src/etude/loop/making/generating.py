"""The maker that makes demonstrations from demonstrations."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np

from etude.acquisition.distributions import MutationDistributions
from etude.core import Case, ConfigError, PolicyFactory, PoseControlled, Task, stream
from etude.data import EpisodeRecorder, encode
from etude.generation.config import GenerationConfig
from etude.generation.cutting import segment_plan
from etude.generation.generate import Attempt, PoseControlledEnvironment, generate
from etude.generation.loading import load_sources
from etude.generation.replaying import Script, replay
from etude.generation.source import SourceDemonstration
from etude.loop.making.maker import NARROWER, Made, where


@dataclass(frozen=True, kw_only=True)
class GeneratorMaker:
    """Puts segments of source demonstrations together anew; what succeeds is replayed once for its images.

    Attributes:
        sources: Folder of the annotated dataset.
        config: How.
        distributions: A round's distributions.json, which say what source a θ that was drawn from them belongs to; ""
            chooses as the config says, and so do those of a run whose demonstrations the expert made.
    """

    sources: str
    config: GenerationConfig = field(default_factory=GenerationConfig)
    distributions: str = ""

    @property
    def title(self) -> str:
        """What it is called, with what may spoil its attempts."""
        return f"the generator with noise {self.config.noise:g}" if self.config.noise else "the generator"

    @property
    def remedy(self) -> str:
        """What helps it."""
        return f"lower the noise, or {NARROWER}" if self.config.noise else NARROWER

    @property
    def blind(self) -> bool:
        """Whether it sees no images, so that what only images show cannot change an attempt."""
        return True

    def make(self, task: Task, case: Case, *, name: str, keep_failed: bool = False) -> Made:
        """Make one attempt, state only, and render it if it is to be kept."""
        rng = stream(case.seed, "generate")
        environment, plan = _world(task), segment_plan(task)
        sources = read_sources(Path(self.sources), task)
        source = self._source_for(task, case, rng)
        attempt = generate(environment, plan, sources, case, rng, self.config, source=source)
        stuck = "" if attempt.outcome.success else _where(attempt)
        start = {name: (float(X[0, 3]), float(X[1, 3])) for name, X in attempt.start.items()}
        made = Made(outcome=attempt.outcome, source=attempt.source, stuck=stuck, start=start)
        if not attempt.outcome.success:
            made = replace(made, actions=attempt.actions)
        if not len(attempt.actions) or not (attempt.outcome.success or keep_failed):
            return made
        recorder = EpisodeRecorder(task.cameras, generator=name, source_episode=attempt.source)
        replay(environment, attempt, [recorder])
        episode = replace(recorder.episode, outcome=attempt.outcome)
        return replace(made, episode=encode(episode, task.fps))

    def again(self, task: Task, made: Made) -> PolicyFactory | None:
        """A replay."""
        return Script(made.actions) if made.actions is not None and len(made.actions) else None

    def _source_for(self, task: Task, case: Case, rng: np.random.Generator) -> int | None:
        if not self.distributions:
            return None
        distributions = _distributions(self.distributions, task.space.names)
        source = distributions.source_of(task.space.to_unit(case.theta), rng)
        return None if source < 0 else source


@lru_cache(maxsize=2)
def read_sources(dataset: Path, task: Task) -> tuple[SourceDemonstration, ...]:
    """The demonstrations of an annotated dataset that can be cut for a task; see load_sources."""
    return tuple(load_sources(dataset, segment_plan(task), task=task))


@lru_cache(maxsize=1)
def _world(task: Task) -> PoseControlledEnvironment:
    environment = task.environment(lazy_images=True)
    if not isinstance(environment, PoseControlled):
        raise ConfigError(f"the grippers of {task.name} cannot be asked for poses, so nothing can be generated in it.")
    return cast(PoseControlledEnvironment, environment)


@lru_cache(maxsize=1)
def _distributions(path: str, factors: tuple[str, ...]) -> MutationDistributions:
    return MutationDistributions.load(Path(path), factors)


def _where(attempt: Attempt) -> str:
    """Where an attempt failed: the reach of which segment, or after which sub-task how."""
    if attempt.outcome.failure_mode == "unreachable":
        return f"out of reach in {attempt.reason.partition(':')[0]}"
    return where(attempt.outcome)
