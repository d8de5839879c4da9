"""What the ALOHA worlds share as physics: arms, objects that lie on the table, who touches whom."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Perturbation, Vector
from etude.core.se3 import Pose, pose
from etude.core.segments import Target
from etude.sim.distractors import Distractors
from etude.sim.layout import Thing
from etude.sim.robots.viperx import SIDES, Side, prefixed
from etude.sim.variations import Perturber, Variation
from etude.sim.world import Monitor
from etude.sim.worlds.aloha.control import ArmsController

_SETTLE_PERIODS = 2
_FINGERS = ("10_left_gripper_finger", "10_right_gripper_finger")


class AlohaWorld(ABC):
    """A World of one or two arms and free objects; a subclass says where objects lie and judges what happens.

    The objects' bodies have the names of the layout's things and the free joints `{name}_joint`.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        *,
        objects: Sequence[str],
        variations: Sequence[Variation],
        distractors: Distractors,
        control: str = "joints",
        sides: Sequence[Side] = SIDES,
    ) -> None:
        """Look things up.

        Args:
            model: Made from `aloha_spec(sides)`, and this world's own to change.
            objects: Names of the free bodies.
            variations: What changes the model, `distractors` among it.
            distractors: What else may stand around.
            control: One of control.CONTROLS.
            sides: The arms.
        """
        self.model, self.data = model, mujoco.MjData(model)
        self.arms = ArmsController(model, self.data, control=control, sides=sides)
        self.table = frozenset({int(model.geom("table").id)})
        self._fingers: dict[Side, frozenset[int]] = {
            side: frozenset(int(model.geom(prefixed(side, f)).id) for f in _FINGERS) for side in sides
        }
        self._objects = {name: int(model.body(name).id) for name in objects}
        self._perturber, self._distractors = Perturber(model, variations), distractors
        self._monitor = self.begin(Perturbation())

    @abstractmethod
    def things(self, theta: Perturbation) -> Sequence[Thing]:
        """The objects, where the seed draws them from, and what else takes room on the table."""

    @abstractmethod
    def height_m(self, name: str, theta: Perturbation) -> float:
        """How high an object's origin lies over the table."""

    @abstractmethod
    def sizes(self) -> Sequence[float]:
        """What an expert has to know of the objects beside their poses."""

    @abstractmethod
    def begin(self, theta: Perturbation) -> Monitor:
        """Start to judge an episode."""

    @abstractmethod
    def judge(self) -> None:
        """Judge the present moment."""

    @property
    def monitor(self) -> Monitor:
        """Judges the present episode."""
        return self._monitor

    def reset(self, theta: Perturbation, seed: int) -> None:
        """Become the world of (θ, seed)."""
        layout, theta = self._distractors.lay_out(self.things(theta), theta, seed)
        self._perturber.apply(theta)
        mujoco.mj_resetData(self.model, self.data)
        self.arms.reset()
        for name in self._objects:
            self.data.joint(f"{name}_joint").qpos = layout[name].free_joint(self.height_m(name, theta))
        self.arms.settle(_SETTLE_PERIODS)
        self._monitor = self.begin(theta)
        self.judge()

    def step(self, action: Float64[NDArray[np.float64], " A"]) -> None:
        """Advance one control period (1/50 s)."""
        self.arms.step(action)
        self.judge()

    def proprioception(self) -> Vector:
        """The numbers of `control.state_names`."""
        return self.arms.proprioception()

    def object_state(self) -> Vector:
        """Position and wxyz quaternion of each object; `sizes`; place and half edge of each distractor."""
        bodies = list(self._objects.values())
        poses = np.concatenate([self.data.xpos[bodies], self.data.xquat[bodies]], axis=1)
        return np.concatenate([poses.ravel(), self.sizes(), self._distractors.state(self.model)], dtype=np.float32)

    def object_poses(self) -> Mapping[str, Pose]:
        """Object -> X_world_object."""
        return {
            name: pose(self.data.xpos[body], self.data.xmat[body].reshape(3, 3)) for name, body in self._objects.items()
        }

    def gripper_poses(self) -> Mapping[str, Pose]:
        """Arm's gripper -> X_world_gripper."""
        return {f"{side}_gripper": self.arms.gripper_pose(side) for side in self._fingers}

    def asked(self, action: Vector) -> Mapping[str, Target]:
        """What an action would ask of every gripper at this moment; see core's PoseControlled."""
        return self.arms.asked(action)

    def action_for(self, targets: Mapping[str, Target]) -> Vector:
        """The action, (A,) float32, that asks every gripper for its target from where it is now."""
        return self.arms.action_for(targets)

    def unreachable(self, gripper: str, target: Pose) -> str | None:
        """Why a gripper cannot be brought to a pose whatever the joints, or None."""
        return self.arms.unreachable(gripper, target)

    def position_m(self, name: str) -> Float64[NDArray[np.float64], "3"]:
        """Where an object's origin is."""
        return self.data.xpos[self._objects[name]]

    def geoms_of(self, name: str) -> frozenset[int]:
        """Indices of an object's geoms, for `touch`."""
        body = self._objects[name]
        first = int(self.model.body_geomadr[body])
        return frozenset(range(first, first + int(self.model.body_geomnum[body])))

    def fingers_of(self, side: Side) -> frozenset[int]:
        """Indices of the geoms of both fingers of an arm, for `touch`."""
        return self._fingers[side]

    def touch(self, some: Collection[int], others: Collection[int]) -> bool:
        """Whether any geom of one group is in contact with any of the other."""
        pairs: list[list[int]] = self.data.contact.geom.tolist()
        return any((a in some and b in others) or (b in some and a in others) for a, b in pairs)
