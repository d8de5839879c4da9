"""How the states, actions and cameras of one dataset become those of another, so that both can be trained on.

A mapping is written down, never guessed. As JSON, here for a dataset of fourteen numbers beside one of sixteen:

    {
      "state": {"left_waist": "left_waist", "…": "…", "base_linear": null, "base_angular": null},
      "action": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, null, null],
      "cameras": {"high": "cam_high", "left_wrist": "cam_left_wrist"}
    }

Left are the new dimensions and cameras, right where they come from: a name, or an index from 0; null is always 0 (a
black image). A list leaves the new dimensions without names. What is not mentioned stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import ConfigError, MismatchError, UnknownNameError
from etude.core.files import read_json
from etude.data.caching import FrameCache, Frames
from etude.data.spec import ACTION, IMAGE, STATE, Feature

type Dimension = str | int | None
"""Where one number comes from: a name, an index, or nowhere (0)."""

EXAMPLE = '{"state": [0, 1, null], "action": ["name of a dimension", 2, null], "cameras": {"new": "old"}}'


@dataclass(frozen=True, kw_only=True)
class FeatureMapping:
    """What a dataset's features become.

    Attributes:
        state: Source of each new dimension of the state; None leaves it as it is.
        action: Source of each new dimension of the action; None leaves it as it is.
        cameras: New name of each camera kept -> its name in the dataset, or None for black images; None keeps all.
        state_names: Names of the new dimensions, or empty.
        action_names: Names of the new dimensions, or empty.
    """

    state: tuple[Dimension, ...] | None = None
    action: tuple[Dimension, ...] | None = None
    cameras: Mapping[str, str | None] | None = None
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, sources, names in (
            ("state", self.state, self.state_names),
            ("action", self.action, self.action_names),
        ):
            if sources is not None and not sources:
                raise ConfigError(f"mapping of the {what}: it keeps nothing; name at least one dimension.")
            if names and len(names) != len(sources or ()):
                raise ConfigError(f"mapping of the {what}: {len(names)} names for {len(sources or ())} dimensions.")

    @staticmethod
    def from_json(record: Any) -> "FeatureMapping":
        """Read a mapping from JSON values as shown above.

        Raises:
            ConfigError: It says something else.
        """
        if not isinstance(record, Mapping):
            raise ConfigError(f"a mapping of features is an object such as {EXAMPLE}, not {record!r}.")
        given = cast("Mapping[str, Any]", record)
        for key in given:
            if key not in ("state", "action", "cameras"):
                raise UnknownNameError("part of a mapping", key, ("state", "action", "cameras"))
        fields: dict[str, Any] = {}
        for what in ("state", "action"):
            fields |= _dimensions(what, given.get(what))
        cameras = given.get("cameras")
        if cameras is not None and not isinstance(cameras, Mapping):
            raise ConfigError(f"mapping of the cameras: {cameras!r} must be an object of new and old names.")
        return FeatureMapping(cameras=cameras, **fields)

    @staticmethod
    def read(path: Path) -> "FeatureMapping":
        """Read a mapping from a JSON file.

        Raises:
            EtudeError: No such file, or it says something else.
        """
        try:
            return FeatureMapping.from_json(read_json(path))
        except (ConfigError, UnknownNameError) as error:
            raise ConfigError(f"'{path}': {error}") from error

    def to_json(self) -> dict[str, Any]:
        """The inverse of from_json."""
        record: dict[str, Any] = {} if self.cameras is None else {"cameras": dict(self.cameras)}
        for what, sources, names in (
            ("state", self.state, self.state_names),
            ("action", self.action, self.action_names),
        ):
            if sources is not None:
                record[what] = dict(zip(names, sources, strict=True)) if names else list(sources)
        return record


def remap(cache: FrameCache, mapping: FeatureMapping) -> FrameCache:
    """The same frames with other features; images are renamed, never copied.

    Args:
        cache: The dataset.
        mapping: What its features become.

    Returns:
        A cache whose `meta.features` tell the new features; its files remain those of the dataset.

    Raises:
        UnknownNameError, ConfigError: The dataset lacks a dimension or camera that the mapping names.
    """
    features = dict(cache.meta.features)
    arrays: dict[str, NDArray[np.float32]] = {STATE: cache.state, ACTION: cache.action}
    for name, sources, names in (
        (STATE, mapping.state, mapping.state_names),
        (ACTION, mapping.action, mapping.action_names),
    ):
        if sources is not None:
            arrays[name] = select_dimensions(
                arrays[name], features[name].names, sources, f"{name} in '{cache.meta.root}'"
            )
            features[name] = Feature(features[name].dtype, (len(sources),), names)
    images, recorded = cache.images, cache.recorded_sizes
    if mapping.cameras is not None:
        images = {new: _camera(cache, old) for new, old in mapping.cameras.items()}
        recorded = {new: recorded[old or next(iter(recorded))] for new, old in mapping.cameras.items()}
        features = {name: f for name, f in features.items() if name not in cache.meta.camera_keys.values()}
        features |= {
            IMAGE + new: replace(_image_feature(cache, old), shape=images[new].shape[1:])
            for new, old in mapping.cameras.items()
        }
    return replace(
        cache,
        meta=replace(cache.meta, features=MappingProxyType(features)),
        images=MappingProxyType(dict(images)),
        recorded_sizes=MappingProxyType(dict(recorded)),
        state=arrays[STATE],
        action=arrays[ACTION],
    )


def require_equal_arrays(caches: Sequence[FrameCache]) -> None:
    """Raise unless all datasets have the states, actions and cameras of the first.

    Dimensions without names fit any of the same number.

    Raises:
        MismatchError: Names the two datasets, what differs, and how to write a mapping.
    """
    first, *others = caches
    for other in others:
        differing = [
            f"{what} ({_told(a)} there, {_told(b)} here)"
            for what, a, b in (("state", first, other), ("action", first, other))
            for a, b in ((_numbers(a, what), _numbers(b, what)),)
            if a[0] != b[0] or (a[1] and b[1] and a[1] != b[1])
        ]
        cameras = [{name: images.shape[1:3] for name, images in cache.images.items()} for cache in (first, other)]
        if cameras[0] != cameras[1]:
            differing.append(f"cameras ({_cameras(cameras[0])} there, {_cameras(cameras[1])} here)")
        if differing:
            raise MismatchError(
                f"datasets '{first.meta.root}' and '{other.meta.root}' differ in {'; '.join(differing)}. To train on "
                f"both, write down how one becomes like the other as a mapping: {EXAMPLE}, null for what it lacks; "
                "images of other sizes need one size for all."
            )


def require_equal_features(datasets: Mapping[object, Mapping[str, Feature]]) -> None:
    """Raise unless all datasets have the features of the first: known from metadata, before anything is decoded.

    Args:
        datasets: Name (e.g. the folder) -> features.

    Raises:
        MismatchError: Names the two datasets, the features that differ, and how to write a mapping.
    """
    (first, expected), *others = datasets.items()
    for name, features in others:
        differing = [k for k in sorted({*expected, *features}) if expected.get(k) != features.get(k)]
        if differing:
            shapes = [(_shape(expected.get(k)), _shape(features.get(k))) for k in differing]
            told = "; ".join(f"{k} ({a} there, {b} here)" for k, (a, b) in zip(differing, shapes, strict=True))
            raise MismatchError(
                f"datasets '{first}' and '{name}' differ in {told}. To train on both, write down how '{name}' becomes "
                f"like the other: --map {name}=FILE, with {EXAMPLE}, null for what it lacks."
            )


def _shape(feature: Feature | None) -> str:
    if feature is None:
        return "none"
    return f"{'×'.join(map(str, feature.shape))} {feature.dtype}"


def _dimensions(what: str, given: Any) -> dict[str, Any]:
    """The fields of a mapping for the state or the action."""
    if given is None:
        return {}
    if not isinstance(given, Mapping | list):
        raise ConfigError(f"mapping of the {what}: {given!r} must be a list of sources, or an object of them by name.")
    named = cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {}
    sources: list[Any] = list(named.values()) or list(cast("list[Any]", given))
    for source in sources:
        if isinstance(source, bool) or not (source is None or isinstance(source, int | str)):
            raise ConfigError(f"mapping of the {what}: {source!r} must be a name, an index from 0, or null.")
    return {what: tuple(sources), f"{what}_names": tuple(named)}


def select_dimensions(
    array: Float32[NDArray[np.float32], "N n"], names: Sequence[str], sources: Sequence[Dimension], where: str
) -> Float32[NDArray[np.float32], "N m"]:
    """The columns that a mapping asks for; zeros for None.

    Args:
        array: The numbers.
        names: Names of its columns, or empty.
        sources: Where each new column comes from.
        where: Whose numbers they are, for messages.

    Raises:
        UnknownNameError, ConfigError: There is no such column.
    """
    selected = np.zeros((len(array), len(sources)), np.float32)
    for column, source in enumerate(sources):
        if source is None:
            continue
        if isinstance(source, str):
            if source not in names:
                raise UnknownNameError(f"dimension of {where}", source, names)
            source = list(names).index(source)
        if not 0 <= source < array.shape[1]:
            raise ConfigError(f"dimension {source} of {where}: it has the dimensions 0 to {array.shape[1] - 1}.")
        selected[:, column] = array[:, source]
    selected.flags.writeable = False
    return selected


def _camera(cache: FrameCache, name: str | None) -> Frames:
    if name is None:
        if not cache.images:
            raise ConfigError(f"black images for '{cache.meta.root}': it has no camera to take their size from.")
        return Frames.black(next(iter(cache.images.values())).shape)
    if name not in cache.images:
        raise UnknownNameError(f"camera of '{cache.meta.root}'", name, cache.images)
    return cache.images[name]


def _image_feature(cache: FrameCache, name: str | None) -> Feature:
    return cache.meta.features[cache.meta.camera_keys[name if name is not None else next(iter(cache.images))]]


def _numbers(cache: FrameCache, what: str) -> tuple[int, tuple[str, ...]]:
    """How many numbers a state or an action has, and their names."""
    name, array = (STATE, cache.state) if what == "state" else (ACTION, cache.action)
    return array.shape[1], cache.meta.features[name].names


def _told(numbers: tuple[int, tuple[str, ...]]) -> str:
    size, names = numbers
    return f"{size} numbers" + (f": {', '.join(names)}" if names else "")


def _cameras(sizes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {h}x{w}" for name, (h, w) in sizes.items()) or "none"
