"""From any Gymnasium observation to cameras, proprioception and object state.

Images may lie anywhere in a dictionary; rows first or channels first; whole numbers or floats, whose bounds in the
observation space then mean black and white. Every image becomes a square of one size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from PIL import Image as Pillow

from etude.core import ConfigError, Image, ShapeError, UnknownNameError, Vector

type Fit = Literal["crop", "pad"]
type Path = tuple[str, ...]
type AnySpace = spaces.Space[Any]

_CHANNELS = (1, 3, 4)
_SMALLEST_SIDE_PX = 8  # a Box of (3, 4, 3) is a table of numbers, not an image


@dataclass(frozen=True, kw_only=True)
class ObservationMapping:
    """Which parts of an observation are what; a path is its keys joined by "/", e.g. "pixels/front".

    Attributes:
        images: (camera, path) pairs; by default every part that looks like an image, under its last key.
        state: Paths of proprioception, one after the other; by default "agent_pos", or else all numbers left over.
        object_state: Path of what experts see; by default "environment_state" where there is one.
    """

    images: tuple[tuple[str, str], ...] = ()
    state: tuple[str, ...] = ()
    object_state: str = ""


@dataclass(frozen=True)
class Camera:
    """Where one camera's image lies in an observation, and how it is stored."""

    name: str
    path: Path
    height_px: int
    width_px: int
    channels_last: bool
    black: float
    white: float

    def read(self, observation: Any, size_px: int, fit: Fit) -> Image:
        """Its image as a square, (size_px, size_px, 3) uint8."""
        array = to_numpy(_part(observation, self.path))
        if array.ndim != 3:
            raise ShapeError(f"image '{self.name}'", "three axes", array.shape)
        if not self.channels_last:
            array = np.moveaxis(array, 0, -1)
        if array.dtype != np.uint8:
            share = (array.astype(np.float32) - self.black) / (self.white - self.black)
            array = np.rint(np.clip(share, 0.0, 1.0) * 255).astype(np.uint8)
        rgb = np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array[..., :3]
        return to_square(rgb, size_px, fit)


@dataclass(frozen=True)
class Sources:
    """Where everything lies in the observations of one environment."""

    cameras: tuple[Camera, ...]
    state: tuple[Path, ...]
    state_size: int
    object_state: Path | None
    object_size: int

    def read_state(self, observation: Any) -> Vector:
        """Proprioception, (S,) float32."""
        parts = [to_numpy(_part(observation, path)).astype(np.float32).ravel() for path in self.state]
        state = np.concatenate([np.zeros(0, np.float32), *parts])
        if state.shape != (self.state_size,):
            raise ShapeError("state observed by the environment", (self.state_size,), state.shape)
        return state

    def read_object_state(self, observation: Any) -> Vector | None:
        """What experts see, (E,) float32, where the observation has it."""
        if self.object_state is None:
            return None
        return to_numpy(_part(observation, self.object_state)).astype(np.float32).ravel()


def find_sources(space: AnySpace, mapping: ObservationMapping) -> Sources:
    """Work out what lies where.

    Raises:
        UnknownNameError: A path that the observation has not.
        ConfigError: An image whose values are without bounds.
        ShapeError: A path that should lead to an image and does not.
    """
    parts = dict(_leaves(space))
    images = [(name, _known(path, parts)) for name, path in mapping.images] or _images(parts)
    objects = _known(mapping.object_state, parts) if mapping.object_state else ("environment_state",)
    numbers = [path for path in parts if path != objects and path not in {image for _, image in images}]
    own = [path for path in numbers if path[:1] == ("agent_pos",)]
    state = tuple(_known(path, parts) for path in mapping.state) or tuple(own or numbers)
    return Sources(
        cameras=tuple(_camera(name, path, parts[path]) for name, path in images),
        state=state,
        state_size=sum(_size(parts[path]) for path in state),
        object_state=objects if objects in parts else None,
        object_size=_size(parts[objects]) if objects in parts else 0,
    )


def to_square(image: Image, size_px: int, fit: Fit) -> Image:
    """The middle square of an image (`crop`), or all of it on black (`pad`), resized by area.

    Args:
        image: (H, W, 3) uint8.
        size_px: Side of the result.
        fit: What happens to the longer side.
    """
    height, width = image.shape[:2]
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = image[top : top + side, left : left + side]
    else:
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.zeros((side, side, 3), np.uint8)
        square[top : top + height, left : left + width] = image
    if side == size_px:
        return np.ascontiguousarray(square)
    return np.asarray(Pillow.fromarray(square).resize((size_px, size_px), Pillow.Resampling.BOX))


def to_numpy(value: Any) -> Any:
    """An array of anything array-like; tensors come from their device."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _leaves(space: AnySpace, path: Path = ()) -> Iterator[tuple[Path, AnySpace]]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, (*path, str(key)))
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            yield from _leaves(part, (*path, str(index)))
    elif isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiBinary | spaces.MultiDiscrete):
        yield path, space


def _part(observation: Any, path: Path) -> Any:
    for key in path:
        observation = observation[key] if isinstance(observation, Mapping) else observation[int(key)]
    return observation


def _known(path: str, parts: Mapping[Path, AnySpace]) -> Path:
    keys = tuple(path.split("/"))
    if keys not in parts:
        raise UnknownNameError("part of the observation", path, ("/".join(known) for known in parts))
    return keys


def _size(space: AnySpace) -> int:
    return int(np.prod(space.shape or (1,)))


def _images(parts: Mapping[Path, AnySpace]) -> list[tuple[str, Path]]:
    paths = [path for path, part in parts.items() if _layout(part) is not None]
    last = [path[-1].rpartition(".")[2] if path else "image" for path in paths]
    names = [name if last.count(name) == 1 else "_".join(path) for name, path in zip(last, paths, strict=True)]
    return list(zip(names, paths, strict=True))


def _layout(space: AnySpace) -> Literal["rows first", "channels first"] | None:
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return None
    first, second, third = space.shape
    if third in _CHANNELS and min(first, second) >= _SMALLEST_SIDE_PX:
        return "rows first"
    return "channels first" if first in _CHANNELS and min(second, third) >= _SMALLEST_SIDE_PX else None


def _camera(name: str, path: Path, space: AnySpace) -> Camera:
    layout = _layout(space)
    if layout is None or not isinstance(space, spaces.Box):
        raise ShapeError(f"image '{name}' at '{'/'.join(path)}'", "(height, width, 1, 3 or 4)", space.shape)
    sides = space.shape[:2] if layout == "rows first" else space.shape[1:]
    black, white = float(np.min(space.low)), float(np.max(space.high))
    if space.dtype != np.uint8 and not (np.isfinite([black, white]).all() and black < white):
        raise ConfigError(
            f"image '{name}' has values in [{black:g}, {white:g}], and nothing says which of them is white: wrap the "
            "environment so that its images are uint8, or bounded in the observation space."
        )
    return Camera(name, path, sides[0], sides[1], layout == "rows first", black, white)


def choose_cameras(sources: Sources, chosen: Sequence[str]) -> tuple[Camera, ...]:
    """The cameras of those names; all of them for ("all",).

    Raises:
        UnknownNameError: No such camera.
    """
    known = {camera.name: camera for camera in sources.cameras}
    for name in () if tuple(chosen) == ("all",) else chosen:
        if name not in known:
            raise UnknownNameError("camera", name, known)
    return sources.cameras if tuple(chosen) == ("all",) else tuple(known[name] for name in chosen)
