"""Settings of what a network sees, in fractions of an image, so that they fit images of any size; torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self, cast

from etude.core import ConfigError, MismatchError
from etude.policies.features import Features, Size

type Box = tuple[float, float, float, float]
"""(left, top, right, bottom) as fractions of an image's width and height."""

STEP_NAME = "etude_image_inputs"
"""Under which LeRobot finds the step in a checkpoint's preprocessor."""


@dataclass(frozen=True, kw_only=True)
class CameraView:
    """What is looked at of one camera's images.

    Attributes:
        crop: The part that is cut out; None is all of it.
        keep: Boxes of the whole image outside which everything is grey; none keeps all.
        hide: Boxes of the whole image that are grey.
    """

    crop: Box | None = None
    keep: tuple[Box, ...] = ()
    hide: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "crop", None if self.crop is None else _box(self.crop))
        for name in ("keep", "hide"):
            object.__setattr__(self, name, tuple(_box(box) for box in getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class ImageInputs:
    """What a network sees of all cameras. Shift and jitter come on top of those that a policy has itself, as flow does.

    Attributes:
        size: (height, width) in pixels to which every camera's part is resized; None leaves it as large as it is.
        cameras: Camera -> what is looked at of it; the others are looked at as a whole.
        shift: Largest random shift while training, as a fraction of the shorter side; the border is repeated.
        colour_jitter: Largest random change of contrast and of each channel's offset while training, as a fraction.
    """

    size: Size | None = None
    cameras: Mapping[str, CameraView] = field(default_factory=dict[str, CameraView])
    shift: float = 0.0
    colour_jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 8):
            raise ConfigError(f"image inputs: size = {list(self.size)} must be [height, width], each at least 8 px.")
        if not 0 <= self.shift < 0.5:
            raise ConfigError(f"image inputs: shift = {self.shift} must be in [0, 0.5), a fraction of the image.")
        if not 0 <= self.colour_jitter < 1:
            raise ConfigError(f"image inputs: colour_jitter = {self.colour_jitter} must be in [0, 1).")

    @property
    def early_size(self) -> Size | None:
        """What images may be resized to once, before training; None where parts of them are cut out at full size."""
        return None if any(view.crop for view in self.cameras.values()) else self.size

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` gave, or a person wrote: every field may be left out.

        Raises:
            ConfigError: Unknown names, or values that cannot be; the message says which.
        """
        given = _mapping(value, "image inputs", cls)
        views = {
            str(camera): CameraView(**_mapping(view, f"image inputs of camera '{camera}'", CameraView))
            for camera, view in _mapping(given.get("cameras", {}), "image inputs: cameras").items()
        }
        size, numbers = given.get("size"), {name: given.get(name, 0.0) for name in ("shift", "colour_jitter")}
        try:
            return cls(
                size=None if size is None else (int(size[0]), int(size[1])),
                cameras=views,
                shift=float(numbers["shift"]),
                colour_jitter=float(numbers["colour_jitter"]),
            )
        except (TypeError, IndexError, ValueError):
            told = ", ".join(f"{name} = {number}" for name, number in {"size": size, **numbers}.items())
            raise ConfigError(f"image inputs: size must be [height, width], the others numbers, not {told}.") from None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        views = {camera: asdict(view) for camera, view in self.cameras.items()}
        return {**asdict(replace(self, cameras={})), "cameras": views}

    def fit(self, features: Features) -> "FittedInputs":
        """These settings for images of known sizes.

        Raises:
            MismatchError: A camera that there is not.
        """
        unknown = sorted(self.cameras.keys() - set(features.cameras))
        if unknown:
            raise MismatchError(
                f"image inputs are given for camera '{unknown[0]}'; there is {', '.join(features.cameras) or 'none'}."
            )
        return FittedInputs(self, features.image_sizes)


@dataclass(frozen=True)
class FittedInputs:
    """What a network sees of cameras whose image sizes are known: what a checkpoint remembers.

    Attributes:
        inputs: The settings.
        raw: Camera -> (height, width) of the images as they come, in pixels.
    """

    inputs: ImageInputs
    raw: Mapping[str, Size]

    def view(self, camera: str) -> CameraView:
        """What is looked at of a camera."""
        return self.inputs.cameras.get(camera, CameraView())

    @property
    def sizes(self) -> dict[str, Size]:
        """Camera -> (height, width) of what the network sees, in pixels."""
        return {camera: self.inputs.size or _cut(self.view(camera).crop, size) for camera, size in self.raw.items()}

    def takes(self, camera: str, size: Size) -> bool:
        """Whether a camera's images may have this size: that of the camera, or already the one the network sees."""
        return size in (self.raw[camera], self.inputs.early_size)

    def seen(self, features: Features) -> Features:
        """What the network sees where the cameras give `features`."""
        return replace(features, image_size=self.sizes)

    def given(self, features: Features) -> Features:
        """What the cameras must give for a network that sees `features`."""
        return replace(features, image_size={camera: self.raw[camera] for camera in features.cameras})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        raw = {str(camera): (int(size[0]), int(size[1])) for camera, size in value["raw"].items()}
        return cls(ImageInputs.from_json(value["inputs"]), raw)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"inputs": self.inputs.to_json(), "raw": {camera: list(size) for camera, size in self.raw.items()}}


def pixels(box: Box, size: Size) -> tuple[slice, slice]:
    """Rows and columns of a box in an image, at least one of each."""
    (left, top, right, bottom), (height, width) = box, size
    return _span(top, bottom, height), _span(left, right, width)


def _span(begin: float, end: float, count: int) -> slice:
    first = min(round(begin * count), count - 1)
    return slice(first, max(round(end * count), first + 1))


def _cut(crop: Box | None, size: Size) -> Size:
    if crop is None:
        return size
    rows, columns = pixels(crop, size)
    return rows.stop - rows.start, columns.stop - columns.start


def _box(value: Sequence[float]) -> Box:
    try:
        left, top, right, bottom = (float(number) for number in value)
    except (TypeError, ValueError):
        raise ConfigError(f"box {value} must be four numbers: left, top, right, bottom.") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ConfigError(
            f"box {left:g}, {top:g}, {right:g}, {bottom:g} must be left < right and top < bottom, as fractions from "
            "0 to 1 of the image."
        )
    return left, top, right, bottom


def _mapping(value: Any, what: str, of: Any = None) -> dict[str, Any]:
    """The value as a mapping, whose names are fields of a class where one is given."""
    names = list(of.__dataclass_fields__) if of else []
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what} must be an object, as in {{…}}, not {value}.")
    given = cast(Mapping[str, Any], value)
    unknown = [name for name in given if of and name not in names]
    if unknown:
        raise ConfigError(f"{what} have no '{unknown[0]}'; choose from {', '.join(names)}.")
    return dict(given)
