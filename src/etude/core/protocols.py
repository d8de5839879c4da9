"""What the rooms expect of one another: small interfaces, no implementations.

A policy is batch-first and keeps nothing between calls: what it must remember of an episode (its noise stream, a
script's phase, the tail of a chunk) lives in a memory object that `begin` makes and the rollout hands back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from etude.core.episode import ActionChunk, Case, Observation, Outcome, Step, Vector
from etude.core.errors import EtudeError
from etude.core.space import Perturbation, PerturbationSpace

type Memory = Any

type Roll = Callable[[Sequence[Case]], Sequence[Outcome]]
"""Runs cases with one policy and returns their outcomes, in order."""


class Policy(Protocol):
    """Maps observations to action chunks."""

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start an episode; `rng` is the only source of randomness the policy may use in it."""
        ...

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """Predict one chunk per observation, each (H, A) float32 with H >= 1.

        All H actions are executed before the policy is asked again. The result for an observation must not depend on
        which others share its batch.
        """
        ...


@runtime_checkable
class KnowsCase(Protocol):
    """A policy that is told its case: replays, and policies whose failures are planted; never a trained one."""

    def begin_at(self, case: Case, rng: np.random.Generator) -> Memory:
        """Start the episode of a case; called instead of `begin`."""
        ...


class Environment(Protocol):
    """A gymnasium.Env whose `reset(seed=…, options={"perturbation": θ})` gives the world that (θ, seed) fixes.

    Observations are {"pixels": {camera: (H, W, 3) uint8}, "agent_pos": (S,)} and "environment_state": (E,) where the
    environment declares it. `info` carries progress, stage, is_success, failure_mode, subtasks, object_poses,
    and gripper_poses where the environment knows them.
    """

    task_text: str

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Start an episode."""
        ...

    def step(self, action: Any) -> tuple[Mapping[str, Any], float, bool, bool, dict[str, Any]]:
        """Advance one control period."""
        ...

    def close(self) -> None:
        """Free what the environment holds."""
        ...


class Task(Protocol):
    """A world with a goal: picklable, compared by value, cheap until `environment` is called."""

    @property
    def name(self) -> str:
        """Registered name with the settings that differ from the default, e.g. "franka-stack:cubes=2"."""
        ...

    @property
    def text(self) -> str:
        """The task in words, as a policy reads it."""
        ...

    @property
    def fps(self) -> int:
        """Control steps a second."""
        ...

    @property
    def max_steps(self) -> int:
        """Control steps after which an episode is over."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Camera names; none for a state-only task."""
        ...

    @property
    def image_size(self) -> int:
        """Height and width of every image [px]."""
        ...

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the S numbers of proprioception."""
        ...

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the A numbers of an action."""
        ...

    @property
    def action_bounds(self) -> tuple[Vector, Vector]:
        """Smallest and largest action, (A,) each; infinite where there is no bound."""
        ...

    @property
    def subtasks(self) -> tuple[str, ...]:
        """Names of its sub-tasks, in order."""
        ...

    @property
    def failure_modes(self) -> tuple[str, ...]:
        """Names of the ways to fail."""
        ...

    @property
    def space(self) -> PerturbationSpace:
        """Everything about it that can be varied."""
        ...

    def environment(self, *, lazy_images: bool = False, object_state: bool = False) -> Environment:
        """Make the environment.

        Args:
            lazy_images: Draw an image only when somebody looks at it (before the next step), the pixels being the same.
            object_state: Also observe the objects' poses, as experts do.
        """
        ...

    def expert(self) -> Policy:
        """Make the scripted expert; it reads `Observation.object_state`."""
        ...


class PolicyFactory(Protocol):
    """Makes a policy where it is needed: picklable, hashable, compared by value."""

    @property
    def object_state(self) -> bool:
        """Whether the policy reads `Observation.object_state`."""
        ...

    def create(self) -> Policy:
        """Make the policy."""
        ...


class Observer(Protocol):
    """Watches an episode: recorders, video writers, progress displays."""

    def begin(self, case: Case) -> None:
        """Called after the reset."""
        ...

    def step(self, step: Step) -> None:
        """Called before every control step, when its action is known."""
        ...

    def end(self, observation: Observation, outcome: Outcome) -> None:
        """Called when the episode is over, with the observation of its last moment."""
        ...


class Searcher(Protocol):
    """Looks for failures: `ask` and `tell` alternate."""

    def ask(self) -> Sequence[Perturbation]:
        """Propose a batch of feasible perturbations."""
        ...

    def tell(self, severities: Sequence[float]) -> None:
        """Learn how severe each perturbation asked for was, in order: in [0, 1], above ½ where the policy failed."""
        ...


class Executor(Protocol):
    """Runs jobs somewhere: in this process, in others, on a cluster."""

    def map[J, R](
        self, function: Callable[[J], R], jobs: Iterable[J], *, on_lost: Callable[[J, EtudeError], R] | None = None
    ) -> Iterator[R]:
        """Run `function` on every job and yield the results in the order of the jobs.

        Both are picklable, and running a job twice gives the same result.

        Args:
            function: What to do.
            jobs: With what; drawn as workers come free.
            on_lost: Gives the result of a job that ended its worker again and again; called here, with the error that
                is raised where there is none.
        """
        ...
