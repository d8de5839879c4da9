"""Light meshes: read, move, merge and decimate, once per machine, so that software rendering is fast.

Robot packages ship visual meshes of 10⁵ faces. At 96×96 pixels a few thousand look the same and render an order of
magnitude faster. The result of decimation lies in the user's cache under a name that is a hash of everything it depends
on, so a changed source or parameter never meets a stale file.
"""

import hashlib
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import fast_simplification
import numpy as np
from jaxtyping import Float, Int

_ALGORITHM = "area-weighted quadric decimation, version 1"  # part of the cache key: change it with the algorithm
_STL_HEADER_BYTES = 84
_STL_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@dataclass(frozen=True, kw_only=True)
class TriangleMesh:
    """A surface of triangles that share vertices."""

    vertices: Float[np.ndarray, "V 3"]
    """Corner positions, [m]."""
    faces: Int[np.ndarray, "F 3"]
    """Vertex indices, counter-clockwise seen from outside."""

    def area_m2(self) -> float:
        """Surface area."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def read_stl(path: Path) -> TriangleMesh:
    """Read a binary STL file, joining corners at identical positions into shared vertices."""
    triangles = np.frombuffer(path.read_bytes(), dtype=_STL_FACE, offset=_STL_HEADER_BYTES)
    corners = triangles["corners"].reshape(-1, 3).astype(np.float64)
    vertices, indices = np.unique(corners, axis=0, return_inverse=True)
    return TriangleMesh(vertices=vertices, faces=_without_slivers(indices.reshape(-1, 3)))


def moved(
    mesh: TriangleMesh,
    *,
    scale: Float[np.ndarray, "3"],
    rotation: Float[np.ndarray, "3 3"],
    position_m: Float[np.ndarray, "3"],
) -> TriangleMesh:
    """Scale along the mesh's own axes, then rotate, then translate."""
    return TriangleMesh(vertices=(mesh.vertices * scale) @ rotation.T + position_m, faces=mesh.faces)


def merged(meshes: list[TriangleMesh]) -> TriangleMesh:
    """Put several meshes of one frame into one."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return TriangleMesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        faces=np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
    )


def decimated(mesh: TriangleMesh, max_faces: int) -> TriangleMesh:
    """Approximate a mesh with at most `max_faces` faces, or return it when it has no more (Garland & Heckbert 1997)."""
    if len(mesh.faces) <= max_faces:
        return mesh
    vertices, faces = cast(
        tuple[np.ndarray, np.ndarray],
        fast_simplification.simplify(mesh.vertices, mesh.faces, target_count=max_faces),
    )
    return TriangleMesh(vertices=vertices.astype(np.float64), faces=_without_slivers(faces.astype(np.int64)))


def light_meshes(meshes: dict[str, TriangleMesh], *, max_faces: int) -> dict[str, TriangleMesh]:
    """Decimate a robot's meshes to `max_faces` in all, through the user's cache.

    Every mesh gets a share of the faces in proportion to the square root of its area: large links stay round and
    small fingers stay recognisable. Safe when several processes start at once: each writes its own temporary file
    and renames it to the same name. A cache that cannot be written costs time, nothing else.

    Args:
        meshes: Full meshes by name.
        max_faces: Faces of all meshes together.
    Returns:
        Light meshes under the same names, the same bits on every call.
    """
    path = cache_directory() / "meshes" / f"{_fingerprint(meshes, max_faces)}.npz"
    cached = _read_cache(path, list(meshes))
    if cached is not None:
        return cached
    weights = {name: np.sqrt(mesh.area_m2()) for name, mesh in meshes.items()}
    faces_per_weight = max_faces / sum(weights.values())
    light = {name: decimated(mesh, int(weights[name] * faces_per_weight)) for name, mesh in meshes.items()}
    _write_cache(path, light)
    return light


def cache_directory() -> Path:
    """Where Etude keeps what it can rebuild: `ETUDE_CACHE_DIR`, else `etude` in the user's cache directory."""
    if chosen := os.environ.get("ETUDE_CACHE_DIR"):
        return Path(chosen)
    parent = os.environ.get("XDG_CACHE_HOME")
    return (Path(parent) if parent else Path.home() / ".cache") / "etude"


def _without_slivers(faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "G 3"]:
    """Drop faces that use a vertex twice: they have no area, and MuJoCo refuses them."""
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]


def _fingerprint(meshes: dict[str, TriangleMesh], max_faces: int) -> str:
    digest = hashlib.sha256(f"{_ALGORITHM} {fast_simplification.__version__} {max_faces}".encode())
    for name, mesh in meshes.items():
        digest.update(f" {name} {mesh.vertices.shape} {mesh.faces.shape} ".encode())
        digest.update(np.ascontiguousarray(mesh.vertices).tobytes())
        digest.update(np.ascontiguousarray(mesh.faces).tobytes())
    return digest.hexdigest()[:32]


def _read_cache(path: Path, names: list[str]) -> dict[str, TriangleMesh] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name: TriangleMesh(vertices=arrays[f"{name}.vertices"], faces=arrays[f"{name}.faces"]) for name in names
            }
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):  # absent, or damaged by a failing disk
        return None


def _write_cache(path: Path, meshes: dict[str, TriangleMesh]) -> None:
    arrays: dict[str, np.ndarray] = {}
    for name, mesh in meshes.items():
        arrays[f"{name}.vertices"], arrays[f"{name}.faces"] = mesh.vertices, mesh.faces
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = file.name
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except OSError:  # read-only home or full disk: the meshes are made again next time
        if temporary:
            Path(temporary).unlink(missing_ok=True)
