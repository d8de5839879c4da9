"""`etude estimate` of a search on a tiny world, and what it refuses."""

import json
from pathlib import Path

import pytest
from cli.running import Run
from toys import POCKET, PlantedPolicy, PointTask

from etude.core.files import write_json
from etude.loop import wiring
from etude.sim import registry

TASK = PointTask(max_steps=12).name
HERE = ["--processes", "1", "--threads", "1"]
SMALL = ["--counts", "0", "2", "4", "--cases", "3", "--steps", "2", "--batch-size", "4"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    """Run a command here, in a world and with a policy that are quick."""
    monkeypatch.setattr(registry, "_OWN", {**registry._OWN, "toy-point": PointTask})
    monkeypatch.setattr(wiring, "_NAMED", {**wiring._NAMED, "weak": lambda _task: PlantedPolicy(failure=1.0)})
    return run


def searched(folder: Path, policy: str, pockets: int = 1) -> Path:
    """What a search leaves that confirmed a pocket in the dark."""
    write_json(folder / "settings.json", {"settings": {"task": TASK, "policy": policy, "execute": 4}})
    write_json(folder / "pockets.json", {"pockets": [POCKET.to_json()] * pockets, "refuted": []})
    return folder


@pytest.fixture
def trained(run: Run, tmp_path: Path) -> tuple[Path, Path]:
    """A dataset, and a policy that hardly learned from it."""
    data, out = tmp_path / "data", tmp_path / "run"
    run("collect", TASK, "--episodes", 3, "--space", "uniform", "--out", data, "--processes", 1)
    run("train", "--dataset", data, "--steps", 2, "--batch-size", 4, "--out", out, "--threads", 1)
    return data, out


def test_an_estimate_tells_every_pocket_draws_it_and_divides_a_budget(
    run: Run, trained: tuple[Path, Path], tmp_path: Path
):
    data, policy = trained
    search, out = searched(tmp_path / "search", str(policy)), tmp_path / "needs"
    command = ("estimate", search, "--dataset", data, *SMALL, "--budget", 30, "--out", out, *HERE)
    told, _ = run(*command)
    assert "pocket-1: light.intensity < 0.4" in told
    assert f"etude collect {TASK} --episodes 30 --plan {out}/practice.json" in told
    assert {"needs.json", "needs.svg", "practice.json", "index.html"} <= {path.name for path in out.iterdir()}
    assert (out / "needs.svg").read_text().count('class="rate"') == 3
    again, _ = run(*(f"{data}/../data:1" if word == data else word for word in command), "--resume", "--json")
    (need,) = json.loads(again)["needs"]
    assert set(need["measured"]) == {"0", "2", "4"}
    plan, aimed = out / "practice.json", tmp_path / "aimed"
    run("collect", TASK, "--episodes", 4, "--plan", plan, "--out", aimed, "--processes", 1)
    _, refused = run(*command, code=2)
    assert "--resume" in refused


@pytest.mark.parametrize(
    ("pockets", "policy", "words"),
    [
        (0, "", "confirmed no pocket, so there is nowhere to aim"),
        (1, "weak", "--policy weak: measuring goes on training a policy, which needs a checkpoint folder."),
        (1, "", "does not say whose pockets these are: give --policy."),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    pockets: int, policy: str, words: str, run: Run, trained: tuple[Path, Path], tmp_path: Path
):
    search, out = searched(tmp_path / "search", policy, pockets), tmp_path / "needs"
    _, told = run("estimate", search, "--dataset", trained[0], *SMALL, "--out", out, *HERE, code=2)
    assert words in told
    assert not out.exists()


def test_counts_and_folders_that_cannot_be_are_refused(run: Run, trained: tuple[Path, Path], tmp_path: Path):
    data, policy = trained
    search, rest = searched(tmp_path / "search", str(policy)), ["--out", tmp_path / "needs", *HERE]
    _, told = run("estimate", search, "--dataset", data, "--counts", 5, 10, *rest, code=2)
    assert "counts 5, 10: give 0" in told
    _, told = run("estimate", tmp_path, "--dataset", data, *rest, code=2)
    assert f"'{tmp_path}' has no pockets.json: give a folder of `etude search`." in told
    _, told = run("estimate", search, "--dataset", data, "--target", 1.2, *rest, code=2)
    assert "target = 1.2 must lie between 0 and 1." in told
    assert not (tmp_path / "needs").exists()


def test_a_run_is_told_where_its_search_is(run: Run, tmp_path: Path):
    folder = tmp_path / "smoke"
    write_json(folder / "settings.json", {"command": "loop", "options": {"run": "smoke"}})
    inside = searched(folder / "round-00" / "search", "")
    for named in (folder, tmp_path):  # a run of one replicate, and of several
        _, told = run("estimate", named, "--dataset", "data", "--out", tmp_path / "needs", *HERE, code=2)
        assert f"'{named}' has no pockets.json: give a folder of `etude search`; this run's is '{inside}'." in told
    _, told = run("estimate", folder / "no", "--dataset", "data", "--out", tmp_path / "needs", *HERE, code=2)
    assert f"'{folder / 'no'}' does not exist: give a folder of `etude search`." in told
