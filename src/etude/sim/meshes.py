"""Light meshes: read, place, merge and decimate, once per machine, so that software rendering is fast.

Robot packages ship visual meshes of 10⁵ faces. At 96×96 pixels a few thousand look the same and render an order of
magnitude faster. The result lies in the user's cache under a name that is a hash of everything it depends
on, so a changed source or parameter never meets a stale file.
"""

import hashlib
import os
import tempfile
import zipfile
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import fast_simplification
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

_ALGORITHM = "weld, cap holes, quadrics in 4 passes; shares by root of area; version 3"
"""Part of the cache's key: change it with the algorithm."""
_WELD_M = 1e-4
_PASSES = 4
_AGGRESSIVENESS = 4  # of 10; fast_simplification's default of 7 leaves dents, below 3 it stops before the target
_OUTWARDS = np.array([d for d in product((-1.0, 0.0, 1.0), repeat=3) if any(d)])  # sides, edges and corners of a box
_STL_HEADER_BYTES = 84
_STL_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@dataclass(frozen=True, kw_only=True)
class TriangleMesh:
    """A surface of triangles that share vertices."""

    vertices: Float[NDArray[np.float64], "V 3"]
    """Corner positions, [m]."""
    faces: Int[NDArray[np.int64], "F 3"]
    """Vertex indices, counter-clockwise seen from outside."""

    def area_m2(self) -> float:
        """Surface area."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@dataclass(frozen=True, kw_only=True)
class MeshPart:
    """An STL file and where its surface lies in the frame of a link."""

    path: Path
    """Binary STL."""
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors along the mesh's own axes, applied first."""
    rotation: Float[NDArray[np.float64], "3 3"]
    """R_link_mesh."""
    position_m: Float[NDArray[np.float64], "3"]
    """Origin of the mesh in the link's frame."""
    hulls: int = 0
    """0 for the surface itself, else how many convex hulls it becomes: see `sliced_hulls`."""

    def load(self, weld_m: float = 1e-7) -> TriangleMesh:
        """Read the surface, in the link's frame; corners closer than about `weld_m` there become one."""
        mesh = read_stl(self.path, weld_m / min(abs(factor) for factor in self.scale))
        vertices = (mesh.vertices * self.scale) @ self.rotation.T + self.position_m
        placed = TriangleMesh(vertices=vertices, faces=mesh.faces)
        return sliced_hulls(placed, self.hulls) if self.hulls else placed


def read_stl(path: Path, weld_m: float = 1e-7) -> TriangleMesh:
    """Read a binary STL file in metres, joining corners that fall into the same cell of a grid of `weld_m`."""
    triangles = np.frombuffer(path.read_bytes(), dtype=_STL_FACE, offset=_STL_HEADER_BYTES)
    corners = triangles["corners"].reshape(-1, 3).astype(np.float64)
    cells = np.round(corners / weld_m).astype(np.int64)
    _, first, indices = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    return TriangleMesh(vertices=corners[first], faces=_without_slivers(indices.reshape(-1, 3)))


def merged(meshes: list[TriangleMesh]) -> TriangleMesh:
    """Put several meshes of one frame into one."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return TriangleMesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        faces=np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
    )


def capped(mesh: TriangleMesh) -> TriangleMesh:
    """Close the holes of a surface by fans of faces around their centres.

    Quadrics do not hold an open border in place: decimation would eat the surface away from there.
    """
    count = len(mesh.vertices)
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    # Inside a surface every edge is used once in each direction.
    border = edges[~np.isin(edges @ [count, 1], edges @ [1, count])]
    if not len(border):
        return mesh
    hole_of_vertex = _components(border, count)
    rim = np.unique(border)
    holes, hole_of_rim = np.unique(hole_of_vertex[rim], return_inverse=True)
    centres = np.zeros((len(holes), 3))
    np.add.at(centres, hole_of_rim, mesh.vertices[rim])
    centres /= np.bincount(hole_of_rim)[:, None]
    centre_of_edge = count + np.searchsorted(holes, hole_of_vertex[border[:, 0]])
    fans = np.column_stack([border[:, 1], border[:, 0], centre_of_edge])
    return TriangleMesh(vertices=np.concatenate([mesh.vertices, centres]), faces=np.concatenate([mesh.faces, fans]))


def sliced_hulls(mesh: TriangleMesh, slices: int) -> TriangleMesh:
    """Cut a surface into equal slices across its longest side, and wrap each in the hull of its 26 outermost corners.

    For parts full of screw holes, which lose their shape before their faces: wrapped, they are solid, of some 40 faces.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    axis = int(np.argmax(high - low))
    cuts = np.linspace(low[axis], high[axis], slices + 1)
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    starts, ends = mesh.vertices[edges[:, 0]], mesh.vertices[edges[:, 1]]
    rims: list[Float[NDArray[np.float64], "N 3"]] = []
    for cut in cuts[1:-1]:
        crosses = (starts[:, axis] < cut) != (ends[:, axis] < cut)
        a, b = starts[crosses], ends[crosses]
        rims.append(a + (b - a) * ((cut - a[:, axis]) / (b[:, axis] - a[:, axis]))[:, None])
    along = mesh.vertices[:, axis]
    empty = np.empty((0, 3))
    inside = [mesh.vertices[(along >= a) & (along <= b)] for a, b in pairwise(cuts)]
    return merged([_hull(np.concatenate(all_)) for all_ in zip([empty, *rims], inside, [*rims, empty], strict=True)])


def _hull(points: Float[NDArray[np.float64], "N 3"]) -> TriangleMesh:
    points = points[np.unique(np.argmax(points @ _OUTWARDS.T, axis=0))]
    hull = ConvexHull(points)
    faces = hull.simplices.astype(np.int64)
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    inwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), hull.equations[:, :3]) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    used, indices = np.unique(faces, return_inverse=True)
    return TriangleMesh(vertices=points[used], faces=indices.reshape(-1, 3))


def decimated(mesh: TriangleMesh, max_faces: int) -> TriangleMesh:
    """Approximate a surface with about `max_faces` faces by collapsing edges of least quadric error.

    Several passes keep the shape better than one: each starts from exact errors again.
    Source: Garland & Heckbert 1997, as in fast_simplification.
    """
    for remaining in range(_PASSES, 0, -1):
        count = len(mesh.faces)
        if count <= max_faces:
            break
        target = int(count * (max_faces / count) ** (1 / remaining))
        simplified = fast_simplification.simplify(
            mesh.vertices, mesh.faces.astype(np.int32), target_count=target, agg=_AGGRESSIVENESS
        )
        vertices, faces = simplified[0].astype(np.float64), simplified[1].astype(np.int64)
        mesh = TriangleMesh(vertices=vertices, faces=_without_slivers(faces))
    return mesh


def light_meshes(
    parts: dict[str, list[MeshPart]], *, max_faces: int, weld_m: float = _WELD_M
) -> dict[str, TriangleMesh]:
    """Merge each link's parts and decimate all links together to about `max_faces`, through the user's cache.

    Every link gets faces in proportion to the square root of its area: large links stay round and
    small fingers stay recognisable. Safe when several processes start at once: each writes its own temporary file
    and renames it to the same name. A cache that cannot be written costs time, nothing else.

    Args:
        parts: What each link is made of, by the name its mesh will get.
        max_faces: Faces of all meshes together.
        weld_m: Corners closer than about this are joined first: details smaller than that keep a surface from
            becoming any lighter.
    Returns:
        One mesh per name, the same bits on every call.
    """
    path = cache_directory() / "meshes" / f"{_fingerprint(parts, max_faces, weld_m)}.npz"
    cached = _read_cache(path, list(parts))
    if cached is not None:
        return cached
    closed = {name: capped(merged([part.load(weld_m) for part in link])) for name, link in parts.items()}
    weights = {name: float(np.sqrt(mesh.area_m2())) for name, mesh in closed.items()}
    faces_per_weight = max_faces / sum(weights.values())
    light = {name: decimated(mesh, int(weights[name] * faces_per_weight)) for name, mesh in closed.items()}
    _write_cache(path, light)
    return light


def cache_directory() -> Path:
    """Where Etude keeps what it can rebuild: `ETUDE_CACHE_DIR`, else `etude` in the user's cache directory."""
    if chosen := os.environ.get("ETUDE_CACHE_DIR"):
        return Path(chosen)
    parent = os.environ.get("XDG_CACHE_HOME")
    return (Path(parent) if parent else Path.home() / ".cache") / "etude"


def _components(edges: Int[NDArray[np.int64], "E 2"], count: int) -> Int[NDArray[np.int64], " V"]:
    """Label `count` vertices such that those joined by edges, directly or not, have the same label."""
    labels = np.arange(count)
    while True:
        lowest = labels[edges].min(axis=1)
        joined = labels.copy()
        np.minimum.at(joined, edges.ravel(), np.repeat(lowest, 2))
        joined = joined[joined]
        if np.array_equal(joined, labels):
            return labels
        labels = joined


def _without_slivers(faces: Int[NDArray[np.int64], "F 3"]) -> Int[NDArray[np.int64], "G 3"]:
    """Drop faces that use a vertex twice: they have no area."""
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]


def _fingerprint(parts: dict[str, list[MeshPart]], max_faces: int, weld_m: float) -> str:
    digest = hashlib.sha256(f"{_ALGORITHM} {fast_simplification.__version__} {max_faces} {weld_m}".encode())
    for name, link in parts.items():
        for part in link:
            place = f"{part.scale} {part.rotation.tolist()} {part.position_m.tolist()}"
            digest.update(f" {name} {place} {part.hulls} ".encode())
            digest.update(hashlib.sha256(part.path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _read_cache(path: Path, names: list[str]) -> dict[str, TriangleMesh] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {
                name: TriangleMesh(vertices=arrays[f"{name}.vertices"], faces=arrays[f"{name}.faces"]) for name in names
            }
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):  # absent, or damaged: made again
        return None


def _write_cache(path: Path, meshes: dict[str, TriangleMesh]) -> None:
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, mesh in meshes.items():
        arrays[f"{name}.vertices"], arrays[f"{name}.faces"] = mesh.vertices, mesh.faces
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    except OSError:  # read-only home or full disk: the meshes are made again next time
        if temporary is not None:
            temporary.unlink(missing_ok=True)
