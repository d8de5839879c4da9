"""A practice round makes candidates, scores and chooses them, and goes on where it was stopped."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from loop.tiny import TASK, TINY, StopsAfter, run_tiny
from toys import POCKET, SPACE

from etude.acquisition.distributions import MutationDistributions
from etude.compute import SerialExecutor
from etude.core import Executor, Perturbation, Pocket, Rate, stream
from etude.core.files import read_json, write_json
from etude.loop.arms import ARMS, Arm
from etude.loop.chain import Chain
from etude.loop.exercise import Exercise, Scores, Told, chances
from etude.loop.order import run_chain
from etude.loop.practice.choosing import Candidates, Chosen, choose, episode_weights, practised
from etude.loop.practice.practising import Round
from etude.loop.pupil import DATASET, Pupil
from etude.loop.results import gather
from etude.loop.stage import load_manifest, run_stage

BOLD = Arm(name="bold", draw="distributions", score="loss", oversample=3, others=0.25, new_share=0.6)
CONFIG = replace(
    TINY, own_arms=(BOLD,), arms=("uniform", "bold", "adaptive"), rounds=2, accepted=4, train_steps=2, retrain_steps=1,
    diagnosis_rollouts=0, fresh_search=(), examine_rounds=True, exam_cases=2, test_cases=2,
)  # fmt: skip


def darkness(exercise: Exercise, _out: Path, _told: Told) -> Scores:
    """Scores what lies in the dark, as if the policy knew nothing of it."""
    candidates = Candidates.load(exercise.dataset, exercise.space)
    return 1.0 - candidates.points[:, SPACE.names.index("light.intensity")]


def make_chain(directory: Path, executor: Executor | None = None) -> Chain:
    return Chain(
        config=CONFIG, task=TASK, seed=3, directory=directory, executor=executor or SerialExecutor(), scorer=darkness
    )


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, dict[str, Pupil]]:
    chain = make_chain(tmp_path_factory.mktemp("practice"))
    return chain, run_chain(chain)


def results(pupil: Pupil, name: str) -> list[int]:
    return [load_manifest(stage).result[name] for stage in pupil.stages if name in load_manifest(stage).result]


def test_all_arms_practise_as_many_demonstrations_and_the_accounts_add_up(practice: tuple[Chain, dict[str, Pupil]]):
    _, pupils = practice
    for name in CONFIG.arms:
        assert results(pupils[name], "accepted") == [4, 4]
        assert results(pupils[name], "train_steps") == [1, 1]
    assert results(pupils["bold"], "generated") == [12, 12]
    assert results(pupils["uniform"], "generated") == [4, 4]
    for stage in pupils["bold"].collections[1:]:
        lengths = Candidates.load(stage / DATASET, SPACE).lengths
        assert load_manifest(stage).result["generated_frames"] == lengths.sum()
        assert load_manifest(stage.with_name("choose")).result["frames"] == lengths[practised(stage)].sum()
    searched = {name for name, pupil in pupils.items() if results(pupil, "rollouts")}
    assert searched == {"adaptive"}


def test_the_best_candidates_are_learned_from_and_a_few_others(practice: tuple[Chain, dict[str, Pupil]]):
    _, pupils = practice
    for stage in pupils["bold"].collections[1:]:
        scores = np.array(read_json(stage.with_name("score") / "scores.json")["scores"])
        chosen = Chosen.load(stage.with_name("choose"))
        assert list(chosen.elites) == np.argsort(-scores, kind="stable")[:3].tolist()
        weights = episode_weights(stage)
        assert weights is not None
        assert np.flatnonzero(weights).tolist() == list(chosen.episodes) == practised(stage)
        assert set(weights) == {0.0, 1.0}
    key = load_manifest(pupils["bold"].train).key
    assert sorted(key["datasets"].values()) == pytest.approx([0.3, 0.3, 0.4])
    assert len(key["choices"]) == 2
    assert episode_weights(pupils["uniform"].collections[1]) is None


def test_what_is_aimed_at_carries_over_and_changes(practice: tuple[Chain, dict[str, Pupil]]):
    chain, _ = practice
    folders = [chain.round_directory(index, "bold") / "choose" for index in (1, 2)]
    before, after = (
        [MutationDistributions.load(folder / file) for folder in folders]
        for file in ("before.json", "distributions.json")
    )
    assert before[1].to_json() == after[0].to_json() != before[0].to_json()
    light = SPACE.names.index("light.intensity")
    assert before[0].mean[0, light] > after[0].mean[0, light]  # towards the dark


def test_candidates_are_scored_by_the_policy_as_it_is_now(practice: tuple[Chain, dict[str, Pupil]]):
    chain, pupils = practice
    scores = [load_manifest(chain.round_directory(index, "bold") / "score") for index in (1, 2)]
    trains = [pupils["baseline"].train, chain.round_directory(1, "bold") / "train"]
    assert [score.key["policy"] for score in scores] == [load_manifest(train).hash for train in trains]


def test_where_a_search_confirms_nothing_the_last_pockets_are_practised_again(tmp_path: Path):
    chain, failure = make_chain(tmp_path), ARMS["failure"]
    found = ((), (POCKET,), (POCKET, replace(POCKET, name="other")), (), ())
    rounds = [Round(chain=chain, arm=failure, index=i, folder=tmp_path) for i in range(1, len(found) + 1)]
    for practice, pockets in zip(rounds, found, strict=True):
        write_json(practice.search_of(practice.index) / "pockets.json", {"pockets": [p.to_json() for p in pockets]})
    pupil = Pupil(stages=(), collections=(), train=tmp_path)
    draws = [practice.aimed(pupil, failure, practice.search_of(practice.index))[1] for practice in rounds]
    assert [draw.pockets for draw in draws] == [(), found[1], found[2], found[2], found[2]]
    assert [draw.uniform_fraction for draw in draws] == [1.0, *[CONFIG.uniform_share] * 4]


def test_the_regime_is_that_of_the_rounds_own_search(tmp_path: Path):
    chain = make_chain(tmp_path)
    for index, pockets, arm in ((1, (POCKET,), "failure"), (2, (), "uniform")):
        practice = Round(chain=chain, arm=ARMS["adaptive"], index=index, folder=tmp_path / str(index))
        search = practice.search_of(index)

        def work(out: Path, pockets: tuple[Pocket, ...] = pockets) -> dict[str, list[int]]:
            write_json(out / "pockets.json", {"pockets": [pocket.to_json() for pocket in pockets]})
            return {"uniform_failures": [2, 100]}

        run_stage(search, {}, work)
        assert practice.settled(search).name == arm


def test_arms_that_carry_out_a_plan_share_the_diagnosis_and_weighted_ones_count_what_they_made_once(tmp_path: Path):
    own = (
        Arm(name="control", draw="nothing"),
        Arm(name="careful", draw="plan", new_share=0.3),
        Arm(name="heavy", draw="pockets", pocket_weight=3),
    )
    arms = ("control", "uniform", "targeted", "careful", "heavy")
    config = replace(CONFIG, own_arms=own, arms=arms, rounds=1, diagnosis_rollouts=24)
    (run,) = run_tiny(tmp_path / "run", config=config).results
    assert {name: arm.budget.accepted for name, arm in run.arms.items() if name != "baseline"} == {
        "control": 0, "uniform": 4, "targeted": 4, "careful": 4, "heavy": 4,
    }  # fmt: skip
    frames = load_manifest(tmp_path / "run" / "round-01" / "heavy" / "generate").result["generated_frames"]
    assert run.arms["heavy"].budget.frames == frames
    assert all(video.after.is_relative_to(tmp_path / "run" / "round-01" / "targeted") for video in run.videos)


def test_the_pockets_that_are_practised_again_weigh_as_before(practice: tuple[Chain, dict[str, Pupil]], tmp_path: Path):
    whole, pupils = practice
    shutil.copytree(whole.directory, tmp_path / "run")
    chain, heavy = make_chain(tmp_path / "run"), Arm(name="heavy", draw="pockets", pocket_weight=3)
    second = Round(chain=chain, arm=heavy, index=2, folder=chain.round_directory(2, "heavy"))
    shutil.copytree(chain.round_directory(2, "uniform") / "generate", second.folder / "generate")
    shutil.copytree(chain.search_directory, second.search_of(2))
    candidates = Candidates.load(second.folder / "generate" / DATASET, SPACE)
    lights = [theta.values["light.intensity"] for theta in candidates.thetas]
    pocket = replace(POCKET, bounds={"light.intensity": (0.0, float(np.median(lights)))})
    for search, pockets in ((chain.search_directory, [pocket.to_json()]), (second.search_of(2), [])):
        write_json(search / "pockets.json", {"pockets": pockets})
    second.chosen(pupils["uniform"], heavy, second.search_of(2), None)
    weights = Chosen.load(second.folder / "choose").weights
    assert weights == tuple(3.0 if light <= np.median(lights) else 1.0 for light in lights)
    assert set(weights) == {3.0, 1.0}


def test_every_round_is_examined_when_that_is_asked(practice: tuple[Chain, dict[str, Pupil]]):
    chain, _ = practice
    for name in CONFIG.arms:
        for index in (1, 2):
            assert (chain.round_directory(index, name) / "evaluate" / "exam.parquet").exists()


def test_every_round_that_scores_has_a_page_of_who_was_chosen(practice: tuple[Chain, dict[str, Pupil]]):
    chain, pupils = practice
    pages = gather(chain, pupils, "run", {"provenance": {}, "command": ""}, film=False).pages
    rounds = [chain.round_directory(index, "bold") / "choose" for index in (1, 2)]
    assert {folder for folder in pages if folder.endswith("choose")} == {
        folder.relative_to(chain.directory).as_posix() for folder in rounds
    }
    for index, folder in enumerate(rounds, 1):
        page = (folder / "index.html").read_text()
        assert f"Bold, round {index}" in page
        assert "12 candidates" in page
        assert f"speak for {Chosen.load(folder).effective:.1f}" in page


@dataclass
class Breaks:
    """A scorer that is interrupted the first time."""

    left: int = 1

    def __call__(self, exercise: Exercise, out: Path, told: Told) -> Scores:
        if self.left:
            self.left -= 1
            raise KeyboardInterrupt
        return darkness(exercise, out, told)


def test_a_round_that_was_stopped_ends_as_one_that_never_was(practice: tuple[Chain, dict[str, Pupil]], tmp_path: Path):
    whole, pupils = practice
    shutil.copytree(whole.directory, tmp_path / "run")
    folder = whole.round_directory(2, "bold").relative_to(whole.directory)
    shutil.rmtree(tmp_path / "run" / folder)
    broken, scorer, done = 0, Breaks(), dict[str, Pupil]()
    while not done:
        try:
            done = run_chain(replace(make_chain(tmp_path / "run", StopsAfter(5)), scorer=scorer))
        except KeyboardInterrupt:
            broken += 1
    assert broken >= 3
    mine, theirs = ([load_manifest(stage).hash for stage in p["bold"].stages] for p in (done, pupils))
    assert mine == theirs
    for file in ("choose/chosen.json", "choose/distributions.json", "score/scores.json"):
        assert (tmp_path / "run" / folder / file).read_bytes() == (whole.directory / folder / file).read_bytes()


def test_frames_inside_pockets_weigh_more_where_the_arm_says_so(tmp_path: Path):
    thetas = tuple(Perturbation({"light.intensity": value}) for value in (0.35, 0.8, 0.45, 1.0))
    candidates = Candidates(
        thetas=thetas,
        points=np.array([SPACE.to_unit(theta) for theta in thetas]),
        sources=np.full(4, -1),
        lengths=np.array([10, 11, 12, 13]),
    )
    bounds, rate = {"light.intensity": (0.3, 0.5)}, Rate(4, 5)
    pocket = Pocket(name="p", bounds=bounds, inside=rate, outside=rate, expert=rate, volume=0.2)
    arm, common = Arm(name="heavy", pocket_weight=3), {"space": SPACE, "pockets": (pocket,), "before": None}
    result = choose(tmp_path, candidates, None, arm, count=3, rng=stream(0), **common)
    assert Chosen.load(tmp_path).weights == (3, 1, 3, 0)
    assert result == {"accepted": 3, "frames": 33, "effective": 3}
    assert chances(thetas, [pocket], Rate(1, 9), SPACE) == [0.8] * 4
    assert chances(thetas, [], Rate(1, 9), SPACE) == [1 / 9] * 4


@pytest.mark.slow
def test_scores_that_need_more_than_the_policy_get_it(tmp_path: Path):
    arms = ("align", "disagreement", "failure-split")
    config = replace(CONFIG, arms=arms, rounds=2, examine_rounds=False)
    chain = Chain(config=config, task=TASK, seed=4, directory=tmp_path, executor=SerialExecutor())
    pupils = run_chain(chain)
    for name in arms:
        assert results(pupils[name], "accepted") == [4, 4]
        scores = read_json(chain.round_directory(2, name) / "score" / "scores.json")
        assert scores["score"] == name
        assert np.isfinite(scores["scores"]).all()
    assert results(pupils["disagreement"], "train_steps") == [2, 1, 1, 1]  # a second policy besides, which is charged
    assert results(pupils["align"], "generated") == [4, 12, 4, 12]
    for name in ("align", "failure-split"):
        assert len(results(pupils[name], "rollouts")) == 2
