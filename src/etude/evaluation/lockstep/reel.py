"""The film of a lockstep: both worlds beside each other, with how far they are apart."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image as Pillow

from etude.core import Case, Image, Observation, Observer, Outcome, Step, Task
from etude.evaluation.film import Filming
from etude.evaluation.lockstep.trace import Trace, poses_of

_GAP_PX = 6


class Reel:
    """Makes the film while the worlds run one after the other: the first one's frames wait, compressed.

    Args:
        task: As it is filmed.
        add: Takes the frames.
        tile_px: Height of each camera's picture.
    """

    def __init__(self, task: Task, add: Callable[[Image], None], *, tile_px: int) -> None:
        self._task, self._add, self._tile_px = task, add, tile_px
        self._waiting: list[bytes] = []
        self._shown = 0

    def demonstration(self) -> Observer:
        """Watches the demonstration's world."""
        return Filming(self._task, self._keep, tile_px=self._tile_px, title="demonstration")

    def policy(self, demonstration: Trace) -> Observer:
        """Watches the policy's world, when the demonstration's is over."""
        filming = Filming(self._task, self._beside, tile_px=self._tile_px, title="policy")
        return _Captioned(filming, demonstration, self._rest)

    def _keep(self, frame: Image) -> None:
        buffer = BytesIO()
        Pillow.fromarray(frame).save(buffer, format="JPEG", quality=95, subsampling=0)
        self._waiting.append(buffer.getvalue())

    def _beside(self, frame: Image) -> None:
        waiting = self._waiting[min(self._shown, len(self._waiting) - 1)]
        left = np.asarray(Pillow.open(BytesIO(waiting)), np.uint8)
        gap = np.full((len(frame), _GAP_PX, 3), 255, np.uint8)
        self._last = frame
        self._shown += 1
        self._add(np.concatenate([left, gap, frame], axis=1))

    def _rest(self) -> None:
        """What is left of a demonstration that lasts longer."""
        while self._shown < len(self._waiting):
            self._beside(self._last)


class _Captioned:
    """Films with the present distance to the demonstration in the caption."""

    def __init__(self, filming: Filming, demonstration: Trace, on_end: Callable[[], None]) -> None:
        self._filming, self._demonstration, self._on_end = filming, demonstration, on_end

    def begin(self, case: Case) -> None:
        """Nothing is drawn before the first step."""
        self._filming.begin(case)

    def step(self, step: Step) -> None:
        """Draw the moment before an action."""
        distance = self._distance(step)
        self._filming.title = f"policy · {distance}" if distance else "policy"
        self._filming.step(step)

    def end(self, observation: Observation, outcome: Outcome) -> None:
        """Draw how it ended."""
        self._filming.title = "policy"
        self._filming.end(observation, outcome)
        self._on_end()

    def _distance(self, step: Step) -> str:
        """The thing that is furthest off, or ""."""
        if step.index >= len(self._demonstration.states):
            return ""
        here = {thing: pose[:3, 3] for thing, pose in poses_of(step.info).items()}
        there = {thing: poses[step.index, :3, 3] for thing, poses in self._demonstration.poses.items()}
        apart = {thing: float(np.linalg.norm(here[thing] - there[thing])) for thing in there}
        thing = max(apart, key=lambda name: apart[name], default="")
        return f"{thing} {100 * apart[thing]:.1f} cm off" if thing else ""
