"""For one inference batch every outcome is the same to the bit, whoever runs it, in whatever order and company.

Run as a script it sits a suite and prints the outcomes: python test_invariance.py SUITE CHECKPOINT.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from toys import SPACE, PlantedPolicy, PointTask

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import Case, Executor, Outcome, PolicyFactory, Suite
from etude.data import FeatureStatistics
from etude.evaluation import Runner, read_outcomes, write_outcomes
from etude.policies import CheckpointPolicy, Features

TASK = PointTask(max_steps=13)
RNG = np.random.default_rng(7)
CASES = [Case(SPACE.sample(RNG), int(RNG.integers(2**31))) for _ in range(19)]
SHAPE = {"vision_widths": (8, 16), "keypoints": 8, "embedding_size": 32, "head_width": 64, "head_blocks": 2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow policy with random weights: its actions are wild, so that a wrong bit grows."""
    import torch

    from etude.policies.checkpoint import build_policy  # LeRobot takes seconds, and a fresh process needs none of it

    ones = {"mean": np.zeros(2), "std": np.ones(2)}
    features = Features(cameras=("front",), image_size=(16, 16), state_size=2, action_size=2)
    statistics = FeatureStatistics({"observation.state": ones, "action": ones})
    model = build_policy("flow", features, statistics, np.random.default_rng(0), horizon=8, shift_px=1, **SHAPE)
    generator = torch.Generator().manual_seed(0)
    for value in model.module.state_dict().values():
        if value.is_floating_point():
            value.add_(0.2 * torch.rand(value.shape, generator=generator))
    folder = tmp_path_factory.mktemp("flow") / "checkpoint"
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def policies(checkpoint: Path) -> dict[str, PolicyFactory]:
    return {
        "planted": PlantedPolicy(),
        "plain": CheckpointPolicy(str(checkpoint), execute=3),
        "averaged": CheckpointPolicy(str(checkpoint), execute=1, ensemble=0.1, smooth=0.3),
        "overlapping": CheckpointPolicy(str(checkpoint), execute=4, overlap=2, batch_size=4),
    }


def told(outcomes: Sequence[Outcome]) -> list[str]:
    """Every bit of the outcomes: JSON writes floating-point numbers so that they read back the same."""
    return [json.dumps(outcome.to_json(), sort_keys=True) for outcome in outcomes]


def outcomes_of(policy: PolicyFactory, cases: Sequence[Case], executor: Executor, **cut: int) -> list[Outcome]:
    return Runner(TASK, policy, executor, **cut).run(cases)


@pytest.fixture(scope="module")
def references(policies: dict[str, PolicyFactory]) -> dict[str, list[Outcome]]:
    outcomes = {name: outcomes_of(policy, CASES, SerialExecutor()) for name, policy in policies.items()}
    assert all(len(set(told(some))) == len(CASES) for some in outcomes.values())
    return outcomes


@pytest.mark.parametrize("name", ["planted", "plain", "averaged", "overlapping"])
@pytest.mark.parametrize(("slots", "cases_per_job"), [(1, 19), (3, 1), (3, 5), (5, 19), (16, 19)])
def test_neither_slots_nor_jobs_change_an_outcome(
    policies: dict[str, PolicyFactory],
    references: dict[str, list[Outcome]],
    name: str,
    slots: int,
    cases_per_job: int,
) -> None:
    outcomes = outcomes_of(policies[name], CASES, SerialExecutor(), slots=slots, cases_per_job=cases_per_job)
    assert told(outcomes) == told(references[name])


@pytest.mark.parametrize(("processes", "shuffled"), [(2, False), (3, True)])
def test_neither_processes_nor_order_change_an_outcome(
    policies: dict[str, PolicyFactory], references: dict[str, list[Outcome]], processes: int, shuffled: bool
) -> None:
    backwards = list(range(len(CASES)))[::-1]
    order = np.random.default_rng(1).permutation(backwards).tolist() if shuffled else backwards
    with ProcessExecutor(processes) as executor:
        for name, policy in policies.items():
            outcomes = outcomes_of(policy, [CASES[i] for i in order], executor, slots=4, cases_per_job=3)
            assert told(outcomes) == told([references[name][i] for i in order])


def test_a_suite_replays_to_the_bit_in_a_fresh_process(checkpoint: Path, tmp_path: Path) -> None:
    Suite(name="exam", task=TASK.name, space_hash=SPACE.hash, cases=tuple(CASES)).save(tmp_path / "exam.json")
    outcomes = outcomes_of(CheckpointPolicy(str(checkpoint), execute=3), CASES, SerialExecutor())
    write_outcomes(tmp_path / "outcomes.parquet", outcomes)
    fresh = subprocess.run(
        [sys.executable, __file__, tmp_path / "exam.json", checkpoint],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert fresh.stdout.splitlines() == told(outcomes) == told(read_outcomes(tmp_path / "outcomes.parquet"))


if __name__ == "__main__":
    suite = Suite.load(Path(sys.argv[1]))
    again = outcomes_of(CheckpointPolicy(sys.argv[2], execute=3), suite.cases, SerialExecutor(), slots=5)
    print("\n".join(told(again)))
