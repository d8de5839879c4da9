"""A diagnosis finds planted causes, says why where it finds none, and its JSON is as the schema says."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from etude.core import Case, Cause, ConfigError, Diagnosis, Effect, EtudeError, Perturbation, Rate, stream
from etude.core.files import write_json
from etude.diagnosis import Counterfactual, Episodes, diagnose, recommend
from etude.diagnosis.planted import PlantedCauses
from etude.diagnosis.schema import diagnosis_schema
from etude.diagnosis.scoring import Score, compare
from etude.diagnosis.wording import describe_cause, describe_effect
from etude.loop.diagnosing import beam

SCHEMA = Path(__file__).parents[2] / "docs" / "diagnosis.schema.json"


def planted(seed: int = 1, count: int = 500) -> tuple[PlantedCauses, Episodes]:
    rng = stream(seed, "planted")
    world = PlantedCauses.draw(rng)
    cases = tuple(Case(world.space.sample(rng), i) for i in range(count))
    outcomes = world.policy(cases)
    return world, Episodes(
        space=world.space,
        cases=cases,
        success=tuple(o.success for o in outcomes),
        failure_modes=tuple(o.failure_mode for o in outcomes),
    )


@pytest.fixture(scope="module")
def found() -> tuple[Diagnosis, list[Counterfactual]]:
    world, seen = planted()
    return diagnose(seen, beam, task="planted", policy="weak", seed=0, roll=world.policy)


def diagnosed(seen: Episodes) -> Diagnosis:
    return diagnose(seen, beam, task="planted", policy="weak", seed=0)[0]


def test_planted_causes_are_found_and_proven():
    """A small part of `python -m benchmarks.diagnosis`, which has the intervals."""
    total = Score()
    for seed in range(6):
        world, seen = planted(seed, count=600)
        diagnosis, _ = diagnose(seen, beam, task="planted", policy="weak", seed=0, roll=world.policy)
        total += compare(world, seen, diagnosis, stream(seed, "compare"))
    rates = total.rates()
    assert rates["recall"].value >= 0.8
    assert rates["precision"].value >= 0.8
    assert rates["verdicts"].value >= 0.95
    assert rates["verdicts"].n >= 20


def test_a_diagnosis_is_the_same_again(found: tuple[Diagnosis, list[Counterfactual]]):
    world, seen = planted()
    again = diagnose(seen, beam, task="planted", policy="weak", seed=0, roll=world.policy)
    assert again[0].to_json() == found[0].to_json()
    assert [one.outcome for one in again[1]] == [one.outcome for one in found[1]]


def test_the_published_schema_is_that_of_the_records(found: tuple[Diagnosis, list[Counterfactual]]):
    assert json.loads(SCHEMA.read_text()) == diagnosis_schema(), (
        "write it again: python -m etude.diagnosis.schema > docs/diagnosis.schema.json"
    )


def test_every_diagnosis_is_valid_and_comes_back_whole(found: tuple[Diagnosis, list[Counterfactual]], tmp_path: Path):
    _, seen = planted()
    none = replace(seen, success=(True,) * len(seen))
    for diagnosis in (found[0], diagnosed(seen), diagnosed(none)):
        jsonschema.Draft202012Validator(diagnosis_schema()).validate(diagnosis.to_json())
        write_json(tmp_path / "diagnosis.json", diagnosis.to_json())
        assert Diagnosis.load(tmp_path / "diagnosis.json").to_json() == diagnosis.to_json()


def test_a_file_that_is_no_diagnosis_is_refused(tmp_path: Path):
    write_json(tmp_path / "diagnosis.json", {"causes": []})
    with pytest.raises(EtudeError, match="is not a diagnosis"):
        Diagnosis.load(tmp_path / "diagnosis.json")


def test_without_a_simulator_rules_are_told_and_nothing_is_proven():
    diagnosis = diagnosed(planted()[1])
    assert diagnosis.causes
    assert {cause.verdict for cause in diagnosis.causes} == {"untested"}
    assert diagnosis.rollouts == 0
    assert len(diagnosis.plan.practices) == len(diagnosis.causes) + 1


@pytest.mark.parametrize(
    ("failures", "told"),
    [(0, "No failures among 500 episodes: with 95 % certainty it fails at most 0.8%"), (500, "All 500 episodes failed"),
     (3, "3 failures among 500 episodes are too few")],
)  # fmt: skip
def test_where_nothing_can_be_found_it_says_why(failures: int, told: str):
    _, seen = planted()
    diagnosis = diagnosed(replace(seen, success=tuple(i >= failures for i in range(500))))
    assert diagnosis.notes[0].startswith(told)
    assert diagnosis.causes == ()
    assert [dict(practice.bounds) for practice in diagnosis.plan.practices] == [{}]


def test_episodes_that_are_all_alike_are_refused():
    _, seen = planted()
    alike = tuple(Case(Perturbation({"thing_5.size_m": 0.0}), i) for i in range(len(seen)))
    with pytest.raises(ConfigError, match="nothing varies between the 500 episodes"):
        diagnosed(replace(seen, cases=alike))


def cause(name: str, verdict: str, *, volume: float = 0.1, solved: int = 9) -> Cause:
    effect = Effect(
        factor="lamp", repaired=Rate(9, 10), sham=Rate(0, 10), difference=(0.9, 0.6, 1.0), verdict=verdict  # type: ignore[arg-type]
    )  # fmt: skip
    return Cause(
        name=name, bounds={"lamp": (0.0, 1.0)}, inside=Rate(9, 10), outside=Rate(1, 10), p=0.01, volume=volume,
        expert=Rate(solved, 10), effects=(effect,),
    )  # fmt: skip


def test_every_cause_has_its_share_and_a_large_one_does_not_starve_the_others():
    plan = recommend([cause("big", "confirmed", volume=0.4), cause("small", "confirmed", volume=0.004)])
    big, small, everywhere = (practice.share for practice in plan.practices)
    assert everywhere == pytest.approx(0.2)
    assert big > 2 * small > 0.3
    assert dict(plan.practices[-1].bounds) == {}


def test_what_is_refuted_or_unsolvable_is_not_practised():
    left = recommend([cause("a", "refuted"), cause("b", "confirmed", solved=0), cause("c", "undecided")])
    assert [practice.why.partition(":")[0] for practice in left.practices[:-1]] == ["c"]
    nothing = recommend([cause("a", "refuted")])
    assert [(dict(p.bounds), p.share) for p in nothing.practices] == [({}, 1.0)]


def test_causes_and_effects_in_words(found: tuple[Diagnosis, list[Counterfactual]]):
    first = found[0].causes[0]
    assert describe_cause(first, found[0]).startswith("cause-1, proven: thing_")
    assert "% fail, n = " in describe_cause(first, found[0]).replace("\u00a0", " ")
    assert describe_effect(cause("a", "confirmed").effects[0]) == (
        "undoing lamp repairs 9/10, the sham 0/10: +90 points (+60 to +100): proven"
    )
