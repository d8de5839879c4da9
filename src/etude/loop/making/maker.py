"""Who makes demonstrations: a maker makes one attempt at a case, wherever it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from jaxtyping import Float32
from numpy import float32
from numpy.typing import NDArray

from etude.core import Case, Environment, Outcome, Policy, PolicyFactory, Task, rollout
from etude.data import EncodedEpisode, EpisodeRecorder, encode
from etude.evaluation import Expert


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of one attempt.

    Attributes:
        outcome: With its case.
        episode: What is to be kept of it; None of a failure, unless failures are kept.
        source: The source episode that it was made from, or −1.
        start: Object -> where it lay at the reset, x and y [m]; empty where nobody looked.
        stuck: Where a failure failed, in a few words.
        actions: What a failure did, (T, A), to see it again; None where it can be had anew from its case.
    """

    outcome: Outcome
    episode: EncodedEpisode | None = None
    source: int = -1
    start: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    stuck: str = ""
    actions: Float32[NDArray[float32], "T A"] | None = None


NARROWER = "narrow the ranges it is asked to work in"
"""What helps any maker where nearly all its attempts fail."""


class Maker(Protocol):
    """Makes demonstrations of a task; picklable, compared by value."""

    @property
    def title(self) -> str:
        """What it is called in messages, e.g. "the expert"."""
        ...

    @property
    def remedy(self) -> str:
        """What to do where nearly all its attempts fail, e.g. "narrow the ranges it is asked to work in"."""
        ...

    def make(self, task: Task, case: Case, *, name: str, keep_failed: bool = False) -> Made:
        """Make one attempt; the same for the same case, wherever and whenever.

        Args:
            task: The world.
            case: (θ, seed).
            name: The maker's name in the sidecar.
            keep_failed: Whether the episode of a failure is wanted too.
        """
        ...

    def again(self, task: Task, made: Made) -> PolicyFactory | None:
        """A policy that does at its case what a failed attempt did; None where there was nothing to see."""
        ...


@dataclass(frozen=True)
class ExpertMaker:
    """The task's scripted expert."""

    @property
    def title(self) -> str:
        """What it is called."""
        return "the expert"

    @property
    def remedy(self) -> str:
        """What helps it."""
        return NARROWER

    def make(self, task: Task, case: Case, *, name: str, keep_failed: bool = False) -> Made:
        """Run the expert once, images and all."""
        environment, expert = _world(task)
        recorder = EpisodeRecorder(task.cameras, generator=name)
        outcome = rollout(environment, expert, case, [recorder])
        return recorded(recorder, outcome, task.fps, keep_failed=keep_failed)

    def again(self, task: Task, made: Made) -> PolicyFactory | None:
        """The expert."""
        return Expert(task)


def recorded(recorder: EpisodeRecorder, outcome: Outcome, fps: int, *, keep_failed: bool) -> Made:
    """What became of an attempt that was recorded from its reset to its end; its episode where that is to be kept."""
    episode = encode(recorder.episode, fps) if outcome.success or keep_failed else None
    return Made(outcome=outcome, episode=episode, stuck="" if outcome.success else where(outcome))


def where(outcome: Outcome) -> str:
    """Where a failed episode failed, in a few words: how, and after which sub-task."""
    mode = outcome.failure_mode.replace("_", " ")
    return f"{mode} after {outcome.stage}" if outcome.stage else f"{mode} before the first sub-task"


@lru_cache(maxsize=1)
def _world(task: Task) -> tuple[Environment, Policy]:
    return task.environment(lazy_images=True, object_state=True), task.expert()
