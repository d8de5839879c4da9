"""One attempt at a new demonstration: state-only, from the reset to the success, or to where it is given up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import Case, ConfigError, Environment, Outcome, SegmentPlan, to_outcome
from etude.core.se3 import Pose
from etude.generation.config import GenerationConfig
from etude.generation.noise import Bounded
from etude.generation.source import SourceDemonstration
from etude.generation.weaving import GivenUpError, Piece, UnreachableError, Weaver

UNREACHABLE = "unreachable"
"""Failure mode of an attempt that would ask for a pose out of the robot's reach."""


class PoseControlledEnvironment(Environment, Bounded, Protocol):
    """An environment that new demonstrations can be made in."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What an attempt did and what became of it.

    Attributes:
        outcome: What became of it, with its case.
        actions: As executed, noise included, (T, A); none where it was given up before the first step.
        pieces: The parts it began, in order.
        source: The source episode that was chosen first, -1 where it did not come to that.
        start: Object -> X_world_object at the reset.
        reason: Why it was given up; "" where it was not.
    """

    outcome: Outcome
    actions: Float32[NDArray[np.float32], "T A"]
    pieces: tuple[Piece, ...]
    source: int
    start: Mapping[str, Pose]
    reason: str = ""


def generate(
    environment: PoseControlledEnvironment,
    plan: SegmentPlan,
    sources: Sequence[SourceDemonstration],
    case: Case,
    rng: np.random.Generator,
    config: GenerationConfig,
    *,
    source: int | None = None,
) -> Attempt:
    """Attempt a demonstration at a case.

    Replayed from the case's reset, the actions give the same episode, bit for bit.

    Args:
        environment: The world.
        plan: How the task's demonstrations are cut.
        sources: What there is to take segments from.
        case: (θ, seed) of the new demonstration.
        rng: Draws cuts, sources and noise.
        config: The choices.
        source: Take every segment from this source episode; None chooses as the config says.

    Raises:
        ConfigError: There is no such source.
    """
    chosen = next((s for s in sources if s.episode == source), None)
    if source is not None and chosen is None:
        raise ConfigError(
            f"no source demonstration {source}: choose one of {', '.join(str(s.episode) for s in sources)}."
        )
    _, info = environment.reset(seed=case.seed, options={"perturbation": case.theta})
    start = {name: np.array(X, np.float64) for name, X in info["object_poses"].items()}
    weaver = Weaver(environment, plan, sources, rng, config, info, chosen=chosen)
    actions: list[NDArray[np.float32]] = []
    total_reward, done, reason, unreachable = 0.0, False, "", False
    try:
        while not done and (action := weaver.action(info)) is not None:
            actions.append(action)
            _, reward, terminated, truncated, info = environment.step(action)
            total_reward, done = total_reward + float(reward), terminated or truncated
    except GivenUpError as given_up:
        reason, unreachable = str(given_up), isinstance(given_up, UnreachableError)
    outcome = to_outcome(case, info, len(actions), total_reward)
    return Attempt(
        outcome=replace(outcome, failure_mode=UNREACHABLE) if unreachable and not outcome.success else outcome,
        actions=np.array(actions, np.float32).reshape(len(actions), len(environment.action_space.low)),
        pieces=tuple(weaver.pieces),
        source=weaver.source,
        start=start,
        reason=reason,
    )
