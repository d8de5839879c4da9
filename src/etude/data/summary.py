"""A dataset in a few plain values, for `etude data inspect` and for programs."""

import statistics
from pathlib import Path
from typing import Any

from etude.core import EtudeError
from etude.core.files import read_json
from etude.data.episode import video_file
from etude.data.layout import INFO
from etude.data.metadata import DatasetMeta
from etude.data.video import open_video


def summarise(root: Path) -> dict[str, Any]:
    """Summarise a dataset as JSON values.

    Args:
        root: Its folder.

    Raises:
        EtudeError: Not a dataset, or a damaged one.
    """
    meta = DatasetMeta.open(root)
    info: dict[str, Any] = read_json(root / INFO)
    judged = [record.success for record in meta.episodes if record.success is not None]
    lengths = meta.lengths
    return {
        "root": str(root),
        "version": meta.version,
        "robot_type": info.get("robot_type") or "",
        "fps": meta.fps,
        "episodes": meta.total_episodes,
        "frames": meta.total_frames,
        "duration_s": meta.total_frames / meta.fps,
        "lengths": {"min": min(lengths), "median": statistics.median(lengths), "max": max(lengths)} if lengths else {},
        "tasks": list(meta.tasks),
        "successes": sum(judged) if judged else None,
        "judged": len(judged),
        "cameras": {camera: _camera(meta, camera, info) for camera in meta.cameras},
        "features": {
            name: {"dtype": f.dtype, "shape": list(f.shape), "names": list(f.names)}
            for name, f in meta.features.items()
        },
        "bytes": sum(path.stat().st_size for path in root.rglob("*") if path.is_file()),
    }


def _camera(meta: DatasetMeta, camera: str, info: dict[str, Any]) -> dict[str, Any]:
    key = meta.camera_keys[camera]
    feature, record = meta.features[key], info["features"][key]
    stream = record.get("info") or record.get("video_info") or {}  # older datasets name it otherwise
    return {
        "storage": feature.dtype,
        "height": _size(feature.shape, feature.names, "height", 0),
        "width": _size(feature.shape, feature.names, "width", 1),
        "codec": str(stream.get("video.codec") or _codec(meta, camera)) if feature.dtype == "video" else "PNG or JPEG",
    }


def _codec(meta: DatasetMeta, camera: str) -> str:
    """That of the first video; "" where it cannot be read."""
    if not meta.total_episodes:
        return ""
    try:
        with open_video(video_file(meta, 0, camera)[0]) as (_, stream):
            return str(stream.codec_context.codec.canonical_name)
    except EtudeError:
        return ""


def _size(shape: tuple[int, ...], names: tuple[str, ...], name: str, default: int) -> int:
    """Some datasets keep channels first, and say so in the names."""
    return shape[names.index(name)] if name in names and len(names) == len(shape) else shape[default]
