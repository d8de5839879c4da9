"""A planted policy fails where it was told to, says so on every rerun, and is the expert everywhere else."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from toys import PointTask

from etude.cli import main
from etude.compute import SerialExecutor
from etude.core import Case, ConfigError, EtudeError, Outcome, Perturbation, PolicyFactory, Rate, stream
from etude.evaluation import Expert, Planted, Runner
from etude.evaluation.planted import MODES
from etude.loop.wiring import policy_factory

TASK = PointTask()
BOX = {"bounds": {"light.intensity": [0.2, 0.4], "cube.scale": [1.0, 1.2]}}


def planted(*pockets: dict[str, Any], elsewhere: float = 0.0) -> Planted:
    return Planted.from_json({"pockets": list(pockets), "elsewhere": elsewhere}, TASK)


def cases(count: int, **theta: float) -> list[Case]:
    drawn = [TASK.space.sample(stream(seed, "case")).values for seed in range(count)]
    return [Case(Perturbation({**values, **theta}), seed) for seed, values in enumerate(drawn)]


def outcomes(policy: PolicyFactory, some: Sequence[Case], slots: int = 8) -> list[Outcome]:
    return Runner(TASK, policy, SerialExecutor(), slots=slots).run(some)


INSIDE = {"light.intensity": 0.3, "cube.scale": 1.1, "goal.x_m": 0.5, "goal.y_m": -0.1}


@pytest.mark.parametrize("mode", ["drift", "noise"])
def test_inside_a_box_it_fails_by_degrees(mode: str) -> None:
    found = outcomes(planted({**BOX, "failure": 1.0, "mode": mode}), cases(40, **INSIDE))
    assert sum(o.success for o in found) <= 10  # this world forgives: the point may stray onto its goal
    progress = [o.progress for o in found if not o.success]
    assert len(set(progress)) > 20
    assert max(progress) - min(progress) > 0.3


def test_outside_all_boxes_it_is_the_expert_bit_for_bit() -> None:
    outside = [case for case in cases(60) if case.theta.values["cube.scale"] < 1.0]
    assert len(outside) > 20
    assert outcomes(planted(BOX), outside) == outcomes(Expert(TASK), outside)


@pytest.mark.parametrize("chance", [0.0, 0.4, 1.0])
def test_failures_are_as_frequent_as_asked(chance: float) -> None:
    inside = planted({**BOX, "failure": chance}), cases(200, **INSIDE)
    outside = planted(BOX, elsewhere=chance), cases(200, **{"cube.scale": 0.9})
    for policy, some in (inside, outside):
        memories = [policy.create().begin_at(case, stream(case.seed)) for case in some]
        onsets = [memory.onset for memory in memories if memory.onset is not None]
        spoilt = Rate(len(onsets), len(some))
        assert spoilt.low <= chance <= spoilt.high
        assert all(0 <= onset < 0.2 * TASK.max_steps for onset in onsets)


def test_what_a_case_leaves_unset_is_nominal() -> None:
    unset = Case(Perturbation({"light.intensity": 0.3}), 0)
    for low, inside in ((0.9, True), (1.05, False)):
        bounds = {"light.intensity": [0.2, 0.4], "cube.scale": [low, 1.1]}
        policy = planted({"bounds": bounds, "failure": 1.0}).create()
        assert (policy.begin_at(unset, stream(0)).onset is not None) == inside


@pytest.mark.parametrize("mode", MODES)
def test_a_case_ends_the_same_in_any_company(mode: str) -> None:
    policy, some = planted({**BOX, "failure": 0.5, "mode": mode}), cases(12, **INSIDE)
    together = outcomes(policy, some)
    assert together == outcomes(policy, some, slots=1)
    assert list(reversed(together)) == outcomes(policy, some[::-1], slots=3)


def test_of_several_boxes_the_first_decides() -> None:
    some = cases(10, **INSIDE)
    never, always = {**BOX, "failure": 0.0}, {**BOX, "failure": 1.0, "mode": "noise"}
    for policy, spoilt in ((planted(never, always), False), (planted(always, never), True)):
        assert all((policy.create().begin_at(case, stream(0)).onset is not None) == spoilt for case in some)


def test_it_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "weak.json").write_text(json.dumps({"pockets": [BOX], "elsewhere": 0.02}))
    assert policy_factory(f"planted:{tmp_path / 'weak.json'}", TASK) == planted(BOX, elsewhere=0.02)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ([], 'expected {"pockets"'),
        ({"pockets": []}, "one pocket at least"),
        ({"pockets": [{}]}, "pocket 0: expected"),
        ({"pockets": [BOX], "elswhere": 0.1}, "unknown key 'elswhere'. Did you mean 'elsewhere'?"),
        ({"pockets": [BOX], "elsewhere": 1.5}, "elsewhere = 1.5: a chance is a number from 0 to 1"),
        ({"pockets": [{**BOX, "failure": "often"}]}, "failure of pocket 0 = often"),
        ({"pockets": [BOX, {**BOX, "mode": "nosie"}]}, "unknown mode of pocket 1 'nosie'. Did you mean 'noise'?"),
        ({"pockets": [{"bounds": {"light.intensty": [0, 1]}}]}, "Did you mean 'light.intensity'?"),
        ({"pockets": [{"bounds": {"light.intensity": [0.2, 7]}}]}, "= 7 is outside its range [0.2, 1]"),
        ({"pockets": [{"bounds": {"light.intensity": [0.5, 0.4]}}]}, "write the lower bound first"),
        ({"pockets": [{"bounds": {"light.intensity": 0.4}}]}, "expected [LOW, HIGH], got 0.4"),
        ({"pockets": [{"bounds": {"light.intensity": [float("nan"), 1]}}]}, "expected [LOW, HIGH]"),
    ],
)
def test_a_file_that_cannot_be_is_one_line_that_names_it(record: Any, told: str, tmp_path: Path) -> None:
    file = tmp_path / "weak.json"
    file.write_text(json.dumps(record))
    with pytest.raises(EtudeError) as error:
        Planted.parse(str(file), TASK)
    assert told in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises((ConfigError, EtudeError)):
        Planted.from_json(record, TASK)


WEAK = {
    "elsewhere": 0.02,
    "pockets": [
        {"bounds": {"cube_red.x_m": [0.38, 0.45], "cube_red.yaw_rad": [0.2, 1.0]}, "mode": "drift"},
        {"bounds": {"light.intensity": [0.4, 0.65], "cube.scale": [1.03, 1.12]}, "mode": "stuck"},
    ],
}


@pytest.mark.slow
def test_in_physics_a_search_finds_what_was_planted_and_counterfactuals_prove_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weak.json").write_text(json.dumps(WEAK))
    asked = ["search", "franka-lift:cameras=none,distractors=0", "--policy", f"planted:{tmp_path / 'weak.json'}"]
    sizes = ["--budget", "300", "--exam-cases", "4", "--dev-cases", "2", "--test-cases", "4", "--processes", "1"]
    assert main([*asked, *sizes, "--out", str(tmp_path / "search")]) == 0
    truth = [set(pocket["bounds"]) for pocket in WEAK["pockets"]]  # type: ignore[index]
    found = json.loads((tmp_path / "search/pockets.json").read_text())["pockets"]
    for factors in truth:
        (pocket, *_) = [pocket for pocket in found if set(pocket["bounds"]) == factors]
        assert pocket["inside"][0] >= 16, pocket  # of 20
    told = ["diagnose", str(tmp_path / "search"), "--rollouts", "500", "--processes", "1"]
    assert main([*told, "--out", str(tmp_path / "why")]) == 0
    causes = json.loads((tmp_path / "why/diagnosis.json").read_text())["causes"]
    proven = {e["factor"] for cause in causes for e in cause["effects"] if e["verdict"] == "confirmed"}
    planted_factors = set[str]().union(*truth)
    assert proven <= planted_factors
    assert len(proven) >= 3
