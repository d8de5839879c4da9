"""Training that happens elsewhere: demonstrations go out, a checkpoint or the address of a policy server comes back."""

from pathlib import Path

from etude.core import ConfigError, EtudeError
from etude.core.files import read_json

CHECKPOINT, TRAINED = "checkpoint", "trained.json"


def trained_policy(train: Path) -> str:
    """The policy that a training left, as `etude.loop.wiring.policy_factory` takes it.

    Args:
        train: Folder of the training's stage: with a checkpoint of its own, or with the name of one that is elsewhere.
    """
    record = train / TRAINED
    return read_trained(record) if record.exists() else str(train / CHECKPOINT)


def read_trained(record: Path) -> str:
    """The policy that a file trained.json names: a checkpoint folder, or the address of a server.

    Raises:
        EtudeError: It is something else.
    """
    content = read_json(record)
    policy = content.get("policy")
    if not isinstance(policy, str) or not policy:
        raise EtudeError(
            f'\'{record}\' should be {{"policy": "a checkpoint folder, ws://HOST:PORT or tcp://HOST:PORT"}}.'
        )
    return policy


def checkpoint_of(train: Path, wanted: str, remain: tuple[str, ...]) -> Path:
    """The checkpoint folder that a training left, for what no server can give: gradients, or a start to train from.

    Args:
        train: Folder of the training's stage.
        wanted: What it is wanted for, e.g. "the score split".
        remain: What can be had without.

    Raises:
        ConfigError: The policy is on a server.
    """
    policy = trained_policy(train)
    if "://" in policy:
        raise ConfigError(
            f"{wanted} needs the gradients of a checkpoint, and the policy is on the server {policy}: what remains is "
            f"{', '.join(remain)}."
        )
    folder = Path(policy)
    return folder if (folder / "config.json").exists() else folder / CHECKPOINT
