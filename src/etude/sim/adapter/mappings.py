"""Ready factors for environments that many people have installed: gym_hil's pick-up and gym_aloha's two tasks.

Both are MuJoCo worlds, so that most factors are attributes of the compiled model. What their reset overwrites (poses of
free objects) is set after it, and the observation is taken again. Their packages are never imported here.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import mujoco

from etude.core import Factor, Perturbation
from etude.core.space import FactorKind
from etude.sim.adapter import aloha_expert
from etude.sim.adapter.config import GymnasiumConfig
from etude.sim.adapter.factors import Attribute, Call, FactorMapping, FactorSource, ModelVariation
from etude.sim.adapter.pick_expert import base_expert, wrapped_expert
from etude.sim.variations import Colour, Friction, TurnedCamera, fovy_range

_HIL = "unwrapped.model"
_HIL_DATA = "unwrapped.data"
_ALOHA = "unwrapped._env.physics.model.ptr"
_ALOHA_DATA = "unwrapped._env.physics.data.ptr"
_QUARTER = math.pi / 4  # a cube looks the same after twice that

_PANDA_STATE = (
    *(f"joint_{i}_rad" for i in range(1, 8)),
    *(f"joint_{i}_rad_per_s" for i in range(1, 8)),
    "gripper",
    *(f"gripper_{axis}_m" for axis in "xyz"),
)
_VIPERX = tuple(
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
)
# Where gym_aloha's reset puts things, x and y [m] (its utils.py).
_START_M = {"cube": (0.0, 0.2), "peg": (0.1, 0.2), "socket": (-0.2, -0.1)}
_START_Y_M = (0.4, 0.6)


def ready_config(env_id: str) -> GymnasiumConfig:
    """What is known about an environment: of most, nothing but the id."""
    if env_id.startswith("gym_hil/PandaPickCube"):
        return _pick_cube(env_id)
    if env_id.startswith("gym_aloha/AlohaTransferCube"):
        task = _aloha(env_id, "transfer the cube from the right arm to the left", _cube_factors())
        return replace(task, make_expert=aloha_expert.transfer)
    if env_id.startswith("gym_aloha/AlohaInsertion"):
        task = _aloha(env_id, "insert the peg into the socket", _insertion_factors())
        return replace(task, make_expert=aloha_expert.insertion)
    return GymnasiumConfig(env=env_id)


def _pick_cube(env_id: str) -> GymnasiumConfig:
    base = "Base" in env_id or "Viewer" in env_id  # without the wrappers that leave out rotations
    block = f"{_HIL_DATA}.joint('block').qpos"
    pads = tuple(f"{side}_pad{i}" for side in ("left", "right") for i in (1, 2))
    factors: tuple[FactorSource, ...] = (
        # The environment puts the block always at the same place, or draws it from numpy's global state: here the
        # seed draws it, from the environment's own range.
        _place("block.x_m", f"{block}[0]", 0.3, 0.5, drawn=True),
        _place("block.y_m", f"{block}[1]", -0.15, 0.15, drawn=True),
        _yaw("block.yaw_rad", Call(turn_block)),
        *_lamp("lamp", _HIL, 0),
        *_lamp("side_lamp", _HIL, 1),
        ModelVariation(_HIL, TurnedCamera(camera="front", fovy_rad=fovy_range(45.0, 0.15), distance_m=(-0.2, 0.2))),
        ModelVariation(_HIL, Colour(thing="block", hue=(-math.pi, math.pi), brightness=(0.5, 1.5))),
        # The pads' friction has priority over the block's.
        _factor("pads.friction", "1", (0.4, 1.0, 1.6), "physics", "grip of the fingers", _scaled(pads)),
    )
    return GymnasiumConfig(
        env=env_id,
        # The second of waiting after every reset is meant for people.
        make=(("image_obs", True),) if base else (("image_obs", True), ("reset_delay_seconds", 0.0)),
        text="pick up the cube",
        factors=factors,
        observe_again=_observe_hil,
        object_state=block,
        success="succeed",
        state_names=_PANDA_STATE,
        action_names=("dx", "dy", "dz", "rx", "ry", "rz", "gripper") if base else ("dx", "dy", "dz", "gripper"),
        make_expert=base_expert if base else wrapped_expert,
    )


def _aloha(env_id: str, text: str, things: tuple[FactorSource, ...]) -> GymnasiumConfig:
    table = ModelVariation(_ALOHA, Colour(thing="table", brightness=(0.3, 3.0)))
    top = TurnedCamera(camera="top", fovy_rad=fovy_range(78.0, 0.15), distance_m=(-0.15, 0.15))
    lamps = [factor for i, side in enumerate(("left", "right", "back")) for factor in _lamp(f"{side}_lamp", _ALOHA, i)]
    return GymnasiumConfig(
        env=env_id,
        make=(("obs_type", "pixels_agent_pos"),),
        text=text,
        factors=(*things, ModelVariation(_ALOHA, HeldCamera(top)), *lamps, table),
        observe_again=_observe_aloha,
        object_state=f"{_ALOHA_DATA}.qpos[16:]",
        success="is_success",
        full_reward=4.0,
        clip_actions=False,  # its action space says [-1, 1], but actions are joint angles
        state_names=_VIPERX,
        action_names=_VIPERX,
    )


def _cube_factors() -> tuple[FactorSource, ...]:
    return (
        *_start("cube", "red_box_joint", Call(turn_cube)),
        ModelVariation(_ALOHA, _colour("cube", ("red_box",))),
        ModelVariation(_ALOHA, _grip("cube", "red_box")),
    )


def _insertion_factors() -> tuple[FactorSource, ...]:
    socket = tuple(f"socket-{i}" for i in range(1, 5))
    return (
        *_start("peg", "red_peg_joint", Call(turn_peg)),
        *_start("socket", "blue_socket_joint", Call(turn_socket)),
        ModelVariation(_ALOHA, _colour("peg", ("red_peg",))),
        ModelVariation(_ALOHA, _colour("socket", socket)),
        ModelVariation(_ALOHA, _grip("peg", "red_peg")),
    )


def _colour(thing: str, geoms: tuple[str, ...]) -> Colour:
    return Colour(thing=thing, geoms=geoms, hue=(-math.pi, math.pi), brightness=(0.3, 1.0))  # pure colours, as they are


def _start(thing: str, joint: str, turn: Call) -> tuple[FactorSource, ...]:
    pose = f"{_ALOHA_DATA}.joint('{joint}').qpos"
    return (
        _place(f"{thing}.x_m", f"{pose}[0]", *_START_M[thing]),
        _place(f"{thing}.y_m", f"{pose}[1]", *_START_Y_M),
        _yaw(f"{thing}.yaw_rad", turn),
    )


def _grip(thing: str, geom: str) -> Friction:
    fingers = tuple(f"vx300s_{arm}/10_{side}_gripper_finger" for arm in ("left", "right") for side in ("left", "right"))
    # Two geoms in contact have the larger of their frictions.
    return Friction(thing=thing, geoms=(geom, *fingers), range=(0.4, 1.0, 1.6), description="grip of the fingers on it")


@dataclass(frozen=True)
class HeldCamera:
    """A camera that keeps an eye on a body, held as it is compiled and then turned: a Variation.

    Attributes:
        turned: How it turns.
    """

    turned: TurnedCamera

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Those of its turn."""
        return self.turned.factors

    @property
    def fields(self) -> tuple[str, ...]:
        """Its mode besides."""
        return ("cam_mode", *self.turned.fields)

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Hold it and turn it."""
        model.cam_mode[model.camera(self.turned.camera).id] = mujoco.mjtCamLight.mjCAMLIGHT_FIXED
        self.turned.apply(model, theta)


def _lamp(name: str, model: str, light: int) -> tuple[FactorSource, ...]:
    diffuse, specular = f"{model}.light_diffuse[{light}]", f"{model}.light_specular[{light}]"
    brightness = Attribute(diffuse, "scale", also=(specular,))
    warmth = Attribute(f"{diffuse}[2]", "scale")
    return (
        _factor(f"{name}.intensity", "1", (0.0, 1.0, 1.5), "lighting", "brightness over the nominal one", brightness),
        _factor(f"{name}.blue", "1", (0.4, 1.0, 1.6), "lighting", "its blue over the nominal one", warmth),
    )


def _place(name: str, path: str, low: float, high: float, *, drawn: bool = False) -> FactorMapping:
    to, middle = Attribute(path, when="after"), (low + high) / 2
    return _factor(name, "m", (low, middle, high), "layout", "where it lies", to, drawn=drawn)


def _yaw(name: str, turn: Call) -> FactorMapping:
    return _factor(name, "rad", (-_QUARTER, 0.0, _QUARTER), "layout", "turn about the vertical", turn)


def _scaled(pads: tuple[str, ...]) -> Attribute:
    first, *others = (f"{_HIL}.geom('{pad}').friction[0]" for pad in pads)
    return Attribute(first, "scale", also=tuple(others))


def _factor(
    name: str,
    unit: str,
    range_: tuple[float, float, float],
    kind: FactorKind,
    description: str,
    to: Attribute | Call,
    *,
    drawn: bool = False,
) -> FactorMapping:
    low, nominal, high = range_
    factor = Factor(name=name, unit=unit, low=low, nominal=nominal, high=high, kind=kind, description=description)
    return FactorMapping(factor, to, drawn)


def turn_block(env: Any, yaw_rad: float) -> None:
    """Turn gym_hil's block about the vertical."""
    _turn(env.unwrapped.data.joint("block").qpos, yaw_rad)


def turn_cube(env: Any, yaw_rad: float) -> None:
    """Turn gym_aloha's cube about the vertical."""
    _turn(env.unwrapped._env.physics.data.ptr.joint("red_box_joint").qpos, yaw_rad)


def turn_peg(env: Any, yaw_rad: float) -> None:
    """Turn gym_aloha's peg about the vertical."""
    _turn(env.unwrapped._env.physics.data.ptr.joint("red_peg_joint").qpos, yaw_rad)


def turn_socket(env: Any, yaw_rad: float) -> None:
    """Turn gym_aloha's socket about the vertical."""
    _turn(env.unwrapped._env.physics.data.ptr.joint("blue_socket_joint").qpos, yaw_rad)


def _turn(pose: Any, yaw_rad: float) -> None:
    """Write the orientation of a free joint's (xyz, wxyz)."""
    pose[3:7] = math.cos(yaw_rad / 2), 0.0, 0.0, math.sin(yaw_rad / 2)


def _observe_hil(env: Any) -> Any:
    mujoco.mj_forward(env.model, env.data)
    return env._compute_observation()


def _observe_aloha(env: Any) -> Any:
    world = env._env
    world.physics.forward()
    return env._format_raw_obs(world.task.get_observation(world.physics))
