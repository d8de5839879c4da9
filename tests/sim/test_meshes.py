import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from etude.sim.meshes import (
    MeshPart,
    TriangleMesh,
    cache_directory,
    capped,
    decimated,
    light_meshes,
    merged,
    read_stl,
    sliced_hulls,
)


def sphere(segments: int, *, opening: int = 0, radius_m: float = 0.1) -> TriangleMesh:
    """Latitudes by longitudes, with the first `opening` latitudes at the north pole cut away."""
    rows, vertices, faces = segments, [], []
    for row in range(rows + 1):
        for column in range(segments):
            polar, azimuth = np.pi * row / rows, 2 * np.pi * column / segments
            z = np.cos(polar)
            vertices.append((np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), z))
    for row in range(opening, rows):
        for column in range(segments):
            a, b = row * segments + column, row * segments + (column + 1) % segments
            c, d = a + segments, b + segments
            faces += [(a, c, d)] * (row < rows - 1) + [(a, d, b)] * (row > 0)
    return TriangleMesh(vertices=radius_m * np.array(vertices), faces=np.array(faces))


def write_stl(path: Path, mesh: TriangleMesh) -> Path:
    records = b"".join(
        struct.pack("<12fH", 0, 0, 0, *mesh.vertices[face].ravel(), 0) for face in mesh.faces
    )  # fmt: skip
    path.write_bytes(bytes(80) + struct.pack("<I", len(mesh.faces)) + records)
    return path


def part(path: Path) -> MeshPart:
    return MeshPart(path=path, rotation=np.eye(3), position_m=np.zeros(3))


def volume(mesh: TriangleMesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def is_closed(mesh: TriangleMesh) -> bool:
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    return sorted(map(tuple, edges)) == sorted((b, a) for a, b in edges)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETUDE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_reading_joins_the_corners_of_neighbouring_faces(tmp_path: Path) -> None:
    mesh = read_stl(write_stl(tmp_path / "ball.stl", sphere(12)), weld_m=1e-4)
    assert len(mesh.vertices) == 11 * 12 + 2
    assert is_closed(mesh)
    assert volume(mesh) == pytest.approx(volume(sphere(12)), rel=1e-5)


def test_a_part_is_scaled_then_turned_then_moved(tmp_path: Path) -> None:
    path = write_stl(tmp_path / "ball.stl", sphere(12))
    quarter_turn_about_z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    placed = MeshPart(path=path, scale=(2, 1, 1), rotation=quarter_turn_about_z, position_m=np.array([0, 0, 1.0]))
    extent = np.ptp(placed.load().vertices, axis=0)
    assert extent == pytest.approx([0.2, 0.4, 0.2], abs=1e-3)
    assert placed.load().vertices[:, 2].mean() == pytest.approx(1.0, abs=1e-3)


def test_capping_closes_every_hole_and_keeps_closed_surfaces(tmp_path: Path) -> None:
    open_ball = read_stl(write_stl(tmp_path / "open.stl", sphere(16, opening=3)), weld_m=1e-4)
    two = merged([open_ball, TriangleMesh(vertices=open_ball.vertices + 1, faces=open_ball.faces)])
    assert not is_closed(two)
    assert is_closed(capped(two))
    assert len(capped(two).vertices) == len(two.vertices) + 2  # one centre for each hole
    closed = read_stl(write_stl(tmp_path / "closed.stl", sphere(16)), weld_m=1e-4)
    assert capped(closed) is closed


def test_decimation_meets_its_target_and_keeps_the_shape(tmp_path: Path) -> None:
    full = read_stl(write_stl(tmp_path / "ball.stl", sphere(64)), weld_m=1e-4)
    light = decimated(full, 400)
    assert len(light.faces) <= 400 < len(full.faces)
    assert volume(light) == pytest.approx(volume(full), rel=0.05)
    assert np.linalg.norm(light.vertices, axis=1) == pytest.approx(0.1, rel=0.05)


def test_sliced_hulls_are_closed_and_reach_as_far_as_the_surface_also_through_holes() -> None:
    tall = sphere(24, opening=3)
    tall = TriangleMesh(vertices=tall.vertices * [1.0, 1.0, 3.0], faces=tall.faces)
    for slices in (1, 4):
        hulls = sliced_hulls(tall, slices)
        assert is_closed(hulls)
        assert len(hulls.faces) <= 48 * slices
        np.testing.assert_allclose(hulls.vertices.min(axis=0), tall.vertices.min(axis=0), atol=1e-12)
        np.testing.assert_allclose(hulls.vertices.max(axis=0), tall.vertices.max(axis=0), atol=1e-12)
        assert 0.6 * volume(capped(tall)) < volume(hulls) < volume(capped(tall))


def test_a_light_surface_is_left_alone() -> None:
    ball = sphere(6)
    assert decimated(ball, 1000) is ball


def test_the_cache_gives_the_same_bits_without_the_work(tmp_path: Path, own_cache: Path) -> None:
    parts = {"link": [part(write_stl(tmp_path / "ball.stl", sphere(32)))]}
    first = light_meshes(parts, max_faces=200)["link"]
    (file,) = own_cache.rglob("*.npz")
    written_at = file.stat().st_mtime_ns
    second = light_meshes(parts, max_faces=200)["link"]
    assert file.stat().st_mtime_ns == written_at
    np.testing.assert_array_equal(first.vertices, second.vertices)
    np.testing.assert_array_equal(first.faces, second.faces)


def test_another_source_or_size_or_place_gets_another_entry(tmp_path: Path, own_cache: Path) -> None:
    path = write_stl(tmp_path / "ball.stl", sphere(32))
    light_meshes({"link": [part(path)]}, max_faces=200)
    light_meshes({"link": [part(path)]}, max_faces=100)
    moved = MeshPart(path=path, rotation=np.eye(3), position_m=np.ones(3))
    light_meshes({"link": [moved]}, max_faces=100)
    write_stl(path, sphere(24))
    light_meshes({"link": [part(path)]}, max_faces=100)
    assert len(list(own_cache.rglob("*.npz"))) == 4


def test_a_damaged_entry_is_made_again(tmp_path: Path, own_cache: Path) -> None:
    parts = {"link": [part(write_stl(tmp_path / "ball.stl", sphere(32)))]}
    first = light_meshes(parts, max_faces=200)["link"]
    (file,) = own_cache.rglob("*.npz")
    whole = file.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], b"not an archive"):
        file.write_bytes(damage)
        np.testing.assert_array_equal(light_meshes(parts, max_faces=200)["link"].vertices, first.vertices)
        assert len(file.read_bytes()) == len(whole)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the directory should be")
    monkeypatch.setenv("ETUDE_CACHE_DIR", str(blocked))
    parts = {"link": [part(write_stl(tmp_path / "ball.stl", sphere(32)))]}
    assert len(light_meshes(parts, max_faces=200)["link"].faces) <= 200


LIGHT_BALL = """
import sys, numpy as np
from pathlib import Path
from etude.sim.meshes import MeshPart, light_meshes
part = MeshPart(path=Path(sys.argv[1]), rotation=np.eye(3), position_m=np.zeros(3))
mesh = light_meshes({"link": [part]}, max_faces=200)["link"]
sys.stdout.write((mesh.vertices.tobytes() + mesh.faces.tobytes()).hex())
"""


def test_processes_that_start_at_once_agree_and_leave_no_litter(tmp_path: Path, own_cache: Path) -> None:
    path = write_stl(tmp_path / "ball.stl", sphere(32))
    command = [sys.executable, "-c", LIGHT_BALL, str(path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert len({process.communicate()[0] for process in started}) == 1
    assert all(process.returncode == 0 for process in started)
    assert [file.suffix for file in own_cache.rglob("*") if file.is_file()] == [".npz"]


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("ETUDE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "etude"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "etude"
