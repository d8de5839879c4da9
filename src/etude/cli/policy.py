"""The policy that a person names, checked against the task before anything runs."""

from pathlib import Path

from etude.core import PolicyFactory, Task
from etude.core.files import read_json
from etude.policies.features import Features


def resolve_policy(name: str, task: Task, *, execute: int) -> PolicyFactory:
    """The policy factory for `expert`, `random` or a checkpoint folder that fits the task.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        MismatchError: A checkpoint for other cameras, images, states or actions.
    """
    from etude.loop.wiring import find_checkpoint, policy_factory

    policy = policy_factory(name, task, execute=execute)
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


def checkpoint_features(checkpoint: Path) -> Features:
    """What a checkpoint in LeRobot's layout sees and does.

    Raises:
        MismatchError: Its configuration does not say.
    """
    return Features.from_config(read_json(checkpoint / "config.json"))
