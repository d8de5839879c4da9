"""What pockets take is measured in stages that can be killed, and nothing is spent where the expert fails."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from loop.tiny import TASK, TINY, StopsAfter, everything
from toys import POCKET, SPACE, PlantedPolicy, PointTask

from etude.acquisition.needs import Need
from etude.compute import SerialExecutor
from etude.core import ConfigError, Executor, MismatchError, PolicyFactory, Task, stream
from etude.core.files import read_json
from etude.data import DatasetMeta
from etude.loop.chain import Chain
from etude.loop.diagnosing import PlanDraw
from etude.loop.making.collecting import collect
from etude.loop.order import run_chain
from etude.loop.practice.needs import Measuring, NeedSettings, inside, write_practice
from etude.loop.pupil import Pupil
from etude.loop.stage import load_manifest
from etude.loop.stages import Arena
from etude.policies import CheckpointPolicy
from etude.training import TrainConfig
from etude.training.fitting import PolicyChoice, WeightedDataset, train_on

SETTINGS = NeedSettings(counts=(0, 2, 5), cases=3, steps=3, batch_size=4, threads=1)


DARK, BRIGHT = replace(POCKET, name="dark"), replace(POCKET, name="bright", bounds={"light.intensity": (0.9, 1.0)})


@dataclass(frozen=True, kw_only=True)
class DimTask(PointTask):
    """Its expert, too, fails in the dark."""

    def expert(self) -> PlantedPolicy:
        return PlantedPolicy(failure=1.0)


def read_needs(folder: Path) -> list[Need]:
    return [Need.from_json(record) for record in read_json(folder / "needs.json")["needs"]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A few demonstrations, and a checkpoint that hardly learned from them."""
    folder = tmp_path_factory.mktemp("trained")
    collect(TASK, folder / "data", accepted=4, draw=SPACE.sample, seed=0, executor=SerialExecutor())
    config = TrainConfig(steps=2, batch_size=4, threads=1)
    train_on([WeightedDataset(folder / "data")], folder / "run", config=config, policy=PolicyChoice())
    return folder / "data", folder / "run" / "checkpoint"


def measuring(
    trained: tuple[Path, Path], out: Path, *, executor: Executor | None = None, task: Task = TASK
) -> Measuring:
    data, checkpoint = trained
    return Measuring(
        arena=Arena(task, executor or SerialExecutor()),
        policy=CheckpointPolicy(str(checkpoint)),
        pockets=(DARK, BRIGHT),
        first=[WeightedDataset(data)],
        out=out,
        settings=SETTINGS,
        seed=3,
    )


@pytest.fixture(scope="module")
def whole(trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("needs") / "whole"
    measuring(trained, out).run()
    return out


def test_every_number_is_measured_and_demonstrations_lie_inside_and_are_kept(whole: Path):
    needs = read_needs(whole)
    assert [need.pocket for need in needs] == [DARK, BRIGHT]
    for need in needs:
        assert list(need.measured) == [0, 2, 5]
        assert {rate.n for rate in need.measured.values()} == {need.expert.n} == {3}
        made = [DatasetMeta.open(whole / f"collect-{n:05d}" / need.pocket.name) for n in (2, 5)]
        assert [meta.total_episodes for meta in made] == [2, 3]
        cases = [episode.case for meta in made for episode in meta.episodes]
        assert all(case and need.pocket.contains(case.theta, SPACE) for case in cases)


def test_draws_from_inside_a_pocket_are_never_around_it():
    draw, rng = inside(DARK, Arena(TASK, SerialExecutor())), stream(0, "inside")
    assert all(DARK.contains(draw(rng), SPACE) for _ in range(200))


def test_all_trainings_differ_in_their_data_only(whole: Path):
    keys = [load_manifest(whole / f"train-{n:05d}").key for n in (0, 2, 5)]
    assert [len(key["collected"]) for key in keys] == [0, 1, 2]
    assert keys[0]["train"] == keys[1]["train"] == keys[2]["train"]


def test_what_was_measured_belongs_to_what_datasets_hold_and_not_to_their_paths(
    trained: tuple[Path, Path], whole: Path, tmp_path: Path
):
    moved = Path(shutil.copytree(trained[0], tmp_path / "moved"))
    measuring((moved, trained[1]), whole).run()
    info = moved / "meta" / "info.json"
    info.write_text(info.read_text() + " ")
    with pytest.raises(MismatchError, match="first was"):
        measuring((moved, trained[1]), whole).run()


def test_a_dataset_that_is_given_twice_counts_twice(trained: tuple[Path, Path], whole: Path):
    twice = [WeightedDataset(trained[0], weight) for weight in (1.0, 2.0)]
    with pytest.raises(MismatchError, match=r"first was \S+ 1.0\]\] and is now \S+ 1.0\], \S+ 2.0\]\]"):
        replace(measuring(trained, whole), first=twice).run()


def test_pockets_share_the_new_weight_and_a_demonstration_counts_as_any_other(trained: tuple[Path, Path], whole: Path):
    found = measuring(trained, whole)
    mixture = found._mixture(5, [DARK, BRIGHT])
    weights = [dataset.weight for dataset in mixture]
    assert weights == pytest.approx([0.5, 0.25 * 2 / 5, 0.25 * 3 / 5, 0.25 * 2 / 5, 0.25 * 3 / 5])
    assert [dataset.weight for dataset in found._mixture(0, [DARK, BRIGHT])] == [1.0]


@pytest.mark.parametrize("jobs", [2, 9, 14])
def test_one_that_was_stopped_ends_as_one_that_never_was(
    jobs: int, trained: tuple[Path, Path], whole: Path, tmp_path: Path
):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        measuring(trained, out, executor=StopsAfter(jobs)).run()
    measuring(trained, out).run()
    found, expected = everything(out), everything(whole)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_nothing_is_spent_on_a_pocket_that_the_expert_cannot_solve(trained: tuple[Path, Path], tmp_path: Path):
    dark, bright = measuring(trained, tmp_path / "needs", task=DimTask(max_steps=12)).run()
    assert dark.verdict == "unsolvable"
    assert dark.describe() == "not solvable by the expert (0/3)"
    assert dark.measured == {}
    assert list(bright.measured) == [0, 2, 5]
    assert not list((tmp_path / "needs").glob("collect-*/dark"))


def test_where_no_pocket_can_be_solved_nothing_is_trained(trained: tuple[Path, Path], tmp_path: Path):
    hopeless = replace(measuring(trained, tmp_path / "needs", task=DimTask(max_steps=12)), pockets=(DARK,))
    assert [need.verdict for need in hopeless.run()] == ["unsolvable"]
    assert sorted(path.name for path in (tmp_path / "needs").iterdir()) == ["expert", "needs.json"]


def test_a_divided_budget_is_a_plan_that_collecting_carries_out(whole: Path, tmp_path: Path):
    told = write_practice(tmp_path, TASK, read_needs(whole), 20)
    assert any(line.endswith("to stay good everywhere") for line in told)
    draw = PlanDraw.of(tmp_path / "practice.json", TASK)
    assert sum(draw.sampler.shares().values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"counts": (10, 20)}, r"^counts 10, 20: give 0 and at least one larger number"),
        ({"counts": (0, 20, 10)}, r"^counts 0, 20, 10: give 0"),
        ({"counts": (0,)}, r"^counts 0: give 0"),
        ({"cases": 0}, r"^cases, steps, batch_size and threads must be at least 1"),
        ({"new_share": 1.0}, r"^new_share = 1 must lie between"),
    ],
)
def test_settings_that_measure_nothing_are_refused(changes: dict[str, object], words: str):
    with pytest.raises(ConfigError, match=words):
        replace(SETTINGS, **changes)


class PlantedChain(Chain):
    """A chain whose policies all fail where the light is weak, however they were trained."""

    def policy(self, pupil: Pupil) -> PolicyFactory:
        return PlantedPolicy(failure=1.0)


def test_an_arm_measures_what_pockets_take_and_divides_its_round_by_it(tmp_path: Path):
    config = replace(
        TINY, arms=("needs",), fresh_search=(), accepted=6, search_rollouts=160, confirm_rollouts=15, exam_cases=6,
        train_steps=2, retrain_steps=1,
    )  # fmt: skip
    chain = PlantedChain(config=config, task=TASK, seed=1, directory=tmp_path, executor=SerialExecutor())
    pupil = run_chain(chain)["needs"]
    measured = tmp_path / "round-00" / "needs"
    assert measured in pupil.stages
    needs = read_needs(measured)
    assert needs
    assert {count for need in needs for count in need.measured} == {0, 1, 2}
    spent = load_manifest(measured).result
    assert spent["rollouts"] == 4 * 15 * len(needs)  # the expert's, and after each training
    assert spent["train_steps"] == 3
    made = DatasetMeta.open(tmp_path / "round-01" / "needs" / "generate" / "dataset")
    assert made.total_episodes == 6
