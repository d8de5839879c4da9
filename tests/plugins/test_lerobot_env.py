"""LeRobot's commands in our worlds: found by name, described truly, and counting the successes that we count."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import draccus
import numpy as np
import pytest
import torch
from lerobot.envs import make_env, make_env_pre_post_processors
from lerobot.envs.configs import EnvConfig
from lerobot.envs.utils import env_to_policy_features, preprocess_observation
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.scripts.lerobot_eval import eval_policy
from lerobot.utils.import_utils import register_third_party_plugins
from lerobot_env_etude import EtudeEnvConfig
from lerobot_env_etude.environment import EpisodeEnv

from etude.core import Case, ConfigError, Observer, Perturbation, Step, UnknownNameError, rollout
from etude.policies.flow.configuration_flow import FlowConfig
from etude.sim import make_task, task_names

BLIND = "franka-stack:cubes=2,cameras=none"
SEEING = "franka-stack:cubes=2,image_size=16"
SEED = 40


@dataclass
class Command:
    env: EnvConfig


class Actions(Observer):
    def __init__(self) -> None:
        self.taken: list[np.ndarray] = []

    def begin(self, case: Case) -> None: ...

    def step(self, step: Step) -> None:
        self.taken.append(np.asarray(step.action, np.float32))

    def end(self, observation: Any, outcome: Any) -> None: ...


@cache
def demonstration(seed: int) -> np.ndarray:
    """The expert's actions in the nominal world of a seed, (T, A)."""
    task, actions = make_task(BLIND), Actions()
    environment = task.environment(object_state=True)
    outcome = rollout(environment, task.expert(), Case(Perturbation(), seed), [actions])
    environment.close()
    assert outcome.success
    return np.stack(actions.taken)


def idle() -> np.ndarray:
    return np.zeros((1, len(make_task(BLIND).action_names)), np.float32)


class Replay(PreTrainedPolicy):
    """Repeats recorded actions, one recording per episode; after the last action, that again."""

    config_class, name = FlowConfig, "replay"

    def __init__(self, recordings: Sequence[np.ndarray], batch_size: int) -> None:
        super().__init__(FlowConfig())
        self.recordings, self.batch_size, self.batch = recordings, batch_size, -1

    def reset(self) -> None:
        self.batch, self.time = self.batch + 1, 0

    def select_action(self, batch: Any, **options: Any) -> torch.Tensor:
        now = self.recordings[self.batch * self.batch_size :][: self.batch_size]
        self.time += 1
        return torch.from_numpy(np.stack([actions[min(self.time, len(actions)) - 1] for actions in now]))

    def get_optim_params(self) -> Any: ...

    def predict_action_chunk(self, batch: Any, **options: Any) -> Any: ...

    def forward(self, batch: Any) -> Any: ...


def unchanged(values: Any) -> Any:
    return values


def evaluate(task: str, recordings: Sequence[np.ndarray], *, episodes: int, batch_size: int, processes: bool = False):
    """What `lerobot-eval` reports of each episode."""
    config = EtudeEnvConfig(task=task)
    vector = make_env(config, n_envs=batch_size, use_async_envs=processes)["etude"][0]
    before, after = make_env_pre_post_processors(config, FlowConfig())
    policy = Replay(recordings, batch_size)
    info = eval_policy(vector, policy, before, after, unchanged, unchanged, n_episodes=episodes, start_seed=SEED)
    vector.close()
    return info["per_episode"]


def test_lerobot_finds_the_worlds_by_the_name_of_their_distribution_beside_those_of_others() -> None:
    register_third_party_plugins()
    assert {"etude", "so101", "aloha"} <= EnvConfig.get_known_choices().keys()
    args = ["--env.type=etude", f"--env.task={SEEING},max_steps=7", "--env.space=uniform"]
    config = draccus.parse(Command, args=args).env
    assert isinstance(config, EtudeEnvConfig)
    assert (config.type, config.space, config.fps) == ("etude", "uniform", make_task(SEEING).fps)


@pytest.mark.parametrize("spec", [*task_names(), SEEING, BLIND])
def test_a_policy_is_told_the_shapes_that_it_will_see(spec: str) -> None:
    config = EtudeEnvConfig(task=spec)
    told = {key: tuple(feature.shape) for key, feature in env_to_policy_features(config).items()}
    vector = config.create_envs(1)["etude"][0]
    seen = preprocess_observation(vector.reset(seed=1)[0])
    assert told == {"action": vector.single_action_space.shape, **{k: tuple(v.shape[1:]) for k, v in seen.items()}}
    vector.close()


@pytest.mark.parametrize("batch_size", [1, 2])
def test_lerobot_counts_the_experts_successes_and_the_failures_beside_them(batch_size: int) -> None:
    recordings = [demonstration(SEED), idle(), demonstration(SEED + 2), idle()]
    episodes = evaluate(BLIND, recordings, episodes=3, batch_size=batch_size)
    assert [episode["success"] for episode in episodes] == [True, False, True]
    assert [episode["sum_reward"] for episode in episodes] == [1.0, 0.0, 1.0]
    assert [episode["seed"] for episode in episodes] == [SEED, SEED + 1, SEED + 2]


@pytest.mark.slow
def test_processes_of_their_own_change_nothing() -> None:
    episodes = evaluate(BLIND, [demonstration(SEED), idle()], episodes=2, batch_size=2, processes=True)
    assert [episode["success"] for episode in episodes] == [True, False]


def test_a_goal_reached_in_passing_is_no_success() -> None:
    spec = f"{BLIND},end_at_success=false,max_steps={len(demonstration(SEED)) + 60}"
    environment = EpisodeEnv(make_task(spec), "nominal")
    environment.reset(seed=SEED)
    steps = [environment.step(action) for action in demonstration(SEED)]
    assert steps[-1][4]["progress"] == 1.0
    assert not any(step[4]["is_success"] for step in steps)
    up_and_away = idle()[0] + np.eye(1, len(idle()[0]), 2, dtype=np.float32)[0]
    while not (steps[-1][2] or steps[-1][3]):
        steps.append(environment.step(up_and_away))
    assert steps[-1][2]
    assert steps[-1][4]["is_success"]
    environment.close()


def test_the_seed_fixes_an_episode_and_uniform_varies_every_factor() -> None:
    task = make_task(SEEING)
    first, second = EpisodeEnv(task, "uniform"), EpisodeEnv(task, "uniform")
    nominal = EpisodeEnv(task, "nominal")
    second.reset(seed=8)

    def image(environment: EpisodeEnv, seed: int) -> np.ndarray:
        environment.reset(seed=seed)
        return environment.render()

    assert image(first, 7).shape == (16, 16 * len(task.cameras), 3)
    np.testing.assert_array_equal(image(first, 7), image(second, 7))
    assert not np.array_equal(image(first, 8), image(first, 7))
    assert not np.array_equal(image(nominal, 7), image(first, 7))
    for environment in (first, second, nominal):
        environment.close()


def test_without_a_seed_episodes_go_on_from_the_last_one() -> None:
    environment = EpisodeEnv(make_task(BLIND), "nominal")
    environment.reset(seed=3)
    states = [environment.reset()[0]["agent_pos"] for _ in range(2)]
    environment.reset(seed=3)
    np.testing.assert_array_equal(environment.reset()[0]["agent_pos"], states[0])
    assert not np.array_equal(states[0], states[1])
    environment.close()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"task": "franka-stak"}, UnknownNameError, "Did you mean 'franka-stack'"),
        ({"space": "wild"}, UnknownNameError, "unknown space 'wild'. Valid: nominal, uniform."),
        ({"fps": 30}, ConfigError, "--env.fps=30: task 'franka-stack' runs at 20; leave it out."),
    ],
)
def test_wrong_settings_are_told_in_one_line(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        EtudeEnvConfig(**settings)
