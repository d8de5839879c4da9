"""Rules name the factors that failures depend on, with rates from episodes that did not choose them."""

import numpy as np
import pytest
from toys import SPACE as TOYS

from etude.core import Bounds, Case, ConfigError, Factor, Perturbation, PerturbationSpace, Pocket, Rate, stream
from etude.diagnosis import Episodes, RuleConfig, find_rules, space_of
from etude.diagnosis.logistic import main_effects
from etude.diagnosis.tree import tree_boxes
from etude.loop.diagnosing import beam

SPACE = PerturbationSpace(
    "six", tuple(Factor(name=f"f{i}.m", unit="m", low=0.0, high=10.0, nominal=5.0, kind="camera") for i in range(6))
)


def episodes(
    *boxes: Bounds, count: int = 400, failure: float = 0.9, elsewhere: float = 0.05, seed: int = 0
) -> Episodes:
    """Uniform episodes that fail in boxes."""
    rng = stream(seed, "episodes")
    cases = [Case(SPACE.sample(rng), i) for i in range(count)]
    inside = [any(all(a <= case.theta.values[n] <= b for n, (a, b) in box.items()) for box in boxes) for case in cases]
    luck = rng.random(count).tolist()
    success = [u >= (failure if hit else elsewhere) for u, hit in zip(luck, inside, strict=True)]
    return Episodes(space=SPACE, cases=tuple(cases), success=tuple(success))


def test_two_planted_boxes_are_two_rules_of_their_factors():
    boxes = {"f0.m": (0, 3), "f1.m": (6, 10)}, {"f3.m": (7, 10)}
    rules = find_rules(episodes(*boxes, count=600), beam, stream(0, "rules"))
    assert sorted(sorted(rule.bounds) for rule in rules) == [["f0.m", "f1.m"], ["f3.m"]]
    for rule in rules:
        assert rule.inside.low > rule.outside.high
        assert rule.p < 0.05


def test_failures_at_both_ends_of_a_factor_are_two_rules():
    rules = find_rules(episodes({"f2.m": (0, 1.5)}, {"f2.m": (8.5, 10)}), beam, stream(0, "rules"))
    assert [list(rule.bounds) for rule in rules] == [["f2.m"], ["f2.m"]]


def test_rules_are_not_found_in_noise():
    """The level of the test bounds how often: 5 % over all rules of a diagnosis; 1 of 12 leaves room for chance."""
    found = [find_rules(episodes(elsewhere=0.3, seed=s, count=200), beam, stream(s, "rules")) for s in range(12)]
    assert sum(bool(rules) for rules in found) <= 1


def test_rates_come_from_episodes_that_did_not_choose_the_rule():
    """On all episodes a box chosen among so many looks better than it is; judged on others it is not biased upwards."""
    truth, judged = 0.6, []
    for seed in range(8):
        seen = episodes({"f0.m": (0, 3), "f1.m": (6, 10)}, failure=truth, seed=seed, count=300)
        judged += [rule.inside.value for rule in find_rules(seen, beam, stream(seed, "rules"))]
    assert len(judged) >= 6
    assert np.mean(judged) < truth + 0.12


def test_a_pocket_keeps_the_rates_of_its_fresh_rollouts():
    box = {"f0.m": (0.0, 3.0), "f1.m": (6.0, 10.0)}
    pocket = Pocket(name="p", bounds=box, inside=Rate(18, 20), outside=Rate(2, 40), expert=Rate(20, 20), volume=0.1)
    (rule,) = find_rules(episodes(box), beam, stream(0, "rules"), pockets=[pocket])
    assert (rule.origin, rule.inside, rule.outside, dict(rule.bounds)) == ("pocket", Rate(18, 20), Rate(2, 40), box)


def test_the_logistic_model_names_the_factor_and_its_side():
    ends = episodes({"f4.m": (0, 2)}, {"f4.m": (8, 10)}, {"f1.m": (7, 10)})
    first, second, *others = main_effects(SPACE, ends.points, ends.weaknesses)
    assert {(e.factor, e.side) for e in (first, second)} == {("f4.m", "ends"), ("f1.m", "high")}
    assert max(first.p, second.p) < 1e-3 < min(e.p for e in others)


def test_a_tree_splits_where_failures_begin():
    seen = episodes({"f5.m": (0, 4)}, failure=1.0, elsewhere=0.0)
    (box,) = tree_boxes(SPACE, seen.points, seen.weaknesses, depth=1)
    assert box["f5.m"][0] == 0.0
    assert box["f5.m"][1] == pytest.approx(4.0, abs=0.2)


def test_what_an_expert_fails_at_too_is_no_weakness():
    cases = tuple(Case(Perturbation(), i) for i in range(3))
    seen = Episodes(space=TOYS, cases=cases, success=(False, False, True), expert=(False, True, None))
    assert seen.weaknesses.tolist() == [False, True, False]


def test_measured_factors_span_a_space_without_the_constant_ones():
    space = space_of({"lamp": [1.0, 3.0, 2.0], "table": [1.0, 1.0, 1.0]})
    assert [(f.name, f.low, f.nominal, f.high) for f in space.factors] == [("lamp", 1.0, 2.0, 3.0)]


def test_one_fold_cannot_judge_itself():
    with pytest.raises(ConfigError, match="folds >= 2"):
        RuleConfig(folds=1)
