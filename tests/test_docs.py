"""Every command in the documents runs as it is written, in order, in an empty folder."""

import hashlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from etude.acquisition.scores import SCORES
from etude.loop.arms import ARMS, Arm
from etude.policies.inputs import ImageInputs
from etude.policies.remote import RemoteMapping
from etude.search import SEARCHERS

ROOT = Path(__file__).parents[1]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)\)|<img[^>]* src=\"([^\"]+)\"")
COMMANDS = ("etude", "lerobot-eval", "lerobot-train")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCED.findall(page.read_text()) if found == language]


def commands(page: Path) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[0] in COMMANDS, f"not a command that make setup installs: {command}"
    return subprocess.run(
        [Path(sys.executable).with_name(words[0]), *words[1:]],
        cwd=folder, capture_output=True, text=True, timeout=600, env={**os.environ, "COLUMNS": "120", **environment},
    )  # fmt: skip


def run_all(lines: list[str], folder: Path, **environment: str) -> None:
    for line in lines:
        done = run(line, folder, **environment)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(900)
def test_every_command_of_the_walkthrough_runs(tmp_path: Path):
    lines = commands(ROOT / "docs" / "walkthrough.md")
    assert len(lines) >= 10
    run_all(lines, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_lerobots_commands_run_without_a_network_and_write_what_they_measured(tmp_path: Path):
    lines = commands(ROOT / "docs" / "lerobot.md")
    assert [line.split()[0] for line in lines] == ["etude", "etude", "lerobot-eval", "lerobot-train", "etude"]
    run_all(lines, tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "huggingface"))
    measured = json.loads((tmp_path / "results/lerobot/eval_info.json").read_text())
    assert measured["overall"]["n_episodes"] == len(list((tmp_path / "results/lerobot").rglob("*.mp4"))) == 2
    assert len(list((tmp_path / "policies/lerobot/eval").rglob("*.mp4"))) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_the_page_on_policies_shows_runs_in_order(tmp_path: Path):
    page = ROOT / "docs" / "policies.md"
    (inputs,) = blocks(page, "json")
    assert ImageInputs.from_json(json.loads(inputs)).size == (24, 24)
    run_all(commands(page), tmp_path)
    for code in blocks(page, "python"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
    assert {file.name for file in (tmp_path / "pictures/flow").glob("*.png")} == {"front.png", "wrist.png"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_lockstep_runs_and_tells_what_it_quotes(tmp_path: Path):
    page = ROOT / "docs" / "lockstep.md"
    run_all(commands(page), tmp_path)
    random, late, replay = (
        json.loads((tmp_path / f"lockstep/{name}/lockstep.json").read_text()) for name in ("random", "late", "replay")
    )
    assert set(late["series"]) <= set(re.findall(r"`(\w+)`", page.read_text()))
    assert random["partings"]
    assert replay["partings"] == late["partings"] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_annotating_runs_and_names_every_column(tmp_path: Path):
    page = ROOT / "docs" / "annotating.md"
    run_all(commands(page), tmp_path)
    named = set(re.findall(r"`(datagen_info\.\w+)\.[A-Z]+`", page.read_text()))
    for folder in ("sources", "back"):
        info = json.loads((tmp_path / "data" / folder / "meta/info.json").read_text())
        new = {name.rpartition(".")[0] for name in info["features"] if name.startswith("datagen_info.")}
        assert (info["total_episodes"], len(new)) == (4, 4)
        assert new <= named


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_generating_runs_and_what_is_made_replays(tmp_path: Path):
    page = ROOT / "docs" / "generating.md"
    run_all(commands(page), tmp_path)
    out = tmp_path / "data/generated"
    yields = json.loads((out / "meta/etude/yields.json").read_text())
    assert yields["overall"]["n"] == 20
    assert yields["overall"]["k"] == json.loads((out / "meta/info.json").read_text())["total_episodes"]
    replayed = run(
        "etude eval franka-stack:cubes=2,distractors=0,max_steps=200 --policy replay:data/generated --out again",
        tmp_path,
    )
    assert f"{yields['overall']['k']}/{yields['overall']['k']}" in replayed.stdout, replayed.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_practising_runs_and_names_every_arm_and_setting(tmp_path: Path):
    page = ROOT / "docs" / "practising.md"
    text = page.read_text()
    (own,) = blocks(page, "toml")
    (tmp_path / "arms.toml").write_text(own)
    assert [name for name in ARMS if not re.search(rf"\b{name}\b", text)] == []
    settings = {field.name for field in fields(Arm)} - {"name"}
    assert set(re.findall(r"^\| (\w+) \| .*\|$", text, re.MULTILINE)) >= settings
    run_all(commands(page), tmp_path)
    chosen = sorted((tmp_path / "runs").rglob("choose/index.html"))
    assert [path.parent.parent.name for path in chosen] == ["bold", "gradient"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_scoring_runs_and_names_every_score(tmp_path: Path):
    page = ROOT / "docs" / "scoring.md"
    run_all(commands(page), tmp_path)
    assert set(SCORES) <= set(re.findall(r"^\| `([\w-]+)` \|", page.read_text(), re.MULTILINE))
    columns = pq.read_schema(tmp_path / "scores/compared/scores.parquet").names
    assert columns[:6] == ["episode_index", "length", "norm", "split", "loss", "random"]
    assert {re.sub(":.*", ":NAME", column) for column in columns[6:]} == {"factor:NAME"}
    assert (tmp_path / "scores/compared/index.html").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_studies_runs_and_names_every_question(tmp_path: Path):
    page = ROOT / "docs" / "studies.md"
    run_all(commands(page), tmp_path)
    plan = tmp_path / "studies/try/plan.json"
    told = json.loads((tmp_path / "studies/try/report/summary.json").read_text())
    assert told["plan"] == hashlib.sha256(plan.read_bytes()).hexdigest()
    assert len(told["replicates"]) == 2
    answers = told["verdicts"]["targeted"]["answers"]
    assert all(f"| {question} |" in page.read_text() for question in answers)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_planted_failures_runs_and_finds_them(tmp_path: Path):
    page = ROOT / "docs" / "planted.md"
    (weak,) = blocks(page, "json")
    (tmp_path / "weak.json").write_text(weak)
    run_all(commands(page), tmp_path)
    found = json.loads((tmp_path / "search/weak/pockets.json").read_text())["pockets"]
    for pocket in json.loads(weak)["pockets"]:
        assert any(set(other["bounds"]) == set(pocket["bounds"]) for other in found)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_what_pockets_take_runs_and_its_plan_is_carried_out(tmp_path: Path):
    page = ROOT / "docs" / "needs.md"
    (weak,) = blocks(page, "json")
    (tmp_path / "weak.json").write_text(weak)
    run_all(commands(page), tmp_path)
    needs = json.loads((tmp_path / "needs/first/needs.json").read_text())["needs"]
    assert {count for need in needs for count in need["measured"]} == {"0", "2", "4"}
    assert (tmp_path / "data/aimed/meta/info.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_training_elsewhere_runs_and_waits_where_it_says(tmp_path: Path):
    lines = commands(ROOT / "docs" / "elsewhere.md")
    done = [run(line, tmp_path) for line in lines]
    assert [one.returncode for one in done] == [3, 0, 3, 0, 0], "\n".join(one.stderr for one in done)
    handed = tmp_path / "runs/vla/round-01/uniform/hand-over"
    named = set(re.findall(r"^      ([\w.]+)", (ROOT / "docs" / "elsewhere.md").read_text(), re.MULTILINE))
    assert {"lerobot", "weights.json", "instructions.md"} <= named
    assert {path.name for path in handed.iterdir()} - {"manifest.json", "started.json", "trained.json"} <= named


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_diagnosis_runs_and_proves_what_was_planted(tmp_path: Path):
    page = ROOT / "docs" / "diagnosis.md"
    (weak,) = blocks(page, "json")
    (tmp_path / "weak.json").write_text(weak)
    run_all(commands(page), tmp_path)
    folder = tmp_path / "diagnosis/first"
    first = json.loads((folder / "diagnosis.json").read_text())["causes"][0]
    proven = {effect["factor"] for effect in first["effects"] if effect["verdict"] == "confirmed"}
    assert proven == set(first["bounds"]) == set(json.loads(weak)["pockets"][0]["bounds"])
    named = set(re.findall(r"`([\w:]+)`", page.read_text()))
    columns = pq.read_schema(folder / "counterfactuals.parquet").names
    assert {re.sub(":.*", ":NAME", column) for column in columns} <= named


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_searching_runs_and_names_every_searcher_and_key(tmp_path: Path):
    page = ROOT / "docs" / "searching.md"
    (weak,) = blocks(page, "json")
    (tmp_path / "weak.json").write_text(weak)
    run_all(commands(page), tmp_path)
    text = page.read_text()
    assert all(f"| `{name}` |" in text for name in SEARCHERS)
    told = json.loads((tmp_path / "search/more/search.json").read_text())
    assert told["archive"]["rollouts"] == 96 + 64
    assert all(f"`{key}`" in text for key in told)
    (quoted,) = blocks(page, "py")
    assert quoted in (ROOT / "src/etude/search/random_search.py").read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_evaluation_runs_and_names_every_column_and_key(tmp_path: Path):
    page = ROOT / "docs" / "evaluation.md"
    run_all(commands(page), tmp_path)
    named = set(re.findall(r"`([\w:]+)`", page.read_text()))
    for folder in (tmp_path / "results").iterdir():
        columns = pq.read_schema(folder / "outcomes.parquet").names
        keys = json.loads((folder / "summary.json").read_text())
        assert {re.sub(":.*", ":NAME", column) for column in columns} | set(keys) <= named
    replayed = json.loads((tmp_path / "results/replay/summary.json").read_text())
    assert (replayed["success"]["k"], replayed["success"]["n"]) == (3, 3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_comparing_runs_and_names_every_key(tmp_path: Path):
    page = ROOT / "docs" / "comparing.md"
    (weak,) = blocks(page, "json")
    (tmp_path / "weak.json").write_text(weak)
    run_all(commands(page), tmp_path)
    named = set(re.findall(r"`([^`]+)`", FENCED.sub("", page.read_text())))
    for name in ("compared", "sooner", "evaluated"):
        found = json.loads((tmp_path / "results" / name / "comparison.json").read_text())
        assert set(found) | set(found["difference"]) | set(found["a"]) | set(found["sequential"] or ()) <= named
        assert found["verdict"]["better"] != "b"
    assert json.loads((tmp_path / "results/sooner/comparison.json").read_text())["sequential"]["saved"] > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_servers_runs_and_what_is_served_does_what_it_does_here(tmp_path: Path):
    page = ROOT / "docs" / "remote.md"
    (names,) = blocks(page, "json")
    (tmp_path / "names.json").write_text(names)
    RemoteMapping.read(tmp_path / "names.json")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    lines = [line.replace("8000", port) for line in commands(page)]
    serve = next(i for i, line in enumerate(lines) if line.startswith("etude serve"))
    run_all(lines[:serve], tmp_path)
    etude = Path(sys.executable).with_name("etude")
    server = subprocess.Popen([etude, *shlex.split(lines[serve])[1:]], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert port in server.stdout.readline()
        run_all(lines[serve + 1 :], tmp_path)
    finally:
        server.terminate()
        server.communicate(timeout=60)
    results = tmp_path / "results"
    assert (results / "served/outcomes.parquet").read_bytes() == (results / "here/outcomes.parquet").read_bytes()


def test_a_task_of_ones_own_is_short_and_known_to_every_command(tmp_path: Path):
    page = ROOT / "docs" / "own-task.md"
    module = "\n\n".join(block.strip("\n") for block in blocks(page, "python")) + "\n"
    assert len(module.splitlines()) <= 120
    package = tmp_path / "package"
    install(package, *blocks(page, "toml"), **{"push.py": module})
    run_all(commands(page), tmp_path, PYTHONPATH=str(package))
    told = json.loads((tmp_path / "results/expert/summary.json").read_text())
    assert told["success"]["k"] >= 19


def test_what_the_page_quotes_of_a_derived_task_is_its_code():
    source = (ROOT / "src/etude/sim/worlds/aloha/one_arm.py").read_text()
    quotes = blocks(ROOT / "docs" / "own-task.md", "py")
    assert len(quotes) == 3
    for quote in quotes:
        assert quote in source


def install(package: Path, project: str, **modules: str) -> None:
    """What pip makes of a pyproject: modules, and metadata that tells its entry points."""
    settings = tomllib.loads(project)["project"]
    metadata = package / f"{settings['name'].replace('-', '_')}-{settings['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Name: {settings['name']}\nVersion: {settings['version']}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items())])
        for group, points in settings["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups) + "\n")
    for name, text in modules.items():
        (package / name).write_text(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path):
    for link in (a or b for a, b in LINK.findall(page.read_text())):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_a_page_names_exist(page: Path):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^(?:    |\$ )?make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
