"""What a LeRobot dataset says about itself, read without LeRobot."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from etude.core import Case, EtudeError, Perturbation
from etude.core.files import read_json
from etude.data.layout import INFO, SIDECAR_INFO, sidecar_row
from etude.data.parquet import Row
from etude.data.rows import episode_rows
from etude.data.spec import ACTION, IMAGE, STATE, Feature

_CONVERTER = "python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=any/name --root=COPY --push-to-hub=false"


@dataclass(frozen=True, kw_only=True)
class EpisodeRecord:
    """One row of the sidecar.

    Attributes:
        index: The episode's index in its dataset.
        case: The (θ, seed) it was made at.
        length: Frames.
        generator: Who made it.
        source_episode: Index of the demonstration it was made from, or -1.
        success: Whether the task was done when it ended.
        progress: Staged progress in [0, 1].
        stage: The last sub-task reached.
        failure_mode: Name of the way it failed, or "".
    """

    index: int
    case: Case
    length: int
    generator: str
    source_episode: int
    success: bool
    progress: float
    stage: str
    failure_mode: str


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
        data_path, video_path: LeRobot's templates of file names.
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

    @staticmethod
    def open(root: Path) -> "DatasetMeta":
        """Read a dataset's metadata.

        Raises:
            EtudeError: Not a LeRobot v3 dataset, or a damaged one.
        """
        if not (root / INFO).exists():
            raise EtudeError(f"'{root}' is not a LeRobot dataset: '{root / INFO}' does not exist.")
        info: dict[str, Any] = read_json(root / INFO)
        version = info.get("codebase_version")
        if version != "v3.0":
            fix = f"; convert a copy of it: {_CONVERTER}" if version == "v2.1" else ""
            raise EtudeError(f"'{root}' is not a LeRobot v3.0 dataset: its codebase_version is {version!r}{fix}.")
        own = read_json(root / SIDECAR_INFO) if (root / SIDECAR_INFO).exists() else {}
        rows = episode_rows(root)
        features = {name: Feature.from_json(feature) for name, feature in info["features"].items()}
        return DatasetMeta(
            root=root,
            fps=int(info["fps"]),
            features=MappingProxyType(features),
            lengths=tuple(int(row["length"]) for row in rows),
            task=own.get("task", ""),
            space_hash=own.get("space_hash", ""),
            rows=tuple(rows),
            data_path=info["data_path"],
            video_path=info.get("video_path") or "",
        )

    @property
    def total_episodes(self) -> int:
        """Episodes in the dataset."""
        return len(self.lengths)

    @property
    def total_frames(self) -> int:
        """Frames in the dataset."""
        return sum(self.lengths)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, without LeRobot's prefix."""
        return tuple(n.removeprefix(IMAGE) for n, f in self.features.items() if f.dtype in ("video", "image"))

    @property
    def image_shapes(self) -> dict[str, tuple[int, ...]]:
        """Camera name -> (H, W, 3)."""
        return {camera: self.features[IMAGE + camera].shape for camera in self.cameras}

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


def _record(sidecar: Row) -> EpisodeRecord:
    return EpisodeRecord(
        index=sidecar["episode_index"],
        case=Case(Perturbation(json.loads(sidecar["theta"])), sidecar["seed"]),
        **{
            name: sidecar[name]
            for name in ("length", "generator", "source_episode", "success", "progress", "stage", "failure_mode")
        },
    )
