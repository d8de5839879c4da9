"""`franka-stack`: stack two or three cubes with a Panda arm, from camera images or from the cubes' poses.

The small region that needs different behaviour: a neighbour, another cube or a distractor, so close that it blocks the
usual grasp, and the hand has to turn by a quarter or grip off-centre.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache, partial

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, Perturbation, PerturbationSpace, Vector, stream
from etude.core.se3 import pose
from etude.sim.distractors import Distractors
from etude.sim.layout import Thing
from etude.sim.task import SimTask, TaskSheet
from etude.sim.variations import Colour, Friction, Perturber, Scale, Variation, layout_factors
from etude.sim.worlds.franka import tabletop
from etude.sim.worlds.franka.control import ACTION_NAMES, RelativePoseController
from etude.sim.worlds.franka.grasping import CubeExpert
from etude.sim.worlds.franka.stack_expert import decide
from etude.sim.worlds.franka.stack_stages import FAILURE_MODES, Scene, StackMonitor, subtask_names
from etude.sim.worlds.franka.tabletop import CUBE_EDGE_M

CUBE_RGB = {"cube_blue": (0.10, 0.24, 0.85), "cube_red": (0.85, 0.10, 0.10), "cube_green": (0.10, 0.70, 0.15)}
"""Bottom to top of the finished stack."""
CUBE_NAMES = tuple(CUBE_RGB)
SEPARATION_M = 0.1
"""Least distance between the centres of cubes that the seed places, as in Isaac Lab's stack task."""
NOMINAL_X_M, NOMINAL_Y_M, NOMINAL_YAW_RAD = (0.4, 0.6), (-0.1, 0.1), (-1.0, 1.0)

_MAX_STEPS = {2: 100, 3: 200}  # about two and a half times what the expert takes
_TEXTS = {
    2: "Stack the red cube on the blue cube.",
    3: "Stack the red cube on the blue cube, then the green cube on the red cube.",
}
_SETTLE_SUBSTEPS = 20


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
        )

    def world(self) -> "StackWorld":
        """Build its physics."""
        return StackWorld(self.cubes, self.distractors)

    def expert(self) -> CubeExpert:
        """Make the scripted expert, without noise."""
        return stacking_expert(cubes=self.cubes, distractors=self.distractors)


def stacking_expert(*, cubes: int = 3, distractors: int = 2, noise: float = 0.0) -> CubeExpert:
    """The expert of a world; see CubeExpert for its noise."""
    return CubeExpert(decide=decide, cubes=cubes, distractors=distractors, noise=noise)


def stack_space(cubes: int, distractors: int) -> PerturbationSpace:
    """Everything that can be varied about the world with the lowest `cubes` of CUBE_NAMES."""
    layout = [
        factor
        for name in CUBE_NAMES[:cubes]
        for factor in layout_factors(name, tabletop.X_RANGE_M, tabletop.Y_RANGE_M, tabletop.YAW_RANGE_RAD)
    ]
    varied = [factor for variation in _variations(cubes, distractors) for factor in variation.factors]
    name = f"franka-stack-{cubes}" + (f"-distractors-{distractors}" if distractors else "")
    return PerturbationSpace(name, (*layout, *varied), partial(_conflict, cubes=cubes, distractors=distractors))


def _distractors(count: int) -> Distractors:
    return Distractors(count=count, x_m=(0.36, 0.64), y_m=(-0.18, 0.18), rgb=CUBE_RGB["cube_red"])


def _variations(cubes: int, distractors: int) -> tuple[Variation, ...]:
    names = CUBE_NAMES[:cubes]
    return (
        *tabletop.CAMERA_VARIATIONS,
        Colour(thing="cube_red", hue=(-0.25, 0.35), brightness=None),
        *(Colour(thing=name) for name in names),
        tabletop.TABLE_COLOUR,
        Scale(thing="cube", bodies=names, description="edge of all cubes over its nominal length"),
        Friction(thing="cube", geoms=names, range=(0.5, 1.0, 1.5), description="of cubes on fingers and cubes"),
        tabletop.TABLE_FRICTION,
        _distractors(distractors),
    )


def _things(cubes: int, theta: Perturbation) -> list[Thing]:
    half = CUBE_EDGE_M * theta.get("cube.scale", 1.0) / 2
    return [Thing(n, (half, half), NOMINAL_X_M, NOMINAL_Y_M, NOMINAL_YAW_RAD) for n in CUBE_NAMES[:cubes]]


def _conflict(theta: Perturbation, *, cubes: int, distractors: int) -> str | None:
    return _distractors(distractors).conflict(theta, _things(cubes, theta))


@cache
def _compiled(cubes: int, distractors: int) -> mujoco.MjModel:
    spec = tabletop.tabletop_spec()
    for name in CUBE_NAMES[:cubes]:
        tabletop.add_cube(spec, name, CUBE_RGB[name])
    tabletop.add_distractors(spec, _distractors(distractors))
    return spec.compile()


class StackWorld:
    """The physics: a World."""

    def __init__(self, cubes: int, distractors: int) -> None:
        self.model = copy(_compiled(cubes, distractors))
        self.data = mujoco.MjData(self.model)
        self.controller = RelativePoseController(self.model, self.data)
        self._names = CUBE_NAMES[:cubes]
        self._bodies = [int(self.model.body(name).id) for name in self._names]
        self._perturber = Perturber(self.model, _variations(cubes, distractors))
        self._distractors = _distractors(distractors)
        self._edge = CUBE_EDGE_M
        self._monitor = StackMonitor(cubes, self._edge)

    def reset(self, theta: Perturbation, seed: int) -> None:
        """Become the world of (θ, seed)."""
        things = _things(len(self._names), theta)
        layout, theta = self._distractors.lay_out(things, theta, seed, separation_m=SEPARATION_M)
        self._perturber.apply(theta)
        self._edge = CUBE_EDGE_M * theta.get("cube.scale", 1.0)
        mujoco.mj_resetData(self.model, self.data)
        self.controller.reset(stream(seed, "joints"))
        for name, place in layout.items():
            tabletop.place_cube(self.data, name, place, self._edge)
        mujoco.mj_step(self.model, self.data, nstep=_SETTLE_SUBSTEPS)
        self.controller.refresh()
        self._monitor = StackMonitor(len(self._names), self._edge)
        self._monitor.update(self._scene())

    def step(self, action: Float64[NDArray[np.float64], "7"]) -> None:
        """Advance one control period (1/20 s)."""
        self.controller.step(action)
        self._monitor.update(self._scene())

    def proprioception(self) -> Vector:
        """The numbers of STATE_NAMES."""
        return self.controller.proprioception()

    def object_state(self) -> Vector:
        """Position and wxyz quaternion of each cube, bottom to top; their edge; the distractors."""
        poses = np.empty((len(self._bodies), 7), np.float32)
        poses[:, :3], poses[:, 3:] = self.data.xpos[self._bodies], self.data.xquat[self._bodies]
        return np.concatenate([poses.ravel(), np.array([self._edge], np.float32), self._distractors.state(self.model)])

    def object_poses(self) -> Mapping[str, Float64[NDArray[np.float64], "4 4"]]:
        """Cube -> pose."""
        return {
            name: pose(self.data.xpos[body], self.data.xmat[body].reshape(3, 3))
            for name, body in zip(self._names, self._bodies, strict=True)
        }

    @property
    def monitor(self) -> StackMonitor:
        """Judges the present episode."""
        return self._monitor

    def _scene(self) -> Scene:
        return Scene(
            cubes=self.data.xpos[self._bodies].tolist(),
            gripper=self.controller.position.tolist(),
            opening=self.controller.opening,
            uprightness=np.abs(self.data.xmat[self._bodies, 6:]).max(axis=1).tolist(),
        )
