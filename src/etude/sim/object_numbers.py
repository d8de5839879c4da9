"""What a state says of the objects: where each is from the grippers, and how it is turned, as numbers that learn well.

    cube_red.from_gripper_x_m, …_y_m, …_z_m, cube_red.yaw_cos, cube_red.yaw_sin, cube_blue.…

Places are differences along the world's axes: what is left to do, which generalises over the table. The turn is that
about the vertical, times the number of turns by which the object falls on itself, so that a cube's four equal
orientations are one and nothing jumps. An object's tilt is not told.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import PerturbationSpace, SegmentPlan, Vector

type _Poses = Mapping[str, Float64[NDArray[np.float64], "4 4"]]

_PICTURES_ONLY = ("camera", "lighting", "appearance")
_COLOUR = ".hue"


@dataclass(frozen=True)
class ObjectNumbers:
    """Which numbers.

    Attributes:
        turns: Object -> by how many turns about its z axis it falls on itself.
        grippers: From which places are told.
    """

    turns: Mapping[str, int]
    grippers: tuple[str, ...]

    @staticmethod
    def of(plan: SegmentPlan) -> "ObjectNumbers":
        """Those of the objects that a plan's segments move with."""
        turns = {s.object: s.turns for row in plan.segments.values() for s in row if s.object}
        return ObjectNumbers({name: turns[name] for name in plan.objects}, tuple(plan.segments))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers, with their units."""
        return tuple(
            f"{name}.{quantity}"
            for name in self.turns
            for quantity in (*(f"from_{g}_{axis}_m" for g in self.grippers for axis in "xyz"), "yaw_cos", "yaw_sin")
        )

    def read(self, objects: _Poses, grippers: _Poses) -> Vector:
        """The numbers of a moment, float32.

        Args:
            objects: Object -> X_world_object.
            grippers: Gripper -> X_world_gripper.
        """
        numbers: list[float] = []
        for name, turns in self.turns.items():
            X_world_object = objects[name]
            for gripper in self.grippers:
                numbers += (X_world_object[:3, 3] - grippers[gripper][:3, 3]).tolist()
            yaw = turns * np.arctan2(X_world_object[1, 0], X_world_object[0, 0])
            numbers += [float(np.cos(yaw)), float(np.sin(yaw))]
        return np.array(numbers, np.float32)


def seen_in_states(space: PerturbationSpace) -> PerturbationSpace:
    """The space without what only pictures show: cameras, light and colours."""
    factors = [f for f in space.factors if f.kind not in _PICTURES_ONLY and not f.name.endswith(_COLOUR)]
    return PerturbationSpace(f"{space.name}-state", tuple(factors), space.infeasible)
