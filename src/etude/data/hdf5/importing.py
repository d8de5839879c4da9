"""Demonstrations of HDF5 files as LeRobot datasets, one demonstration in memory at a time."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from etude.core import ConfigError
from etude.data.encoding import encode
from etude.data.hdf5.demonstrations import read_demonstration
from etude.data.hdf5.files import plain
from etude.data.hdf5.layouts import Layout, Source, environment_arguments
from etude.data.hdf5.planning import ImportPlan, mask_keys, mask_names, opened, parent_of
from etude.data.writer import DatasetWriter


def import_demonstrations(
    plan: ImportPlan,
    datasets: Mapping[Path, Sequence[int]],
    *,
    resume: bool = False,
    on_saved: Callable[[int, Path], None] = lambda _index, _root: None,
) -> None:
    """Write the demonstrations; those that a dataset already has are not read again.

    Args:
        plan: The demonstrations.
        datasets: Folder of each dataset -> the indices of its demonstrations, ascending.
        resume: Whether to go on with datasets that are there.
        on_saved: Called with the index of a demonstration that is on disk, and its dataset.

    Raises:
        EtudeError: Images cannot be read, or a dataset cannot be written.
    """
    with ExitStack() as stack:
        missing: dict[int, tuple[Path, int]] = {}
        writers: dict[Path, DatasetWriter] = {}
        for root, indices in datasets.items():
            begun = resume and root.exists()
            make = DatasetWriter.resume if begun else DatasetWriter.create
            writers[root] = stack.enter_context(make(root, plan.spec))
            plan.manifest.save(root)
            missing |= {index: (root, n) for n, index in enumerate(indices) if n >= writers[root].episodes}
        chosen = sorted(missing)
        masks: dict[Path, dict[str, set[str]]] = {}
        for index, (source, group) in zip(chosen, opened([plan.sources[i] for i in chosen], plan.layout), strict=True):
            root, episode = missing[index]
            if source.file not in masks:
                masks[source.file] = {key: mask_names(group.file, key) for key in mask_keys(group.file)}
            recorded, remainder = read_demonstration(
                group,
                source,
                plan.manifest.schema,
                given=plan.config.quaternion,
                task=plan.config.task or _task(group, source, plan.layout),
                masks=tuple(key for key, listed in masks[source.file].items() if source.name in listed),
            )
            remainder.save(root, episode)
            writers[root].commit(encode(recorded, plan.spec.fps, storage=plan.spec.storage))
            on_saved(index, root)


def split(count: int, eval_fraction: float, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Draw which demonstrations are for training and which for evaluation; at least one for each.

    Raises:
        ConfigError: There are too few.
    """
    if not 0 < eval_fraction < 1 or count < 2:
        raise ConfigError(
            f"--eval-fraction {eval_fraction} of {count} demonstrations: it must be between 0 and 1, and there must be "
            "at least two."
        )
    wanted = min(max(1, round(eval_fraction * count)), count - 1)
    kept = set(rng.permutation(count)[:wanted].tolist())
    return [i for i in range(count) if i not in kept], sorted(kept)


def _task(group: h5py.Group, source: Source, layout: Layout) -> str:
    """The task in words: what the file says, else the environment's name, else the folder's."""
    try:
        told = json.loads(str(plain(group.attrs.get("ep_meta", "{}")))).get("lang", "")
    except (json.JSONDecodeError, AttributeError):
        told = ""
    named = environment_arguments(parent_of(group, layout)).get("env_name", "")
    return str(told or named or source.file.resolve().parent.name.replace("_", " "))
