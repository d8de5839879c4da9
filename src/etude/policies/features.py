"""What a policy sees and does, in sizes; torch-free, so that a command line may name it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from etude.core import ConfigError, MismatchError

STATE_KEY, ACTION_KEY, PAD_KEY, IMAGE_PREFIX = "observation.state", "action", "action_is_pad", "observation.images."


@dataclass(frozen=True, kw_only=True)
class Features:
    """Sizes of observations and actions.

    Attributes:
        cameras: Names of the cameras a policy looks through, in order.
        image_size: (height, width) of their images in pixels.
        state_size: Length of the proprioception, S.
        action_size: Length of an action, A.
    """

    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    state_size: int
    action_size: int

    def __post_init__(self) -> None:
        if self.state_size < 1 or self.action_size < 1 or (self.cameras and min(self.image_size) < 1):
            raise ConfigError(f"sizes must be positive: {self}.")

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """Read the shapes of a dataset's features by LeRobot's names, images being (height, width, 3).

        Raises:
            MismatchError: State or action is missing, or cameras differ in size.
        """
        images = {key: shape for key, shape in shapes.items() if key.startswith(IMAGE_PREFIX)}
        sizes = {shape[:2] for shape in images.values()} or {(0, 0)}
        if len(sizes) > 1:
            raise MismatchError(f"all cameras must have one image size, not {sorted(sizes)}.")
        for key in (STATE_KEY, ACTION_KEY):
            if key not in shapes:
                raise MismatchError(f"there is no feature '{key}'; there are {', '.join(shapes)}.")
        ((height, width),) = sizes
        return cls(
            cameras=tuple(key.removeprefix(IMAGE_PREFIX) for key in images),
            image_size=(height, width),
            state_size=shapes[STATE_KEY][0],
            action_size=shapes[ACTION_KEY][0],
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the config.json of a checkpoint in LeRobot's layout, whose images are (3, height, width).

        Raises:
            MismatchError: It does not say, or says something else than these policies can be made for.
        """
        try:
            seen = {key: tuple(feature["shape"]) for key, feature in config["input_features"].items()}
            done = {ACTION_KEY: tuple(config["output_features"][ACTION_KEY]["shape"])}
        except (KeyError, TypeError, AttributeError) as error:
            raise MismatchError(f"the checkpoint does not say what it sees and does: {error} is missing.") from error
        channels_last = {key: shape[1:] + shape[:1] if len(shape) == 3 else shape for key, shape in seen.items()}
        return cls.from_shapes({**channels_last, **done})

    def check(self, given: "Features", what: str) -> None:
        """Check that these features can be read from the given ones; more cameras than needed are fine.

        Raises:
            MismatchError: Names what is missing or of another size.
        """
        missing = [camera for camera in self.cameras if camera not in given.cameras]
        faults = [f"camera '{camera}' is missing" for camera in missing]
        pairs: list[tuple[str, object, object]] = [
            ("state_size", self.state_size, given.state_size),
            ("action_size", self.action_size, given.action_size),
        ]
        if self.cameras and not missing:
            pairs.append(("image_size", self.image_size, given.image_size))
        faults += [f"{name} is {got}, the policy's is {wanted}" for name, wanted, got in pairs if wanted != got]
        if faults:
            raise MismatchError(f"{what} does not fit the policy: {'; '.join(faults)}.")
