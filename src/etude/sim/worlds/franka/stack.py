"""`franka-stack`: stack two or three cubes with a Panda arm, from camera images or from the cubes' poses.

The small region that needs different behaviour: a neighbour, another cube or a distractor, so close that it blocks the
usual grasp, and the hand has to turn by a quarter or grip off-centre.
"""

from dataclasses import dataclass
from functools import partial

from etude.core import ConfigError, PerturbationSpace, Segment, SegmentPlan
from etude.sim.task import SimTask
from etude.sim.world import TaskSheet
from etude.sim.worlds.franka import tabletop
from etude.sim.worlds.franka.control import ACTION_NAMES
from etude.sim.worlds.franka.cubes import CUBE_RGB, CUBE_TURNS, GRIPPER, CubeTable, CubeWorld
from etude.sim.worlds.franka.grasping import CubeExpert
from etude.sim.worlds.franka.stack_expert import decide
from etude.sim.worlds.franka.stack_stages import FAILURE_MODES, StackMonitor, subtask_names

CUBE_NAMES = tuple(CUBE_RGB)
"""Bottom to top of the finished stack."""

_MAX_STEPS = {2: 100, 3: 200}  # about two and a half times what the expert takes
# Only what has to do with the object is replayed. The way there, and the first of the way from there, is made anew: it
# led to where the source's next object lay, and a policy cannot tell from what it sees where that was. Of 200
# demonstrations made from 20 with longer segments a policy learned to solve 66 of 150 cases, with these 98.
_OFFSETS = (0, 1)
_WITHIN_M = {"grasp": 0.06, "stack": 0.09}
_TEXTS = {
    2: "Stack the red cube on the blue cube.",
    3: "Stack the red cube on the blue cube, then the green cube on the red cube.",
}


@dataclass(frozen=True, kw_only=True)
class FrankaStack(SimTask):
    """The task.

    Attributes:
        cubes: 2 (red on blue) or 3 (then green on red).
        distractors: The most that can stand around.
    """

    cubes: int = 3
    distractors: int = 2

    def __post_init__(self) -> None:
        if self.cubes not in _TEXTS:
            raise ConfigError(f"cubes = {self.cubes} cannot be stacked: choose 2 or 3.")
        super().__post_init__()

    def describe(self) -> TaskSheet:
        """Describe the task."""
        return TaskSheet(
            name="franka-stack",
            text=_TEXTS[self.cubes],
            fps=tabletop.FPS,
            max_steps=_MAX_STEPS[self.cubes],
            cameras=tabletop.CAMERAS,
            state_names=tabletop.STATE_NAMES,
            action_names=ACTION_NAMES,
            subtasks=subtask_names(self.cubes),
            failure_modes=FAILURE_MODES,
            space=stack_space(self.cubes, self.distractors),
            segments=stack_segments(self.cubes),
        )

    def world(self) -> CubeWorld:
        """Build its physics."""
        return CubeWorld(_table(self.cubes, self.distractors), partial(StackMonitor, self.cubes))

    def expert(self) -> CubeExpert:
        """Make the scripted expert, without noise."""
        return stacking_expert(cubes=self.cubes, distractors=self.distractors)


def stacking_expert(*, cubes: int = 3, distractors: int = 2, noise: float = 0.0) -> CubeExpert:
    """The expert of a world; see CubeExpert for its noise."""
    return CubeExpert(decide=decide, cubes=cubes, distractors=distractors, noise=noise)


def stack_space(cubes: int, distractors: int) -> PerturbationSpace:
    """Everything that can be varied about the world with the lowest `cubes` of CUBE_NAMES."""
    return _table(cubes, distractors).space


def stack_segments(cubes: int) -> SegmentPlan:
    """Each cube is grasped, as it lies, and then put on the one below, as that one lies."""
    row: list[Segment] = []
    for k in range(1, cubes):
        for verb, about in (("grasp", k), ("stack", k - 1)):
            last = k == cubes - 1 and about != k
            row.append(
                Segment(
                    signal="" if last else f"{verb}_{k}",
                    object=CUBE_NAMES[about],
                    turns=CUBE_TURNS,
                    offsets=(0, 0) if last else _OFFSETS,
                    within_m=_WITHIN_M[verb],
                )
            )
    return SegmentPlan(segments={GRIPPER: tuple(row)})


def _table(cubes: int, distractors: int) -> CubeTable:
    name = f"franka-stack-{cubes}"
    return CubeTable(name=name, cubes=CUBE_NAMES[:cubes], distractors=distractors, x_m=(0.4, 0.6), y_m=(-0.1, 0.1))
