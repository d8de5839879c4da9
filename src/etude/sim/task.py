"""What all simulated tasks share: a world described as values, with the settings of how it is seen.

A world is a subclass of SimTask, one level deep, so that its own settings and those of the pictures are one flat set of
options: `so101-sort:distractors=1,image_size=128`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from functools import cached_property

from etude.core import (
    ConfigError,
    PerturbationSpace,
    Policy,
    PoseControlled,
    SegmentPlan,
    UnknownNameError,
    Vector,
)
from etude.core.space import FACTOR_KINDS
from etude.sim.environment import PoseControlledEnv, SimEnv
from etude.sim.object_numbers import ObjectNumbers, seen_in_states
from etude.sim.rendering import RenderOptions
from etude.sim.world import TaskSheet, World

_ALL = ("all",)
STATES = ("robot", "objects")
"""What a task's state says: of the robot alone, or of the robot and of the objects of its segments."""


@dataclass(frozen=True, kw_only=True)
class SimTask(ABC):
    """A core Task made of a MuJoCo world.

    Attributes:
        image_size: Height and width of every image [px].
        cameras: Which of the world's cameras observe; none makes a state-only task.
        state: "robot", or "objects" for a policy that sees where the objects are instead of images: their poses follow
            proprioception in the state, no camera observes unless asked for, and what only images show does not vary.
        vary: Kinds of factors that vary, e.g. layout+physics where camera and light are bolted down; the others keep
            their nominal values.
        max_steps: Control steps until truncation; 0 chooses the world's own number.
        end_at_success: Whether success ends an episode; if not, it lasts max_steps and its last moment is judged.
        render: Shadows and the like.
    """

    image_size: int = 96
    cameras: tuple[str, ...] = _ALL
    state: str = "robot"
    vary: tuple[str, ...] = _ALL
    max_steps: int = 0
    end_at_success: bool = True
    render: RenderOptions = field(default_factory=RenderOptions)

    def __post_init__(self) -> None:
        if not 8 <= self.image_size <= 4096:
            raise ConfigError(f"image_size = {self.image_size} px is out of range: choose 8 to 4096.")
        if self.max_steps < 0:
            raise ConfigError(
                f"max_steps = {self.max_steps} is negative: choose a positive number, or 0 for the default."
            )
        if self.state not in STATES:
            raise UnknownNameError("state", self.state, STATES)
        if self.state == "objects" and self.sheet.segments is None:
            raise ConfigError(f"state=objects: task '{self.sheet.name}' has no segments that name them; choose robot.")
        if self.cameras == _ALL:
            object.__setattr__(self, "cameras", () if self.state == "objects" else self.sheet.cameras)
        for camera in self.cameras:
            if camera not in self.sheet.cameras:
                raise UnknownNameError("camera", camera, self.sheet.cameras)
        if self.vary != _ALL:
            for kind in self.vary:
                if kind not in FACTOR_KINDS:
                    raise UnknownNameError("kind of factor to vary", kind, FACTOR_KINDS)
        if self.max_steps == 0:
            object.__setattr__(self, "max_steps", self.sheet.max_steps)

    @abstractmethod
    def describe(self) -> TaskSheet:
        """Describe the task, without compiling anything."""

    @abstractmethod
    def world(self) -> World:
        """Build its physics."""

    @abstractmethod
    def expert(self) -> Policy:
        """Make the scripted expert; it reads `Observation.object_state`."""

    def environment(self, *, lazy_images: bool = False, object_state: bool = False) -> SimEnv:
        """Make the environment; a PoseControlledEnv where the world's grippers can be asked for poses."""
        world = self.world()
        kind = PoseControlledEnv if isinstance(world, PoseControlled) else SimEnv
        return kind(
            self, world, self.sheet, end_at_success=self.end_at_success, render=self.render,
            lazy_images=lazy_images, object_state=object_state, object_numbers=self._object_numbers,
        )  # fmt: skip

    @cached_property
    def sheet(self) -> TaskSheet:
        """What `describe` says."""
        return self.describe()

    @property
    def name(self) -> str:
        """The registered name with the settings that differ from the default; make_task turns it back into this."""
        own = {f.name for f in fields(self)} - {f.name for f in fields(SimTask)}
        plain = type(self)()
        deciding = {name: getattr(self, name) for name in (*own, "state")}  # they decide other defaults
        like_this = type(self)(**deciding)
        changed = [
            f"{f.name}={_option_text(getattr(self, f.name))}"
            for f in sorted(fields(self), key=lambda f: f.name not in own)
            if f.name != "render"
            and getattr(self, f.name) != getattr(plain if f.name in deciding else like_this, f.name)
        ]
        return self.sheet.name + (":" + ",".join(changed) if changed else "")

    @property
    def text(self) -> str:
        """The task in words."""
        return self.sheet.text

    @property
    def fps(self) -> int:
        """Control steps a second."""
        return self.sheet.fps

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state's numbers, with their units: proprioception's, and then the objects' where it has them."""
        return (*self.sheet.state_names, *(self._object_numbers.names if self._object_numbers else ()))

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of an action's numbers."""
        return self.sheet.action_names

    @property
    def action_bounds(self) -> tuple[Vector, Vector]:
        """Smallest and largest action, (A,) each."""
        return self.sheet.action_bounds

    @property
    def subtasks(self) -> tuple[str, ...]:
        """Sub-tasks in order."""
        return self.sheet.subtasks

    @property
    def failure_modes(self) -> tuple[str, ...]:
        """Ways to fail."""
        return self.sheet.failure_modes

    @property
    def space(self) -> PerturbationSpace:
        """Everything about the world that can be varied, and that what observes it can tell."""
        space = seen_in_states(self.sheet.space) if self.state == "objects" else self.sheet.space
        if self.vary == _ALL:
            return space
        factors = tuple(f for f in space.factors if f.kind in self.vary)
        return PerturbationSpace(f"{space.name}-{'-'.join(self.vary)}", factors, space.infeasible)

    @property
    def segments(self) -> SegmentPlan | None:
        """How demonstrations are cut; None where new ones cannot be made from old ones."""
        return self.sheet.segments

    @cached_property
    def _object_numbers(self) -> ObjectNumbers | None:
        plan = self.sheet.segments
        return ObjectNumbers.of(plan, self.sheet.space) if self.state == "objects" and plan else None


def _option_text(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(str(part) for part in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
