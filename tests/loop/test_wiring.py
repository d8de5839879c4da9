from pathlib import Path

import pytest
from loop.tiny import TASK

from etude.core import EtudeError, UnknownNameError
from etude.evaluation import Expert, RandomPolicy
from etude.loop.wiring import find_checkpoint, policy_factory
from etude.policies import CheckpointPolicy


def test_names_stand_for_policies(finished: Path):
    train = finished / "round-00" / "train"
    assert policy_factory("expert", TASK) == Expert(TASK)
    assert policy_factory("random", TASK) == RandomPolicy(2)
    policy = CheckpointPolicy(str(train / "checkpoint"), execute=3)
    assert policy_factory(str(train), TASK, execute=3) == policy_factory(policy.path, TASK, execute=3) == policy


def test_what_is_no_policy_is_told(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="Did you mean 'expert'"):
        policy_factory("expurt", TASK)
    with pytest.raises(EtudeError, match=r"holds no checkpoint: there is no config\.json"):
        policy_factory(str(tmp_path), TASK)
    with pytest.raises(EtudeError, match="holds no checkpoint"):
        find_checkpoint(tmp_path)
