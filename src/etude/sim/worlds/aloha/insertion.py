"""`aloha-insertion`: the right arm's peg into the left arm's socket, as in gym-aloha and ACT (Zhao et al. 2023).

Both are lifted and joined in the air, until the peg touches the pin in the middle of the socket. The small region that
needs different behaviour: something stands so close to the peg or the socket that the usual grasp (the hand slanting,
its fingers around the middle) has no room; the hand then grips nearer to the outer end, or comes from above, or both.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from math import pi

import mujoco
import numpy as np

from etude.core import Factor, Perturbation, PerturbationSpace, Segment, SegmentPlan
from etude.core.segments import Part as SegmentPart
from etude.sim.assets import asset_file
from etude.sim.distractors import Distractors
from etude.sim.layout import Thing, overlap
from etude.sim.robots.viperx import SIDES, Side, prefixed
from etude.sim.task import SimTask
from etude.sim.variations import Colour, Friction, Scale, Variation, factor, layout_factors
from etude.sim.world import TaskSheet
from etude.sim.worlds.aloha import scene
from etude.sim.worlds.aloha.control import action_bounds, action_names, check_control, state_names
from etude.sim.worlds.aloha.insertion_expert import decide
from etude.sim.worlds.aloha.insertion_grasps import Bar, has_room
from etude.sim.worlds.aloha.insertion_stages import FAILURE_MODES, SUBTASKS, InsertionMonitor, Moment, Part, touching
from etude.sim.worlds.aloha.scripting import ScriptedArms
from etude.sim.worlds.aloha.world import AlohaWorld

PEG_X_M, SOCKET_X_M, NOMINAL_Y_M = (0.1, 0.2), (-0.2, -0.1), (0.4, 0.6)
"""Where gym-aloha puts the objects, straight."""

_WIDE_PEG_X_M, _WIDE_SOCKET_X_M, _WIDE_Y_M, _WIDE_YAW_RAD = (0.05, 0.25), (-0.25, -0.05), (0.35, 0.65), (-1.5, 1.5)
_OBJECTS = ("peg", "socket")
_WALLS = tuple(f"socket_{i}" for i in range(1, 5))
_GEOMS = {"red_peg": "peg", "pin": "pin", **{name.replace("_", "-"): name for name in _WALLS}}
_THICKNESS_M = (0.016, 0.02, 0.028)
_PEG_M, _SOCKET_M = (0.12, 0.02), (0.12, 0.044)  # length and width of the package's objects
_FINGERS_M = 0.04  # between peg and socket
_HANDS: Mapping[str, Side] = {"peg": "right", "socket": "left"}
_BAR_TURNS = 2  # both look the same either way round


SEGMENTS = SegmentPlan(
    segments={
        "left_gripper": (
            Segment(signal="lift_both", object="socket", turns=_BAR_TURNS, offsets=(4, 8), within_m=0.15),
            Segment(carried="socket"),
        ),
        "right_gripper": (
            Segment(signal="lift_both", object="peg", turns=_BAR_TURNS, offsets=(4, 8), within_m=0.15),
            Segment(carried="peg"),
        ),
    },
    together=((SegmentPart("left_gripper", 1), SegmentPart("right_gripper", 1)),),
)
"""Each hand takes its object where it lies; then both bring them together where they always do, in step."""


@dataclass(frozen=True, kw_only=True)
class AlohaInsertion(SimTask):
    """The task.

    Attributes:
        control: `joints` as in ACT, or `ee`: poses of the grippers.
        distractors: The most that can stand around.
    """

    control: str = "joints"
    distractors: int = 2

    def __post_init__(self) -> None:
        check_control(self.control)
        super().__post_init__()

    def describe(self) -> TaskSheet:
        """Describe the task."""
        low, high = action_bounds(self.control)
        return TaskSheet(
            name="aloha-insertion",
            text="Pick up the peg and the socket and insert the peg into the socket.",
            fps=scene.FPS,
            max_steps=400,
            cameras=scene.camera_names(),
            state_names=state_names(),
            action_names=action_names(self.control),
            action_low=low,
            action_high=high,
            subtasks=SUBTASKS,
            failure_modes=FAILURE_MODES,
            space=insertion_space(self.distractors),
            segments=SEGMENTS,
        )

    def world(self) -> "InsertionWorld":
        """Build its physics."""
        return InsertionWorld(self.control, self.distractors)

    def expert(self) -> ScriptedArms:
        """Make the scripted expert."""
        return ScriptedArms(decide, objects=2, sizes=6, distractors=self.distractors, control=self.control)


def insertion_space(distractors: int) -> PerturbationSpace:
    """Everything that can be varied."""
    layout = [
        *layout_factors("peg", _WIDE_PEG_X_M, _WIDE_Y_M, _WIDE_YAW_RAD),
        *layout_factors("socket", _WIDE_SOCKET_X_M, _WIDE_Y_M, _WIDE_YAW_RAD),
    ]
    varied = [factor for variation in _variations(distractors) for factor in variation.factors]
    name = "aloha-insertion" + (f"-distractors-{distractors}" if distractors else "")
    return PerturbationSpace(name, (*layout, *varied), partial(_conflict, distractors=distractors))


@dataclass(frozen=True)
class PegThickness:
    """A Variation: the peg's square section, at its published mass."""

    fields = ("geom_size", "geom_rbound", "geom_aabb")

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The one."""
        return (factor("peg.thickness_m", "m", _THICKNESS_M, "physics", "side of its square section"),)

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Set it."""
        peg = model.geom("peg").id
        model.geom_size[peg, 1:] = model.geom_aabb[peg, 4:] = theta.get("peg.thickness_m", _THICKNESS_M[1]) / 2
        model.geom_rbound[peg] = np.linalg.norm(model.geom_size[peg])


def _distractors(count: int) -> Distractors:
    return Distractors(count=count, x_m=(-0.3, 0.3), y_m=(0.34, 0.76), rgb=(1.0, 0.0, 0.0))


def _variations(distractors: int) -> tuple[Variation, ...]:
    return (
        *scene.scene_variations(),
        Colour(thing="peg", geoms=("peg", "pin"), hue=(-0.6, 0.6), brightness=(0.5, 1.0)),
        Colour(thing="socket", geoms=_WALLS, hue=(-0.6, 0.6), brightness=(0.5, 1.0)),
        Friction(thing="peg", geoms=("peg",), range=(0.6, 1.0, 1.5), description="of the peg on fingers"),
        Friction(thing="socket", geoms=_WALLS, range=(0.6, 1.0, 1.5), description="of the socket on fingers"),
        PegThickness(),
        Scale(thing="socket", bodies=("socket",), range=(0.9, 1.15), description="its size, hole and pin as well"),
        _distractors(distractors),
    )


def _widths_m(theta: Perturbation) -> dict[str, float]:
    """How wide the objects are."""
    return {
        "peg": theta.get("peg.thickness_m", _THICKNESS_M[1]),
        "socket": _SOCKET_M[1] * theta.get("socket.scale", 1.0),
    }


def _things(theta: Perturbation) -> list[Thing]:
    """The objects, turned only where θ says so."""
    scale, width = theta.get("socket.scale", 1.0), _widths_m(theta)
    return [
        Thing("peg", (_PEG_M[0] / 2, width["peg"] / 2), PEG_X_M, NOMINAL_Y_M),
        Thing("socket", (_SOCKET_M[0] / 2 * scale, width["socket"] / 2), SOCKET_X_M, NOMINAL_Y_M),
    ]


def _conflict(theta: Perturbation, *, distractors: int) -> str | None:
    """Objects need a gap for open fingers, and of every object some grasp has to be free."""
    things, others = _things(theta), _distractors(distractors)
    reason = overlap(things, theta, _FINGERS_M) or others.conflict(theta, things)
    if reason is not None:
        return reason
    standing = [thing for thing in others.things(theta) if thing.is_placed(theta)]
    places = [(thing.place(theta, (0.0, 0.0, 0.0)), thing.half_m[0]) for thing in standing]
    obstacles = [(place.x, place.y, half, half) for place, half in places]
    for thing in things:
        place, side = thing.place(theta, (0.0, 0.0, 0.0)), _HANDS[thing.name]
        heading = place.yaw + (pi if side == "right" else 0.0)
        bar = Bar(place.x, place.y, thing.half_m[1], heading, 2 * thing.half_m[1])
        if thing.is_placed(theta) and not has_room(side, bar, obstacles):
            return f"the distractors leave no room for fingers around the {thing.name}"
    return None


@cache
def _compiled(distractors: int) -> mujoco.MjModel:
    spec = scene.aloha_spec()
    published = mujoco.MjSpec.from_file(str(asset_file("gym_aloha", "assets/bimanual_viperx_insertion.xml")))
    for name in _OBJECTS:
        body = scene.add_object(spec, name)
        for geom in published.body(name).geoms:
            half, rgb, position = (tuple(map(float, part)) for part in (geom.size, geom.rgba[:3], geom.pos))
            scene.add_box(body, _GEOMS[geom.name], half, rgb, position)  # pyright: ignore[reportArgumentType]
    scene.add_distractors(spec, _distractors(distractors))
    return spec.compile()


class InsertionWorld(AlohaWorld):
    """The physics: a World."""

    def __init__(self, control: str, distractors: int) -> None:
        model = copy(_compiled(distractors))
        self._parts = _parts(model)
        super().__init__(
            model,
            objects=_OBJECTS,
            variations=_variations(distractors),
            distractors=_distractors(distractors),
            control=control,
        )

    def things(self, theta: Perturbation) -> Sequence[Thing]:
        """Peg and socket."""
        return _things(theta)

    def height_m(self, name: str, theta: Perturbation) -> float:
        """Half the thickness of the peg, or of the socket with its walls."""
        _, thickness, _, _, _, width = self.sizes()
        return thickness if name == "peg" else width

    def sizes(self) -> Sequence[float]:
        """Half of: the peg's length and thickness; lengths of pin and socket; widths of hole and socket [m]."""
        size = self.model.geom_size
        peg, pin, wall = (int(self.model.geom(name).id) for name in ("peg", "pin", _WALLS[0]))
        middle = abs(self.model.geom_pos[wall, 2])
        hole, outside = middle - size[wall, 2], middle + size[wall, 2]
        return [float(n) for n in (size[peg, 0], size[peg, 1], size[pin, 0], size[wall, 0], hole, outside)]

    def begin(self, theta: Perturbation) -> InsertionMonitor:
        """Start to judge an episode."""
        self._insertion = InsertionMonitor()
        return self._insertion

    def judge(self) -> None:
        """Judge the present moment."""
        self._insertion.judge(self.moment())

    def moment(self) -> Moment:
        """What the present moment is judged by."""
        poses = self.object_poses()
        peg, socket = poses["peg"], poses["socket"]
        peg_length, thickness, pin, socket_length, hole, width = self.sizes()
        between = socket[:3, :3].T @ (peg[:3, 3] - socket[:3, 3])
        along, off_axis = abs(float(between[0])), float(np.linalg.norm(between[1:]))
        reach = [
            float(np.linalg.norm(self.arms.gripper_pose(side)[:3, 3] - thing[:3, 3]))
            for side, thing in zip(SIDES, (socket, peg), strict=True)
        ]
        return Moment(
            contacts=touching(self.data.contact.geom.tolist(), self._parts),
            reach_m=max(reach),
            lift_m=float(min(peg[2, 3] - thickness, socket[2, 3] - width)),
            to_pin_m=along - peg_length - pin,
            off_axis_m=off_axis,
            in_hole=along < socket_length + peg_length and off_axis < hole,
        )


def _parts(model: mujoco.MjModel) -> Mapping[int, Part]:
    """Geoms whose contacts are judged; of each gripper the one finger that gym-aloha looks at."""
    names = {"peg": Part.PEG, "pin": Part.PIN, "table": Part.TABLE, **dict.fromkeys(_WALLS, Part.SOCKET)}
    for side, part in zip(SIDES, (Part.LEFT, Part.RIGHT), strict=True):
        names[prefixed(side, "10_left_gripper_finger")] = part
    return {int(model.geom(name).id): part for name, part in names.items()}
