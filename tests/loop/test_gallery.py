"""The page of a task's pictures names every factor under its kind and needs nothing but the files beside it."""

from dataclasses import dataclass

from toys import SPACE, PointTask

from etude.core import PerturbationSpace
from etude.loop.report import gallery


@dataclass(frozen=True, kw_only=True)
class BareTask(PointTask):
    @property
    def space(self) -> PerturbationSpace:
        return PerturbationSpace("nothing", ())


def test_every_factor_is_shown_under_its_kind():
    page = gallery(PointTask(), "nominal.png", {name: f"sweeps/{name}.png" for name in SPACE.names})
    order = [page.index(f'src="sweeps/{name}.png"') for name in SPACE.names]
    assert len(set(order)) == len(SPACE.names)
    for kind in {factor.kind for factor in SPACE.factors}:
        assert f'id="{kind}"' in page
    assert 'src="nominal.png"' in page
    assert "http" not in page


def test_a_task_without_factors_shows_its_nominal_world():
    page = gallery(BareTask(), "nominal.png", {})
    assert "0 factors" in page
    assert 'src="nominal.png"' in page
