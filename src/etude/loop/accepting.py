"""The policy that comes back for what was handed over: whether it does for the run, and the stage that it becomes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etude.acquisition.scores import SCORES
from etude.core import Case, ConfigError, Perturbation
from etude.core.files import read_json, write_json
from etude.loop.arms import Arm
from etude.loop.config import LoopConfig
from etude.loop.elsewhere import HAND_OVER, TRAINED, answer_of, read_trained, require_same_answer
from etude.loop.fingerprint import fingerprint
from etude.loop.stage import load_manifest, run_stage
from etude.loop.stages import Arena
from etude.loop.wiring import find_checkpoint, policy_factory
from etude.policies import CheckpointPolicy


def accept(name: str, run: Path, arena: Arena, config: LoopConfig) -> str:
    """Check that a policy is there and does what the task and the arms need: its features, gradients, one episode.

    Args:
        name: A checkpoint folder, or the address of a server.
        run: The folder of the run that waits for it.
        arena: Where it is tried.
        config: The run's settings.

    Returns:
        The name, a path in full.

    Raises:
        EtudeError: It is not there, of other cameras or actions, gives no gradients where an arm asks for them, is
            another training's already, or a server does not answer; one line says which.
    """
    from etude.policies.features import Features
    from etude.policies.inputs.reading import checkpoint_features

    task = arena.task
    if "://" in name:
        _require_own_server(name, run)
    else:
        if not Path(name).is_dir():
            raise ConfigError(f"'{name}' is no folder: a trained policy is a checkpoint folder, ws://… or tcp://….")
        name = str(find_checkpoint(Path(name)).resolve())
    for arm in map(config.arm, config.arms):
        _require_gradients(name, arm)
    policy = policy_factory(name, task, execute=config.execute)
    if isinstance(policy, CheckpointPolicy):
        size = (task.image_size, task.image_size)
        given = Features(
            cameras=task.cameras, image_size=size, state_size=len(task.state_names), action_size=len(task.action_names)
        )
        checkpoint_features(Path(name)).check(given, f"task '{task.name}'")
    arena.evaluate(policy, [Case(Perturbation(), 0)])
    return name


def take_over(handed: Path, train: Path, run: Path, arena: Arena, config: LoopConfig) -> None:
    """Take the policy that came back for what was handed over as the result of a training.

    Args:
        handed: Folder of what was handed over, with the answer.
        train: Where the training's stage goes.
        run: The run's folder.
        arena: Where the policy is tried.
        config: The run's settings.

    Raises:
        AwaitingPolicyError: There is no answer yet.
        EtudeError: The policy is not there, or does not fit.
    """
    policy = answer_of(handed)
    if train.exists():
        require_same_answer(train, policy)
        return
    policy = accept(policy, run, arena, config)

    def work(folder: Path) -> Mapping[str, Any]:
        write_json(folder / TRAINED, {"policy": policy})
        write_json(folder / "curves.json", {})  # nobody tells how its loss fell
        found = fingerprint(arena.task, policy_factory(policy, arena.task, execute=config.execute))
        return {"trained_elsewhere": policy, "fingerprint": found}

    run_stage(train, {"hand_over": load_manifest(handed).hash, "policy": policy}, work)


def _require_own_server(policy: str, run: Path) -> None:
    """Raise where a finished training of the run has the same server's policy: one of both is there no more."""
    for record in sorted(run.rglob(TRAINED)):
        train = record.parent
        if not train.name.endswith((HAND_OVER, ".partial")) and read_trained(record) == policy:
            raise ConfigError(
                f"{policy} is the policy of '{train}' already, which the run needs to its end: serve the new one at "
                "another address beside it."
            )


def _require_gradients(policy: str, arm: Arm) -> None:
    """Raise where an arm asks for gradients that a policy does not give: all it makes before would be in vain."""
    from etude.policies.kinds import find_kind

    score = SCORES.get(arm.score)
    fix = "begin another run with arms that ask for none (--arms), such as uniform and failure."
    if "://" in policy:
        if arm.draw == "needs" or (score and score.asks_policy):
            raise ConfigError(f"arm '{arm.name}' needs a checkpoint, and the policy is on the server {policy}: {fix}")
    elif score and "loss" in score.needs:
        kind = find_kind(read_json(Path(policy) / "config.json")["type"])
        if kind.scorable is None:
            told = "it is not known which part of it is the head"
            raise ConfigError(f"arm '{arm.name}' needs the gradients of policy '{kind.name}', and {told}: {fix}")
