"""Training that happens elsewhere: demonstrations go out, a checkpoint or the address of a policy server comes back.

    round-01/uniform/hand-over/    the demonstrations, weights.json and instructions.md, see `etude.loop.handing`
        trained.json               {"policy": "a checkpoint folder or an address"}: a person's answer
    round-01/uniform/train/        the answer, accepted: it fits the task, see `etude.loop.accepting`

The loop stops where there is no answer yet, and goes on with --resume when there is.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.core import ConfigError, EtudeError, MismatchError, PolicyFactory, Task
from etude.core.files import read_json, write_json
from etude.loop.fingerprint import fingerprint
from etude.loop.stage import MANIFEST, load_manifest

CHECKPOINT, TRAINED, HAND_OVER, INSTRUCTIONS = "checkpoint", "trained.json", "hand-over", "instructions.md"
LAYOUTS = ("lerobot", "groot", "robomimic")
"""What demonstrations can be handed over as: LeRobot v3, LeRobot v2.1 with modality.json, HDF5."""


class AwaitingPolicyError(EtudeError):
    """Policies that are to be trained elsewhere before the loop can go on.

    Args:
        folders: Where the demonstrations for each are, with instructions.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        named = ", ".join(f"'{folder / INSTRUCTIONS}'" for folder in folders)
        super().__init__(f"waiting for a policy that is trained elsewhere: {named} says what to do.")


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
    content: Any = read_json(record)
    policy = content.get("policy") if isinstance(content, Mapping) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(policy, str) or not policy:
        raise EtudeError(f'\'{record}\' should be {{"policy": "…"}}, a checkpoint folder, ws://HOST:PORT or tcp://….')
    return policy


def hand_over_of(train: str) -> str:
    """Name of the folder, beside a training's, of what is handed over for it."""
    return HAND_OVER if train == "train" else f"{train}-{HAND_OVER}"


def answer_of(hand_over: Path) -> str:
    """The policy that came back for what was handed over.

    Raises:
        AwaitingPolicyError: None did yet.
        EtudeError: The answer is none.
    """
    if not (hand_over / TRAINED).exists():
        raise AwaitingPolicyError([hand_over])
    return read_trained(hand_over / TRAINED)


def require_same_weights(train: Path, task: Task, policy: PolicyFactory) -> None:
    """Raise where the files of a policy that was trained elsewhere are others than those that were accepted."""
    known = load_manifest(train).result.get("fingerprint")
    if known and known != fingerprint(task, policy):
        raise MismatchError(
            f"'{trained_policy(train)}' holds other files than those that '{train}' was done with: put them back, or "
            "start another run."
        )


def answer(run: Path, name: str, check: Callable[[str], str]) -> Path:
    """Write down the policy that a run waits for.

    Args:
        run: The run's folder.
        name: The policy.
        check: Accepts it, or raises.

    Returns:
        The folder of what it was trained on.

    Raises:
        ConfigError: The run waits for none, or for several.
    """
    waiting = awaited(run)
    if not waiting:
        raise ConfigError(f"--trained {name}: no training of the run '{run}' waits for a policy.")
    if len(waiting) > 1:
        told = ", ".join(f"'{folder / TRAINED}'" for folder in waiting)
        raise ConfigError(f'--trained {name}: several trainings wait; write {{"policy": "…"}} into {told}.')
    write_json(waiting[0] / TRAINED, {"policy": check(name)})
    return waiting[0]


def awaited(run: Path) -> list[Path]:
    """Folders of what a run handed over and has no answer to."""
    handed = sorted(folder for folder in run.rglob(f"*{HAND_OVER}") if (folder / MANIFEST).exists())
    return [folder for folder in handed if not (folder / TRAINED).exists()]


def require_same_answer(train: Path, policy: str) -> None:
    """Raise where a training that is done was answered with another policy."""
    done = trained_policy(train)
    full = policy if "://" in policy else str(Path(policy).resolve())
    if done not in (full, str(Path(full) / CHECKPOINT)):
        raise MismatchError(
            f"'{train}' was done with the policy {done}, and its {TRAINED} now names {policy}: put it back, or start "
            "another run."
        )


def checkpoint_of(train: Path, wanted: str, remain: Sequence[str]) -> Path:
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
