"""In a loop new demonstrations come from the first ones, and from the expert only where that was asked."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from generation.grasping import SPACE, GraspTask
from loop.tiny import TASK as POINT
from loop.tiny import TINY, StopsAfter

from etude.acquisition.distributions import MutationDistributions
from etude.compute import SerialExecutor
from etude.core import Case, ConfigError, Executor, Outcome, PolicyFactory, Suite, Task
from etude.data import DatasetMeta
from etude.loop.chain import Chain
from etude.loop.exercise import Exercise, Scores, Told
from etude.loop.making.collecting import collect
from etude.loop.making.fallback import OrExpert
from etude.loop.making.maker import ExpertMaker, Made
from etude.loop.making.placing import made_where
from etude.loop.order import run_chain
from etude.loop.practice.choosing import Candidates
from etude.loop.pupil import DATASET, Pupil
from etude.loop.run import check_config
from etude.loop.stage import load_manifest
from etude.search import Exclusion, KeepsAway, TargetedSampler

TASK = GraspTask()
CONFIG = replace(
    TINY, task=TASK.name, arms=("uniform", "gradient"), maker="generator", sources=4, narrow={}, rounds=2,
    train_steps=2, retrain_steps=1, diagnosis_rollouts=0, fresh_search=(), exam_cases=2, test_cases=2,
)  # fmt: skip


def rightness(exercise: Exercise, _out: Path, _told: Told) -> Scores:
    """Scores what lies on the right, and what was made from the second source."""
    candidates = Candidates.load(exercise.dataset, exercise.space)
    return candidates.points[:, 0] + 5 * (candidates.sources == 1)


def make_chain(directory: Path, executor: Executor) -> Chain:
    return Chain(config=CONFIG, task=TASK, seed=5, directory=directory, executor=executor, scorer=rightness)


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, dict[str, Pupil]]:
    chain = make_chain(tmp_path_factory.mktemp("practice"), SerialExecutor())
    return chain, run_chain(chain)


def test_new_demonstrations_are_made_from_the_first_ones(practice: tuple[Chain, dict[str, Pupil]]):
    chain, pupils = practice
    annotated = chain.directory / "round-00" / "annotate"
    assert load_manifest(annotated).result == {"sources": 4}
    for name in CONFIG.arms:
        assert pupils[name].stages.count(annotated) == 1
        for collection in pupils[name].collections[1:]:
            made = Candidates.load(collection / DATASET, SPACE)
            assert set(made.sources.tolist()) <= {0, 1, 2, 3}
            result = load_manifest(collection).result
            assert result["by_expert"] == 0
            assert sum(done for done, _ in result["places"].values()) == result["generated"]
            assert sum(tried for _, tried in result["places"].values()) == result["attempts"]


def test_a_source_whose_demonstrations_score_is_chosen_more_often(practice: tuple[Chain, dict[str, Pupil]]):
    chain, pupils = practice
    distributions = MutationDistributions.load(chain.round_directory(2, "gradient") / "choose" / "distributions.json")
    assert distributions.sources == (0, 1, 2, 3)
    assert distributions.probabilities.argmax() == 1
    second = Candidates.load(pupils["gradient"].collections[2] / DATASET, SPACE)
    assert np.mean(second.sources == 1) > 0.25


def test_a_stopped_loop_that_generates_ends_as_one_that_never_was(
    practice: tuple[Chain, dict[str, Pupil]], tmp_path: Path
):
    _, pupils = practice
    done, broken = dict[str, Pupil](), 0
    while not done:
        try:
            done = run_chain(make_chain(tmp_path, StopsAfter(17)))
        except KeyboardInterrupt:
            broken += 1
    assert broken > 2
    for name in CONFIG.arms:
        mine, theirs = ([load_manifest(stage).hash for stage in p[name].stages] for p in (done, pupils))
        assert mine == theirs


@dataclass(frozen=True)
class LeftOnly:
    """A maker that never succeeds on the right."""

    title: str = "the left hand"
    remedy: str = "take the other"

    def make(self, task: Task, case: Case, *, name: str, keep_failed: bool = False) -> Made:
        if case.theta.values["puck.x_m"] < 0:
            return ExpertMaker().make(task, case, name=name)
        fields = {"progress": 0.0, "stage": "", "failure_mode": "timeout", "length": 1, "total_reward": 0.0}
        return Made(outcome=Outcome(case=case, success=False, **fields), stuck="on the right")

    def again(self, task: Task, made: Made) -> PolicyFactory | None:
        return None


def test_the_expert_takes_over_only_where_the_other_maker_fails(tmp_path: Path):
    exam = Suite(name="exam", task=TASK.name, space_hash=SPACE.hash, cases=())
    draw = KeepsAway(TargetedSampler(space=SPACE, uniform_fraction=1.0), Exclusion(exam, (), SPACE, {}))
    made = collect(
        TASK, tmp_path / "d", accepted=12, draw=draw, seed=1, executor=SerialExecutor(), maker=OrExpert(LeftOnly()),
        generator="mine",
    )  # fmt: skip
    names = {
        record.generator: record.case.theta.values["puck.x_m"] < 0
        for record in DatasetMeta.open(tmp_path / "d").episodes
        if record.case
    }
    assert names == {"mine": True, "mine-expert": False}
    told = made_where(tmp_path / "d", draw, 1, made.attempts)
    assert 0 < told["by_expert"] < 12
    assert told["places"] == {"everywhere": [12, made.attempts]}


def test_a_task_that_cannot_be_cut_is_told_before_anything_is_done():
    with pytest.raises(ConfigError, match="does not say how its demonstrations are cut"):
        check_config(replace(TINY, maker="generator"), POINT)
