"""The policy that a person names, checked against the task before anything runs."""

from pathlib import Path
from typing import Any

from etude.core import MismatchError, PolicyFactory, Task
from etude.core.files import read_json
from etude.policies.features import Features

_IMAGE = "observation.images."


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
    """What a checkpoint in LeRobot's layout sees and does; its images are (3, H, W).

    Raises:
        MismatchError: Its configuration does not say.
    """
    config: dict[str, Any] = read_json(checkpoint / "config.json")
    try:
        seen, done = config["input_features"], config["output_features"]
        images = {name: tuple(f["shape"][1:]) for name, f in seen.items() if name.startswith(_IMAGE)}
        return Features(
            cameras=tuple(name.removeprefix(_IMAGE) for name in images),
            image_size=next(iter(images.values()), (0, 0)),
            state_size=int(seen["observation.state"]["shape"][0]),
            action_size=int(done["action"]["shape"][0]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise MismatchError(
            f"checkpoint '{checkpoint}' does not say what it sees and does: {error} is missing."
        ) from error
