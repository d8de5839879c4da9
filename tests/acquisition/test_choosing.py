"""The best candidates are chosen, and a few others."""

import numpy as np
import pytest

from etude.acquisition.choosing import choose_demonstrations
from etude.core import ConfigError, stream


def test_the_best_are_chosen_and_a_share_of_the_others():
    scores = stream(0).random(50)
    choice = choose_demonstrations(scores, 20, stream(1), others=0.2)
    assert choice.elites.tolist() == np.argsort(-scores)[:16].tolist()
    assert len(choice.others) == 4
    assert len(set(choice.chosen.tolist())) == 20
    assert choice.chosen.tolist() == sorted(choice.chosen.tolist())
    assert choice.to_json() == choose_demonstrations(scores, 20, stream(1), others=0.2).to_json()


def test_without_others_only_the_best_and_of_equals_the_earlier():
    assert choose_demonstrations(np.array([1.0, 2.0, 2.0, 0.0]), 2, stream(0), others=0).chosen.tolist() == [1, 2]
    assert choose_demonstrations(np.ones(4), 2, stream(0), others=0).chosen.tolist() == [0, 1]


def test_others_alone_are_an_even_draw():
    chosen = [choose_demonstrations(np.arange(4.0), 1, stream(0, i), others=1.0).chosen[0] for i in range(400)]
    assert np.bincount(chosen) / 400 == pytest.approx(np.full(4, 0.25), abs=0.07)


def test_the_effective_sample_size_tells_how_few_own_the_scores():
    assert choose_demonstrations(np.ones(10), 5, stream(0)).effective == pytest.approx(10)
    assert choose_demonstrations(np.array([1e9, *np.ones(9)]), 5, stream(0)).effective == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_chosen_is_told():
    with pytest.raises(ConfigError, match="cannot choose 5 of 4 candidates"):
        choose_demonstrations(np.ones(4), 5, stream(0))
    with pytest.raises(ConfigError, match="not finite"):
        choose_demonstrations(np.array([1.0, np.nan]), 1, stream(0))
    with pytest.raises(ConfigError, match="share of others = 2"):
        choose_demonstrations(np.ones(4), 2, stream(0), others=2)
