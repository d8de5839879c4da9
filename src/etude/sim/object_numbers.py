"""What a state says of the objects: where each is from the grippers, and how it is turned, as numbers that learn well.

    cube_red.from_gripper_x_m, …_y_m, …_z_m, cube_red.yaw_cos, cube_red.yaw_sin, cube_blue.…
    distractor_1.from_gripper_x_m, …_y_m, distractor_1.half_edge_m, distractor_2.…

Places are differences along the world's axes: what is left to do, which generalises over the table. The turn is that
about the vertical, times the number of turns by which the object falls on itself, so that a cube's four equal
orientations are one and nothing jumps. An object's tilt is not told. All numbers of an absent distractor are 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from etude.core import PerturbationSpace, SegmentPlan, Vector
from etude.core.se3 import Pose
from etude.core.space import PICTURES_ONLY
from etude.sim.distractors import standing

type _Poses = Mapping[str, Pose]

_COLOUR = ".hue"
_PARKED_Z_M = -1.0  # below it a distractor is absent


@dataclass(frozen=True)
class ObjectNumbers:
    """Which numbers.

    Attributes:
        turns: Object -> by how many turns about its z axis it falls on itself.
        grippers: From which places are told.
        distractors: Names of what may stand around.
    """

    turns: Mapping[str, int]
    grippers: tuple[str, ...]
    distractors: tuple[str, ...] = ()

    @staticmethod
    def of(plan: SegmentPlan, space: PerturbationSpace) -> "ObjectNumbers":
        """Those of the objects that a plan's segments move with, and of the distractors that a space has."""
        around = (f.name.removesuffix(".x_m") for f in space.factors if f.kind == "distractor")
        others = tuple(name for name in around if "." not in name)
        return ObjectNumbers(plan.turns, tuple(plan.segments), others)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers, with their units."""
        objects = (
            f"{name}.{quantity}"
            for name in self.turns
            for quantity in (*(f"from_{g}_{axis}_m" for g in self.grippers for axis in "xyz"), "yaw_cos", "yaw_sin")
        )
        others = (
            f"{name}.{quantity}"
            for name in self.distractors
            for quantity in (*(f"from_{g}_{axis}_m" for g in self.grippers for axis in "xy"), "half_edge_m")
        )
        return (*objects, *others)

    def read(self, objects: _Poses, grippers: _Poses, model: mujoco.MjModel) -> Vector:
        """The numbers of a moment, float32.

        Args:
            objects: Object -> X_world_object.
            grippers: Gripper -> X_world_gripper.
            model: Has the distractors.
        """
        numbers: list[float] = []
        for name, turns in self.turns.items():
            X_world_object = objects[name]
            for gripper in self.grippers:
                numbers += (X_world_object[:3, 3] - grippers[gripper][:3, 3]).tolist()
            yaw = turns * np.arctan2(X_world_object[1, 0], X_world_object[0, 0])
            numbers += [float(np.cos(yaw)), float(np.sin(yaw))]
        for x, y, z, half_edge in standing(model, self.distractors).tolist():
            for gripper in self.grippers:
                gx, gy, _ = grippers[gripper][:3, 3].tolist()
                numbers += [x - gx, y - gy] if z > _PARKED_Z_M else [0.0, 0.0]
            numbers.append(half_edge if z > _PARKED_Z_M else 0.0)
        return np.array(numbers, np.float32)


def seen_in_states(space: PerturbationSpace) -> PerturbationSpace:
    """The space without what only pictures show: cameras, light and colours."""
    factors = [f for f in space.factors if f.kind not in PICTURES_ONLY and not f.name.endswith(_COLOUR)]
    return PerturbationSpace(f"{space.name}-state", tuple(factors), space.infeasible)
