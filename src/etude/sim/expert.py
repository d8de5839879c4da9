"""A scripted expert that stacks cubes from the state it sees.

It keeps no phase: each step it looks at the cubes, the hand and the opening of the fingers and decides again, so it
retries a grasp that missed and picks up what it dropped, and what it does is a function of what there is to see. Motion
is proportional to the distance left, up to a top speed. Plain floats: numpy is slower on vectors of three.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np

from etude.core import ActionChunk, ConfigError, Memory, Observation, ShapeError
from etude.core.se3 import wrap_angle
from etude.sim.control import ROTATION_RAD, TRANSLATION_M
from etude.sim.layout import Placement, rectangles_overlap
from etude.sim.scene import FINGERTIP_M

_GAIN = 0.6  # share of the distance left, per control step
_TOP_SPEED_M = 0.022  # per control step
_TOP_TURN_RAD = 0.15  # per control step
_HOVER_M = 0.085  # grasp point over the cube while approaching
_CARRY_M = 0.045  # cube over its goal while approaching
_SLOPE = 8.0  # of the funnel through which hand and cube come down: height over distance from the axis
_AIM_M = 0.006  # from the axis within which the way down is free
_ALIGNED_M = 0.012  # from the axis within which a cube's neighbours need not be cleared any more
_YAW_LEVER_M = 0.03  # turns a yaw error into a distance from the axis
_OPEN_M = 0.07  # between fingers that can go around a cube
_CLEAR_M = 0.008  # over cubes in passing
_LIFTED_M = 0.012  # before a held cube may move sideways
_NEAR_M = 0.095  # a cube nearer than this has to be cleared: reach of the open hand and half a cube's diagonal
_FINGER_HALF_WIDTH_M = 0.0185
_FINGER_OUTSIDE_M = 0.064  # from the grasp point to the outside of an open finger
_BLOCKED = 100.0
_SIDESTEP_M = 0.010  # along the pads, when all straight grasps are blocked
_NOISE_SHARES = np.array([1.0, 1.0, 1.0, 0.4, 0.4, 0.4])  # translation, rotation
_YAW_LIMIT_RAD = 1.9  # of the hand, well inside joint 7's range


class Cube(NamedTuple):
    """Centre [m] and turn [rad] of a cube, the turn up to its fourfold symmetry."""

    x: float
    y: float
    z: float
    yaw: float


class Hand(NamedTuple):
    """Grasp point [m], turn from straight ahead [rad], tilt of the hand's axis (x and y of z), opening [m]."""

    x: float
    y: float
    z: float
    yaw: float
    tilt_x: float
    tilt_y: float
    opening: float


class Grasp(NamedTuple):
    """Where the grasp point goes, [m], and the hand's turn, [rad]."""

    x: float
    y: float
    z: float
    yaw: float


class Motion(NamedTuple):
    """A step of the hand, [m] and [rad], and whether the fingers close."""

    dx: float
    dy: float
    dz: float
    dyaw: float
    close: bool


@dataclass(frozen=True, kw_only=True)
class ExpertConfig:
    """Settings of the expert: a core PolicyFactory.

    Attributes:
        cubes: How many cubes the world has.
        noise: Standard deviation of what is added to the translation of each action, in action units (0.4 of it to
            the rotation). The sum is what is executed and recorded: data with corrections in it. Beyond 0.06 it
            no longer stacks.
    """

    cubes: int = 3
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.noise <= 1.0:
            raise ConfigError(f"noise = {self.noise:g} of the expert is out of range: choose 0 to 1.")

    @property
    def object_state(self) -> bool:
        """It reads the cubes' poses."""
        return True

    def create(self) -> "StackingExpert":
        """Make the expert."""
        return StackingExpert(self)


class StackingExpert:
    """A core Policy for `franka-stack`; its memory is the generator of its noise."""

    def __init__(self, config: ExpertConfig) -> None:
        self._config = config

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start an episode."""
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """One action per observation, (1, 7).

        Raises:
            ShapeError: An observation lacks the cubes' poses.
        """
        return [self._act(o, rng) for o, rng in zip(observations, memories, strict=True)]

    def _act(self, observation: Observation, rng: np.random.Generator) -> ActionChunk:
        size = 7 * self._config.cubes + 1
        seen = observation.object_state
        if seen is None or seen.shape != (size,):
            raise ShapeError("the expert's object state", (size,), None if seen is None else seen.shape)
        numbers: list[float] = seen.tolist()
        cubes = [_cube(numbers[i : i + 7]) for i in range(0, size - 1, 7)]
        hand = _hand(observation.state.tolist())
        action = np.array([_action(decide(cubes, numbers[-1], hand), hand)], np.float32)
        if self._config.noise:
            action[0, :6] += self._config.noise * _NOISE_SHARES * rng.standard_normal(6)
            np.clip(action, -1.0, 1.0, out=action)
        return action


def decide(cubes: Sequence[Cube], edge: float, hand: Hand) -> Motion:
    """Choose the hand's next motion: place, pick or let go of the lowest cube that does not stand on the one below."""
    for k in range(1, len(cubes)):
        cube, base = cubes[k], cubes[k - 1]
        held = _is_between_fingers(cube, hand) and hand.opening < edge + 0.004
        if _is_in_place(cube, base, edge):
            if _is_between_fingers(cube, hand) and hand.opening < edge + 0.014:
                return Motion(0.0, 0.0, 0.0, 0.0, False)  # let go before moving away
            continue
        if held:
            return _place(cubes, k, edge, hand)
        return _pick(cubes, k, edge, hand)
    return Motion(0.0, 0.0, _limited(0.2 - hand.z, _TOP_SPEED_M), 0.0, False)


def _is_between_fingers(cube: Cube, hand: Hand) -> bool:
    return hypot(cube.x - hand.x, cube.y - hand.y) < 0.018 and abs(cube.z - hand.z) < 0.018


def _is_in_place(cube: Cube, base: Cube, edge: float) -> bool:
    offset = hypot(cube.x - base.x, cube.y - base.y)
    return offset < 0.25 * edge and abs(cube.z - base.z - edge) < 0.0035


def _pick(cubes: Sequence[Cube], k: int, edge: float, hand: Hand) -> Motion:
    grasp = choose_grasp(cubes, k, edge, hand.yaw)
    dx, dy, dyaw = grasp.x - hand.x, grasp.y - hand.y, wrap_angle(grasp.yaw - hand.yaw)
    off_axis = hypot(dx, dy) + _YAW_LEVER_M * abs(dyaw)
    # Fingers that are not yet open come down no further than to the top of the cube.
    shut = max(_OPEN_M - hand.opening, 0.0) if hand.z > grasp.z + edge / 2 + FINGERTIP_M else 0.0
    height = min(max(_SLOPE * (off_axis + shut - _AIM_M), 0.0), _HOVER_M)
    freedom = 1.0
    if off_axis > _ALIGNED_M:
        clear = max((c.z for c in cubes if _is_near(c, hand)), default=-1.0) + edge / 2 + FINGERTIP_M + _CLEAR_M
        height, freedom = max(height, clear - grasp.z), _freedom(hand.z, clear)
    dz = grasp.z + height - hand.z
    close = off_axis < _AIM_M + 0.004 and abs(hand.z - grasp.z) < 0.007
    return _toward(dx, dy, dz, dyaw, freedom=freedom, close=close)


def _place(cubes: Sequence[Cube], k: int, edge: float, hand: Hand) -> Motion:
    cube, base = cubes[k], cubes[k - 1]
    dx, dy, dyaw = base.x - cube.x, base.y - cube.y, -hand.yaw
    off_axis = hypot(dx, dy)
    height = min(max(_SLOPE * (off_axis - _AIM_M), 0.0), _CARRY_M)
    freedom = 1.0
    if off_axis > _ALIGNED_M:
        tops = (c.z for j, c in enumerate(cubes) if j != k and _is_near(c, hand))
        clear = max(max(tops, default=-1.0) + edge + _CLEAR_M, edge / 2 + _LIFTED_M)
        freedom = _freedom(cube.z, clear)
    dz = base.z + edge + height - cube.z
    return _toward(dx, dy, dz, dyaw, freedom=freedom, close=True)


def _is_near(cube: Cube, hand: Hand) -> bool:
    return hypot(cube.x - hand.x, cube.y - hand.y) < _NEAR_M


def _freedom(height: float, clear: float) -> float:
    """Share of the top speed sideways: none until 1 cm below the clear height, all of it there."""
    return min(max((height - clear) / 0.01 + 1.0, 0.0), 1.0)


def _toward(dx: float, dy: float, dz: float, dyaw: float, *, freedom: float, close: bool) -> Motion:
    distance = hypot(dx, dy)
    share = freedom * min(_GAIN, _TOP_SPEED_M / distance) if distance > 0.0 else 0.0
    turn = freedom * _limited(_GAIN * dyaw, _TOP_TURN_RAD)
    return Motion(share * dx, share * dy, _limited(_GAIN * dz, _TOP_SPEED_M), turn, close)


def choose_grasp(cubes: Sequence[Cube], k: int, edge: float, hand_yaw: float) -> Grasp:
    """Of the cube's equivalent grasps, the one that turns the hand least and that no neighbour blocks.

    A neighbour blocks a grasp where it overlaps what a finger sweeps while it closes. Beside straight grasps there are
    those off-centre along the pads, for when a cube has neighbours on all sides.
    """
    cube = cubes[k]
    height = max(cube.z, FINGERTIP_M + 0.003)
    neighbours = [
        c for j, c in enumerate(cubes) if j != k and hypot(c.x - cube.x, c.y - cube.y) < _FINGER_OUTSIDE_M + edge
    ]
    yaws = [wrap_angle(cube.yaw + turn * pi / 2) for turn in range(4)]
    best, least = Grasp(cube.x, cube.y, height, cube.yaw), float("inf")
    for yaw in yaws:
        if abs(yaw) > _YAW_LIMIT_RAD:
            continue
        for step in (0.0, _SIDESTEP_M, -_SIDESTEP_M) if neighbours else (0.0,):
            x, y = cube.x + step * cos(yaw), cube.y + step * sin(yaw)
            cost = abs(wrap_angle(yaw - hand_yaw)) + 400.0 * abs(step)
            cost += _BLOCKED * sum(_blocks(n, x, y, yaw, edge) for n in neighbours)
            if cost < least:
                best, least = Grasp(x, y, height, yaw), cost
    return best


def _blocks(neighbour: Cube, x: float, y: float, yaw: float, edge: float) -> bool:
    """Whether a neighbour lies where one of the fingers goes, closing along the hand's y axis."""
    inside = edge / 2 + 0.0005
    half_depth, middle = (_FINGER_OUTSIDE_M - inside) / 2, (_FINGER_OUTSIDE_M + inside) / 2
    square = Placement(neighbour.x, neighbour.y, neighbour.yaw)
    for side in (middle, -middle):
        sweep = Placement(x - side * sin(yaw), y + side * cos(yaw), yaw)
        if rectangles_overlap(square, (edge / 2, edge / 2), sweep, (_FINGER_HALF_WIDTH_M, half_depth)):
            return True
    return False


def _limited(value: float, most: float) -> float:
    return min(max(value, -most), most)


def _action(motion: Motion, hand: Hand) -> list[float]:
    """The action of a motion, which also rights a tilted hand (rotation z × (0, 0, −1))."""
    return [
        motion.dx / TRANSLATION_M,
        motion.dy / TRANSLATION_M,
        motion.dz / TRANSLATION_M,
        _limited(-hand.tilt_y * _GAIN, _TOP_TURN_RAD) / ROTATION_RAD,
        _limited(hand.tilt_x * _GAIN, _TOP_TURN_RAD) / ROTATION_RAD,
        motion.dyaw / ROTATION_RAD,
        -1.0 if motion.close else 1.0,
    ]


def _hand(state: Sequence[float]) -> Hand:
    """Read proprioception: position, then the hand's x and y axes, then the opening."""
    x, y, z, rx, ry, rz, lx, ly, lz, opening = state[:10]
    return Hand(x, y, z, atan2(ry, rx), ry * lz - rz * ly, rz * lx - rx * lz, opening)


def _cube(numbers: Sequence[float]) -> Cube:
    """Read a pose; the turn is that of a face normal that lies nearly level, also for a cube on another face."""
    x, y, z, qw, qx, qy, qz = numbers
    heights = (2 * (qx * qz - qw * qy), 2 * (qy * qz + qw * qx), 1 - 2 * (qx * qx + qy * qy))
    steepest = max(range(3), key=lambda axis: abs(heights[axis]))
    if steepest == 0:  # the y axis lies level
        return Cube(x, y, z, atan2(1 - 2 * (qx * qx + qz * qz), 2 * (qx * qy - qw * qz)))
    return Cube(x, y, z, atan2(2 * (qx * qy + qw * qz), 1 - 2 * (qy * qy + qz * qz)))


__all__ = ["Cube", "ExpertConfig", "Grasp", "Hand", "Motion", "StackingExpert", "choose_grasp", "decide"]
