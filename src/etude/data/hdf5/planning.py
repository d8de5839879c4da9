"""What is to be imported from HDF5 files: found, compared and checked before anything is written."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import h5py

from etude.core import ConfigError, EtudeError, MismatchError
from etude.data.hdf5.demonstrations import image_size, read_numbers
from etude.data.hdf5.files import open_hdf5, plain
from etude.data.hdf5.layouts import Layout, Source, demonstration_names, environment_arguments, find_layout, natural
from etude.data.hdf5.quaternions import Order
from etude.data.hdf5.remainder import Manifest
from etude.data.hdf5.schema import Schema, difference, names, survey
from etude.data.spec import DatasetSpec, Feature

SUFFIXES = (".hdf5", ".h5")


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """How HDF5 files are read.

    Attributes:
        layout: A layout's name, or "auto".
        quaternion: Order of the quaternions in Isaac Lab's files.
        fps: Control steps per second; 0 for what the file says, else the layout's usual.
        state: Observations that make the state; empty for the layout's usual.
        cameras: Cameras to keep; None for all.
        task: The task in words; "" for what the file says.
        robot: The robot; "" for what the file says.
        storage: Images as H.264 video, or each losslessly.
        mask: Read only demonstrations that this filter key lists; "" for all.
        exclude: Demonstrations to leave out: "demo_3", or "FILE:demo_3" among several files.
    """

    layout: str = "auto"
    quaternion: Order = "wxyz"
    fps: int = 0
    state: tuple[str, ...] = ()
    cameras: tuple[str, ...] | None = None
    task: str = ""
    robot: str = ""
    storage: Literal["video", "image"] = "video"
    mask: str = ""
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.fps < 0:
            raise ConfigError(f"fps = {self.fps} must be positive.")


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """What is to be imported, after everything but the images was checked.

    Attributes:
        config: How the files are read.
        layout: Their layout.
        sources: The demonstrations, in the order they are imported in.
        manifest: What they share.
        spec: What the dataset will hold.
    """

    config: ImportConfig
    layout: Layout
    sources: tuple[Source, ...]
    manifest: Manifest
    spec: DatasetSpec


def find_files(given: Sequence[Path]) -> list[Path]:
    """The HDF5 files named, and those in the folders named, by their numbers.

    Raises:
        ConfigError: A folder has none, or a file is given twice.
    """
    files: list[Path] = []
    for path in given:
        inside = [p for p in path.iterdir() if p.suffix in SUFFIXES] if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"folder '{path}' has no files that end in {' or '.join(SUFFIXES)}.")
        files += sorted(inside, key=lambda p: natural(p.stem))
    twice = [path for path in files if files.count(path) > 1]
    if twice:
        raise ConfigError(f"'{twice[0]}' is given twice: each demonstration is imported once.")
    return files


def find_demonstrations(files: Sequence[Path], config: ImportConfig) -> tuple[Layout, tuple[Source, ...]]:
    """The common layout of some files, and their demonstrations.

    Raises:
        EtudeError: A file cannot be read, or has another layout than the first.
        ConfigError: There are none, or a setting does not fit the files.
    """
    layout = _common_layout(files, config)
    sources = tuple(_sources(files, layout, config))
    if not sources:
        where = f" in mask '{config.mask}'" if config.mask else ""
        raise ConfigError(f"{_listed(files)}: no demonstrations{where} to import.")
    return layout, sources


def plan_import(
    layout: Layout,
    sources: tuple[Source, ...],
    config: ImportConfig,
    on_checked: Callable[[int], None] = lambda _done: None,
) -> ImportPlan:
    """Check everything but the images.

    Args:
        layout: The files' layout.
        sources: The demonstrations.
        config: How to read them.
        on_checked: Called with the number of demonstrations checked.

    Raises:
        EtudeError: A demonstration is damaged, or differs from the first.
    """
    with closing(opened(sources[:1], layout)) as one:
        _, first = next(one)
        schema = survey(first, layout, state=config.state, cameras=config.cameras)
        manifest, spec = _shared(first, layout, schema, config)
    for index, (source, group) in enumerate(opened(sources, layout)):
        found = survey(group, layout, state=config.state, cameras=config.cameras)
        if told := difference(schema, found):
            raise MismatchError(
                f"{source} differs from {sources[0]}: {told}. Import them apart, or leave it out with --exclude."
            )
        _check_sizes(group, source, found, spec)
        read_numbers(group, found, config.quaternion)
        on_checked(index + 1)
    return ImportPlan(config=config, layout=layout, sources=sources, manifest=manifest, spec=spec)


def opened(sources: Sequence[Source], layout: Layout) -> Generator[tuple[Source, h5py.Group]]:
    """Every demonstration with its group, while its file is open."""
    for path, of_file in groupby(sources, key=lambda source: source.file):
        with open_hdf5(path) as file:
            for source in of_file:
                group = file[f"{layout.demonstrations}/{source.name}"] if source.name else file
                assert isinstance(group, h5py.Group)
                yield source, group


def _common_layout(files: Sequence[Path], config: ImportConfig) -> Layout:
    layouts: dict[Path, Layout] = {}
    for path in files:
        with open_hdf5(path) as file:
            layouts[path] = find_layout(file, config.layout)
    first, *others = layouts
    for path in others:
        if layouts[path] != layouts[first]:
            raise MismatchError(
                f"'{first}' has the layout {layouts[first].name}, '{path}' {layouts[path].name}: import them apart, "
                "and join the datasets with `etude data merge` or train on both."
            )
    if config.quaternion != "wxyz" and layouts[first].name != "isaaclab":
        raise ConfigError(
            f"--quaternion {config.quaternion} is for Isaac Lab's files; '{first}' has the layout "
            f"{layouts[first].name}, whose numbers are kept as they are."
        )
    return layouts[first]


def _sources(files: Sequence[Path], layout: Layout, config: ImportConfig) -> Generator[Source]:
    excluded, unused = set(config.exclude), set(config.exclude)
    for path in files:
        with open_hdf5(path) as file:
            listed = mask_names(file, config.mask) if config.mask else None
            for name in demonstration_names(file, layout):
                source = Source(path, name)
                found = excluded & {name, source.origin}
                unused -= found
                if not found and (listed is None or name in listed):
                    yield source
    if unused:
        raise ConfigError(f"--exclude {sorted(unused)[0]}: {_listed(files)} has no such demonstration.")


def mask_names(file: h5py.File, key: str) -> set[str]:
    """The demonstrations that a filter key lists.

    Raises:
        ConfigError: There is no such key.
    """
    dataset = file.get(f"mask/{key}")
    if not isinstance(dataset, h5py.Dataset):
        known = ", ".join(mask_keys(file)) or "(none)"
        raise ConfigError(f"--mask {key}: '{file.filename}' has the filter keys {known}.")
    return set(plain(dataset[()]))


def mask_keys(file: h5py.File) -> list[str]:
    """The filter keys that a file has."""
    masks = file.get("mask")
    return [str(name) for name in masks] if isinstance(masks, h5py.Group) else []


def _shared(group: h5py.Group, layout: Layout, schema: Schema, config: ImportConfig) -> tuple[Manifest, DatasetSpec]:
    parent = parent_of(group, layout)
    kept = {str(n): plain(v) for n, v in parent.attrs.items() if n != "total"} if layout.demonstrations else {}
    given = environment_arguments(parent).get("env_kwargs")
    settings: Mapping[str, Any] = given if isinstance(given, dict) else {}
    robots = settings.get("robots", "")
    robot = robots if isinstance(robots, str) else "_".join(map(str, robots))
    spec = DatasetSpec(
        fps=config.fps or round(float(settings.get("control_freq") or layout.fps)),
        cameras=tuple(schema.cameras),
        image_size={camera: image_size(group, array) for camera, array in schema.cameras.items()},
        state_names=names(schema.state, layout),
        action_names=names(schema.action, layout),
        subtasks=tuple(schema.signals),
        extras={name: Feature(a.dtype, (a.size,)) for name, a in schema.extras.items()},
        storage=config.storage,
        robot_type=config.robot or layout.robot_type or robot.lower(),
    )
    return Manifest(schema=schema, attributes=kept), spec


def parent_of(group: h5py.Group, layout: Layout) -> h5py.Group:
    """The group that holds what all demonstrations of a file share."""
    parent = group.file[layout.demonstrations] if layout.demonstrations else group
    assert isinstance(parent, h5py.Group)
    return parent


def _check_sizes(group: h5py.Group, source: Source, schema: Schema, spec: DatasetSpec) -> None:
    """Compressed images show their size only when decoded."""
    for camera, array in schema.cameras.items():
        size = image_size(group, array)
        if size != (expected := spec.image_sizes[camera]):
            raise EtudeError(f"{source}: images of '{camera}' are {size}, those of the first are {expected}.")


def _listed(files: Sequence[Path]) -> str:
    return f"'{files[0]}'" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
