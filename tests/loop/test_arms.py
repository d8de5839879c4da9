"""Arms are values; a person's own come from a file, and what cannot work is told in one line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loop.tiny import TINY

from etude.core import ConfigError, EtudeError, UnknownNameError
from etude.loop.arms import ARMS, Arm, arm_from, load_arms
from etude.loop.config import LoopConfig

OWN = """
[bold]
draw = "distributions"
score = "split"
oversample = 5
others = 0
pocket_weight = 3

[by-hand]
draw = "pockets"
maker = "expert"
new_share = 0.7
"""


def test_a_persons_own_arms_are_read(tmp_path: Path):
    (tmp_path / "arms.toml").write_text(OWN)
    bold, by_hand = load_arms(tmp_path / "arms.toml")
    assert bold == Arm(
        name="bold", draw="distributions", score="split", oversample=5, others=0, pocket_weight=3, maker=""
    )
    assert by_hand == Arm(name="by-hand", draw="pockets", maker="expert", new_share=0.7)
    assert bold.needs_search  # to know where the pockets are
    config = replace(TINY, own_arms=(bold, by_hand), arms=("uniform", "bold"))
    assert config.arm("bold") == bold
    assert LoopConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[x]\ndraw = "pocket"', "unknown draw of arm 'x': 'pocket'. Did you mean 'pockets'"),
        ('[x]\nscore = "nrm"\noversample = 2', "Did you mean 'norm'"),
        ('[x]\nmaker = "robot"', "Valid: expert, generator, generator-or-expert"),
        ("[x]\noversampel = 2", "unknown setting of arm 'x': 'oversampel'. Did you mean 'oversample'"),
        ('[x]\noversample = "2"', "oversample = '2' should be a whole number"),
        ("[x]\nrestart = 1", "restart = 1 should be a truth value"),
        ('[x]\nscore = "norm"', "set both score and oversample > 1, or neither"),
        ("[x]\noversample = 2", "set both score and oversample > 1, or neither"),
        ('[x]\ndraw = "distributions"', "follows scores: set score as well"),
        ("[x]\nothers = 2.0", "others and new_share must lie in"),
        ("[x]\npocket_weight = 0", "pocket_weight = 0 must be a positive number"),
        ("[x]\nrestart = true", "the same data, another seed"),
        ("[uniform]\nothers = 0.5", "'uniform' is a known arm"),
        ('[baseline]\ndraw = "uniform"', "'baseline' is a known arm"),
        ("x = 1", "'x' stands outside a table"),
        ('["a b"]\ndraw = "uniform"', "letters, digits and hyphens"),
        ("[x", "not valid TOML"),
    ],
)
def test_an_arm_that_cannot_work_is_refused_in_one_line(tmp_path: Path, text: str, told: str):
    path = tmp_path / "arms.toml"
    path.write_text(text)
    with pytest.raises(EtudeError) as error:
        load_arms(path)
    said = str(error.value)
    assert said.startswith(f"--arms-file {path}: ")
    assert told in said
    assert "\n" not in said


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(EtudeError, match="there is no such file"):
        load_arms(tmp_path / "none.toml")


@pytest.mark.parametrize("arm", ARMS.values(), ids=list(ARMS))
def test_a_known_arm_survives_json(arm: Arm):
    record: dict[str, Any] = json.loads(json.dumps(arm.to_json()))
    assert arm_from(record.pop("name"), record) == arm


def test_arms_that_score_get_more_candidates_and_all_say_what_they_need():
    for arm in ARMS.values():
        assert (arm.oversample > 1) == bool(arm.score)
        assert arm.practises == (arm.name not in ("same-data-more-steps", "reseeded"))
    searched = {name for name, arm in ARMS.items() if arm.needs_search}
    assert searched == {"targeted", "failure", "needs", "adaptive", "align", "failure-split"}


def test_an_arm_is_a_control_spreads_or_aims():
    found = {name: arm.purpose for name, arm in ARMS.items() if arm.purpose != "aim"}
    assert found == {"same-data-more-steps": "control", "reseeded": "control", "uniform": "spread"}
    assert Arm(name="x", draw="uniform", new_share=0.5).purpose == "spread"
    assert Arm(name="x", draw="uniform", pocket_weight=2).purpose == "aim"
    assert Arm(name="x", draw="nothing").purpose == "control"
    with pytest.raises(ConfigError, match="'uniform' is named twice"):
        replace(TINY, arms=("uniform", "targeted", "uniform"))


def test_who_makes_demonstrations_is_the_runs_choice_unless_the_arm_says_otherwise():
    arm = Arm(name="mine", maker="generator")
    assert not TINY.generates
    assert replace(TINY, own_arms=(arm,), arms=("mine",)).generates
    assert replace(TINY, maker="generator").generates
    assert not replace(TINY, maker="generator", arms=("same-data-more-steps",)).generates
    with pytest.raises(UnknownNameError, match="unknown maker"):
        replace(TINY, maker="robot")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="sources must be at least 1"):
        replace(TINY, sources=0)
