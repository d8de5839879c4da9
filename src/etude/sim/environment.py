"""The one gymnasium environment of all simulated worlds: reset, step, images, info; what is refused moves nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import (
    ConfigError,
    EtudeError,
    Image,
    Perturbation,
    PoseControlled,
    ShapeError,
    Target,
    Task,
    UnknownNameError,
    Vector,
)
from etude.core.se3 import Pose
from etude.sim.object_numbers import ObjectNumbers
from etude.sim.rendering import RenderOptions, shared_renderer
from etude.sim.world import HasGrippers, TaskSheet, World

_BOUND = 1e3  # of every observed number: metres, radians and degrees stay far within it


class StaleImageError(EtudeError):
    """An image that was not drawn in time: its moment is over."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        super().__init__(
            f"the image of camera '{camera}' was not drawn before the next step or reset, and its moment is over; "
            "look at lazy images at once, or make the environment with lazy_images=False."
        )


class SimEnv(gymnasium.Env[Mapping[str, Any], Vector]):
    """The world of one SimTask; see core's Environment for the contract.

    The reward is 1 at the step that ends the episode with success, and 0 otherwise.
    """

    def __init__(
        self,
        task: Task,
        world: World,
        sheet: TaskSheet,
        *,
        end_at_success: bool = True,
        render: RenderOptions | None = None,
        lazy_images: bool = False,
        object_state: bool = False,
        object_numbers: ObjectNumbers | None = None,
    ) -> None:
        """Put a world behind Gymnasium's interface; SimTask.environment does it.

        Args:
            task: What it is the environment of.
            world: The physics, this environment's own.
            sheet: Describes the world.
            end_at_success: See SimTask.
            render: See SimTask.
            lazy_images: See core's Task.
            object_state: See core's Task.
            object_numbers: What the state says of the objects after proprioception; None: nothing.
        """
        self.task, self.task_text, self.world = task, task.text, world
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": task.fps}
        self.render_mode = "rgb_array"
        self._lazy_images, self._object_state = lazy_images, object_state
        self._object_numbers = object_numbers
        self._space = task.space
        self._moment = self._steps = 0
        self._gripper_poses: Callable[[], Mapping[str, Pose]] = dict
        if isinstance(world, HasGrippers):
            self._gripper_poses = world.gripper_poses
        self._end_at_success, self._render_options = end_at_success, render
        self._viewpoint = (task.cameras or sheet.cameras)[0]
        self._low, self._high = sheet.action_bounds
        self.action_space = spaces.Box(self._low.astype(np.float32), self._high.astype(np.float32), dtype=np.float32)
        self.observation_space = self._make_observation_space()
        if (shape := world.proprioception().shape) != (len(sheet.state_names),):
            raise ShapeError(
                f"proprioception of task '{task.name}', by its state_names", (len(sheet.state_names),), shape
            )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Start an episode in the world that (θ, seed) fixes.

        Args:
            seed: Draws what θ leaves unset; None continues the environment's own stream.
            options: {"perturbation": Perturbation or mapping of factor -> value}.

        Raises:
            UnknownNameError, FactorRangeError, InfeasibleError: θ is not of this world, or an option is unknown; the
                last episode goes on.
        """
        theta = _perturbation(options or {})
        super().reset(seed=seed)
        self._space.check(theta)
        self.world.reset(theta, int(self.np_random.integers(2**31)) if seed is None else seed)
        self._steps = 0
        self._moment += 1
        return self._observe(), self._info()

    def step(self, action: Vector) -> tuple[Mapping[str, Any], float, bool, bool, dict[str, Any]]:
        """Advance one control period.

        Raises:
            ShapeError: The action has another shape or is not finite; the world has not moved.
        """
        self.world.step(checked_action(action, self._low, self._high))
        self._steps += 1
        self._moment += 1
        over = self._steps >= self.task.max_steps
        success = self.world.monitor.success and (over or self._end_at_success)
        return self._observe(), float(success), success, over and not success, self._info()

    def render(self) -> Image:
        """What the first camera sees now."""
        return self._draw(self._viewpoint)

    def _make_observation_space(self) -> spaces.Dict:
        size = self.task.image_size
        image = spaces.Box(0, 255, (size, size, 3), np.uint8)
        parts: dict[str, spaces.Space[Any]] = {"agent_pos": _numbers(len(self.task.state_names))}
        if self.task.cameras:
            parts["pixels"] = spaces.Dict(dict.fromkeys(self.task.cameras, image))
        if self._object_state:
            parts["environment_state"] = _numbers(self.world.object_state().size)
        return spaces.Dict(parts)

    def _observe(self) -> dict[str, Any]:
        observation: dict[str, Any] = {"agent_pos": self._state()}
        if self.task.cameras:
            images = LazyImages(self.task.cameras, self._drawer(self._moment))
            observation["pixels"] = images if self._lazy_images else dict(images)
        if self._object_state:
            observation["environment_state"] = self.world.object_state()
        return observation

    def _state(self) -> Vector:
        own = self.world.proprioception()
        if self._object_numbers is None:
            return own
        objects, grippers = self.world.object_poses(), self._gripper_poses()
        return np.concatenate([own, self._object_numbers.read(objects, grippers, self.world.model)])

    def _info(self) -> dict[str, Any]:
        monitor = self.world.monitor
        return {
            "progress": monitor.progress,
            "stage": monitor.stage,
            "is_success": monitor.success,
            "failure_mode": monitor.failure_mode,
            "subtasks": monitor.subtasks,
            "object_poses": self.world.object_poses(),
            "gripper_poses": self._gripper_poses(),
        }

    def _drawer(self, moment: int) -> Callable[[str], Image]:
        def draw(camera: str) -> Image:
            if moment != self._moment:
                raise StaleImageError(camera)
            return self._draw(camera)

        return draw

    def _draw(self, camera: str) -> Image:
        model, data, size = self.world.model, self.world.data, self.task.image_size
        mujoco.mj_camlight(model, data)
        return shared_renderer(model, self._render_options).render(model, data, camera, height_px=size, width_px=size)


class PoseControlledEnv(SimEnv):
    """The environment of a world whose grippers can be asked for poses: core's PoseControlled."""

    def __init__(self, task: Task, world: World, sheet: TaskSheet, **options: Any) -> None:
        """See SimEnv.

        Raises:
            ConfigError: The world is not PoseControlled.
        """
        if not isinstance(world, PoseControlled):
            raise ConfigError(f"task '{task.name}' cannot be asked for poses: its world has no asked and action_for.")
        super().__init__(task, world, sheet, **options)
        self._posed: PoseControlled = world

    def asked(self, action: Vector) -> Mapping[str, Target]:
        """See PoseControlled.

        Raises:
            ShapeError: The action has another shape or is not finite.
        """
        return self._posed.asked(checked_action(action, self._low, self._high))

    def action_for(self, targets: Mapping[str, Target]) -> Vector:
        """See PoseControlled.

        Raises:
            UnknownNameError: A target of a gripper that there is not.
        """
        self._check_grippers(targets)
        action = self._posed.action_for(targets)
        return np.minimum(np.maximum(action, self._low), self._high).astype(np.float32)

    def unreachable(self, gripper: str, target: Pose) -> str | None:
        """See PoseControlled.

        Raises:
            UnknownNameError: There is no such gripper.
        """
        self._check_grippers([gripper])
        return self._posed.unreachable(gripper, target)

    def _check_grippers(self, names: Iterable[str]) -> None:
        grippers = self._gripper_poses()
        for name in names:
            if name not in grippers:
                raise UnknownNameError(f"gripper of task '{self.task.name}'", name, grippers)


class LazyImages(Mapping[str, Image]):
    """Camera images that are drawn when first looked at, which must be before the next step."""

    def __init__(self, cameras: tuple[str, ...], draw: Callable[[str], Image]) -> None:
        self._cameras, self._draw = cameras, draw
        self._drawn: dict[str, Image] = {}

    def __getitem__(self, camera: str) -> Image:
        if camera not in self._cameras:
            raise KeyError(camera)
        if camera not in self._drawn:
            self._drawn[camera] = self._draw(camera)
        return self._drawn[camera]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cameras)

    def __len__(self) -> int:
        return len(self._cameras)


def checked_action(
    action: Vector, low: Float64[NDArray[np.float64], " A"], high: Float64[NDArray[np.float64], " A"]
) -> Float64[NDArray[np.float64], " A"]:
    """The action as float64, clipped to its bounds.

    Raises:
        ShapeError: Not (A,), or not finite.
    """
    array = np.asarray(action, dtype=np.float64)
    if array.shape != low.shape:
        raise ShapeError("action", low.shape, array.shape)
    if not np.isfinite(array).all():
        raise ShapeError("action", "finite numbers", array.tolist())
    return np.minimum(np.maximum(array, low), high)


def _numbers(size: int) -> spaces.Box:
    return spaces.Box(-_BOUND, _BOUND, (size,), np.float32)


def _perturbation(options: Mapping[str, Any]) -> Perturbation:
    for option in options:
        if option != "perturbation":
            raise UnknownNameError("option of reset", option, ["perturbation"])
    theta = options.get("perturbation", Perturbation())
    return theta if isinstance(theta, Perturbation) else Perturbation(theta)
