"""A scripted SO-101 that sorts, as a function of what it sees.

It keeps no phase: each step it looks at the cube, the hand and the opening of the jaws and decides again, so it retries
a grasp that missed and picks up what it dropped. The fixed jaw comes down close beside the cube and the moving one
farther out; closing, the hand moves up to the cube while the moving jaw presses it against the fixed one. Motion is
proportional to the distance left, up to a top speed; an action is the joints of a place a little ahead of the hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np

from etude.core import ActionChunk, ConfigError, Memory, Observation, ShapeError
from etude.core.se3 import wrap_angle
from etude.sim.layout import Cube, Placement, level_yaw, rectangles_overlap
from etude.sim.robots.so101 import FINGERTIP_M, PAN_AXIS_M
from etude.sim.worlds.so101.kinematics import Hand, hand_at, percent_for, positions_for

_STEP_M = 0.03  # the farthest ahead of the hand that an action aims; the servos lag by about three steps
_TURN_RAD = 0.5
_GAIN = 0.8  # share of the distance left
_JAW_GAP_M = 0.007  # of the open fixed jaw from the cube
_OPEN_M = 0.026  # wider than the cube while approaching
_FREE_M = 0.008  # of an opened fixed jaw from the cube before the hand may leave
_HOVER_M = 0.06  # grasp point over the cube's centre while approaching
_CARRY_M = 0.075  # height of the cube on its way
_LOW_M = 0.001  # above the table when the cube is let go
_SLOPE = 6.0  # of the funnel through which hand and cube come down: height over distance from the axis
_AIM_M = 0.004  # from the axis within which the way down is free
_YAW_LEVER_M = 0.03  # turns a yaw error into a distance from the axis
_GRASP_ERROR_M = 0.009  # from the axis within which the jaws may close
_IN_PLACE_M = 0.01
_BLOCKED = 100.0
_WRIST_RANGE_RAD = 1.1  # from the usual turn to the nearer end of wrist_roll's range
# What a jaw takes of the room beside the cube: from its face outwards, and half its width.
_JAW_DEPTH_M, _JAW_HALF_WIDTH_M = 0.021, 0.0095


class Look(NamedTuple):
    """What there is to see: the goal is the centre of the pad where the cube belongs."""

    hand: Hand
    cube: Cube
    goal: tuple[float, float]
    obstacles: Sequence[Cube]


class Motion(NamedTuple):
    """Where the grasp point shall go [m], how the hand shall be turned [rad], and the opening to ask for [m]."""

    x: float
    y: float
    z: float
    yaw: float
    opening: float


@dataclass(frozen=True, kw_only=True)
class SortingExpert:
    """A core Policy; its memory is the generator of its noise.

    Attributes:
        distractors: How many the world may have.
        noise: Standard deviation of what is added to the arm's joints in each action, in degrees. The sum is what
            is executed and recorded: data with corrections in it. Beyond 2 it begins to miss grasps.
    """

    distractors: int = 2
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.noise <= 20.0:
            raise ConfigError(f"noise = {self.noise:g} degrees of the expert is out of range: choose 0 to 20.")

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start an episode."""
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """One action per observation, (1, 6).

        Raises:
            ShapeError: An observation lacks the cube's pose.
        """
        return [self._act(o, rng) for o, rng in zip(observations, memories, strict=True)]

    def _act(self, observation: Observation, rng: np.random.Generator) -> ActionChunk:
        state: list[float] = observation.state.tolist()
        action = np.array([_action(decide(self._look(observation)), state)], np.float32)
        if self.noise:
            action[0, :5] += self.noise * rng.standard_normal(5)
        return action

    def _look(self, observation: Observation) -> Look:
        """Read the object state: cube, its edge, both pads, whether B1 is occupied, distractors."""
        size = 13 + 4 * self.distractors
        seen = observation.object_state
        if seen is None or seen.shape != (size,):
            raise ShapeError("the expert's object state", (size,), None if seen is None else seen.shape)
        x, y, z, *quat, edge, b1_x, b1_y, b2_x, b2_y, occupied = seen[:13].tolist()
        others: list[list[float]] = seen[13:].reshape(-1, 4).tolist()
        return Look(
            hand=hand_at(observation.state.tolist()),
            cube=Cube(x, y, z, level_yaw(quat), edge),
            goal=(b2_x, b2_y) if occupied else (b1_x, b1_y),
            obstacles=[Cube(x, y, z, 0.0, 2 * half) for x, y, z, half in others if z > 0.0],
        )


def decide(look: Look) -> Motion:
    """Choose where the hand goes next: it picks the cube, places it, or lets go of it."""
    hand, cube = look.hand, look.cube
    along, across = _beside(cube, hand)
    between = abs(across) < 0.016 and -0.006 < along < 0.03 and abs(cube.z - hand.z) < 0.02
    if _is_in_place(cube, look.goal):
        opening = cube.edge + _OPEN_M
        if between and (hand.opening < cube.edge + 0.012 or along < _FREE_M - 0.002):
            # The fixed jaw still touches the cube: open, and back away from it before rising.
            back = _FREE_M - along if hand.opening > cube.edge + 0.012 else 0.0
            return Motion(hand.x - back * cos(hand.yaw), hand.y - back * sin(hand.yaw), hand.z, hand.yaw, opening)
        return Motion(hand.x, hand.y, 0.12, hand.yaw, opening)
    if between and hand.opening < cube.edge + 0.006:
        return _place(look)
    return _pick(look, along, across)


def _beside(cube: Cube, hand: Hand) -> tuple[float, float]:
    """From the fixed jaw's face to the near face of the cube, and across it, [m]."""
    dx, dy, c, s = cube.x - hand.x, cube.y - hand.y, cos(hand.yaw), sin(hand.yaw)
    return c * dx + s * dy - cube.edge / 2, c * dy - s * dx


def _is_in_place(cube: Cube, goal: tuple[float, float]) -> bool:
    offset = hypot(cube.x - goal[0], cube.y - goal[1])
    return offset < _IN_PLACE_M and abs(cube.z - cube.edge / 2) < 0.0035


def _pick(look: Look, along: float, across: float) -> Motion:
    hand, cube = look.hand, look.cube
    yaw = choose_yaw(look)
    error = _YAW_LEVER_M * abs(wrap_angle(yaw - hand.yaw)) + abs(across)
    z = max(cube.z, FINGERTIP_M + 0.004)
    if error < _GRASP_ERROR_M and -0.004 < along < 2 * _JAW_GAP_M and abs(hand.z - z) < 0.008:
        x, y = _jaw_place(cube, yaw, 0.0)
        return Motion(x, y, z, yaw, 0.0)
    x, y = _jaw_place(cube, yaw, _JAW_GAP_M)
    off_axis = hypot(x - hand.x, y - hand.y) + _YAW_LEVER_M * abs(wrap_angle(yaw - hand.yaw))
    # Jaws that are not yet open come down no further than to the top of the cube.
    opening = cube.edge + _OPEN_M
    shut = max(opening - 0.006 - hand.opening, 0.0) if hand.z > cube.z + cube.edge / 2 + FINGERTIP_M else 0.0
    z += min(max(_SLOPE * (off_axis + shut - _AIM_M), 0.0), _HOVER_M)
    if z > hand.z + 0.015 and hand.z < _HOVER_M:  # up first, where something might be in the way
        return Motion(hand.x, hand.y, z, hand.yaw, opening)
    return Motion(x, y, z, yaw, opening)


def _place(look: Look) -> Motion:
    hand, cube, (x, y) = look.hand, look.cube, look.goal
    dx, dy = x - cube.x, y - cube.y
    off_axis = hypot(dx, dy)
    if off_axis > 0.02 and cube.z < _CARRY_M - 0.012:  # up first
        return Motion(hand.x, hand.y, hand.z + _CARRY_M - cube.z, hand.yaw, 0.0)
    height = min(cube.edge / 2 + _LOW_M + max(_SLOPE * (off_axis - _AIM_M), 0.0), _CARRY_M)
    straight = hand.yaw - cube.yaw  # with the cube's sides along the pad's, up to quarter turns
    usual, like_now = _usual_yaw(x, y), _azimuth(x, y) + hand.yaw - _azimuth(hand.x, hand.y)
    reached = [
        yaw
        for turn in range(4)
        for yaw in [straight + turn * pi / 2]
        if abs(wrap_angle(yaw - usual)) < _WRIST_RANGE_RAD
    ]
    yaw = min(reached, key=lambda yaw: abs(wrap_angle(yaw - like_now)))
    return Motion(hand.x + dx, hand.y + dy, hand.z + height - cube.z, yaw, 0.0)


def choose_yaw(look: Look) -> float:
    """Of the cube's four grasps, the one that turns the wrist least from its usual turn and that nothing blocks."""
    cube = look.cube
    usual = _usual_yaw(cube.x, cube.y)
    yaws = [wrap_angle(cube.yaw + turn * pi / 2) for turn in range(4)]
    near = [o for o in look.obstacles if hypot(o.x - cube.x, o.y - cube.y) < 0.12]

    def cost(yaw: float) -> float:
        turn = abs(wrap_angle(yaw - usual))
        out_of_reach = turn > _WRIST_RANGE_RAD and wrap_angle(yaw - usual) > 0
        return turn + _BLOCKED * (out_of_reach * 2 + sum(_blocks(o, cube, yaw) for o in near))

    return min(yaws, key=cost)


def _usual_yaw(x: float, y: float) -> float:
    """Of a hand there whose jaws open sideways, as at the start: so that leaning outwards does no harm."""
    return _azimuth(x, y) + pi / 2


def _azimuth(x: float, y: float) -> float:
    """Of the arm's plane when the hand is there."""
    return atan2(y, x - PAN_AXIS_M)


def _blocks(obstacle: Cube, cube: Cube, yaw: float) -> bool:
    """Whether an obstacle stands where one of the jaws goes."""
    half = cube.edge / 2
    fixed = (-half - _JAW_GAP_M - _JAW_DEPTH_M, -half)
    moving = (half, half + _OPEN_M - _JAW_GAP_M + _JAW_DEPTH_M)
    square, side = Placement(obstacle.x, obstacle.y, obstacle.yaw), obstacle.edge / 2
    for near, far in (fixed, moving):
        middle, half_depth = (near + far) / 2, (far - near) / 2
        room = Placement(cube.x + middle * cos(yaw), cube.y + middle * sin(yaw), yaw)
        if rectangles_overlap(square, (side, side), room, (half_depth, _JAW_HALF_WIDTH_M)):
            return True
    return False


def _jaw_place(cube: Cube, yaw: float, gap: float) -> tuple[float, float]:
    """Where the grasp point is when the fixed jaw's face is so far from the cube."""
    back = cube.edge / 2 + gap
    return cube.x - back * cos(yaw), cube.y - back * sin(yaw)


def _action(motion: Motion, state: Sequence[float]) -> list[float]:
    """The action of a motion: joints of a place ahead of the hand; where none will do, the arm stays."""
    hand = hand_at(state)
    dx, dy, dz = motion.x - hand.x, motion.y - hand.y, motion.z - hand.z
    distance = (dx * dx + dy * dy + dz * dz) ** 0.5
    share = min(1.0, _STEP_M / distance) if distance > 0.0 else 0.0
    x, y, z = hand.x + share * dx, hand.y + share * dy, hand.z + share * dz
    # The wrist turns as far as it has to at the motion's end, or it would wind up on the way.
    wrist = wrap_angle(hand.yaw - _azimuth(hand.x, hand.y))
    turn = wrap_angle(motion.yaw - _azimuth(motion.x, motion.y)) - wrist
    yaw = _azimuth(x, y) + wrist + min(max(turn, -_TURN_RAD), _TURN_RAD)
    # Close to the base the arm reaches low places only.
    tries = (positions_for(x, y, z - lower, yaw) for lower in (0.0, 0.01, 0.02, 0.03))
    arm = next((found for found in tries if found is not None), None)
    return [*(state[:5] if arm is None else arm), percent_for(motion.opening) if motion.opening else 0.0]
