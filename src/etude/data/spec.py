"""What a dataset holds: its features, as Etude names them and as LeRobot writes them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from etude.core import ConfigError, MismatchError

IMAGE = "observation.images."
STATE = "observation.state"
ACTION = "action"
SUBTASKS = "subtasks"


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

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Feature":
        """Read a feature as LeRobot's info.json has it."""
        names = record.get("names") or ()
        if isinstance(names, Mapping):  # Some datasets group names: {"motors": [...]}, or [[...]].
            names = names.values()
        names = [name for group in names for name in (group if isinstance(group, list) else [group])]
        return Feature(str(record["dtype"]), tuple(int(n) for n in record["shape"]), tuple(str(n) for n in names))


# The columns that every LeRobot dataset has.
_INDEX_FEATURES = {
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
        cameras: Names of the cameras, one video each; empty for a state-only dataset.
        image_size: Height and width [px], even because of H.264's chroma; one number for square images.
        state_names: What the state's numbers are.
        action_names: What the action's numbers are.
        subtasks: Sub-tasks whose signals are kept frame by frame, or empty.
        robot_type: The robot, for LeRobot's `info.json`.
        task: The task with its settings, as the task writes itself.
        space_hash: Hash of the perturbation space that the episodes' θ belong to.
    """

    fps: int
    cameras: tuple[str, ...]
    image_size: int | tuple[int, int]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    subtasks: tuple[str, ...] = ()
    robot_type: str = ""
    task: str = ""
    space_hash: str = ""

    def __post_init__(self) -> None:
        for name in ("cameras", "state_names", "action_names", "subtasks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if isinstance(self.image_size, list):  # as JSON has it
            object.__setattr__(self, "image_size", tuple(self.image_size))
        if self.fps <= 0:
            raise ConfigError(f"fps = {self.fps} must be positive.")
        if not self.state_names or not self.action_names:
            raise ConfigError("a dataset needs at least one state name and one action name.")
        for name in self.cameras:
            if not name or "/" in name:
                raise ConfigError(f"camera name '{name}' must not be empty or contain '/'.")
        if self.cameras and any(n < 2 or n % 2 for n in self.height_width):
            raise ConfigError(
                f"image_size = {self.image_size} must be even and at least 2: H.264 stores colour by 2x2."
            )

    @property
    def height_width(self) -> tuple[int, int]:
        """Height and width of the images [px]."""
        size = self.image_size
        return (size, size) if isinstance(size, int) else size

    @property
    def features(self) -> dict[str, Feature]:
        """All columns by LeRobot's names."""
        video = Feature("video", (*self.height_width, 3), ("height", "width", "channels"))
        subtasks = {SUBTASKS: Feature("bool", (len(self.subtasks),), self.subtasks)} if self.subtasks else {}
        return {
            **{IMAGE + camera: video for camera in self.cameras},
            STATE: Feature("float32", (len(self.state_names),), self.state_names),
            ACTION: Feature("float32", (len(self.action_names),), self.action_names),
            **subtasks,
            **_INDEX_FEATURES,
        }

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "DatasetSpec":
        """The inverse of to_json."""
        return DatasetSpec(**record)

    def require_equal(self, other: "DatasetSpec", where: object) -> None:
        """Raise unless `other`, what someone wants to add, is the same.

        Args:
            other: The other specification.
            where: The dataset that has this one, for the message.

        Raises:
            MismatchError: They differ; the message names each field with both values.
        """
        mine, theirs = self.to_json(), other.to_json()
        mine["image_size"], theirs["image_size"] = self.height_width, other.height_width
        differing = [f"{k} ({mine[k]} there, {theirs[k]} asked for)" for k in mine if mine[k] != theirs[k]]
        if differing:
            raise MismatchError(f"dataset '{where}' differs in {', '.join(differing)}.")


def require_equal_features(datasets: Mapping[object, Mapping[str, Feature]]) -> None:
    """Raise unless all datasets have the features of the first.

    Args:
        datasets: Name (e.g. the folder) -> features.

    Raises:
        MismatchError: Names the two datasets and the features that differ.
    """
    (first, expected), *others = datasets.items()
    for name, features in others:
        differing = sorted(k for k in {*expected, *features} if expected.get(k) != features.get(k))
        if differing:
            raise MismatchError(
                f"datasets '{first}' and '{name}' differ in {', '.join(differing)}; a mixture needs equal features."
            )
