"""How smooth a motion is: the spectral arc length of its speed.

A movement that speeds up once and slows down once has a spectrum that falls smoothly; every further sub-movement adds
ripples to it, and the line along the spectrum grows longer. Its length does not depend on how far, and hardly on how
long, one moved, and is robust to noise, which lies above the band that is looked at.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Case, Observation, Outcome, Step

_BAND_HZ = 10.0  # human movement lies below it, and so does what an arm does on purpose
_LEAST = 0.05  # of the largest amplitude: the band ends where the spectrum has fallen below it for good
_PADDING = 16  # zeros that make the spectrum's line fine enough to measure its length
_UNITS = ("m", "rad", "deg", "px")


def sparc(speed: Float64[NDArray[np.float64], " T"], fps: float) -> float | None:
    """Spectral arc length of a speed profile: negative, nearer 0 the smoother; −1.4 is as smooth as one reach can be.

    With M(f) the amplitude spectrum divided by its value at 0 and f_c the end of its band,
    SPARC = −∫_0^{f_c} √((1 / f_c)² + (dM / df)²) df, the integral over the line through the points of the spectrum.

    Args:
        speed: Speed at T moments, >= 0, in any unit.
        fps: Moments per second.

    Returns:
        None where there is no motion.

    Source: Balasubramanian et al. 2015, with their band of 10 Hz (or up to half of `fps`) and threshold of 0.05.
    """
    size = _PADDING * 2 ** int(np.ceil(np.log2(max(len(speed), 1))))
    spectrum = np.abs(np.fft.rfft(speed, size))[: int(_BAND_HZ * size / fps) + 1]
    if not spectrum[0] > 0:
        return None
    amplitude = spectrum / spectrum[0]  # a speed is never negative: nothing is larger than its mean
    amplitude = amplitude[: np.flatnonzero(amplitude >= _LEAST)[-1] + 1]
    step = 1 / max(len(amplitude) - 1, 1)  # of frequency, as a share of the band
    return -float(np.sqrt(step**2 + np.diff(amplitude) ** 2).sum())


class SmoothnessMeter:
    """Observer that measures how smoothly a robot moved, by its proprioception.

    Speed is that of all numbers of one unit together, √Σ ẋ²: of the unit that most of them have, which on an arm are
    its joints' angles. Numbers of different units cannot be added up.

    Args:
        state_names: Names of the S numbers of proprioception, which end in their unit where they have one.
        fps: Control steps per second.
    """

    def __init__(self, state_names: Sequence[str], fps: float) -> None:
        self._chosen, self._fps = alike(state_names), fps
        self._states: list[NDArray[np.floating]] = []
        self.smoothness: float | None = None

    def begin(self, case: Case) -> None:
        """Forget the episode before."""
        del case
        self._states, self.smoothness = [], None

    def step(self, step: Step) -> None:
        """Keep where the robot is."""
        self._states.append(np.array(step.observation.state))

    def end(self, observation: Observation, outcome: Outcome) -> None:
        """Measure the episode."""
        del outcome
        states = np.array([*self._states, observation.state], np.float64)[:, self._chosen]
        velocity = np.diff(states, axis=0) * self._fps
        self.smoothness = sparc(np.sqrt((velocity**2).sum(axis=1)), self._fps)


def alike(names: Sequence[str]) -> list[int]:
    """Indices of the names that have the same unit as most others; several units equally often: the first."""
    units = [unit if (unit := name.rpartition("_")[2]) in _UNITS else "" for name in names]
    most, _ = Counter(units).most_common(1)[0] if units else ("", 0)
    return [index for index, unit in enumerate(units) if unit == most]
