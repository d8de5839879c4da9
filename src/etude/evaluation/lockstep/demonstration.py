"""The demonstration of a lockstep: a recorded episode, and whether the simulator still makes the same of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import ActionChunk, Case, ConfigError, EtudeError, Memory, MismatchError, Observation
from etude.data import ACTION, STATE, DatasetMeta, read_numbers, require_episode
from etude.evaluation.lockstep.trace import Trace

_ALIKE = 1e-3  # of the first state's numbers, in their units: far more than rounding, far less than another layout


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """A recorded episode with the case it was made at.

    Attributes:
        name: Of the dataset and the episode, for messages.
        case: Its (θ, seed).
        states: As recorded, (T, S).
        actions: As executed, (T, A).
        success: Whether it was recorded as a success; None where that is not known.
    """

    name: str
    case: Case
    states: Float32[NDArray[np.float32], "T S"]
    actions: Float32[NDArray[np.float32], "T A"]
    success: bool | None = None

    @staticmethod
    def read(meta: DatasetMeta, episode: int) -> "Demonstration":
        """Read an episode of a dataset that Etude wrote.

        Raises:
            ConfigError: No such episode.
            EtudeError: The episode's case is not known, or a file is damaged.
        """
        require_episode(meta, episode)
        record = next((record for record in meta.episodes if record.index == episode), None)
        if record is None or record.case is None:
            raise EtudeError(
                f"episode {episode} of '{meta.root}' does not say which world it was recorded in: lockstep needs the "
                "factors and the seed, which `etude collect` writes with every episode."
            )
        numbers = read_numbers(meta, episode, [STATE, ACTION])
        return Demonstration(
            name=f"episode {episode} of '{meta.root}'",
            case=record.case,
            states=numbers[STATE].astype(np.float32),
            actions=numbers[ACTION].astype(np.float32),
            success=record.success,
        )

    def require_start(self, start_step: int) -> None:
        """Raise ConfigError unless a policy can take over at this step."""
        if not 0 <= start_step < len(self.actions):
            raise ConfigError(
                f"start step {start_step}: {self.name} has the steps 0 to {len(self.actions) - 1}; choose one of them."
            )


@dataclass(frozen=True)
class Recorded:
    """A policy that executes recorded actions, whatever it sees: all of them as one chunk, (T, A)."""

    actions: Float32[NDArray[np.float32], "T A"]

    def begin(self, rng: np.random.Generator) -> Memory:
        """It remembers nothing."""
        del rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """All actions for each observation."""
        del memories
        return [self.actions] * len(observations)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of a demonstration when its actions were executed again.

    Attributes:
        bit_equal: Whether every state is the recorded one, bit for bit.
        parted: The first step at which a state is not; None if none is.
        largest: The largest difference of any number of a state, in its units.
        success: Whether it succeeded now.
    """

    bit_equal: bool
    parted: int | None
    largest: float
    success: bool

    @staticmethod
    def check(demonstration: Demonstration, trace: Trace, *, success: bool) -> "Replay":
        """Compare an episode that executed the demonstration's actions with the recording.

        Raises:
            MismatchError: It began elsewhere, or failed where the recording succeeded: nothing is left to compare with.
        """
        if trace.states.shape[1:] != demonstration.states.shape[1:]:
            there, here = demonstration.states.shape[1], trace.states.shape[1]
            raise MismatchError(f"{demonstration.name} has states of {there} numbers, the task's have {here}.")
        T = min(len(trace.states), len(demonstration.states))
        differences = np.abs(trace.states[:T].astype(np.float64) - demonstration.states[:T]).max(axis=1, initial=0.0)
        parted = int((differences > 0).argmax()) if differences.any() else None
        if differences[0] > _ALIKE:
            raise MismatchError(
                f"{demonstration.name} does not begin where its world does (a number of the state differs by "
                f"{differences[0]:.3g}): its beginning was cut off, or it was made by another version; take an "
                "episode as it was recorded."
            )
        if demonstration.success and not success:
            when = "" if parted is None else f" (its states part from the recorded ones at step {parted})"
            raise MismatchError(
                f"{demonstration.name} succeeded when it was recorded, and its actions fail now{when}: another machine "
                "or version made it; collect demonstrations here and take one of those."
            )
        return Replay(bit_equal=parted is None, parted=parted, largest=float(differences.max()), success=success)
