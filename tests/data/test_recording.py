import pickle

import numpy as np
import pytest
from data.recordings import episode
from toys import GoToGoal, PointTask

from etude.core import Case, EtudeError, Perturbation, ShapeError, rollout
from etude.data import EpisodeRecorder, encode

CASE = Case(Perturbation({"light.intensity": 0.4}), 3)


def record(cameras: tuple[str, ...] = ("front",), lazy: bool = True) -> EpisodeRecorder:
    recorder = EpisodeRecorder(cameras, generator="test", source_episode=4)
    rollout(PointTask().environment(lazy_images=lazy, object_state=True), GoToGoal(), CASE, [recorder])
    return recorder


def test_a_recorded_episode_replays_to_the_same_states():
    recorded = record().episode
    environment = PointTask().environment(object_state=True)
    raw, info = environment.reset(seed=CASE.seed, options={"perturbation": CASE.theta})
    for t in range(recorded.length):
        np.testing.assert_array_equal(recorded.state[t], raw["agent_pos"])
        np.testing.assert_array_equal(recorded.images["front"][t], raw["pixels"]["front"])
        assert {name: bool(signal[t]) for name, signal in recorded.subtasks.items()} == info["subtasks"]
        raw, *_, info = environment.step(recorded.action[t])
    assert info["is_success"]


def test_it_carries_its_outcome_and_origin():
    recorded = record().episode
    assert recorded.outcome.case == CASE
    assert recorded.outcome.length == recorded.length
    assert (recorded.generator, recorded.source_episode, recorded.task) == ("test", 4, "move to the goal")


def test_without_cameras_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("toys.PointEnvironment.draw", lambda _self: pytest.fail("drew an image"))
    assert record(cameras=()).episode.images == {}


def test_each_episode_starts_afresh():
    recorder = record()
    first = recorder.episode
    rollout(PointTask().environment(lazy_images=True, object_state=True), GoToGoal(), CASE, [recorder])
    np.testing.assert_array_equal(first.action, recorder.episode.action)


def test_before_an_episode_ended_there_is_none():
    with pytest.raises(EtudeError, match="not seen an episode"):
        _ = EpisodeRecorder().episode


def test_numbers_that_are_not_finite_are_refused_with_their_frame():
    bad = episode(0)
    bad.action[5, 1] = np.nan
    with pytest.raises(ShapeError, match=r"action: expected finite numbers, got others at frame 5"):
        type(bad)(**vars(bad))


def test_encoding_is_deterministic_and_small_to_send():
    first, second = encode(episode(1), 20), encode(episode(1), 20)
    assert first.videos == second.videos
    sent = pickle.dumps(first)
    assert pickle.loads(sent).videos == first.videos
    assert len(sent) < sum(images.nbytes for images in episode(1).images.values()) / 2
