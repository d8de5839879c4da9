"""What a policy sees and does, in sizes; torch-free, so that a command line may name it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from etude.core import ConfigError, MismatchError

STATE_KEY, ACTION_KEY, PAD_KEY, IMAGE_PREFIX = "observation.state", "action", "action_is_pad", "observation.images."


type Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Sizes of observations and actions.

    Attributes:
        cameras: Names of the cameras a policy looks through, in order.
        image_size: (height, width) of their images in pixels; camera -> (height, width) where they differ.
        state_size: Length of the proprioception, S; 0 where there is none.
        action_size: Length of an action, A.
    """

    cameras: tuple[str, ...]
    image_size: Size | Mapping[str, Size]
    state_size: int
    action_size: int

    def __post_init__(self) -> None:
        if isinstance(self.image_size, Mapping):
            sizes = {camera: self.image_size.get(camera, (0, 0)) for camera in self.cameras}
            one = len(set(sizes.values())) <= 1  # one way to say the same thing
            object.__setattr__(self, "image_size", next(iter(sizes.values()), (0, 0)) if one else sizes)
        pixels = [side for size in self.image_sizes.values() for side in size]
        if self.state_size < 0 or self.action_size < 1 or min(pixels, default=1) < 1:
            raise ConfigError(f"sizes must be positive: {self}.")
        if not self.cameras and not self.state_size:
            raise ConfigError("a policy needs at least one camera, or a state, to look at; here are neither.")

    @property
    def image_sizes(self) -> dict[str, Size]:
        """(height, width) of every camera's images, in the order of the cameras."""
        given = self.image_size
        return {camera: given[camera] if isinstance(given, Mapping) else given for camera in self.cameras}

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """Read the shapes of a dataset's features by LeRobot's names, images being (height, width, 3).

        Raises:
            MismatchError: The action is missing, or there is nothing to look at.
        """
        if ACTION_KEY not in shapes:
            raise MismatchError(f"there is no feature '{ACTION_KEY}'; there are {', '.join(shapes)}.")
        images = {key: shape for key, shape in shapes.items() if key.startswith(IMAGE_PREFIX)}
        if not images and STATE_KEY not in shapes:
            raise MismatchError(f"there is neither an image nor '{STATE_KEY}'; there are {', '.join(shapes)}.")
        return cls(
            cameras=tuple(key.removeprefix(IMAGE_PREFIX) for key in images),
            image_size={key.removeprefix(IMAGE_PREFIX): (shape[0], shape[1]) for key, shape in images.items()},
            state_size=shapes[STATE_KEY][0] if STATE_KEY in shapes else 0,
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
        wanted_sizes, given_sizes = self.image_sizes, given.image_sizes
        missing = [camera for camera in self.cameras if camera not in given_sizes]
        faults = [f"camera '{camera}' is missing" for camera in missing]
        pairs: dict[str, tuple[object, object]] = {"action_size": (self.action_size, given.action_size)}
        if self.state_size:
            pairs = {"state_size": (self.state_size, given.state_size), **pairs}
        if isinstance(self.image_size, Mapping) or isinstance(given.image_size, Mapping):
            for camera, size in wanted_sizes.items():
                pairs[f"image_size of '{camera}'"] = (size, given_sizes.get(camera, size))
        elif self.cameras and not missing:
            pairs["image_size"] = (self.image_size, given.image_size)
        faults += [
            f"{name} is {got}, the policy's is {wanted}" for name, (wanted, got) in pairs.items() if wanted != got
        ]
        if faults:
            raise MismatchError(f"{what} does not fit the policy: {'; '.join(faults)}.")
