"""Several datasets' features brought into one form: dimensions in another order are reordered, a mapping does the rest.

What cannot be aligned for certain is refused, with the dataset, the feature, and what would help.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import ConfigError, MismatchError, UnknownNameError
from etude.data.encoding import EncodedEpisode, encode_picture
from etude.data.mapping import EXAMPLE, Dimension, FeatureMapping, select_dimensions
from etude.data.spec import DatasetSpec, Storage
from etude.data.statistics import image_statistics
from etude.data.video import encode_video

type Member = tuple[Path, DatasetSpec, FeatureMapping | None]
"""A dataset's folder, what it holds, and how that is to be mapped."""


def common_spec(members: Sequence[Member], without: Sequence[str] = (), storage: Storage | None = None) -> DatasetSpec:
    """What a dataset of all their episodes holds.

    Args:
        members: The datasets.
        without: Columns to leave out: extra columns, or "subtasks".
        storage: How to keep images; None for as they are, one by one where the datasets differ.

    Raises:
        MismatchError: They cannot be aligned.
        UnknownNameError: No dataset has a column of `without`.
    """
    known = {name for _, spec, _ in members for name in (*spec.extras, *(("subtasks",) if spec.subtasks else ()))}
    for name in without:
        if name not in known:
            raise UnknownNameError("column to leave out", name, known)
    specs = [_without(map_spec(spec, mapping, root), without) for root, spec, mapping in members]
    roots = [root for root, _, _ in members]
    first, *others = specs
    for spec, root in zip(others, roots[1:], strict=True):
        _require_alignable(first, roots[0], spec, root)
    kinds = {spec.storage for spec in specs}
    texts = {name: {getattr(spec, name) for spec in specs} for name in ("robot_type", "task", "space_hash")}
    one = {name: values.pop() if len(values) == 1 else "" for name, values in texts.items()}
    kept: Storage = storage or (first.storage if len(kinds) == 1 else "image")
    return replace(
        first,
        storage=kept,
        state_names=_named([spec.state_names for spec in specs], "state"),
        action_names=_named([spec.action_names for spec in specs], "action"),
        **one,
    )


def map_spec(spec: DatasetSpec, mapping: FeatureMapping | None, root: Path) -> DatasetSpec:
    """What a dataset holds once it is mapped.

    Raises:
        UnknownNameError, ConfigError: The mapping names what the dataset lacks.
    """
    if mapping is None:
        return spec
    fields: dict[str, Any] = {}
    for what, sources, names in _numbers(mapping):
        if sources is not None:
            mine = getattr(spec, f"{what}_names")
            select_dimensions(np.zeros((1, len(mine)), np.float32), mine, sources, f"the {what} of '{root}'")
            fields[f"{what}_names"] = names or _generated(len(sources), what)
    if mapping.cameras is not None:
        sizes = spec.image_sizes
        missing = [old for old in mapping.cameras.values() if old is not None and old not in sizes]
        if missing:
            raise UnknownNameError(f"camera of '{root}'", missing[0], sizes)
        if not sizes and mapping.cameras:
            raise ConfigError(f"black images for '{root}': it has no camera to take their size from.")
        first = next(iter(sizes.values()), (0, 0))
        fields["cameras"] = tuple(mapping.cameras)
        fields["image_size"] = {new: sizes[old] if old is not None else first for new, old in mapping.cameras.items()}
    return replace(spec, **fields)


def align(
    episode: EncodedEpisode, spec: DatasetSpec, target: DatasetSpec, mapping: FeatureMapping | None, root: Path
) -> EncodedEpisode:
    """An episode in the form of the new dataset.

    Args:
        episode: It, as its dataset has it.
        spec: What its dataset holds.
        target: What the new dataset holds, from `common_spec`.
        mapping: How its features are to be mapped, or None.
        root: Its dataset, for messages.
    """
    mapped = map_spec(spec, mapping, root)
    numbers = {"state": episode.state, "action": episode.action}
    for what, sources, _ in _numbers(mapping or FeatureMapping()):
        names: tuple[str, ...] = getattr(spec, f"{what}_names")
        if sources is not None:
            numbers[what] = select_dimensions(numbers[what], names, sources, f"the {what} of '{root}'")
        mine, wanted = getattr(mapped, f"{what}_names"), getattr(target, f"{what}_names")
        if mine != wanted and set(mine) == set(wanted):
            numbers[what] = numbers[what][:, [mine.index(name) for name in wanted]]
    if mapping is not None and mapping.cameras is not None:
        episode = _map_cameras(episode, mapping, mapped)
    return replace(
        episode,
        state=np.ascontiguousarray(numbers["state"]),
        action=np.ascontiguousarray(numbers["action"]),
        extras={name: episode.extras[name] for name in target.extras},
        subtasks={name: episode.subtasks[name] for name in target.subtasks},
    )


def _without(spec: DatasetSpec, names: Sequence[str]) -> DatasetSpec:
    extras = {name: feature for name, feature in spec.extras.items() if name not in names}
    return replace(spec, extras=extras, subtasks=() if "subtasks" in names else spec.subtasks)


def _numbers(mapping: FeatureMapping) -> list[tuple[str, tuple[Dimension, ...] | None, tuple[str, ...]]]:
    return [("state", mapping.state, mapping.state_names), ("action", mapping.action, mapping.action_names)]


def _generated(size: int, what: str) -> tuple[str, ...]:
    """The names of numbers that have none."""
    return tuple(f"{what}_{i}" for i in range(size))


def _named(candidates: Sequence[tuple[str, ...]], what: str) -> tuple[str, ...]:
    """The names of the first that has some."""
    generated = _generated(len(candidates[0]), what)
    return next((names for names in candidates if names != generated), generated)


def _require_alignable(first: DatasetSpec, first_root: Path, spec: DatasetSpec, root: Path) -> None:
    differing: list[str] = []
    fixes: list[str] = []
    if spec.fps != first.fps:
        differing.append(f"fps ({first.fps} there, {spec.fps} here)")
        fixes.append("record or export them at one rate")
    for what in ("state", "action"):
        mine, theirs = getattr(first, f"{what}_names"), getattr(spec, f"{what}_names")
        unnamed = len(mine) == len(theirs) and _generated(len(mine), what) in (mine, theirs)
        if sorted(mine) != sorted(theirs) and not unnamed:
            differing.append(f"{what} ({_difference(mine, theirs)})")
            fixes.append(f"write down how '{root}' becomes like the other: --map {root}=FILE, with {EXAMPLE}")
    if sorted(first.cameras) != sorted(spec.cameras):
        differing.append(f"cameras ({_difference(first.cameras, spec.cameras)})")
        fixes.append(f"write down how '{root}' becomes like the other: --map {root}=FILE, with {EXAMPLE}")
    elif first.image_sizes != spec.image_sizes:
        differing.append(f"image sizes ({first.image_sizes} there, {spec.image_sizes} here)")
        fixes.append("bring the images to one size first")
    columns = [name for name in {**first.extras, **spec.extras} if first.extras.get(name) != spec.extras.get(name)]
    columns += ["subtasks"] if sorted(first.subtasks) != sorted(spec.subtasks) else []
    if columns:
        differing.append(f"columns {', '.join(columns)}")
        fixes.append(f"leave them out with --without {' '.join(columns)}")
    if differing:
        raise MismatchError(
            f"datasets '{first_root}' and '{root}' cannot be merged: they differ in {'; '.join(differing)}. "
            f"To merge them: {'; '.join(dict.fromkeys(fixes))}."
        )


def _difference(there: Sequence[str], here: Sequence[str]) -> str:
    """How many there are of each, and the first few that only one has."""
    parts = [f"{len(there)} there, {len(here)} here"]
    for names, others, where in ((there, here, "there"), (here, there, "here")):
        own = [name for name in names if name not in others]
        parts += [f"only {where}: {', '.join(own[:3])}{', …' if len(own) > 3 else ''}"] if own else []
    return "; ".join(parts)


def _map_cameras(episode: EncodedEpisode, mapping: FeatureMapping, mapped: DatasetSpec) -> EncodedEpisode:
    """Rename cameras; black images for those that the dataset lacks."""
    olds = {new: old for new, old in (mapping.cameras or {}).items() if old is not None}
    fields: dict[str, dict[str, Any]] = {}
    for name in ("videos", "pictures", "codecs", "image_shapes", "image_statistics"):
        values = getattr(episode, name)
        fields[name] = {new: values[old] for new, old in olds.items() if old in values}
    for camera in set(mapped.cameras) - set(olds):
        black = np.zeros((episode.length, *mapped.image_sizes[camera], 3), np.uint8)
        if mapped.storage == "video":
            fields["videos"][camera] = encode_video(black, episode.fps)
        else:
            fields["pictures"][camera] = [encode_picture(black[0])] * episode.length
        fields["image_shapes"][camera] = black.shape[1:]
        fields["image_statistics"][camera] = image_statistics(black)
    return replace(episode, **fields)
