"""What a LeRobot dataset says about itself, read without LeRobot."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from etude.core import Case, EtudeError
from etude.core.files import read_json
from etude.data.layout import INFO, SIDECAR_INFO, TASKS, row_statistics, sidecar_outcome, sidecar_row
from etude.data.parquet import Row, read_rows, task_texts
from etude.data.rows import episode_rows
from etude.data.spec import ACTION, IMAGE, STATE, Feature
from etude.data.statistics import Statistics
from etude.data.v21 import VERSIONS, legacy_rows, legacy_tasks, template

_CURRENT = "v3.0"
RECOVER = "`etude data recover {root} --out {root}-recovered`"
"""The command that makes a dataset of what a crash left."""


@dataclass(frozen=True, kw_only=True)
class EpisodeRecord:
    """One row of the sidecar.

    Attributes:
        index: The episode's index in its dataset.
        case: The (θ, seed) it was made at; None where that is not known.
        length: Frames.
        generator: Who made it.
        source_episode: Index of the demonstration it was made from, or -1.
        success: Whether the task was done when it ended; None where that is not known.
        progress: Staged progress in [0, 1], or None.
        stage: The last sub-task reached, or "".
        failure_mode: Name of the way it failed, or "".
        origin: Where the episode was read from, e.g. "demo.hdf5:demo_3" or "data/first:5"; "" where it was made.
    """

    index: int
    case: Case | None
    length: int
    generator: str
    source_episode: int
    success: bool | None
    progress: float | None
    stage: str
    failure_mode: str
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetMeta:
    """A dataset's features, episodes and origin.

    Attributes:
        root: The dataset's folder.
        fps: Frames per second.
        features: LeRobot's name of a column -> what it holds.
        lengths: Frames of each episode.
        task: The task the episodes were made on, as it writes itself; "" where Etude did not write the dataset.
        space_hash: Hash of the perturbation space of the episodes' θ, or "".
        rows: The rows of meta/episodes without statistics.
        data_path, video_path: LeRobot's templates of file names, in terms of chunk_index and file_index.
        robot_type: The robot, or "".
        version: LeRobot's format, "v3.0" or "v2.1"; the rows of v2.1 are made up such that they read alike.
    """

    root: Path
    fps: int
    features: Mapping[str, Feature]
    lengths: tuple[int, ...]
    task: str
    space_hash: str
    rows: tuple[Row, ...]
    data_path: str
    video_path: str
    robot_type: str = ""
    version: str = "v3.0"

    @staticmethod
    def open(root: Path) -> "DatasetMeta":
        """Read a dataset's metadata.

        Raises:
            EtudeError: Not a LeRobot dataset of v3.0 or v2.1, or a damaged one.
        """
        info, version = _info(root)
        own = read_json(root / SIDECAR_INFO) if (root / SIDECAR_INFO).exists() else {}
        try:
            features = {name: Feature.from_json(feature) for name, feature in info["features"].items()}
            data_path, video_path = str(info["data_path"]), str(info.get("video_path") or "")
            fps = int(info["fps"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EtudeError(f"'{root / INFO}' is damaged or incomplete ({error!r}): copy the dataset anew.") from error
        legacy = version != _CURRENT
        return DatasetMeta(
            root=root,
            fps=fps,
            features=MappingProxyType(features),
            rows=(rows := tuple(legacy_rows(root, info, features) if legacy else _rows(root, info))),
            lengths=tuple(int(row["length"]) for row in rows),
            task=own.get("task", ""),
            space_hash=own.get("space_hash", ""),
            data_path=template(data_path) if legacy else data_path,
            video_path=template(video_path) if legacy else video_path,
            robot_type=str(info.get("robot_type") or ""),
            version=version,
        )

    @cached_property
    def episode_statistics(self) -> list[dict[str, Statistics]]:
        """The statistics that the dataset keeps of each episode: feature -> statistics, where it has them."""
        if self.version == _CURRENT:
            rows = episode_rows(self.root, statistics=True)
        else:
            rows = legacy_rows(self.root, read_json(self.root / INFO), self.features, statistics=True)
        return [row_statistics(row) for row in rows]

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The task texts, by task_index."""
        if self.version != _CURRENT:
            return tuple(legacy_tasks(self.root))
        texts = task_texts(read_rows([self.root / TASKS])) if (self.root / TASKS).exists() else {}
        return tuple(texts.get(index, "") for index in range(max(texts, default=-1) + 1))

    @property
    def total_episodes(self) -> int:
        """Episodes in the dataset."""
        return len(self.lengths)

    @property
    def total_frames(self) -> int:
        """Frames in the dataset."""
        return sum(self.lengths)

    @cached_property
    def camera_keys(self) -> Mapping[str, str]:
        """Camera name -> LeRobot's name of its column: "observation.images.NAME", in some datasets without images."""
        found = {name: feature for name, feature in self.features.items() if feature.dtype in ("video", "image")}
        keys = [name for name, feature in found.items() if _height_width_3(feature)[2:] == (3,)]  # no depth maps
        return {k.removeprefix(IMAGE) if k.startswith(IMAGE) else k.rpartition(".")[2]: k for k in keys}

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, without LeRobot's prefix."""
        return tuple(self.camera_keys)

    @property
    def image_shapes(self) -> dict[str, tuple[int, ...]]:
        """Camera name -> (H, W, 3)."""
        return {camera: _height_width_3(self.features[key]) for camera, key in self.camera_keys.items()}

    @property
    def state_size(self) -> int:
        """Numbers in the state."""
        return self.features[STATE].shape[0]

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self.features[ACTION].shape[0]

    @cached_property
    def episodes(self) -> tuple[EpisodeRecord, ...]:
        """The sidecar, one record per episode; empty where Etude did not write the dataset."""
        return tuple(_record(sidecar) for row in self.rows if (sidecar := sidecar_row(row)))


def read_info(root: Path) -> Any:
    """The content of info.json.

    Raises:
        EtudeError: It is missing or damaged; the message says how a recording is saved that a crash left so.
    """
    recorded = any((root / name).is_dir() for name in ("data", "videos"))
    fix = f"copy it anew, or if its recording was killed: {RECOVER.format(root=root)}" if recorded else ""
    if not (root / INFO).exists():
        why = f"'{root / INFO}' does not exist{f'; {fix}' if fix else ''}"
        raise EtudeError(f"'{root}' is not a LeRobot dataset: {why}.")
    try:
        return read_json(root / INFO)
    except EtudeError as error:
        raise EtudeError(f"{str(error).removesuffix('.')}{f'; {fix}' if fix else ''}.") from error


def _info(root: Path) -> tuple[dict[str, Any], str]:
    """The content of info.json, and the version it says it has."""
    info = read_info(root)
    version = info.get("codebase_version") if isinstance(info, dict) else None
    if version not in (_CURRENT, *VERSIONS):
        raise EtudeError(
            f"'{root}' is not a LeRobot dataset that can be read: its codebase_version is {version!r}; valid are "
            f"{', '.join((*VERSIONS, _CURRENT))}."
        )
    return info, str(version)


def _height_width_3(feature: Feature) -> tuple[int, ...]:
    """Shape of an image as it is decoded; some datasets describe it channels first."""
    shape = feature.shape
    first = (feature.names and feature.names[0].startswith("channel")) or (shape[0] == 3 and shape[-1] != 3)
    return (*shape[1:], shape[0]) if first else shape


def _rows(root: Path, info: dict[str, Any]) -> list[Row]:
    rows = episode_rows(root)
    if not rows and info.get("total_episodes"):
        raise EtudeError(
            f"dataset '{root}' says it has {info['total_episodes']} episodes, but 'meta/episodes' has none: copy it "
            f"anew, or if its recording was killed: {RECOVER.format(root=root)}."
        )
    return rows


def _record(sidecar: Row) -> EpisodeRecord:
    outcome = sidecar_outcome(sidecar)
    return EpisodeRecord(
        index=sidecar["episode_index"],
        case=outcome.case if outcome else None,
        success=outcome.success if outcome else None,
        progress=outcome.progress if outcome else None,
        stage=outcome.stage if outcome else "",
        failure_mode=outcome.failure_mode if outcome else "",
        origin=sidecar["origin"] or "",
        **{name: sidecar[name] for name in ("length", "generator", "source_episode")},
    )
