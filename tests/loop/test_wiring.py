from pathlib import Path

import numpy as np
import pytest
from loop.tiny import TASK

from etude.core import EtudeError, Observation, UnknownNameError, stream
from etude.evaluation import Expert, RandomPolicy
from etude.loop.wiring import find_checkpoint, policy_factory
from etude.policies import CheckpointPolicy
from etude.sim import make_task


def test_names_stand_for_policies(finished: Path):
    train = finished / "round-00" / "train"
    assert policy_factory("expert", TASK) == Expert(TASK)
    assert policy_factory("random", TASK) == RandomPolicy((-1.0, -1.0), (1.0, 1.0))
    policy = CheckpointPolicy(str(train / "checkpoint"), execute=3)
    assert policy_factory(str(train), TASK, execute=3) == policy_factory(policy.path, TASK, execute=3) == policy


def test_what_is_no_policy_is_told(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="Did you mean 'expert'"):
        policy_factory("expurt", TASK)
    with pytest.raises(EtudeError, match=r"holds no checkpoint: there is no config\.json"):
        policy_factory(str(tmp_path), TASK)
    with pytest.raises(EtudeError, match="holds no checkpoint"):
        find_checkpoint(tmp_path)


def test_the_random_policy_draws_from_all_of_a_tasks_actions():
    task = make_task("so101-sort")
    policy, (low, high) = policy_factory("random", task).create(), task.action_bounds
    observation = Observation(images={}, state=np.zeros(6, np.float32))
    drawn = np.concatenate([policy.act([observation], [policy.begin(stream(i, "random"))])[0] for i in range(100)])
    assert (drawn >= low).all()
    assert (drawn <= high).all()
    assert (np.ptp(drawn, axis=0) > 0.9 * (high - low)).all()
