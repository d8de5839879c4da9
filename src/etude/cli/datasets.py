"""Which datasets are trained on, as a person names them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from etude.core import ConfigError, EtudeError, MismatchError, UnknownNameError
from etude.core.files import read_json

if TYPE_CHECKING:
    from etude.data import DatasetMeta, Feature
    from etude.training.fitting import WeightedDataset


IMAGES = ("video", "image")
"""Types of the features that are images."""


def parse_datasets(
    texts: Sequence[str], maps: Sequence[str] = (), episode_weights: Sequence[str] = ()
) -> "list[WeightedDataset]":
    """Read "DATASET" and "DATASET:WEIGHT", a folder or a name on the hub.

    Args:
        texts: `--dataset`.
        maps: `--map`: "DATASET=FILE" each, a mapping of its features.
        episode_weights: `--episode-weights`: "DATASET=FILE" each, a list of numbers.

    Raises:
        ConfigError: None given, or a weight that is not a positive number.
        EtudeError: No such dataset, or a file that says something else.
    """
    from etude.data.finding import find_dataset
    from etude.data.mapping import FeatureMapping
    from etude.training.fitting import WeightedDataset

    if not texts:
        raise ConfigError("--dataset needs at least one folder.")
    named = dict(map(_name_and_weight, texts))
    if len(named) < len(texts):
        raise ConfigError("--dataset names a dataset twice; give it a larger weight instead: DIR:2.")
    mapping_of, weights_of = files_of("--map", maps, named), files_of("--episode-weights", episode_weights, named)
    return [
        WeightedDataset(
            find_dataset(name),
            share,
            FeatureMapping.read(mapping_of[name]) if name in mapping_of else None,
            _weights(weights_of[name]) if name in weights_of else None,
        )
        for name, share in named.items()
    ]


def require_one_space(datasets: "Sequence[WeightedDataset]", *, resized: bool = False) -> str:
    """Raise, before anything is decoded, unless features agree and the datasets that Etude wrote are of one space.

    Args:
        datasets: What is trained on.
        resized: Whether images are made one size, whatever theirs is.

    Returns:
        The task of the first dataset; "" where Etude did not write it.

    Raises:
        MismatchError: They differ; the message says where.
    """
    from etude.data import DatasetMeta, require_equal_features

    metas = [DatasetMeta.open(dataset.root) for dataset in datasets]
    if not any(dataset.mapping for dataset in datasets):
        require_equal_features({meta.root: _but_for_sizes(meta) for meta in metas})
        if not resized:
            _require_equal_sizes(metas)
    first, *others = metas
    for meta in others:
        if first.fps != meta.fps:
            raise MismatchError(
                f"'{first.root}' has {first.fps:g} frames a second and '{meta.root}' {meta.fps:g}: a chunk of actions "
                "would last differently long in each; train on datasets of one rate."
            )
        if first.space_hash and meta.space_hash and first.space_hash != meta.space_hash:
            raise MismatchError(
                f"datasets '{first.root}' and '{meta.root}' are of different spaces: {first.task} "
                f"({first.space_hash}) and {meta.task} ({meta.space_hash})."
            )
    return first.task


def _but_for_sizes(meta: "DatasetMeta") -> "dict[str, Feature]":
    """A dataset's features, alike for images of any size, in videos or not."""
    return {
        name: replace(feature, dtype="video", shape=()) if feature.dtype in IMAGES else feature
        for name, feature in meta.features.items()
    }


def _require_equal_sizes(metas: "Sequence[DatasetMeta]") -> None:
    first, *others = metas
    for meta in others:
        for name, feature in meta.features.items():
            here, there = feature.shape[:2], first.features[name].shape[:2]
            if feature.dtype in IMAGES and here != there:
                sizes = ["×".join(map(str, size)) for size in (there, here)]
                raise MismatchError(
                    f"'{name}' is {sizes[0]} in '{first.root}' and {sizes[1]} in '{meta.root}': make all images one "
                    f"size with --image-size {there[0]} {there[1]}, or another."
                )


def _name_and_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.rpartition(":") if not Path(text).exists() and ":" in text else (text, "", "1")
    try:
        share = float(weight)
    except ValueError:
        raise ConfigError(f"--dataset {text}: the weight '{weight}' is not a number.") from None
    if not 0 < share < float("inf"):
        raise ConfigError(f"--dataset {text}: a weight must be positive.")
    return name, share


def files_of(flag: str, texts: Sequence[str], names: Collection[str]) -> dict[str, Path]:
    """Read "DATASET=FILE": the file of each dataset that has one.

    Args:
        flag: The option.
        texts: Its values.
        names: The datasets, as the command names them.

    Raises:
        ConfigError: Something else.
        UnknownNameError: The command names no such dataset.
    """
    files: dict[str, Path] = {}
    for text in texts:
        name, equals, file = text.rpartition("=")
        if not equals or not file:
            raise ConfigError(f"{flag} {text}: expected DATASET=FILE, the dataset as the command names it.")
        if name not in names:
            raise UnknownNameError(f"dataset of {flag}", name, names)
        files[name] = Path(file)
    return files


def _weights(file: Path) -> tuple[float, ...]:
    record = read_json(file)
    if not isinstance(record, list) or not all(isinstance(w, int | float) and w >= 0 for w in record):
        raise EtudeError(f"'{file}' must be a list of one weight per episode, each at least 0.")
    return tuple(map(float, record))
