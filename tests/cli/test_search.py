"""`etude search` says what it found, or why nothing, and refuses what cannot work before it writes anything."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import PlantedPolicy, PointTask

from etude.cli.search import Options, run
from etude.core import ConfigError, MismatchError, PolicyFactory, UnknownNameError
from etude.core.files import read_json
from etude.loop import wiring
from etude.sim import registry

HOPELESS = PlantedPolicy(boxes=((("light.intensity", 0.0, 2.0),),), failure=1.0)
POLICIES: dict[str, PolicyFactory] = {"planted": PlantedPolicy(failure=1.0), "hopeless": HOPELESS}
SMALL = {"budget": 48, "confirm": 8, "exam_cases": 4, "dev_cases": 1, "test_cases": 4, "executor": "serial"}


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_OWN", {**registry._OWN, "toy-point": PointTask})
    named = {**wiring._NAMED, **{name: lambda _task, p=policy: p for name, policy in POLICIES.items()}}
    monkeypatch.setattr(wiring, "_NAMED", named)


def options(out: Path, **changed: object) -> Options:
    base = Options(task="toy-point:max_steps=12", policy="planted", out=out, **SMALL)  # type: ignore[arg-type]
    return replace(base, **changed)


def test_a_search_finds_and_freezes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "search"
    run(options(out, searcher=("cross-entropy", "random")))
    for name in ("archive.parquet", "pockets.json", "search.json", "exam.json", "pockets.svg"):
        assert (out / name).exists(), name
    assert "light.intensity" in capsys.readouterr().out
    assert set(read_json(out / "search.json")["searchers"]) == {"uniform", "cross-entropy", "random"}


def test_without_failures_there_is_a_bound_and_no_exam(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "search"
    run(options(out, policy="expert"))
    told = capsys.readouterr().out
    assert "no failures in 48 rollouts: at most 13.8% of the space fails (95 %, from 24 uniform draws)." in told
    assert f"--budget 480 --archive {out}/archive.parquet" in told
    assert read_json(out / "search.json")["failures"]["k"] == 0
    assert not (out / "exam.json").exists()


def test_where_everything_fails_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run(options(tmp_path / "search", policy="hopeless", no_suites=True))
    told = capsys.readouterr().out
    assert "it failed in all 48 rollouts, so there are none to tell apart. Collect broader demonstrations" in told
    assert not (tmp_path / "search" / "exam.json").exists()


def test_a_search_goes_on_from_an_archive_of_its_policy_only(tmp_path: Path):
    run(options(tmp_path / "first", no_suites=True))
    archive = tmp_path / "first" / "archive.parquet"
    run(options(tmp_path / "more", no_suites=True, archive=archive, seed=1))
    assert read_json(tmp_path / "more" / "search.json")["archive"]["rollouts"] == 96
    with pytest.raises(MismatchError, match="is of another policy"):
        run(options(tmp_path / "other", policy="hopeless", archive=archive))
    assert not (tmp_path / "other").exists()


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(ConfigError, match="10 rollouts are too few for a search"):
        run(options(tmp_path / "search", budget=10))
    with pytest.raises(UnknownNameError, match="unknown searcher 'bayes'. .*Valid: cma, cross-entropy"):
        run(options(tmp_path / "search", searcher=("bayes",)))
    assert not (tmp_path / "search").exists()
