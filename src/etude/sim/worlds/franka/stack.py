"""`franka-stack`: stack two or three cubes with a Panda arm, from camera images or from the cubes' poses.

The small region that needs different behaviour: a neighbour, another cube or a distractor, so close that it blocks the
usual grasp, and the hand has to turn by a quarter or grip off-centre.
"""

from dataclasses import dataclass, replace
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
# Only what has to do with the object is replayed. The way there, and the way from there, which begins before the hand
# goes aside, are made anew: they led to where the source's next object lay, and no policy sees where that was.
_OFFSETS = (-1, 0)
_GRASP_WITHIN_M, _STACK_WITHIN_M = 0.06, 0.08  # the hand comes from above
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
    """Each cube is grasped, as it lies, and then put on the one below, where that one lies, however it is turned."""
    row: list[Segment] = []
    for k in range(1, cubes):
        cube, base, last = CUBE_NAMES[k], CUBE_NAMES[k - 1], k == cubes - 1
        grasp = Segment(signal=f"grasp_{k}", object=cube, turns=CUBE_TURNS, offsets=_OFFSETS, within_m=_GRASP_WITHIN_M)
        stack = Segment(object=base, turns=CUBE_TURNS, turned=False, carried=cube, within_m=_STACK_WITHIN_M)
        row += [grasp, stack if last else replace(stack, signal=f"stack_{k}", offsets=_OFFSETS)]
    return SegmentPlan(segments={GRIPPER: tuple(row)})


def _table(cubes: int, distractors: int) -> CubeTable:
    name = f"franka-stack-{cubes}"
    return CubeTable(name=name, cubes=CUBE_NAMES[:cubes], distractors=distractors, x_m=(0.4, 0.6), y_m=(-0.1, 0.1))
