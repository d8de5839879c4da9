"""`franka-stack`: stack two or three cubes with a Panda arm, from camera images or from the cubes' poses."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, EtudeError, Image, Perturbation, PerturbationSpace, UnknownNameError, Vector, stream
from etude.core.se3 import pose
from etude.sim.control import ACTION_NAMES, RelativePoseController
from etude.sim.expert import ExpertConfig, StackingExpert
from etude.sim.layout import draw_layout
from etude.sim.perturbations import WorldPerturber, stack_space
from etude.sim.rendering import RenderOptions, shared_renderer
from etude.sim.scene import CUBE_EDGE_M, CUBE_NAMES, FINGER_OPEN_M, HOME_RAD, SUBSTEP_S, load_scene
from etude.sim.stages import FAILURE_MODES, Scene, StackMonitor, subtask_names

CAMERAS = ("front", "wrist")
FPS = 20
STATE_NAMES = (
    *(f"gripper.{axis}_m" for axis in "xyz"),
    *(f"gripper.{column}_{axis}" for column in ("right", "left") for axis in "xyz"),
    "gripper.opening_m",
    *(f"joint_{i}.position_rad" for i in range(1, 8)),
)
"""Proprioception: grasp point; first two columns of the hand's rotation (6D, without jumps); opening; arm joints."""

_DEFAULT_MAX_STEPS = {2: 100, 3: 200}  # about two and a half times what the expert takes
_TEXTS = {
    2: "Stack the red cube on the blue cube.",
    3: "Stack the red cube on the blue cube, then the green cube on the red cube.",
}
_SETTLE_SUBSTEPS = 20
_JOINT_JITTER_RAD = 0.02  # standard deviation, as in Isaac Lab's stack task
_BOUND = 10.0  # of every observed number: metres and radians stay far within it


class StaleImageError(EtudeError):
    """An image that was not drawn in time: its moment is over."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        super().__init__(
            f"the image of camera '{camera}' was not drawn before the next step or reset, and its moment is over; "
            "look at lazy images at once, or make the environment with lazy_images=False."
        )


@dataclass(frozen=True, kw_only=True)
class FrankaStackConfig:
    """The task with its settings: a core Task.

    Attributes:
        cubes: 2 (red on blue) or 3 (then green on red).
        image_size: Height and width of every image [px].
        cameras: Which of CAMERAS observe; none makes a state-only task.
        max_steps: Control steps until truncation; 0 chooses by the number of cubes.
        render: Shadows and the like.
    """

    cubes: int = 3
    image_size: int = 96
    cameras: tuple[str, ...] = CAMERAS
    max_steps: int = 0
    render: RenderOptions = field(default_factory=RenderOptions)

    def __post_init__(self) -> None:
        if self.cubes not in _TEXTS:
            raise ConfigError(f"cubes = {self.cubes} cannot be stacked: choose 2 or 3.")
        if not 8 <= self.image_size <= 4096:
            raise ConfigError(f"image_size = {self.image_size} px is out of range: choose 8 to 4096.")
        if self.max_steps < 0:
            raise ConfigError(
                f"max_steps = {self.max_steps} is negative: choose a positive number, or 0 for the default."
            )
        for camera in self.cameras:
            if camera not in CAMERAS:
                raise UnknownNameError("camera", camera, CAMERAS)
        if self.max_steps == 0:
            object.__setattr__(self, "max_steps", _DEFAULT_MAX_STEPS[self.cubes])

    @property
    def name(self) -> str:
        """`franka-stack` with the settings that differ from the default; make_task turns it back into this task."""
        default = FrankaStackConfig(cubes=self.cubes)
        base = FrankaStackConfig()
        changed = [
            f"{f.name}={_option_text(getattr(self, f.name))}"
            for f in fields(self)
            if f.name != "render" and getattr(self, f.name) != getattr(base if f.name == "cubes" else default, f.name)
        ]
        return "franka-stack" + (":" + ",".join(changed) if changed else "")

    @property
    def text(self) -> str:
        """The task in words."""
        return _TEXTS[self.cubes]

    @property
    def fps(self) -> int:
        """Control steps a second."""
        return FPS

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of proprioception's numbers, with their units."""
        return STATE_NAMES

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of an action's numbers."""
        return ACTION_NAMES

    @property
    def state_size(self) -> int:
        """How many numbers proprioception has."""
        return len(STATE_NAMES)

    @property
    def action_size(self) -> int:
        """How many numbers an action has."""
        return len(ACTION_NAMES)

    @property
    def subtasks(self) -> tuple[str, ...]:
        """Sub-tasks in order."""
        return subtask_names(self.cubes)

    @property
    def failure_modes(self) -> tuple[str, ...]:
        """Ways to fail."""
        return FAILURE_MODES

    @property
    def space(self) -> PerturbationSpace:
        """Everything about the world that can be varied."""
        return stack_space(self.cubes)

    def environment(self, *, lazy_images: bool = False, object_state: bool = False) -> "FrankaStackEnv":
        """Make the environment."""
        return FrankaStackEnv(self, lazy_images=lazy_images, object_state=object_state)

    def expert(self) -> StackingExpert:
        """Make the scripted expert, without noise."""
        return ExpertConfig(cubes=self.cubes).create()


def _option_text(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(str(part) for part in value) or "none"
    return str(value)


class FrankaStackEnv(gymnasium.Env[Mapping[str, Any], Vector]):
    """The world of one FrankaStackConfig as a gymnasium environment; see core's Environment for the contract.

    The reward is 1 at the step that completes the stack, which ends the episode, and 0 before.
    """

    def __init__(self, config: FrankaStackConfig, *, lazy_images: bool = False, object_state: bool = False) -> None:
        self.config, self.task_text = config, config.text
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": FPS}
        self.render_mode = "rgb_array"
        self._lazy_images, self._object_state = lazy_images, object_state
        self._model = load_scene(config.cubes)
        self._data = mujoco.MjData(self._model)
        self._perturber = WorldPerturber(self._model)
        self._space = config.space
        self._cube_names = CUBE_NAMES[: config.cubes]
        self._bodies = [int(self._model.body(name).id) for name in self._cube_names]
        self._controller = RelativePoseController(self._model, self._data, round(1 / FPS / SUBSTEP_S))
        self._edge = CUBE_EDGE_M
        self._monitor = StackMonitor(config.cubes, self._edge)
        self._moment = self._steps = 0
        self.action_space = spaces.Box(-1.0, 1.0, (len(ACTION_NAMES),), np.float32)
        self.observation_space = self._make_observation_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Start an episode in the world that (θ, seed) fixes.

        Args:
            seed: Draws what θ leaves unset; None continues the environment's own stream.
            options: {"perturbation": Perturbation or mapping of factor -> value}.

        Raises:
            UnknownNameError, FactorRangeError, InfeasibleError: θ is not of this world; the last episode goes on.
        """
        super().reset(seed=seed)
        theta = _perturbation(options)
        self._space.check(theta)
        world_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        layout = draw_layout(theta, self._cube_names, stream(world_seed, "layout"))
        self._perturber.apply(theta)
        self._edge = CUBE_EDGE_M * theta.get("cube.scale", 1.0)
        mujoco.mj_resetData(self._model, self._data)
        arm = np.array(HOME_RAD) + _JOINT_JITTER_RAD * stream(world_seed, "joints").standard_normal(len(HOME_RAD))
        self._data.qpos[:9] = [*arm, FINGER_OPEN_M, FINGER_OPEN_M]
        for name, place in layout.items():
            turn = (np.cos(place.yaw / 2), 0.0, 0.0, np.sin(place.yaw / 2))
            self._data.joint(f"{name}_joint").qpos = (place.x, place.y, self._edge / 2, *turn)
        self._controller.refresh()
        self._controller.reset()
        mujoco.mj_step(self._model, self._data, nstep=_SETTLE_SUBSTEPS)
        self._controller.refresh()
        self._monitor = StackMonitor(self.config.cubes, self._edge)
        self._monitor.update(self._scene())
        self._steps = 0
        self._moment += 1
        return self._observe(), self._info()

    def step(self, action: Vector) -> tuple[Mapping[str, Any], float, bool, bool, dict[str, Any]]:
        """Advance one control period (1/20 s).

        Raises:
            ShapeError: The action is not 7 finite numbers; the world has not moved.
        """
        self._controller.step(action)
        self._monitor.update(self._scene())
        self._steps += 1
        self._moment += 1
        success = self._monitor.success
        return self._observe(), float(success), success, self._steps >= self.config.max_steps, self._info()

    def render(self) -> Image:
        """What the first camera sees now."""
        return self._draw((self.config.cameras or CAMERAS)[0])

    @property
    def target_pose(self) -> Float64[NDArray[np.float64], "4 4"]:
        """The pose X_world_gripper that the last action asked for."""
        return self._controller.target

    def _make_observation_space(self) -> spaces.Dict:
        size = self.config.image_size
        image = spaces.Box(0, 255, (size, size, 3), np.uint8)
        parts: dict[str, spaces.Space[Any]] = {"agent_pos": _numbers(len(STATE_NAMES))}
        if self.config.cameras:
            parts["pixels"] = spaces.Dict(dict.fromkeys(self.config.cameras, image))
        if self._object_state:
            parts["environment_state"] = _numbers(7 * self.config.cubes + 1)
        return spaces.Dict(parts)

    def _observe(self) -> dict[str, Any]:
        observation: dict[str, Any] = {"agent_pos": self._proprioception()}
        if self.config.cameras:
            images = LazyImages(self.config.cameras, self._drawer(self._moment))
            observation["pixels"] = images if self._lazy_images else dict(images)
        if self._object_state:
            observation["environment_state"] = self._object_poses()
        return observation

    def _proprioception(self) -> Vector:
        state = np.empty(len(STATE_NAMES), np.float32)
        state[:3] = self._controller.position
        state[3:9] = self._controller.rotation[:, :2].T.ravel()
        state[9] = self._opening
        state[10:] = self._data.qpos[:7]
        return state

    def _object_poses(self) -> Vector:
        """Position and wxyz quaternion of each cube, bottom to top, then their edge: (7 n + 1,)."""
        state = np.empty(7 * self.config.cubes + 1, np.float32)
        poses = state[:-1].reshape(-1, 7)
        poses[:, :3], poses[:, 3:] = self._data.xpos[self._bodies], self._data.xquat[self._bodies]
        state[-1] = self._edge
        return state

    @property
    def _opening(self) -> float:
        return float(self._data.qpos[7] + self._data.qpos[8])

    def _scene(self) -> Scene:
        return Scene(
            cubes=self._data.xpos[self._bodies].tolist(),
            gripper=self._controller.position.tolist(),
            opening=self._opening,
            uprightness=np.abs(self._data.xmat[self._bodies, 6:]).max(axis=1).tolist(),
        )

    def _info(self) -> dict[str, Any]:
        data, monitor = self._data, self._monitor
        return {
            "progress": monitor.progress,
            "stage": monitor.stage,
            "is_success": monitor.success,
            "failure_mode": monitor.failure_mode,
            "subtasks": monitor.subtasks,
            "object_poses": {
                name: pose(data.xpos[body], data.xmat[body].reshape(3, 3))
                for name, body in zip(self._cube_names, self._bodies, strict=True)
            },
        }

    def _drawer(self, moment: int) -> Callable[[str], Image]:
        def draw(camera: str) -> Image:
            if moment != self._moment:
                raise StaleImageError(camera)
            return self._draw(camera)

        return draw

    def _draw(self, camera: str) -> Image:
        mujoco.mj_camlight(self._model, self._data)
        size = self.config.image_size
        renderer = shared_renderer(self._model, self.config.render)
        return renderer.render(self._model, self._data, camera, height_px=size, width_px=size)


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


def _numbers(size: int) -> spaces.Box:
    return spaces.Box(-_BOUND, _BOUND, (size,), np.float32)


def _perturbation(options: Mapping[str, Any] | None) -> Perturbation:
    theta = (options or {}).get("perturbation", Perturbation())
    return theta if isinstance(theta, Perturbation) else Perturbation(theta)
