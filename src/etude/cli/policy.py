"""The policy that a person names, checked against the task before anything runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from etude.core import ConfigError, PolicyFactory, Task
from etude.policies.features import Features
from etude.policies.inputs.reading import checkpoint_features


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """How a policy's chunks are executed; see `etude.policies.CheckpointPolicy`.

    Attributes:
        execute: Actions of a predicted chunk to execute before the policy looks again.
        ensemble: Average every action over all chunks that predicted it, older ones weighing more by this decay: 0.01
            with --execute 1 is Zhao et al.'s temporal ensembling.
        smooth: Share of the last action that stays in the next one, from 0 to below 1.
        overlap: Look so many actions before the chunk ends, as a robot whose network computes while it moves.
    """

    execute: int = 8
    ensemble: Annotated[float | None, arg(metavar="DECAY")] = None
    smooth: Annotated[float, arg(metavar="SHARE")] = 0.0
    overlap: Annotated[int, arg(metavar="ACTIONS")] = 0

    def __post_init__(self) -> None:
        if self.execute < 1:
            raise ConfigError(f"--execute {self.execute}: must be at least 1.")
        if not 0 <= self.overlap < self.execute:
            raise ConfigError(f"--overlap {self.overlap}: must be at least 0 and less than --execute {self.execute}.")
        if not 0 <= self.smooth < 1:
            raise ConfigError(f"--smooth {self.smooth:g}: must be in [0, 1); 0.3 is gentle, 0.9 very slow.")


def execution_settings(options: ExecutionOptions) -> dict[str, Any]:
    """How chunks are executed, as JSON values: None for what is not done, as in settings that do not know of it."""
    return {
        "execute": options.execute,
        "ensemble": options.ensemble,
        "smooth": options.smooth or None,
        "overlap": options.overlap or None,
    }


def execution_words(options: ExecutionOptions) -> str:
    """How chunks are executed, as options to type again: "" where all is as by default, else with a blank before."""
    usual, given = execution_settings(ExecutionOptions()), execution_settings(options)
    return "".join(f" --{name} {value:g}" for name, value in given.items() if value != usual[name])


def resolve_policy(name: str, task: Task, options: ExecutionOptions) -> PolicyFactory:
    """The policy factory that a name stands for (see `etude.loop.wiring`), which fits the task.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        MismatchError: A checkpoint for other cameras, images, states or actions.
    """
    from etude.loop.wiring import policy_factory
    from etude.policies import CheckpointPolicy

    policy = policy_factory(
        name,
        task,
        execute=options.execute,
        ensemble=options.ensemble,
        smooth=options.smooth,
        overlap=options.overlap,
    )
    if isinstance(policy, CheckpointPolicy):
        require_fit(checkpoint_features(Path(policy.path)), task)
    return policy


def require_fit(features: Features, task: Task) -> None:
    """Raise unless the task gives a policy the cameras, image size, state and actions that it is trained with.

    Raises:
        MismatchError: Names what is missing or of another size.
    """
    given = Features(
        cameras=task.cameras,
        image_size=(task.image_size, task.image_size),
        state_size=len(task.state_names),
        action_size=len(task.action_names),
    )
    features.check(given, f"task '{task.name}'")
