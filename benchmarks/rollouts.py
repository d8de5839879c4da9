"""Rollouts a minute of one policy: `etude eval` in two processes against `lerobot-eval` through our plugin.

Both run the same checkpoint, which looks every second step, in nominal worlds of the same seeds. Rates are of whole
commands, of the episodes alone once everything is loaded, and per processor: by the time that the command used of all
processors, which a busy machine changes least (less what LeRobot's environments use in processes of their own). LeRobot
is given its own choice (on two cores one environment at a time, in one process), two environments in processes of their
own, and eight in one process. It draws every image and makes videos of its first ten episodes, which nothing turns off;
ours draws the images that the policy looks at, and a page.

Then whether both come to the same outcomes for the same initial states. Of themselves they do not: LeRobot draws the
policy's noise from one global stream, so that it depends on all episodes before. Both are given the noise of the
episode's seed, and one observation at a time; then actions are compared bit for bit, and outcomes.

The policy is a flow policy with two 96² cameras: what `--policy` or ETUDE_BENCH_POLICY names. Otherwise one of the
same architecture is trained here in a minute: as fast per step, but it fails, so that its episodes are as long as can
be.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from etude.compute import ProcessExecutor
from etude.core import Case, Executor, Observation, Outcome, Perturbation, Step, rollout, stream
from etude.evaluation import Runner
from etude.policies import CheckpointPolicy
from etude.sim import make_task

TASK, EXECUTE = "franka-stack:cubes=2,distractors=0", 2
WANTED = 5.0
THEIRS = {
    "lerobot-eval": (),
    "lerobot-eval, 2 environments in processes": ("--eval.batch_size=2",),
    "lerobot-eval, 8 environments": ("--eval.batch_size=8", "--eval.use_async_envs=false"),
}

type Rates = Mapping[str, list[float]]


@dataclass(frozen=True)
class Speed:
    """Episodes of one run: a minute of the whole command, a minute once started, and a minute of processor time."""

    command: float
    episodes: float
    processor: float


def main() -> None:
    """Measure both in turns, compare outcomes, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--policy", default=os.environ.get("ETUDE_BENCH_POLICY"), help="checkpoint of the demo")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=32, help="of a run of LeRobot's; ours runs four times as many")
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        executor = stack.enter_context(ProcessExecutor(2))
        policy = given.policy or train_policy(folder)
        sides: dict[str, Callable[[int], Speed]] = {
            "etude eval, 2 processes": lambda i: ours(policy, 4 * given.episodes, i, folder / "ours", executor),
            **{name: lambda i, more=more: theirs(policy, given.episodes, i, folder / "theirs", more)
               for name, more in THEIRS.items()},
        }  # fmt: skip
        speeds: dict[str, list[Speed]] = {name: [] for name in sides}
        for repeat in range(given.repeats):
            for name in list(sides)[:: 1 if repeat % 2 == 0 else -1]:
                speeds[name].append(sides[name](1000 * repeat))
        show("whole commands", {name: [s.command for s in runs] for name, runs in speeds.items()})
        show("once started", {name: [s.episodes for s in runs] for name, runs in speeds.items()})
        show("per processor", {name: [s.processor for s in runs] for name, runs in speeds.items()})
        compare_outcomes(policy, given.episodes)


def ours(policy: str, episodes: int, seed: int, out: Path, executor: Executor) -> Speed:
    with tempfile.TemporaryDirectory(prefix=str(out)) as folder:
        begin, used_s = time.perf_counter(), children_s()
        command("etude", "eval", TASK, "--policy", policy, "--execute", str(EXECUTE), "--episodes", str(episodes),
                "--seed", str(seed), "--processes", "2", "--out", f"{folder}/out")  # fmt: skip
        whole_s, used_s = time.perf_counter() - begin, children_s() - used_s
    runner = Runner(make_task(TASK), CheckpointPolicy(policy, execute=EXECUTE), executor)
    runner.run([Case(Perturbation(), i) for i in range(32)])  # starts the processes and loads the policy
    begin = time.perf_counter()
    runner.run([Case(Perturbation(), seed + i) for i in range(episodes)])
    alone_s = time.perf_counter() - begin
    return Speed(60 * episodes / whole_s, 60 * episodes / alone_s, 60 * episodes / used_s)


def theirs(policy: str, episodes: int, seed: int, out: Path, more: tuple[str, ...]) -> Speed:
    with tempfile.TemporaryDirectory(prefix=str(out)) as folder:
        begin, used_s = time.perf_counter(), children_s()
        command("lerobot-eval", "--env.type=etude", f"--env.task={TASK}", f"--policy.path={policy}",
                "--policy.device=cpu", f"--policy.n_action_steps={EXECUTE}", f"--eval.n_episodes={episodes}",
                f"--seed={seed}", f"--output_dir={folder}/out", *more)  # fmt: skip
        whole_s, used_s = time.perf_counter() - begin, children_s() - used_s
        told = json.loads(Path(folder, "out", "eval_info.json").read_text())["overall"]
    return Speed(60 * episodes / whole_s, 60 * episodes / told["eval_s"], 60 * episodes / used_s)


def children_s() -> float:
    """Processor time of the processes that were started here and have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train_policy(folder: Path) -> str:
    """A flow policy with two 96² cameras that has learned little."""
    print("no --policy: training one that will fail, and whose episodes are long", flush=True)
    command("etude", "collect", TASK, "--episodes", "16", "--out", f"{folder}/data")
    command("etude", "train", "--dataset", f"{folder}/data", "--policy", "flow", "--steps", "60",
            "--out", f"{folder}/policy")  # fmt: skip
    return f"{folder}/policy/checkpoint"


def command(name: str, *arguments: str) -> None:
    program = str(Path(sys.executable).with_name(name))
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")


def show(what: str, rates: Rates) -> None:
    """Print rates, and how many times ours is of each of theirs."""
    (our_name, own), *others = rates.items()
    print(f"rollouts a minute, {what}, {len(own)} repeats in turns")
    print(f"  {our_name:<42} median {median(own):>7.1f}   from {min(own):.1f} to {max(own):.1f}")
    found = {}
    for name, values in others:
        ratios = [a / b for a, b in zip(own, values, strict=True)]
        found[name] = {"ratio": median(ratios), "low": min(ratios), "high": max(ratios)}
        told = f"ours {median(ratios):.1f}x (from {min(ratios):.1f} to {max(ratios):.1f}, wanted {WANTED:g}x)"
        print(f"  {name:<42} median {median(values):>7.1f}   from {min(values):.1f} to {max(values):.1f}   {told}")
    print(json.dumps({"figure": f"rollouts, {what}", "rates": rates, "ratios": found, "wanted": WANTED}), flush=True)


def compare_outcomes(policy: str, episodes: int) -> None:
    """Print in how many episodes both sides act, and end, alike, given the same noise and one observation at a time."""
    torch.set_num_threads(1)
    our_ends, our_actions = our_episodes(policy, episodes)
    their_ends, their_actions = their_episodes(policy, episodes)
    pairs = list(zip(our_actions, their_actions, strict=True))
    acted = sum(a.shape == b.shape and bool((a == b).all()) for a, b in pairs)
    near = sum(a.shape == b.shape and float(np.abs(a - b).max()) < 1e-4 for a, b in pairs)
    ended = sum(a == b for a, b in zip(our_ends, their_ends, strict=True))
    print(f"same seeds, same noise: {ended}/{episodes} episodes end alike (success and return), {acted}/{episodes} act "
          f"alike bit for bit, {near}/{episodes} within 1e-4; {sum(s for s, _ in our_ends)} succeed")  # fmt: skip
    print(json.dumps({"figure": "same outcomes", "episodes": episodes, "ends": ended, "actions": acted, "near": near}))


class Actions:
    """An observer that keeps what was done, (T, A) per episode."""

    def __init__(self) -> None:
        self.episodes: list[list[np.ndarray]] = []

    def begin(self, case: Case) -> None:
        self.episodes.append([])

    def step(self, step: Step) -> None:
        self.episodes[-1].append(np.asarray(step.action, np.float32))

    def end(self, observation: Observation, outcome: Outcome) -> None: ...


def our_episodes(policy: str, episodes: int) -> tuple[list[tuple[bool, float]], list[np.ndarray]]:
    task, actions = make_task(TASK), Actions()
    environment, acting = task.environment(), CheckpointPolicy(policy, execute=EXECUTE, batch_size=1).create()
    outcomes = [rollout(environment, acting, Case(Perturbation(), seed), [actions]) for seed in range(episodes)]
    environment.close()
    return [(o.success, o.total_reward) for o in outcomes], [np.stack(episode) for episode in actions.episodes]


def their_episodes(policy: str, episodes: int) -> tuple[list[tuple[bool, float]], list[np.ndarray]]:
    """LeRobot's own loop and pipelines, with the noise of our episodes."""
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.envs import make_env_pre_post_processors
    from lerobot.policies import make_policy, make_pre_post_processors
    from lerobot.scripts.lerobot_eval import eval_policy
    from lerobot.utils.import_utils import register_third_party_plugins
    from lerobot_env_etude import EtudeEnvConfig

    register_third_party_plugins()
    env_config: Any = EtudeEnvConfig(task=TASK)
    config: Any = PreTrainedConfig.from_pretrained(policy)
    config.pretrained_path, config.device, config.n_action_steps = policy, "cpu", EXECUTE
    acting: Any = make_policy(config, env_cfg=env_config)
    on_cpu = {"device_processor": {"device": "cpu"}}
    before, after = make_pre_post_processors(config, policy, preprocessor_overrides=on_cpu)
    vector = env_config.create_envs(1)["etude"][0]
    taken, predict, reset, seeds = [], acting.predict_action_chunk, acting.reset, iter(range(episodes))
    noise: list[np.random.Generator] = []

    def begin() -> None:
        reset()
        if (seed := next(seeds, None)) is not None:
            noise[:] = [stream(seed, "policy")]
            taken.append([])

    def predict_with(batch: Any, **options: Any) -> torch.Tensor:
        shape = (1, config.horizon, len(make_task(TASK).action_names))
        return predict(batch, **options, noise=torch.from_numpy(noise[0].standard_normal(shape, dtype=np.float32)))

    def executed(actions: torch.Tensor) -> torch.Tensor:
        plain = after(actions)
        taken[-1].append(plain[0].numpy().copy())
        return plain

    acting.reset, acting.predict_action_chunk = begin, predict_with
    own = make_env_pre_post_processors(env_cfg=env_config, policy_cfg=config)
    told = eval_policy(vector, acting, *own, before, executed, n_episodes=episodes, start_seed=0)["per_episode"]
    vector.close()
    return [(e["success"], e["sum_reward"]) for e in told], [np.stack(episode) for episode in taken]


if __name__ == "__main__":
    main()
