"""The experts of Etude's own ALOHA worlds in gym_aloha's: arms, proprioception and actions are the same there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from etude.core import ActionChunk, Memory, Observation
from etude.sim.worlds.aloha import insertion_expert, transfer_expert
from etude.sim.worlds.aloha.cube import CUBE_EDGE_M
from etude.sim.worlds.aloha.insertion import AlohaInsertion
from etude.sim.worlds.aloha.scripting import ScriptedArms


class SizedExpert:
    """Another world's expert, told the sizes that gym_aloha's object state, its objects' poses, does not have."""

    def __init__(self, arms: ScriptedArms, sizes: Sequence[float]) -> None:
        """Wrap it.

        Args:
            arms: The expert of a world without distractors.
            sizes: What that world says of its objects beside their poses.
        """
        self._arms, self._sizes = arms, np.array(sizes, np.float32)

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start an episode."""
        return self._arms.begin(rng)

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """One action for each, (1, 14)."""
        return self._arms.act([self._with_sizes(observation) for observation in observations], memories)

    def _with_sizes(self, observation: Observation) -> Observation:
        poses = observation.object_state
        return observation if poses is None else replace(observation, object_state=np.append(poses, self._sizes))


def transfer() -> SizedExpert:
    """Hands the cube over."""
    return SizedExpert(ScriptedArms(transfer_expert.decide, objects=1, sizes=1, distractors=0), [CUBE_EDGE_M])


def insertion() -> SizedExpert:
    """Puts the peg into the socket."""
    sizes = AlohaInsertion(distractors=0).world().sizes()
    return SizedExpert(ScriptedArms(insertion_expert.decide, objects=2, sizes=len(sizes), distractors=0), sizes)
