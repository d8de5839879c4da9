"""Policies that workers can import, of the toy world: one kills its process, one can be caught in the act."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from toys import PlantedPolicy

from etude.core import ActionChunk, Memory, Observation


@dataclass(frozen=True)
class DeadlyPolicy(PlantedPolicy):
    """Ends its process where friction is high (killed) or the cube small (gone by itself); kills once per marker."""

    marker: str = ""

    def chunk(self, observation: Observation, memory: Memory, direction: float = 1.0) -> ActionChunk:
        assert observation.object_state is not None
        if self.marker:
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        elif observation.object_state[5] > 1.45:
            os.kill(os.getpid(), signal.SIGKILL)
        elif observation.object_state[4] < 0.82:
            os._exit(3)
        return super().chunk(observation, memory, direction)


@dataclass(frozen=True)
class SlowPolicy(PlantedPolicy):
    """Takes its time, and tells in `folder` which process of which machine it runs in."""

    folder: str = ""

    def chunk(self, observation: Observation, memory: Memory, direction: float = 1.0) -> ActionChunk:
        from ray import get_runtime_context

        Path(self.folder, f"{get_runtime_context().get_node_id()}-{os.getpid()}").touch()
        time.sleep(0.02)
        return super().chunk(observation, memory, direction)
