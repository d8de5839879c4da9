"""Pocket maps: whatever a search left is drawn, and the plane tells pockets apart."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from loop.fake_run import POCKETS, SPACE

from etude.core import Factor, Perturbation, PerturbationSpace, Pocket
from etude.loop.report.drawing.embedding import embed
from etude.loop.report.drawing.pocketmap import pocket_map, write_pocket_map
from etude.loop.report.results import SearchRow

NARROW = PerturbationSpace("one", SPACE.factors[:1])


def rows(space: PerturbationSpace, count: int, seed: int = 0) -> list[SearchRow]:
    rng = np.random.default_rng(seed)
    failed = [bool(rng.random() < 0.3) for _ in range(count)]
    return [SearchRow(theta=space.sample(rng), seed=i, severity=float(f), success=not f) for i, f in enumerate(failed)]


def long_names() -> PerturbationSpace:
    name = "the_camera_that_hangs_from_the_ceiling_{}.distance_from_the_middle_of_the_table_m"
    factors = [Factor(name=name.format(i), unit="m", low=0.0, high=1.0, nominal=0.5, kind="camera") for i in range(26)]
    return PerturbationSpace("long", tuple(factors))


@pytest.mark.parametrize("count", [0, 1, 5, 900])
@pytest.mark.parametrize("space", [SPACE, NARROW, long_names()], ids=["ordinary", "one factor", "26 long names"])
@pytest.mark.filterwarnings("error")
def test_any_search_is_drawn_as_a_file_that_stands_alone(space: PerturbationSpace, count: int, tmp_path: Path) -> None:
    pockets = POCKETS if space is SPACE else ()
    write_pocket_map(tmp_path / "pockets.svg", space, rows(space, count), pockets)
    text = (tmp_path / "pockets.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text
    assert "nan" not in text.lower()
    assert all(pocket.name in text for pocket in pockets)


def test_a_page_lends_its_colours() -> None:
    assert "var(--ink, #1d2329)" in pocket_map(SPACE, rows(SPACE, 30), POCKETS)


def test_large_searches_make_small_files() -> None:
    assert len(pocket_map(SPACE, rows(SPACE, 5000), POCKETS)) < 600_000


def inside(pocket: Pocket, count: int, rng: np.random.Generator) -> np.ndarray:
    own = {name: rng.uniform(*bounds, count) for name, bounds in pocket.bounds.items()}
    thetas = [{**SPACE.sample(rng).values, **{n: v[i] for n, v in own.items()}} for i in range(count)]
    return np.array([SPACE.to_unit(Perturbation(theta)) for theta in thetas])


def test_the_plane_tells_pockets_apart_and_names_their_factors() -> None:
    rng = np.random.default_rng(0)
    groups = [inside(pocket, 150, rng) for pocket in POCKETS]
    others = rng.random((300, len(SPACE.factors)))
    active = [name for pocket in POCKETS for name in pocket.bounds]
    embedding = embed(SPACE, [*groups, others], active, SPACE.names)
    assert np.linalg.norm(embedding.axes, axis=1) == pytest.approx(np.ones(2))
    centres = np.array([embedding(group).mean(axis=0) for group in (*groups, others)])
    width = max(embedding(group).std() for group in groups)
    apart = [np.linalg.norm(a - b) for i, a in enumerate(centres) for b in centres[:i]]
    assert min(apart) > width
    titles = embedding.title(0) + embedding.title(1)
    assert "front camera yaw" in titles
    assert "cubes gap" in titles
    assert "table friction" not in titles


def test_without_anything_to_tell_apart_the_plane_is_that_of_two_factors() -> None:
    embedding = embed(SPACE, [], [], ("light.intensity", "cube.scale"))
    assert (embedding.title(0), embedding.title(1)) == ("light intensity", "cube scale")
