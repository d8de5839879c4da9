"""How a scripted Panda takes a cube in its fingers: the look at the scene, the choice of a grasp, the way to it.

The experts keep no phase: each step they look at the cubes, the hand and the opening of the fingers and decide again,
so they retry a grasp that missed and pick up what they dropped, and what they do is a function of what there is to see.
Motion is proportional to the distance left, up to a top speed. Plain floats: numpy is slower on vectors of three.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np

from etude.core import ActionChunk, ConfigError, Memory, Observation, ShapeError
from etude.core.se3 import wrap_angle
from etude.sim.layout import Cube, Placement, gap_between, level_yaw
from etude.sim.worlds.franka.control import ROTATION_RAD, TRANSLATION_M
from etude.sim.worlds.franka.tabletop import FINGERTIP_M

TOP_SPEED_M = 0.022  # per control step
SLOPE = 8.0  # of the funnel through which hand and cube come down: height over distance from the axis
AIM_M = 0.006  # from the axis within which the way down is free
ALIGNED_M = 0.012  # from the axis within which a cube's neighbours need not be cleared any more
CLEAR_M = 0.008  # over things in passing

_GAIN = 0.6  # share of the distance left, per control step
_TOP_TURN_RAD = 0.15  # per control step
_HOVER_M = 0.085  # grasp point over the cube while approaching
_YAW_LEVER_M = 0.03  # turns a yaw error into a distance from the axis
_OPEN_M = 0.07  # between fingers that can go around a cube
_NEAR_M = 0.095  # a cube nearer than this has to be cleared: reach of the open hand and half a cube's diagonal
_FINGER_HALF_WIDTH_M = 0.0185
_FINGER_OUTSIDE_M = 0.064  # from the grasp point to the outside of an open finger
_BLOCKED = 100.0
_SIDESTEPS_M = (0.010, -0.010, 0.016, -0.016)  # along the pads, when all straight grasps are blocked
_NOISE_SHARES = np.array([1.0, 1.0, 1.0, 0.4, 0.4, 0.4])  # translation, rotation
_YAW_LIMIT_RAD = 1.9  # of the hand, well inside joint 7's range


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


class Look(NamedTuple):
    """What an expert sees: the task's cubes, the hand, and what else stands around."""

    cubes: Sequence[Cube]
    hand: Hand
    obstacles: Sequence[Cube]


@dataclass(frozen=True, kw_only=True)
class CubeExpert:
    """A core Policy that moves the hand as a function of what it sees; its memory is the generator of its noise.

    Attributes:
        decide: Chooses the hand's next motion.
        cubes: How many the world has.
        distractors: How many it may have of those.
        noise: Standard deviation of what is added to the translation of each action, in action units (0.4 of it to
            the rotation). The sum is what is executed and recorded: data with corrections in it. Beyond 0.06 it
            no longer stacks.
    """

    decide: Callable[[Look], Motion]
    cubes: int
    distractors: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.noise <= 1.0:
            raise ConfigError(f"noise = {self.noise:g} of the expert is out of range: choose 0 to 1.")

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
        look = self._look(observation)
        action = np.array([_action(self.decide(look), look.hand)], np.float32)
        if self.noise:
            action[0, :6] += self.noise * _NOISE_SHARES * rng.standard_normal(6)
            np.clip(action, -1.0, 1.0, out=action)
        return action

    def _look(self, observation: Observation) -> Look:
        """Read the object state: a pose per cube, the edge of all, then place and half edge of each distractor."""
        poses, size = 7 * self.cubes, 7 * self.cubes + 1 + 4 * self.distractors
        seen = observation.object_state
        if seen is None or seen.shape != (size,):
            raise ShapeError("the expert's object state", (size,), None if seen is None else seen.shape)
        numbers: list[float] = seen.tolist()
        others = [numbers[i : i + 4] for i in range(poses + 1, size, 4)]
        return Look(
            cubes=[
                Cube(x, y, z, level_yaw(quat), numbers[poses])
                for x, y, z, *quat in (numbers[i : i + 7] for i in range(0, poses, 7))
            ],
            hand=_hand(observation.state.tolist()),
            obstacles=[Cube(x, y, z, 0.0, 2 * half) for x, y, z, half in others if z > 0.0],
        )


def pick(look: Look, k: int) -> Motion:
    """The next motion on the way to cube k, and around it."""
    hand, edge = look.hand, look.cubes[k].edge
    around = [*look.cubes, *look.obstacles]
    grasp = choose_grasp(look.cubes, k, hand.yaw, look.obstacles)
    dx, dy, dyaw = grasp.x - hand.x, grasp.y - hand.y, wrap_angle(grasp.yaw - hand.yaw)
    off_axis = hypot(dx, dy) + _YAW_LEVER_M * abs(dyaw)
    # Fingers that are not yet open come down no further than to the top of the cube.
    shut = max(_OPEN_M - hand.opening, 0.0) if hand.z > grasp.z + edge / 2 + FINGERTIP_M else 0.0
    height = min(max(SLOPE * (off_axis + shut - AIM_M), 0.0), _HOVER_M)
    freedom = 1.0
    if off_axis > ALIGNED_M:
        clear = highest(around, hand) + FINGERTIP_M + CLEAR_M
        height, freedom = max(height, clear - grasp.z), freedom_at(hand.z, clear)
    dz = grasp.z + height - hand.z
    close = off_axis < AIM_M + 0.004 and abs(hand.z - grasp.z) < 0.007
    return toward(dx, dy, dz, dyaw, freedom=freedom, close=close)


def is_between_fingers(cube: Cube, hand: Hand) -> bool:
    """Whether the fingers are around the cube, open or closed."""
    return hypot(cube.x - hand.x, cube.y - hand.y) < 0.018 and abs(cube.z - hand.z) < 0.018


def is_held(cube: Cube, hand: Hand) -> bool:
    """Whether the fingers have closed on the cube."""
    return is_between_fingers(cube, hand) and hand.opening < cube.edge + 0.004


def highest(things: Sequence[Cube], hand: Hand) -> float:
    """The top of the highest thing near the hand, [m]; far below where there is none."""
    return max((c.z + c.edge / 2 for c in things if hypot(c.x - hand.x, c.y - hand.y) < _NEAR_M), default=-1.0)


def freedom_at(height: float, clear: float) -> float:
    """Share of the top speed sideways: none until 1 cm below the clear height, all of it there."""
    return min(max((height - clear) / 0.01 + 1.0, 0.0), 1.0)


def toward(dx: float, dy: float, dz: float, dyaw: float, *, freedom: float, close: bool) -> Motion:
    """A motion proportional to the way left, up to the top speeds."""
    distance = hypot(dx, dy)
    share = freedom * min(_GAIN, TOP_SPEED_M / distance) if distance > 0.0 else 0.0
    turn = freedom * limited(_GAIN * dyaw, _TOP_TURN_RAD)
    return Motion(share * dx, share * dy, limited(_GAIN * dz, TOP_SPEED_M), turn, close)


def choose_grasp(cubes: Sequence[Cube], k: int, hand_yaw: float, obstacles: Sequence[Cube] = ()) -> Grasp:
    """Of the cube's equivalent grasps, the one that turns the hand least and that no neighbour blocks.

    A neighbour blocks a grasp where it overlaps what a finger sweeps while it closes; obstacles do so more than cubes,
    which give way, and the more the deeper. Beside straight grasps there are those off-centre along the pads, for when
    there are neighbours on all sides.
    """
    cube = cubes[k]
    height = max(cube.z, FINGERTIP_M + 0.003)
    others = _near(cube, [c for j, c in enumerate(cubes) if j != k])
    fixed = _near(cube, obstacles)
    steps = (0.0, *_SIDESTEPS_M[: 4 if fixed else 2]) if others or fixed else (0.0,)
    best, least = Grasp(cube.x, cube.y, height, cube.yaw), float("inf")
    for yaw in [wrap_angle(cube.yaw + turn * pi / 2) for turn in range(4)]:
        if abs(yaw) > _YAW_LIMIT_RAD:
            continue
        for step in steps:
            x, y = cube.x + step * cos(yaw), cube.y + step * sin(yaw)
            cost = abs(wrap_angle(yaw - hand_yaw)) + 400.0 * abs(step)
            cost += _BLOCKED * sum(_depth(c, x, y, yaw, cube.edge) >= 0.0 for c in others)
            depths = [_depth(c, x, y, yaw, cube.edge) for c in fixed]
            cost += _BLOCKED * sum(1.0 + depth / 0.01 for depth in depths if depth >= 0.0)
            if cost < least:
                best, least = Grasp(x, y, height, yaw), cost
    return best


def _near(cube: Cube, things: Sequence[Cube]) -> list[Cube]:
    return [c for c in things if hypot(c.x - cube.x, c.y - cube.y) < _FINGER_OUTSIDE_M + c.edge]


def _depth(neighbour: Cube, x: float, y: float, yaw: float, edge: float) -> float:
    """How far a neighbour reaches into where one of the fingers goes, closing along the hand's y axis; < 0 if not."""
    inside = edge / 2 + 0.0005
    half_depth, middle = (_FINGER_OUTSIDE_M - inside) / 2, (_FINGER_OUTSIDE_M + inside) / 2
    half = neighbour.edge / 2
    square = Placement(neighbour.x, neighbour.y, neighbour.yaw)
    sweeps = [Placement(x - side * sin(yaw), y + side * cos(yaw), yaw) for side in (middle, -middle)]
    return max(-gap_between(square, (half, half), sweep, (_FINGER_HALF_WIDTH_M, half_depth)) for sweep in sweeps)


def limited(value: float, most: float) -> float:
    """Clip to ±most."""
    return min(max(value, -most), most)


def _action(motion: Motion, hand: Hand) -> list[float]:
    """The action of a motion, which also rights a tilted hand (rotation z × (0, 0, −1))."""
    return [
        motion.dx / TRANSLATION_M,
        motion.dy / TRANSLATION_M,
        motion.dz / TRANSLATION_M,
        limited(-hand.tilt_y * _GAIN, _TOP_TURN_RAD) / ROTATION_RAD,
        limited(hand.tilt_x * _GAIN, _TOP_TURN_RAD) / ROTATION_RAD,
        motion.dyaw / ROTATION_RAD,
        -1.0 if motion.close else 1.0,
    ]


def _hand(state: Sequence[float]) -> Hand:
    """Read proprioception: position, then the hand's x and y axes, then the opening."""
    x, y, z, rx, ry, rz, lx, ly, lz, opening = state[:10]
    return Hand(x, y, z, atan2(ry, rx), ry * lz - rz * ly, rz * lx - rx * lz, opening)
