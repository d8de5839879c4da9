"""The expert of Etude's own ALOHA world in gym_aloha's: arms, proprioception and actions are the same there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from etude.core import ActionChunk, Memory, Observation
from etude.sim.worlds.aloha.scripting import ScriptedArms
from etude.sim.worlds.aloha.transfer_expert import decide

_CUBE_EDGE_M = 0.04


class TransferExpert:
    """Hands the cube over; gym_aloha's object state is its pose alone, to which the cube's edge is added."""

    def __init__(self) -> None:
        self._arms = ScriptedArms(decide, objects=1, sizes=1, distractors=0)

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start an episode."""
        return self._arms.begin(rng)

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """One action for each, (1, 14)."""
        return self._arms.act([_with_edge(observation) for observation in observations], memories)


def _with_edge(observation: Observation) -> Observation:
    pose = observation.object_state
    return observation if pose is None else replace(observation, object_state=np.append(pose, np.float32(_CUBE_EDGE_M)))
