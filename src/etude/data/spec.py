"""What a dataset holds: its features, as Etude names them and as LeRobot writes them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from etude.core import ConfigError, MismatchError

IMAGE = "observation.images."
STATE = "observation.state"
ACTION = "action"
SUBTASKS = "subtasks"

type Storage = Literal["video", "image"]
"""How images are kept: as H.264 video, or as PNG in the Parquet files, which is larger and lossless."""
type Size = int | tuple[int, int]
"""Height and width [px]; one number for square images."""


@dataclass(frozen=True)
class Feature:
    """One column of a dataset, in LeRobot's terms.

    Attributes:
        dtype: "video", "image", or a numpy dtype's name.
        shape: Shape of one frame's value; (H, W, 3) for images.
        names: Names of the value's dimensions, or empty.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers: no images, no texts."""
        try:
            kind = np.dtype(self.dtype).kind
        except TypeError:
            return False
        return kind in "biuf" and len(self.shape) > 0 and min(self.shape) > 0

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Feature":
        """Read a feature as LeRobot's info.json has it."""
        names = record.get("names") or ()
        if isinstance(names, Mapping):  # Some datasets group names: {"motors": [...]}, or [[...]].
            names = names.values()
        names = [name for group in names for name in (group if isinstance(group, list) else [group])]
        return Feature(str(record["dtype"]), tuple(int(n) for n in record["shape"]), tuple(str(n) for n in names))


# The columns that every LeRobot dataset has.
INDEX_FEATURES = {
    "timestamp": Feature("float32", (1,)),
    "frame_index": Feature("int64", (1,)),
    "episode_index": Feature("int64", (1,)),
    "index": Feature("int64", (1,)),
    "task_index": Feature("int64", (1,)),
}


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """What every episode of a dataset has in common.

    Attributes:
        fps: Control steps per second.
        cameras: Names of the cameras; empty for a state-only dataset.
        image_size: Of every camera's images, or camera -> its images'; even in videos, because of H.264's chroma.
        state_names: What the state's numbers are.
        action_names: What the action's numbers are.
        subtasks: Sub-tasks whose signals are kept frame by frame, or empty.
        extras: Further numeric columns by LeRobot's names, e.g. "observation.velocity".
        storage: How images are kept.
        robot_type: The robot, for LeRobot's `info.json`.
        task: The task with its settings, as the task writes itself.
        space_hash: Hash of the perturbation space that the episodes' θ belong to.
    """

    fps: int
    cameras: tuple[str, ...]
    image_size: Size | Mapping[str, Size]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    subtasks: tuple[str, ...] = ()
    extras: Mapping[str, Feature] = field(default_factory=dict[str, Feature])
    storage: Storage = "video"
    robot_type: str = ""
    task: str = ""
    space_hash: str = ""

    def __post_init__(self) -> None:
        for name in ("cameras", "state_names", "action_names", "subtasks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "image_size", _plain_size(self.image_size))
        object.__setattr__(self, "extras", dict(sorted(self.extras.items())))  # the order that the sidecar keeps
        if self.fps <= 0:
            raise ConfigError(f"fps = {self.fps} must be positive.")
        if not self.state_names or not self.action_names:
            raise ConfigError("a dataset needs at least one state name and one action name.")
        if self.storage not in get_args(Storage.__value__):
            raise ConfigError(f"storage = '{self.storage}' is neither 'video' nor 'image'.")
        self._check_cameras()
        self._check_extras()

    def _check_cameras(self) -> None:
        for name in self.cameras:
            if not name or "/" in name:
                raise ConfigError(f"camera name '{name}' must not be empty or contain '/'.")
        if isinstance(self.image_size, Mapping) and sorted(self.image_size) != sorted(self.cameras):
            raise ConfigError(
                f"image_size is given for the cameras {sorted(self.image_size)}, but there are {sorted(self.cameras)}."
            )
        step, why = (
            (2, "even and at least 2: H.264 stores colour by 2x2") if self.storage == "video" else (1, "positive")
        )
        for size in self.image_sizes.values():
            if len(size) != 2 or any(n < step or n % step for n in size):
                raise ConfigError(f"image_size = {self.image_size} must be {why}.")

    def _check_extras(self) -> None:
        for name, feature in self.extras.items():
            if not name or "/" in name or name in {**self._own_features(), **INDEX_FEATURES}:
                raise ConfigError(f"extra column '{name}': the name is taken, empty, or contains '/'.")
            if not feature.is_numeric:
                raise ConfigError(f"extra column '{name}' of {feature.dtype} {feature.shape} must hold numbers.")

    @property
    def image_sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each camera's images [px]."""
        size = self.image_size
        sizes = {camera: size[camera] if isinstance(size, Mapping) else size for camera in self.cameras}
        return {camera: (n, n) if isinstance(n, int) else n for camera, n in sizes.items()}

    @property
    def features(self) -> dict[str, Feature]:
        """All columns by LeRobot's names."""
        return {**self._own_features(), **self.extras, **INDEX_FEATURES}

    def _own_features(self) -> dict[str, Feature]:
        names = ("height", "width", "channels")
        subtasks = {SUBTASKS: Feature("bool", (len(self.subtasks),), self.subtasks)} if self.subtasks else {}
        return {
            **{IMAGE + camera: Feature(self.storage, (*hw, 3), names) for camera, hw in self.image_sizes.items()},
            STATE: Feature("float32", (len(self.state_names),), self.state_names),
            ACTION: Feature("float32", (len(self.action_names),), self.action_names),
            **subtasks,
        }

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "DatasetSpec":
        """The inverse of to_json."""
        fields: dict[str, Any] = dict(record)
        fields["extras"] = {name: Feature.from_json(extra) for name, extra in record.get("extras", {}).items()}
        return DatasetSpec(**fields)

    def require_equal(self, other: "DatasetSpec", where: object) -> None:
        """Raise unless `other`, what someone wants to add, is the same.

        Args:
            other: The other specification.
            where: The dataset that has this one, for the message.

        Raises:
            MismatchError: They differ; the message names each field with both values.
        """
        mine, theirs = self.to_json(), other.to_json()
        mine["image_size"], theirs["image_size"] = self.image_sizes, other.image_sizes
        differing = [f"{k} ({mine[k]} there, {theirs[k]} asked for)" for k in mine if mine[k] != theirs[k]]
        if differing:
            raise MismatchError(f"dataset '{where}' differs in {', '.join(differing)}.")


def _plain_size(size: Any) -> Any:
    """A size as JSON has it, as its own values have it."""
    if isinstance(size, Mapping):
        return {str(camera): _plain_size(of_camera) for camera, of_camera in size.items()}
    return tuple(size) if isinstance(size, list) else size


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value
