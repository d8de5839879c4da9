"""The HDF5 layouts that are read: where each keeps actions, observations, images and states.

Columns of a dataset are named by their path in the demonstration, with dots (obs/eef_pos -> "obs.eef_pos").

    robomimic   data/demo_i/{actions, states (flat), obs/<key>, next_obs/<key>, rewards, dones, datagen_info/…}
    isaaclab    data/demo_i/{actions, processed_actions, states/<tree>, initial_state/<tree>, obs/<key>, …}
    act         one episode per file: {action, base_action, observations/{qpos, qvel, images/<camera>}}

Traps:

- Isaac Lab's states are taken *after* a frame's action, observations and actions before it. In a dataset all columns of
  a frame are of one moment, before its action: states[t] is the file's states[t - 1], and states[0] its initial_state.
- Isaac Lab writes quaternions as wxyz in 2.x, and seems to write xyzw in 3.x: no file says. Datasets have wxyz.
- Isaac Lab's obs/cube_positions are in world coordinates, obs/object relative to the environment's origin.
- On real ALOHA robots (sim = False) the action that belongs to frame t is action[max(0, t - 1)].
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from etude.core import ConfigError, EtudeError
from etude.data.hdf5.files import plain

SIGNALS = "subtask_term_signals/"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A layout of HDF5 files.

    Attributes:
        name: Its name on the command line.
        fps: Control steps per second where neither the file nor the user says.
        demonstrations: Group with one group per demonstration; "" where a file is one.
        actions: Datasets whose numbers make the action, in this order; all but the first may be missing.
        observations: Group of the observations.
        images: Group of the cameras.
        framed: Datasets, and beginnings of groups, that have one row per frame.
        after: Beginnings of groups that hold what was after the frame's action; `initial` has their first values.
        initial: Group with the same tree as `after`, of one row.
        states: Patterns of observations that make the state by default, in this order.
        robot_type: The robot where nothing says.
    """

    name: str
    fps: int
    demonstrations: str
    actions: tuple[str, ...]
    observations: str
    images: str
    framed: tuple[str, ...]
    after: str = ""
    initial: str = ""
    states: tuple[str, ...]
    robot_type: str = ""

    def is_framed(self, path: str) -> bool:
        """Whether a dataset must have one row per frame."""
        return any(path == p or (p.endswith("/") and path.startswith(p)) for p in (*self.actions, *self.framed))

    def is_late(self, demonstration: h5py.Group) -> bool:
        """Whether frame t belongs to the action before it: on ACT's real robots.

        Raises:
            EtudeError: The file does not say whether it is simulated.
        """
        if self.name != "act":
            return False
        if "sim" not in demonstration.attrs:
            raise EtudeError(
                f"'{demonstration.file.filename}' does not say whether it is simulated, which decides what action "
                'belongs to a frame: set its attribute, as in h5py.File(FILE, "a").attrs["sim"] = True.'
            )
        return not bool(demonstration.attrs["sim"])

    def default_state(self, keys: Iterable[str]) -> tuple[str, ...]:
        """The observations that make the state: those this layout names, else all but objects, by their names."""
        known = sorted(keys)
        chosen = [key for pattern in self.states for key in known if re.fullmatch(pattern, key)]
        return tuple(chosen or (key for key in known if not re.search("object|cube", key)))


ROBOMIMIC = Layout(
    name="robomimic",
    fps=20,
    demonstrations="data",
    actions=("actions",),
    observations="obs/",
    images="obs/",
    framed=("states", "rewards", "dones", "obs/", "next_obs/", "datagen_info/", "action_dict/", "src_demo_labels"),
    states=(r"robot\d+_eef_pos", r"robot\d+_eef_quat", r"robot\d+_gripper_qpos"),
)
ISAACLAB = Layout(
    name="isaaclab",
    fps=20,
    demonstrations="data",
    actions=("actions",),
    observations="obs/",
    images="obs/",
    framed=("processed_actions", "states/", "obs/", "datagen_info/", "rewards", "dones"),
    after="states/",
    initial="initial_state/",
    states=("eef_pos", "eef_quat", "gripper_pos"),
)
ACT = Layout(
    name="act",
    fps=50,
    demonstrations="",
    actions=("action", "base_action"),
    observations="observations/",
    images="observations/images/",
    framed=("observations/",),
    states=("qpos",),
    robot_type="aloha",
)
LAYOUTS = {layout.name: layout for layout in (ROBOMIMIC, ISAACLAB, ACT)}


def detect(file: h5py.File) -> Layout | None:
    """The layout of a file, or None where it cannot be told."""
    if isinstance(file.get("action"), h5py.Dataset) and isinstance(file.get("observations"), h5py.Group):
        return ACT
    group, names = file.get("data"), demonstration_names(file, ROBOMIMIC)
    if not isinstance(group, h5py.Group) or not names:
        return None
    states, initial = group.get(f"{names[0]}/states"), group.get(f"{names[0]}/initial_state")
    if isinstance(initial, h5py.Group) or isinstance(states, h5py.Group):
        return ISAACLAB
    arguments = environment_arguments(group)
    if isinstance(states, h5py.Dataset) or "env_kwargs" in arguments:
        return ROBOMIMIC
    return ISAACLAB if "env_name" in arguments else None


def find_layout(file: h5py.File, name: str) -> Layout:
    """The layout that the user names, or the file's own for "auto".

    Raises:
        ConfigError: The file has another one, or it cannot be told.
    """
    found, path = detect(file), file.filename
    if name == "auto":
        if found is None:
            raise ConfigError(
                f"'{path}' has no layout that can be told: it has neither data/demo_N with states or initial_state "
                "(robomimic, Isaac Lab) nor action and observations (ACT). See it with `etude data inspect`, and pass "
                f"--layout {'|'.join(LAYOUTS)}."
            )
        return found
    if found is not None and found.name != name:
        raise ConfigError(f"'{path}' has the layout {found.name}, not {name}: pass --layout {found.name} or auto.")
    return LAYOUTS[name]


def demonstration_names(file: h5py.File, layout: Layout) -> list[str]:
    """The demonstrations of a file in the order of their numbers; [""] where the file is one."""
    if not layout.demonstrations:
        return [""]
    group = file.get(layout.demonstrations)
    if not isinstance(group, h5py.Group):
        return []
    names = [str(name) for name in group]
    return sorted((name for name in names if isinstance(group.get(name), h5py.Group)), key=natural)


def natural(name: str) -> tuple[str, int]:
    """A key that sorts demo_2 before demo_10."""
    found = re.fullmatch(r"(.*?)(\d+)", name)
    return (found[1], int(found[2])) if found else (name, -1)


def environment_arguments(group: h5py.Group) -> Mapping[str, Any]:
    """The env_args of a file; empty where it has none that can be read."""
    try:
        arguments = json.loads(str(plain(group.attrs.get("env_args", "{}"))))
    except json.JSONDecodeError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


@dataclass(frozen=True)
class Source:
    """Where a demonstration is.

    Attributes:
        file: The HDF5 file.
        name: The demonstration's name in it; "" where the file is one.
    """

    file: Path
    name: str

    @property
    def origin(self) -> str:
        """As datasets remember it: "demo.hdf5:demo_3"."""
        return f"{self.file.name}:{self.name}" if self.name else self.file.name

    def __str__(self) -> str:
        return f"'{self.file}', {self.name}" if self.name else f"'{self.file}'"
