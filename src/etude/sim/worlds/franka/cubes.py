"""What the Panda's worlds with cubes share: what lies on the table, how it varies, its physics, how it is judged."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from math import dist
from typing import Protocol

import mujoco
import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import Perturbation, PerturbationSpace, Target, Vector, stream
from etude.core.se3 import Pose, Poses, pose
from etude.sim.distractors import Distractors
from etude.sim.layout import Thing
from etude.sim.variations import Colour, Friction, Perturber, Range, Scale, Variation, layout_factors
from etude.sim.world import Monitor
from etude.sim.worlds.franka import tabletop
from etude.sim.worlds.franka.control import RelativePoseController
from etude.sim.worlds.franka.reach import PandaReach
from etude.sim.worlds.franka.tabletop import CUBE_EDGE_M

CUBE_RGB = {"cube_blue": (0.10, 0.24, 0.85), "cube_red": (0.85, 0.10, 0.10), "cube_green": (0.10, 0.70, 0.15)}
"""All cubes there are; every world has the red one."""
SEPARATION_M = 0.1
"""Least distance between the centres of cubes that the seed places, as in Isaac Lab's stack task."""
YAW_RANGE_RAD = (-1.0, 1.0)
"""How far cubes are turned."""
CUBE_TURNS = 4
"""Of a cube about the vertical that nothing shows."""

GRIPPER = "gripper"
"""The only one's name."""
RELEASED_M = 0.008
"""How much wider than a cube fingers open that have released it, both sides together."""
HELD_WITHIN_M = 0.03
"""From the grasp point: a cube between the fingers."""

_LIFTED_M = 0.01
_SETTLE_SUBSTEPS = 20

type Point = Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a moment is judged by.

    Attributes:
        cubes: Their centres, in the order of the world's cubes, [m].
        gripper: The grasp point, [m].
        opening: Between the fingers, [m].
        uprightness: Per cube, the largest |cosine| between a face normal and the vertical.
    """

    cubes: Sequence[Point]
    gripper: Point
    opening: float
    uprightness: Sequence[float]

    def is_held(self, k: int, edge: float) -> bool:
        """Whether cube k, of an edge [m], is lifted between closed fingers."""
        cube = self.cubes[k]
        lifted = cube[2] > edge / 2 + _LIFTED_M
        closed = 0.7 * edge < self.opening < edge + RELEASED_M
        return lifted and closed and dist(cube, self.gripper) < HELD_WITHIN_M


class CubeMonitor(Monitor, Protocol):
    """A Monitor that is shown scenes."""

    def judge(self, scene: Scene) -> None:
        """Judge the next moment."""
        ...


@dataclass(frozen=True, kw_only=True)
class CubeTable:
    """Cubes and distractors on the table, as values.

    Attributes:
        name: Of the space of everything that varies.
        cubes: Names in CUBE_RGB.
        distractors: The most that can stand around.
        x_m: Where the seed puts the cubes.
        y_m: The same across.
    """

    name: str
    cubes: tuple[str, ...]
    distractors: int
    x_m: Range
    y_m: Range

    @property
    def space(self) -> PerturbationSpace:
        """Everything that can be varied."""
        layout = [
            factor
            for name in self.cubes
            for factor in layout_factors(name, tabletop.X_RANGE_M, tabletop.Y_RANGE_M, YAW_RANGE_RAD)
        ]
        varied = [factor for variation in self.variations() for factor in variation.factors]
        name = self.name + (f"-distractors-{self.distractors}" if self.distractors else "")
        return PerturbationSpace(name, (*layout, *varied), self.conflict)

    def others(self) -> Distractors:
        """What may stand around."""
        return Distractors(count=self.distractors, x_m=(0.36, 0.64), y_m=(-0.18, 0.18), rgb=CUBE_RGB["cube_red"])

    def variations(self) -> tuple[Variation, ...]:
        """Of cameras, light, colours, size, friction and distractors."""
        return (
            *tabletop.CAMERA_VARIATIONS,
            Colour(thing="cube_red", hue=(-0.25, 0.35), brightness=None),
            *(Colour(thing=name) for name in self.cubes),
            tabletop.TABLE_COLOUR,
            Scale(thing="cube", bodies=self.cubes, description="edge of all cubes over its nominal length"),
            Friction(
                thing="cube", geoms=self.cubes, range=(0.5, 1.0, 1.5), description="of cubes on fingers and cubes"
            ),
            tabletop.TABLE_FRICTION,
            self.others(),
        )

    def things(self, theta: Perturbation) -> list[Thing]:
        """The cubes' footprints."""
        half = CUBE_EDGE_M * theta.get("cube.scale", 1.0) / 2
        return [Thing(name, (half, half), self.x_m, self.y_m, YAW_RANGE_RAD) for name in self.cubes]

    def conflict(self, theta: Perturbation) -> str | None:
        """Why the world cannot be that of θ, or None."""
        return self.others().conflict(theta, self.things(theta))


@cache
def _compiled(table: CubeTable) -> mujoco.MjModel:
    spec = tabletop.tabletop_spec()
    for name in table.cubes:
        tabletop.add_cube(spec, name, CUBE_RGB[name])
    tabletop.add_distractors(spec, table.others())
    return spec.compile()


class CubeWorld:
    """The physics: a World."""

    def __init__(self, table: CubeTable, monitor: Callable[[float], CubeMonitor]) -> None:
        """Compile the model, once per process.

        Args:
            table: What is on the table.
            monitor: Starts to judge an episode of cubes of an edge [m].
        """
        self.model = copy(_compiled(table))
        self.data = mujoco.MjData(self.model)
        self.controller = RelativePoseController(self.model, self.data)
        self._reach = PandaReach(self.model)
        self._table, self._distractors = table, table.others()
        self._bodies = np.array([self.model.body(name).id for name in table.cubes])
        self._perturber = Perturber(self.model, table.variations())
        self._edge, self._start = CUBE_EDGE_M, monitor
        self._monitor = monitor(self._edge)

    def reset(self, theta: Perturbation, seed: int) -> None:
        """Become the world of (θ, seed)."""
        things = self._table.things(theta)
        layout, theta = self._distractors.lay_out(things, theta, seed, separation_m=SEPARATION_M)
        self._perturber.apply(theta)
        self._edge = CUBE_EDGE_M * theta.get("cube.scale", 1.0)
        mujoco.mj_resetData(self.model, self.data)
        self.controller.reset(stream(seed, "joints"))
        for name, place in layout.items():
            self.data.joint(f"{name}_joint").qpos = place.free_joint(self._edge / 2)
        mujoco.mj_step(self.model, self.data, nstep=_SETTLE_SUBSTEPS)
        self.controller.refresh()
        self._monitor = self._start(self._edge)
        self._monitor.judge(self._scene())

    def step(self, action: Float64[NDArray[np.float64], "7"]) -> None:
        """Advance one control period (1/20 s)."""
        self.controller.step(action)
        self._monitor.judge(self._scene())

    def proprioception(self) -> Vector:
        """The numbers of STATE_NAMES."""
        return self.controller.proprioception()

    def object_state(self) -> Vector:
        """Position and wxyz quaternion of each cube; their edge; the distractors."""
        poses = np.empty((len(self._bodies), 7), np.float32)
        poses[:, :3], poses[:, 3:] = self.data.xpos[self._bodies], self.data.xquat[self._bodies]
        return np.concatenate([poses.ravel(), np.array([self._edge], np.float32), self._distractors.state(self.model)])

    def object_poses(self) -> Mapping[str, Pose]:
        """Cube -> pose."""
        poses = np.zeros((len(self._bodies), 4, 4))
        poses[:, :3, :3] = self.data.xmat[self._bodies].reshape(-1, 3, 3)
        poses[:, :3, 3] = self.data.xpos[self._bodies]
        poses[:, 3, 3] = 1.0
        return dict(zip(self._table.cubes, poses, strict=True))

    def gripper_poses(self) -> Mapping[str, Pose]:
        """Of the hand's grasp point."""
        return {GRIPPER: pose(self.controller.position, self.controller.rotation)}

    def asked(self, action: Vector) -> Mapping[str, Target]:
        """See core's PoseControlled, which this world is."""
        return {GRIPPER: self.controller.asked(np.asarray(action, np.float64))}

    def action_for(self, targets: Mapping[str, Target]) -> Vector:
        """See PoseControlled."""
        return self.controller.action_for(targets[GRIPPER]).astype(np.float32)

    def unreachable(self, gripper: str, target: Pose) -> str | None:
        """See PoseControlled."""
        del gripper  # the only one
        return self._reach.why_not(target)

    def judged(
        self,
        objects: Mapping[str, Poses],
        grippers: Mapping[str, Poses],
        opening_m: Float64[NDArray[np.float64], " T"],
    ) -> Mapping[str, Bool[NDArray[np.bool_], " T"]]:
        """See JudgesPoses; how high the first cube lies in the first quarter tells the edge of all."""
        heights = objects[self._table.cubes[0]][: 1 + len(opening_m) // 4, 2, 3]
        edge = 2 * float(np.median(heights))
        monitor, done = self._start(edge), list[Mapping[str, bool]]()
        for t, opening in enumerate(opening_m.tolist()):
            cubes = [objects[name][t] for name in self._table.cubes]
            scene = Scene(
                cubes=[cube[:3, 3].tolist() for cube in cubes],
                gripper=grippers[GRIPPER][t, :3, 3].tolist(),
                opening=opening,
                uprightness=[float(np.abs(cube[2, :3]).max()) for cube in cubes],
            )
            monitor.judge(scene)
            done.append(monitor.subtasks)
        return {name: np.array([moment[name] for moment in done]) for name in monitor.subtasks}

    @property
    def monitor(self) -> CubeMonitor:
        """Judges the present episode."""
        return self._monitor

    def _scene(self) -> Scene:
        return Scene(
            cubes=self.data.xpos[self._bodies].tolist(),
            gripper=self.controller.position.tolist(),
            opening=self.controller.opening,
            uprightness=[max(map(abs, rotation[6:])) for rotation in self.data.xmat[self._bodies].tolist()],
        )
