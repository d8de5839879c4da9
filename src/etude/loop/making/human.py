"""Demonstrations as a person would give them, as a maker of collections."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

from etude.core import Case, ConfigError, Environment, PolicyFactory, PoseControlled, Task, rollout
from etude.data import EpisodeRecorder
from etude.generation.human import HumanLike, HumanStyle
from etude.generation.replaying import Script
from etude.loop.making.maker import NARROWER, Made, recorded


@dataclass(frozen=True)
class HumanMaker:
    """The task's scripted expert with a human-like hand.

    Attributes:
        style: How unlike a script the hand is.
    """

    style: HumanStyle = field(default_factory=HumanStyle)

    @property
    def title(self) -> str:
        """What it is called."""
        return "the human-like expert"

    @property
    def remedy(self) -> str:
        """What helps it."""
        return NARROWER

    def make(self, task: Task, case: Case, *, name: str, keep_failed: bool = False) -> Made:
        """Give one demonstration, images and all; see Maker.

        Raises:
            ConfigError: The task's environment cannot be asked for poses.
        """
        environment, hand = _world(task, self.style)
        recorder = EpisodeRecorder(task.cameras, generator=name)
        outcome = rollout(environment, hand, case, [recorder])
        made = recorded(recorder, outcome, task.fps, keep_failed=keep_failed)
        return made if outcome.success else replace(made, actions=recorder.episode.action)

    def again(self, task: Task, made: Made) -> PolicyFactory | None:
        """A replay."""
        return Script(made.actions) if made.actions is not None else None


@lru_cache(maxsize=1)
def _world(task: Task, style: HumanStyle) -> tuple[Environment, HumanLike]:
    environment = task.environment(lazy_images=True, object_state=True)
    if not isinstance(environment, PoseControlled):
        raise ConfigError(
            f"task '{task.name}' cannot be asked for poses, which a human-like hand needs: --style script."
        )
    return environment, HumanLike(task.expert(), environment, task.fps, style)
