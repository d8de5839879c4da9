"""A budget goes where it raises success most, and nowhere in vain."""

from dataclasses import replace

import numpy as np
import pytest
from toys import POCKET, SPACE

from etude.acquisition.budget import divide_budget, plan_practice, pocket_weights
from etude.acquisition.needs import Expected, Need
from etude.core import ConfigError, Perturbation, Rate
from etude.search import TargetedSampler


def need(name: str, *means: float, demonstrations: float, expert: int = 20, high: float = 30.0) -> Need:
    """A need whose expected success after 0, 1, 2 … demonstrations is given."""
    bounds = (0.2, 0.4) if name == "dark" else (0.7, 0.9)
    return Need(
        pocket=replace(POCKET, name=name, bounds={"light.intensity": bounds}, expert=Rate(expert, 20)),
        expert=Rate(expert, 20),
        measured={0: Rate(1, 20), 3: Rate(9, 20)},
        demonstrations=demonstrations,
        low=1.0,
        high=high,
        expected=tuple(Expected(i, mean, mean, mean) for i, mean in enumerate(means)),
    )


DARK = need("dark", 0.0, 0.30, 0.50, 0.60, 0.65, demonstrations=4)  # gains 30, 20, 10, 5 points
BRIGHT = need("bright", 0.2, 0.45, 0.60, 0.68, 0.70, demonstrations=3)  # gains 25, 15, 8, 2 points


@pytest.mark.parametrize(
    ("budget", "dark", "bright", "left"),
    [(0, 0, 0, 0), (1, 1, 0, 0), (2, 1, 1, 0), (3, 2, 1, 0), (4, 2, 2, 0), (5, 3, 2, 0), (6, 3, 3, 0), (9, 4, 3, 2)],
)
def test_every_demonstration_goes_where_it_gains_most_until_the_target(budget: int, dark: int, bright: int, left: int):
    division = divide_budget([DARK, BRIGHT], budget)
    assert dict(division.demonstrations) == {"dark": dark, "bright": bright}
    assert division.left == left


def test_pockets_that_cannot_be_learned_or_are_solved_get_none():
    hopeless = need("bright", 0.0, 0.9, demonstrations=1, expert=3)
    solved = need("bright", 0.9, 0.95, demonstrations=0)
    for other in (hopeless, solved):
        division = divide_budget([DARK, other], 10)
        assert dict(division.demonstrations) == {"dark": 4, "bright": 0}
    assert divide_budget([hopeless], 10).notes == ("bright gets none: not solvable by the expert (3/20).",)


def test_a_pocket_that_takes_more_than_everything_is_told():
    division = divide_budget([DARK, BRIGHT], 3)
    assert division.notes == ("dark takes more than the whole budget of 3: about 4 demonstrations (1–30).",)


def test_beyond_the_end_of_its_curve_no_pocket_is_favoured_and_the_rest_is_left():
    unclear = [replace(one, demonstrations=99.0, high=float("inf")) for one in (DARK, BRIGHT)]
    division = divide_budget(unclear, 50)
    assert dict(division.demonstrations) == {"dark": 4, "bright": 4}
    assert division.left == 42
    assert division.notes[1] == (
        "bright gets no more than 4, where its curve ends; what is left is drawn everywhere: cannot be told from so "
        "little: at least 1 demonstrations."
    )
    shares = {practice.why.partition(":")[0]: practice.share for practice in plan_practice(unclear, 50).practices}
    assert shares == pytest.approx({"dark": 4 / 50, "bright": 4 / 50, "to stay good everywhere": 42 / 50})


def test_a_plan_has_the_pockets_shares_and_the_rest_everywhere():
    plan = plan_practice([DARK, BRIGHT], 10, uniform_share=0.4)
    assert [practice.share for practice in plan.practices] == pytest.approx([0.3, 0.3, 0.4])
    assert [dict(practice.bounds) for practice in plan.practices] == [
        {"light.intensity": (0.2, 0.4)},
        {"light.intensity": (0.7, 0.9)},
        {},
    ]
    assert plan.practices[0].why == "dark: about 4 demonstrations (1–30)"


def test_a_plan_for_nothing_to_learn_is_uniform():
    plan = plan_practice([], 20)
    assert [(dict(practice.bounds), practice.share) for practice in plan.practices] == [({}, 1.0)]


def test_the_targeted_sampler_carries_the_plan_out():
    sampler = TargetedSampler(space=SPACE, plan=plan_practice([DARK, BRIGHT], 7, uniform_share=0.0))
    rng = np.random.default_rng(0)
    light = np.array([sampler(rng).values["light.intensity"] for _ in range(700)])
    assert np.mean(light <= 0.4) == pytest.approx(4 / 7, abs=0.06)
    assert np.mean((light > 0.4) & (light < 0.7)) == 0


def test_demonstrations_from_inside_a_pocket_weigh_more():
    thetas = [Perturbation({"light.intensity": value}) for value in (0.3, 0.5, 0.8)] + [Perturbation()]
    assert pocket_weights(thetas, [DARK.pocket], SPACE, 3.0) == (3.0, 1.0, 1.0, 1.0)
    assert pocket_weights(thetas, [DARK.pocket, BRIGHT.pocket], SPACE, 3.0) == (3.0, 1.0, 3.0, 3.0)  # nominal: 0.8
    assert pocket_weights([], [DARK.pocket], SPACE, 3.0) == ()


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_a_weight_that_is_none_is_refused(weight: float):
    with pytest.raises(ConfigError, match=r"^a pocket's weight must be positive"):
        pocket_weights([], [], SPACE, weight)


def test_a_negative_budget_is_refused():
    with pytest.raises(ConfigError, match=r"^a budget of -1 demonstrations"):
        divide_budget([], -1)
