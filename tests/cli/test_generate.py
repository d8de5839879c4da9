"""`etude generate`: from annotated demonstrations to a dataset with its yields, and what is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli.running import Run
from toys import SPACE

from etude.acquisition.distributions import MutationDistributions
from etude.cli import main
from etude.cli.stratifying import Strata
from etude.core import InfeasibleError, Perturbation, Rate
from etude.core.files import write_json
from etude.data import DatasetMeta
from etude.sim import make_task

TASK = "franka-lift:distractors=0,cameras=none"

CROWDED = "franka-lift:distractors=1,cameras=none"
BLOCKED = (
    "--task", CROWDED, "--theta", "distractors.count=1",
    "distractor_1.x_m=0.5", "distractor_1.y_m=0", "cube_red.x_m=0.5", "cube_red.y_m=0",
)  # fmt: skip
EVENLY = ("--accepted", "8", "--space", "uniform", "--stratify")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    one = ["--executor", "serial"]
    assert main(["collect", TASK, "--episodes", "3", "--out", str(folder / "demos"), *one]) == 0
    assert main(["annotate", str(folder / "demos"), "--auto", "--out", str(folder / "sources"), *one]) == 0
    return folder / "sources"


def test_demonstrations_are_made_and_the_yield_is_told(run: Run, sources: Path, tmp_path: Path):
    out = tmp_path / "new"
    command = ("generate", "--source", sources, "--space", "uniform", "--executor", "serial", "--out", out)
    told, _ = run(*command, "--attempts", 4)
    meta, yields = DatasetMeta.open(out), json.loads((out / "meta/etude/yields.json").read_text())
    assert meta.task == TASK
    assert yields["overall"]["n"] == 4
    assert yields["overall"]["k"] == meta.total_episodes
    assert re.search(rf"all +{meta.total_episodes}/4 ", told)
    assert "etude train --dataset" in told
    space = make_task(TASK).space
    assert {*yields["factors"], *yields["unseen"]} == set(space.names)
    assert {space[name].kind for name in yields["unseen"]} == {"camera", "lighting", "appearance"}
    assert "16 factors of cameras, light and colours cannot change an attempt" in " ".join(told.split())
    page = out / "meta/etude/yields.html"
    text = page.read_text()
    assert "By source demonstration" in text
    page.unlink()
    run("report", out)
    assert page.read_text() == text
    run(*command, "--attempts", 5, "--resume")
    assert json.loads((out / "meta/etude/yields.json").read_text())["overall"]["n"] == 5
    told, _ = run(*command, "--attempts", 5, "--resume", "--noise", "0.1", code=2)
    assert told == ""


def test_lines_of_json_end_with_the_yields(run: Run, sources: Path, tmp_path: Path):
    command = ("generate", "--source", sources, "--accepted", 2, "--out", tmp_path / "d", "--executor", "serial")
    told, _ = run(*command, "--json", "--noise", "0.03", "--select", "nearest-object", "--per-subtask")
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line.get("saved") for line in lines] == [0, 1, None]
    assert lines[-1]["yields"]["overall"]["k"] == 2


def test_a_rounds_distributions_say_where(run: Run, sources: Path, tmp_path: Path):
    names = make_task(TASK).space.names
    MutationDistributions.start(names, [0, 1, 2]).save(tmp_path / "distributions.json")
    aimed = ("generate", "--source", sources, "--accepted", 1, "--executor", "serial", "--out", tmp_path / "d")
    run(*aimed, "--distribution", tmp_path / "distributions.json")
    (record,) = DatasetMeta.open(tmp_path / "d").episodes
    assert record.case is not None
    assert set(record.case.theta.values) == set(names)


def test_distributions_of_other_sources_are_told_and_leave_nothing(run: Run, sources: Path, tmp_path: Path):
    aim = tmp_path / "distributions.json"
    MutationDistributions.start(make_task(TASK).space.names, [0, 4, 7]).save(aim)
    command = ("generate", "--source", sources, "--accepted", 1, "--executor", "serial", "--distribution", aim)
    _, err = run(*command, "--out", tmp_path / "d", code=2)
    assert f"--distribution {aim} mutates source demonstrations that --source {sources} does not have: 4, 7;" in err
    assert [path.name for path in tmp_path.iterdir()] == [aim.name]


def test_distributions_of_a_run_of_the_expert_say_where_but_not_from_what(run: Run, sources: Path, tmp_path: Path):
    aim = tmp_path / "distributions.json"
    MutationDistributions.start(make_task(TASK).space.names, [-1]).save(aim)
    command = ("generate", "--source", sources, "--accepted", 1, "--executor", "serial", "--distribution", aim)
    run(*command, "--out", tmp_path / "d")
    (record,) = DatasetMeta.open(tmp_path / "d").episodes
    assert record.source_episode in {0, 1, 2}


def test_a_dataset_that_generate_did_not_begin_is_not_gone_on_with(run: Run, sources: Path):
    command = ("generate", "--source", sources, "--accepted", 4, "--executor", "serial", "--out", sources)
    assert (
        f"'{sources}' was not begun by `etude generate`: choose another --out." in run(*command, "--resume", code=2)[1]
    )


def test_a_perturbation_comes_from_a_file(run: Run, sources: Path, tmp_path: Path):
    theta = {"cube.scale": 1.05, "cube_red.x_m": 0.47}
    write_json(tmp_path / "theta.json", theta)
    command = ("generate", "--source", sources, "--executor", "serial", "--out", tmp_path / "d")
    aimed = (*command, "--theta", tmp_path / "theta.json", "cube_red.y_m=0.05")
    run(*aimed, "--accepted", 1)
    (record,) = DatasetMeta.open(tmp_path / "d").episodes
    assert record.case is not None
    assert record.case.theta == Perturbation({**theta, "cube_red.y_m": 0.05})
    run(*aimed, "--accepted", 2, "--resume")
    write_json(tmp_path / "theta.json", {**theta, "cube.scale": 1.0})
    _, err = run(*aimed, "--accepted", 3, "--resume", code=2)
    assert "cube.scale=1.05" in err
    assert "cube.scale=1.0'" in err


def test_distributions_without_a_feasible_world_are_told_and_leave_nothing(run: Run, sources: Path, tmp_path: Path):
    names = make_task(CROWDED).space.names
    start = MutationDistributions.start(names, [0, 1, 2])
    middle = np.where(np.array(names) == "distractors.count", 1.0, start.mean)  # where cube and distractor both are
    narrow = replace(start, mean=middle, variance=np.full_like(start.variance, 1e-8))
    narrow.save(tmp_path / "distributions.json")
    aimed = ("generate", "--source", sources, "--task", CROWDED, "--executor", "serial", "--out", tmp_path / "d")
    _, err = run(*aimed, "--accepted", 1, "--distribution", tmp_path / "distributions.json", code=2)
    assert "no feasible point in 10000 draws from the mutation distributions" in err
    assert [path.name for path in tmp_path.iterdir()] == ["distributions.json"]


def test_attempts_that_all_fail_end_with_where_and_the_yields(run: Run, sources: Path, tmp_path: Path):
    hurried = f"{TASK},max_steps=3"
    command = ("generate", "--source", sources, "--task", hurried, "--executor", "serial", "--out", tmp_path / "d")
    told, err = run(*command, "--attempts", 2, code=2)
    assert "only 0 of 2 attempts" in err
    assert "no reach before the first sub-task (2)" in err  # which is what running out of time is called here
    assert "or give it more time (max_steps=6 in the task)" in err
    assert "etude train" not in told
    assert f"page: {tmp_path / 'd/meta/etude/yields.html'}" in told
    assert json.loads((tmp_path / "d/meta/etude/yields.json").read_text())["overall"]["n"] == 2


def test_equal_numbers_are_made_in_every_part(run: Run, sources: Path, tmp_path: Path):
    out = tmp_path / "d"
    command = ("generate", "--source", sources, "--space", "uniform", "--executor", "serial", "--out", out)
    stratified = (*command, "--stratify", "cube.scale:2")
    told, _ = run(*stratified, "--accepted", 4, "--json")
    parts = json.loads(told.splitlines()[-1])["parts"]
    assert parts == json.loads((out / "meta/etude/parts.json").read_text())
    assert [(part["wanted"], part["rate"]["k"]) for part in parts] == [(2, 2), (2, 2)]
    middle = parts[0]["ranges"]["cube.scale"][1]
    scales = [episode.case.theta.values["cube.scale"] for episode in DatasetMeta.open(out).episodes if episode.case]
    assert sum(scale < middle for scale in scales) == 2
    told, _ = run(*stratified, "--accepted", 4, "--resume")
    assert "2 of 2 parts of the space have the 2 demonstrations wanted" in told
    _, err = run(*stratified, "--accepted", 6, "--resume", code=2)
    assert "accepted" in err


def test_holes_are_told():
    strata = Strata.of(make_task(TASK).space, ["cube.scale:2"], (), 4)
    first, *holes = strata.told([Rate(2, 3), Rate(1, 50)])
    assert first == "1 of 2 parts of the space have the 2 demonstrations wanted"
    assert len(holes) == 1
    assert re.fullmatch(r"hole: cube\.scale [\d.]+ to [\d.]+: 1/50 attempts succeeded", holes[0])


def test_parts_of_which_none_is_feasible_are_refused():
    with pytest.raises(InfeasibleError, match=r"no part of --stratify light\.intensity:2 has a feasible world"):
        Strata.of(SPACE, ["light.intensity:2"], ["goal.x_m=0", "goal.y_m=0"], 4)


def test_one_factor_at_a_time_is_varied(run: Run, sources: Path, tmp_path: Path):
    command = ("generate", "--source", sources, "--space", "factors", "--executor", "serial", "--out", tmp_path / "d")
    run(*command, "--attempts", 4)
    episodes = [e.case.theta.values for e in DatasetMeta.open(tmp_path / "d").episodes if e.case]
    assert {len(values) for values in episodes} == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "say either --attempts N or --accepted N"),
        (("--attempts", "3", "--accepted", "3"), "say either"),
        (("--attempts", "0"), "--attempts"),
        (("--attempts", "3", "--distribution", "x.json", "--space", "uniform"), "leave out --theta and --space"),
        (("--attempts", "3", "--distribution", "x.json"), "x.json"),
        (("--attempts", "3", "--noise", "7"), "--noise 7 is out of range"),
        (("--attempts", "3", "--task", "so101-sort"), "other actions"),
        (("--attempts", "3", "--theta", "light.intensity=99"), "outside its range"),
        (("--attempts", "3", "--theta", "none.json"), "there is no such file"),
        (("--attempts", "3", *BLOCKED), "infeasible"),
        (("--attempts", "3", *BLOCKED, "--space", "uniform"), "no draw of 10000 was feasible"),
        (("--attempts", "3", *BLOCKED, "--space", "factors"), "infeasible"),
        (("--attempts", "3", "--space", "uniform", "--stratify", "light.intensity"), "--accepted, not --attempts"),
        (("--accepted", "8", "--stratify", "light.intensity"), "--space nominal does not vary it"),
        (("--accepted", "8", "--space", "factors", "--stratify", "light.intensity"), "choose --space uniform"),
        (("--accepted", "8", "--distribution", "x", "--stratify", "light.intensity"), "leave out --stratify"),
        ((*EVENLY, "light.intensity", "--theta", "light.intensity=0.5"), "--theta fixes it"),
        ((*EVENLY, "light.intensity:3"), "--accepted 8: not divisible into the 3 parts of --stratify; choose 6 or 9."),
        ((*EVENLY, "light.intensity:many"), "expected FACTOR or FACTOR:BINS with 2 to 20 bins"),
        ((*EVENLY, "light.intensity:1"), "2 to 20 bins"),
        ((*EVENLY, "light.intensity", "light.intensity:2"), "names factor 'light.intensity' twice"),
        ((*EVENLY, "light.intensty"), "light.intensty"),
        ((*EVENLY, "light.intensity:2", "cube.scale:2", "table.friction:2"), "3 factors"),
    ],
)
def test_bad_options_are_told_and_leave_nothing(
    run: Run, sources: Path, tmp_path: Path, options: tuple[str, ...], message: str
):
    _, err = run("generate", "--source", sources, "--out", tmp_path / "d", *options, code=2)
    assert message in err
    assert not (tmp_path / "d").exists()


def test_demonstrations_that_are_not_annotated_are_refused(run: Run, sources: Path, tmp_path: Path):
    plain = sources.with_name("demos")
    _, err = run("generate", "--source", plain, "--accepted", 1, "--out", tmp_path / "d", code=2)
    assert "is not annotated" in err
    assert "etude annotate" in err
