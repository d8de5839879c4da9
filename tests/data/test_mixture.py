from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.recordings import CAMERAS, SPEC, write
from scipy.stats import chisquare

from etude.core import ConfigError, MismatchError
from etude.data import FrameCache, Mixture, MixtureSource, WindowBatch, split_episodes

HORIZON = 6


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> list[FrameCache]:
    folder = tmp_path_factory.mktemp("mixture")
    write(folder / "a", (9, 4, 12))
    write(folder / "b", (7, 15))
    return [FrameCache.open(folder / name, folder / "frames") for name in "ab"]


def drawn(mixture: Mixture, steps: int = 400) -> list[WindowBatch]:
    return [mixture.batch(step) for step in range(steps)]


def test_every_window_is_a_slice_of_its_episode(caches: list[FrameCache]):
    mixture = Mixture([MixtureSource(c) for c in caches], horizon=HORIZON, batch_size=17)
    for batch in drawn(mixture, 5):
        for b in range(17):
            cache, e, t = caches[batch.source[b]], int(batch.episode[b]), int(batch.frame[b])
            here, length = cache.episode(e), int(cache.lengths[e])
            actions = cache.action[here]
            inside = actions[t : t + HORIZON]
            expected = np.concatenate([inside, np.repeat(actions[-1:], HORIZON - len(inside), axis=0)])
            np.testing.assert_array_equal(batch.action[b], expected)
            np.testing.assert_array_equal(batch.is_pad[b], t + np.arange(HORIZON) >= length)
            np.testing.assert_array_equal(batch.state[b], cache.state[here][t])
            for camera in CAMERAS:
                np.testing.assert_array_equal(batch.images[camera][b], cache.images[camera][here][t])


def test_a_batch_depends_on_seed_and_step_alone(caches: list[FrameCache]):
    first, second = (Mixture([MixtureSource(c) for c in caches], seed=5) for _ in range(2))
    for step in (3, 0):
        np.testing.assert_array_equal(first.batch(step).action, second.batch(step).action)
    other = Mixture([MixtureSource(c) for c in caches], seed=6)
    assert not np.array_equal(first.batch(0).frame, first.batch(1).frame)
    assert not np.array_equal(first.batch(0).frame, other.batch(0).frame)


def test_windows_start_uniformly_over_the_frames_of_a_source(caches: list[FrameCache]):
    cache = caches[0]
    counts = np.zeros(len(cache.state))
    for batch in drawn(Mixture([MixtureSource(cache)], batch_size=64)):
        np.add.at(counts, cache.starts[batch.episode] + batch.frame, 1)
    # Strata make counts more even than chance, never less: the test is one-sided by nature.
    assert chisquare(counts).pvalue > 0.01


def test_sources_get_their_shares_in_every_batch(caches: list[FrameCache]):
    mixture = Mixture([MixtureSource(caches[0], weight=3), MixtureSource(caches[1], weight=1)], batch_size=64)
    for batch in drawn(mixture, 20):
        assert abs(int((batch.source == 0).sum()) - 48) <= 1


def test_a_share_is_exact_in_expectation_where_no_batch_can_have_it(caches: list[FrameCache]):
    mixture = Mixture([MixtureSource(caches[0], weight=2), MixtureSource(caches[1], weight=1)], batch_size=4)
    second = sum(int((batch.source == 1).sum()) for batch in drawn(mixture, 3000))
    assert chisquare([12000 - second, second], [8000, 4000]).pvalue > 0.01


def test_episode_weights_count_per_frame(caches: list[FrameCache]):
    source = MixtureSource(caches[0], episodes=[0, 2], episode_weights=[4.0, 1.0])
    counts = np.zeros(3)
    for batch in drawn(Mixture([source])):
        np.add.at(counts, batch.episode, 1)
    assert counts[1] == 0
    expected = np.array([4.0 * 9, 1.0 * 12])
    assert chisquare(counts[[0, 2]], expected / expected.sum() * counts.sum()).pvalue > 0.01


def test_any_number_of_datasets_and_episodes_get_their_weights(caches: list[FrameCache]):
    rng = np.random.default_rng(0)
    sources = [
        MixtureSource(cache, weight=weight, episode_weights=rng.uniform(0.2, 3, len(cache.lengths)))
        for cache, weight in zip(caches * 6, rng.uniform(0.1, 5, 12), strict=True)
    ]
    counts = {(s, e): 0 for s, source in enumerate(sources) for e in range(len(source.cache.lengths))}
    for batch in drawn(Mixture(sources, batch_size=64)):
        for key in zip(batch.source.tolist(), batch.episode.tolist(), strict=True):
            counts[key] += 1
    expected = []
    for source in sources:
        mass = np.asarray(source.episode_weights) * source.cache.lengths
        expected += list(source.weight * mass / mass.sum())
    assert chisquare(list(counts.values()), np.array(expected) / sum(expected) * 400 * 64).pvalue > 0.01


def test_what_is_drawn_after_a_restart_is_what_would_have_been(caches: list[FrameCache]):
    def mixture() -> Mixture:
        return Mixture([MixtureSource(c, weight=w) for c, w in zip(caches, (1, 2.5), strict=True)], seed=3)

    through, restarted = mixture(), mixture()
    batches = [through.batch(step) for step in range(10)]
    for step in range(6, 10):
        again = restarted.batch(step)
        for name in ("source", "episode", "frame", "state", "action", "is_pad"):
            np.testing.assert_array_equal(getattr(again, name), getattr(batches[step], name))


def test_a_source_or_episode_without_weight_is_never_drawn(caches: list[FrameCache]):
    silent = MixtureSource(caches[1], weight=0.0)
    some = MixtureSource(caches[0], episode_weights=[0.0, 1.0, 0.0])
    for batch in drawn(Mixture([silent, some, silent]), 50):
        assert set(batch.source.tolist()) == {1}
        assert set(batch.episode.tolist()) == {1}


def test_what_it_hands_out_is_the_callers_own(caches: list[FrameCache]):
    mixture = Mixture([MixtureSource(caches[0])])
    mixture.batch(0).action[:] = 0
    assert np.abs(mixture.batch(0).action).sum() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"episodes": [3]}, "some of 0 to 2"),
        ({"episodes": []}, "some of 0 to 2"),
        ({"episode_weights": [1.0]}, "1 episode weights for 3 episodes"),
        ({"weight": -1.0}, "must not be negative"),
        ({"weight": float("nan")}, "must not be negative"),
        ({"episode_weights": [0.0, 0.0, 0.0]}, "nor all zero"),
        ({"weight": 0.0}, "only zeros"),
    ],
)
def test_sources_that_cannot_work_are_refused(caches: list[FrameCache], change: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        Mixture([MixtureSource(caches[0], **change)])


def test_sources_of_other_features_are_refused(caches: list[FrameCache], tmp_path: Path):
    write(tmp_path / "other", spec=replace(SPEC, cameras=("front",)))
    other = FrameCache.open(tmp_path / "other", tmp_path / "frames")
    with pytest.raises(MismatchError, match=r"cameras \(front 32x48, wrist 32x48 there, front 32x48 here\)"):
        Mixture([MixtureSource(caches[0]), MixtureSource(other)])


@pytest.mark.parametrize(("episodes", "fraction", "held"), [(50, 0.1, 5), (10, 0.01, 1), (1, 0.5, 0), (10, 0.0, 0)])
def test_a_split_is_a_partition_of_the_wanted_size(episodes: int, fraction: float, held: int):
    train, held_out = split_episodes(episodes, fraction, seed=1)
    assert len(held_out) == held
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(episodes))
    again = split_episodes(episodes, fraction, seed=1)
    np.testing.assert_array_equal(train, again[0])
