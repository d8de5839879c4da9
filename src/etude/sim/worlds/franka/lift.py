"""`franka-lift`: pick up the red cube with a Panda arm, a task like the one of gym-hil.

As there, the cube starts in a field of 0.2 m × 0.3 m and is to be lifted by 0.1 m. The field lies 0.1 m further ahead
(x from 0.4 m) and reaches to y = ±0.14 m, not ±0.15 m, where the front camera sees all of it; the cube is turned, too.
Control is that of `franka-stack`, at its 20 Hz (gym-hil: 10 Hz), so that policies and data have the same form.

Small regions that need different behaviour: a distractor so close to the cube that it blocks the usual grasp, and the
hand has to turn by a quarter or grip off-centre. Different features: a distractor that is a box of the cube's colour,
and only the dark cap that all distractors wear tells them apart.
"""

from dataclasses import dataclass
from math import dist, tanh
from typing import Literal, get_args

from etude.core import Segment, SegmentPlan
from etude.sim.stages import StageTracker
from etude.sim.task import SimTask
from etude.sim.world import TaskSheet
from etude.sim.worlds.franka import tabletop
from etude.sim.worlds.franka.control import ACTION_NAMES
from etude.sim.worlds.franka.cubes import CUBE_TURNS, GRIPPER, HELD_WITHIN_M, CubeTable, CubeWorld, Point, Scene
from etude.sim.worlds.franka.grasping import TOP_SPEED_M, CubeExpert, Look, Motion, is_held, limited, pick

_WITHIN_M = 0.06
SUBTASKS = ("reach", "grasp", "lift")
"""Cube between the fingers, open or closed; lifted off the table; held so high that it counts."""
type FailureMode = Literal["no_reach", "missed_grasp", "knocked_away", "dropped", "timeout"]
FAILURE_MODES: tuple[str, ...] = get_args(FailureMode.__value__)
"""Never came near the cube; came near and lifted nothing; pushed it away; lifted and lost it; still busy at the end."""
HEIGHT_M = 0.1
"""How far the cube is lifted, as in gym-hil."""
HELD_STEPS = 4
"""Control steps that it has to be held there (0.2 s)."""

_AWAY_M = 0.03  # from where it started: no longer a touch in passing
_LENGTH_SCALE_M = 0.1  # of distances in the progress


@dataclass(frozen=True, kw_only=True)
class FrankaLift(SimTask):
    """The task.

    Attributes:
        distractors: The most that can stand around.
    """

    distractors: int = 2

    def describe(self) -> TaskSheet:
        """Describe the task."""
        return TaskSheet(
            name="franka-lift",
            text="Pick up the red cube.",
            fps=tabletop.FPS,
            max_steps=80,  # almost three times what the expert takes
            cameras=tabletop.CAMERAS,
            state_names=tabletop.STATE_NAMES,
            action_names=ACTION_NAMES,
            subtasks=SUBTASKS,
            failure_modes=FAILURE_MODES,
            space=self._table().space,
            # One segment, from near the cube on: the way up begins where the grasp is.
            segments=SegmentPlan(
                segments={GRIPPER: (Segment(object="cube_red", turns=CUBE_TURNS, within_m=_WITHIN_M),)}
            ),
        )

    def world(self) -> CubeWorld:
        """Build its physics."""
        return CubeWorld(self._table(), LiftMonitor)

    def expert(self) -> CubeExpert:
        """Make the scripted expert, without noise."""
        return lifting_expert(distractors=self.distractors)

    def _table(self) -> CubeTable:
        cubes, distractors = ("cube_red",), self.distractors
        return CubeTable(name="franka-lift", cubes=cubes, distractors=distractors, x_m=(0.4, 0.6), y_m=(-0.14, 0.14))


def lifting_expert(*, distractors: int = 2, noise: float = 0.0) -> CubeExpert:
    """The expert of a world; see CubeExpert for its noise."""
    return CubeExpert(decide=decide, cubes=1, distractors=distractors, noise=noise)


def decide(look: Look) -> Motion:
    """Choose the expert's next motion: straight up with the cube in the fingers, else on the way to it."""
    cube = look.cubes[0]
    if not is_held(cube, look.hand):
        return pick(look, 0)
    goal = cube.edge / 2 + HEIGHT_M + 0.03
    return Motion(0.0, 0.0, limited(goal - cube.z, TOP_SPEED_M), 0.0, True)


class LiftMonitor(StageTracker):
    """Follows one episode step by step."""

    def __init__(self, edge: float) -> None:
        """Start an episode with a cube of an edge [m]."""
        super().__init__(SUBTASKS, HELD_STEPS)
        self._edge = edge
        self._start: tuple[float, float, float] | None = None
        self._near = self._lifted = False

    def judge(self, scene: Scene) -> None:
        """Judge the next moment."""
        (cube,) = scene.cubes
        self._start = self._start or (cube[0], cube[1], self._edge / 2)
        lift = (cube[2] - self._edge / 2) / HEIGHT_M
        away = dist(cube, scene.gripper)
        held = scene.is_held(0, self._edge)
        self._lifted |= held
        self._near |= away < HELD_WITHIN_M
        if held:
            reached, share = 2, lift
        elif away < HELD_WITHIN_M:
            reached, share = 1, 0.9 * (1 - min(max(scene.opening - self._edge, 0.0) / self._edge, 1.0))
        else:
            reached, share = 0, 0.9 * (1 - tanh(away / _LENGTH_SCALE_M))
        self.update(
            reached=reached,
            share=min(share, 1.0),
            goal=held and lift > 1.0,
            failure_mode=self._failure(cube, held=held),
        )

    def _failure(self, cube: Point, *, held: bool) -> FailureMode:
        if held:
            return "timeout"
        if self._lifted:
            return "dropped"
        if self._start and dist(cube, self._start) > _AWAY_M:
            return "knocked_away"
        return "missed_grasp" if self._near else "no_reach"
