"""A few films show every way to fail, and a list beside them says what they show."""

import json
from collections.abc import Sequence
from pathlib import Path

from toys import PlantedPolicy, PointTask

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import CRASHED, Case, Outcome, Perturbation
from etude.core.files import read_json
from etude.evaluation import Runner, film_cases, worth_seeing


def ended(*endings: tuple[str, float]) -> list[Outcome]:
    case = Case(Perturbation(), 0)
    return [
        Outcome(
            case=case, success=not mode, progress=p, stage="", failure_mode=mode, length=1, total_reward=0, subtasks={}
        )
        for mode, p in endings
    ]


OUTCOMES = ended(("a", 0.5), ("b", 0.4), ("a", 0.1), ("", 1), ("a", 0.3), (CRASHED, 0), ("b", 0.2), ("", 1), ("c", 0.9))


def test_every_mode_comes_in_turn_and_the_worst_of_each_first() -> None:
    def shown(count: int) -> list[str]:
        return [f"{OUTCOMES[i].failure_mode}{OUTCOMES[i].progress:g}" for i in worth_seeing(OUTCOMES, count)]

    assert shown(1) == ["a0.1"]
    assert shown(3) == ["a0.1", "b0.2", "c0.9"]
    assert shown(5) == ["a0.1", "a0.3", "b0.2", "b0.4", "c0.9"]
    assert shown(7) == ["a0.1", "a0.3", "a0.5", "b0.2", "b0.4", "c0.9", "1"]  # successes where failures are too few
    assert len(shown(99)) == len(OUTCOMES) - 1  # what ends its process is not run again


def film(outcomes: Sequence[Outcome], folder: Path, executor: SerialExecutor | ProcessExecutor, count: int) -> int:
    indices = worth_seeing(outcomes, count)
    return len(list(film_cases(PointTask(), PlantedPolicy(failure=1.0), outcomes, indices, folder, executor)))


def test_films_are_made_anywhere_once_and_listed(tmp_path: Path) -> None:
    cases = [Case(Perturbation({"light.intensity": light}), seed) for seed, light in enumerate((0.9, 0.3, 0.25))]
    outcomes = Runner(PointTask(), PlantedPolicy(failure=1.0), SerialExecutor()).run(cases)
    assert film(outcomes, tmp_path / "here", SerialExecutor(), 2) == 2
    with ProcessExecutor(2) as executor:
        assert film(outcomes, tmp_path / "there", executor, 2) == 2
        assert film(outcomes, tmp_path / "there", executor, 3) == 1  # the others are there
    listed = read_json(tmp_path / "there" / "videos.json")
    assert [Case.from_json(entry) for entry in listed] == [outcomes[entry["index"]].case for entry in listed]
    assert [entry["success"] for entry in listed] == [False, False, True]
    assert {entry["file"] for entry in listed} == {path.name for path in (tmp_path / "there").glob("*.mp4")}
    assert json.dumps(listed[:2]) == json.dumps(read_json(tmp_path / "here" / "videos.json"))
    for path in (tmp_path / "here").glob("*.mp4"):
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()
