"""The policy that a person names, checked against the task before anything runs."""

from pathlib import Path
from typing import Any, Protocol

from etude.core import ConfigError, PolicyFactory, Task
from etude.policies.features import Features
from etude.policies.inputs.reading import checkpoint_features


class Execution(Protocol):
    """Options of every command that runs a policy; see `etude.policies.CheckpointPolicy`."""

    @property
    def execute(self) -> int:
        """Actions of a chunk to execute."""
        ...

    @property
    def ensemble(self) -> float | None:
        """Decay of the average over chunks."""
        ...

    @property
    def smooth(self) -> float:
        """Share of the last action that stays."""
        ...

    @property
    def overlap(self) -> int:
        """Actions that run while the next chunk is computed."""
        ...


def check_execution(options: Execution) -> None:
    """Check the options that say how chunks are executed.

    Raises:
        ConfigError: Of values that cannot work.
    """
    if options.execute < 1:
        raise ConfigError(f"--execute {options.execute}: must be at least 1.")
    if not 0 <= options.overlap < options.execute:
        raise ConfigError(f"--overlap {options.overlap}: must be at least 0 and less than --execute {options.execute}.")
    if not 0 <= options.smooth < 1:
        raise ConfigError(f"--smooth {options.smooth:g}: must be in [0, 1); 0.3 is gentle, 0.9 very slow.")


def execution_settings(options: Execution) -> dict[str, Any]:
    """How chunks are executed, as JSON values: None for what is not done, as in settings that do not know of it."""
    return {
        "execute": options.execute,
        "ensemble": options.ensemble,
        "smooth": options.smooth or None,
        "overlap": options.overlap or None,
    }


def resolve_policy(name: str, task: Task, options: Execution) -> PolicyFactory:
    """The policy factory for `expert`, `random` or a checkpoint folder that fits the task.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        MismatchError: A checkpoint for other cameras, images, states or actions.
    """
    from etude.loop.wiring import find_checkpoint, policy_factory

    policy = policy_factory(
        name,
        task,
        execute=options.execute,
        ensemble=options.ensemble,
        smooth=options.smooth,
        overlap=options.overlap,
    )
    if name not in ("expert", "random"):
        require_fit(find_checkpoint(Path(name)), task)
    return policy


def require_fit(checkpoint: Path, task: Task) -> None:
    """Raise unless the task gives a checkpoint the cameras, image size, state and actions that it was trained with.

    Raises:
        MismatchError: Names what is missing or of another size.
    """
    given = Features(
        cameras=task.cameras,
        image_size=(task.image_size, task.image_size),
        state_size=len(task.state_names),
        action_size=len(task.action_names),
    )
    checkpoint_features(checkpoint).check(given, f"task '{task.name}'")
