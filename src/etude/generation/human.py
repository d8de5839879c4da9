"""Demonstrations as a person would give them: the scripted expert with a hand that shakes, wanders and stops to think.

The hand is the same for every robot, because what is changed is the pose that the expert asks for:

    new target = last target + speed * (asked - last target, turned off course) + tremor

A heading that is wrong by an angle bends the path. Hands that move slowly keep to their course, as people do near an
object, so a reach still ends where it should.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, sqrt

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ActionChunk, ConfigError, Memory, Observation, Policy, PoseControlled, Target
from etude.core.se3 import exp_rotation, interpolate, pose


@dataclass(frozen=True, kw_only=True)
class HumanStyle:
    """How unlike a script the hand is.

    Attributes:
        tremor_m, tremor_rad: Standard deviation of the shaking, at every control step.
        wander_rad: Standard deviation of the angle by which the hand goes off course when it is at its fastest.
        slow: Share of the expert's speed that is kept when it is slowest, in (0, 1].
        drift_s: How long the hand keeps to a wrong course, or to a speed.
        pauses_hz: Pauses per second of motion.
        pause_s: Shortest and longest pause.
    """

    tremor_m: float = 0.001
    tremor_rad: float = 0.01
    wander_rad: float = 0.4
    slow: float = 0.5
    drift_s: float = 0.6
    pauses_hz: float = 0.4
    pause_s: tuple[float, float] = (0.2, 0.8)

    def __post_init__(self) -> None:
        for name in ("tremor_m", "tremor_rad", "wander_rad", "pauses_hz"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name):g} must not be negative.")
        if not 0 < self.slow <= 1:
            raise ConfigError(f"slow = {self.slow:g} must be more than 0 and at most 1.")
        if self.drift_s <= 0:
            raise ConfigError(f"drift_s = {self.drift_s:g} must be positive.")
        if not 0 <= self.pause_s[0] <= self.pause_s[1]:
            raise ConfigError(f"pause_s = {self.pause_s}: write the shorter first.")


@dataclass
class _Hand:
    """What is remembered of an episode."""

    rng: np.random.Generator
    expert: Memory
    last: Mapping[str, Target] = field(default_factory=dict[str, Target])
    course: dict[str, Float64[NDArray[np.float64], "3"]] = field(default_factory=dict[str, NDArray[np.float64]])
    fastest: dict[str, float] = field(default_factory=dict[str, float])
    haste: float = 0.0
    pause: int = 0


class HumanLike:
    """A policy that does what an expert does, as a person's hand would; fixed by the stream that `begin` is given.

    It asks the environment what the expert's action means at this moment, so it is for rollouts of that environment
    alone.

    Args:
        expert: Whom the hand follows.
        environment: Where.
        fps: Control steps a second.
        style: How.
    """

    def __init__(self, expert: Policy, environment: PoseControlled, fps: int, style: HumanStyle | None = None) -> None:
        self._expert, self._environment, self._fps = expert, environment, fps
        self._style = style or HumanStyle()
        self._keep = exp(-1 / (fps * self._style.drift_s))

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start an episode."""
        return _Hand(rng, self._expert.begin(rng))

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """One action, (1, A), for the one observation."""
        (hand,) = memories
        ((action, *_),) = self._expert.act(observations, [hand.expert])
        asked = self._environment.asked(action)
        if hand.last:
            hand.last = self._followed(hand, asked)
            action = self._environment.action_for(hand.last)
        else:
            hand.last = asked
        return [np.asarray(action, np.float32)[None]]

    def _followed(self, hand: _Hand, asked: Mapping[str, Target]) -> Mapping[str, Target]:
        style, rng = self._style, hand.rng
        if hand.pause:
            hand.pause -= 1
            return hand.last
        if rng.random() < style.pauses_hz / self._fps:
            hand.pause = round(rng.uniform(*style.pause_s) * self._fps)
        hand.haste = self._drifted(hand.haste, rng.standard_normal())
        speed = style.slow + (1 - style.slow) * 0.5 * (1 + np.tanh(hand.haste))
        return {name: self._moved(hand, name, target, float(speed)) for name, target in asked.items()}

    def _moved(self, hand: _Hand, name: str, target: Target, speed: float) -> Target:
        style, rng, last = self._style, hand.rng, hand.last[name].pose
        course = self._drifted(hand.course.get(name, np.zeros(3)), style.wander_rad * rng.standard_normal(3))
        hand.course[name] = course
        step = target.pose[:3, 3] - last[:3, 3]
        length = float(np.linalg.norm(step))
        hand.fastest[name] = max(hand.fastest.get(name, 1e-9), length)
        step = exp_rotation(length / hand.fastest[name] * course) @ step
        turned = interpolate(last, target.pose, speed)[:3, :3] @ exp_rotation(style.tremor_rad * rng.standard_normal(3))
        return Target(
            pose(last[:3, 3] + speed * step + style.tremor_m * rng.standard_normal(3), turned), target.command
        )

    def _drifted[X: (float, NDArray[np.float64])](self, before: X, drawn: X) -> X:
        """The next value of a quantity that forgets slowly and keeps its spread (an Ornstein-Uhlenbeck process)."""
        return self._keep * before + sqrt(1 - self._keep**2) * drawn
