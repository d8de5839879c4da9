"""Where the processor time of an evaluation goes: physics, rendering, inference, and our code around them.

One process runs episodes of the demo's policy, in worlds drawn from all of the space; everything is loaded before. The
time inside MuJoCo and inside the network is measured by replacing their functions, while this runs, with ones that read
the process's clock before and after. What is left, less what the clocks cost, is ours: the arm's controller with its
inverse kinematics, progress and failure modes, observations, chunks, outcomes.
"""

import argparse
import cProfile
import json
import os
import pstats
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import mujoco

from benchmarks.rollouts import EXECUTE, TASK, train_policy
from etude.compute import SerialExecutor
from etude.core import Case, stream
from etude.evaluation import Runner
from etude.policies import CheckpointPolicy
from etude.policies.flow.predictor import FlowPredictor
from etude.sim import make_task

WANTED = 0.10
OURS = "our code"
PHYSICS = ("mj_step", "mj_forward", "mj_kinematics", "mj_comPos", "mj_jacSite", "mj_resetData", "mj_resetDataKeyframe")
RENDERING = ("mj_camlight", "mjv_updateScene", "mjr_render", "mjr_readPixels")


def main() -> None:
    """Measure, print the shares, and on request what our code's time is spent on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--policy", default=os.environ.get("ETUDE_BENCH_POLICY"), help="checkpoint of the demo")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--functions", type=int, default=0, help="also list so many functions that take longest")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task = make_task(TASK)
        policy = CheckpointPolicy(given.policy or train_policy(Path(folder)), execute=EXECUTE)
        runner, rng = Runner(task, policy, SerialExecutor()), stream(0, "theta")
        cases = [Case(task.space.sample(rng), seed) for seed in range(given.episodes)]
        runner.run(cases[:16])
        shares = [measure(lambda: steps(runner, cases)) for _ in range(given.repeats)]
        show(shares)
        if given.functions:
            profile(lambda: runner.run(cases), given.functions)


def steps(runner: Runner, cases: list[Case]) -> int:
    return sum(outcome.length for outcome in runner.run(cases))


def measure(run: Callable[[], int]) -> dict[str, float]:
    """Processor time per control step [ms], by what it went to."""
    spent: Counter[str] = Counter()
    with timed(spent) as calls:
        begin = time.process_time()
        count = run()
        whole = time.process_time() - begin
    spent[OURS] = whole - sum(spent.values()) - calls.total() * clock_s()
    return {name: 1e3 * seconds / count for name, seconds in spent.items()}


def clocked(spent: Counter[str], calls: Counter[str], kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose time is added up."""

    def call(*arguments: Any, **options: Any) -> Any:
        begin = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[kind] += time.process_time() - begin
            calls[kind] += 1

    return call


def clock_s(calls: int = 20_000) -> float:
    """What the clocks of one call cost beyond the time that they show."""
    spent: Counter[str] = Counter()
    nothing = clocked(spent, Counter(), "", lambda: None)
    begin = time.process_time()
    for _ in range(calls):
        nothing()
    return (time.process_time() - begin - spent[""]) / calls


@contextmanager
def timed(spent: Counter[str]) -> Generator[Counter[str]]:
    """While this is open, time inside MuJoCo and the network is added to `spent`; yields how many calls there were."""
    calls: Counter[str] = Counter()
    places = [
        *((mujoco, name, "physics") for name in PHYSICS),
        *((mujoco, name, "rendering") for name in RENDERING),
        (FlowPredictor, "predict", "inference"),
    ]
    patches = [
        patch.object(owner, name, clocked(spent, calls, kind, getattr(owner, name))) for owner, name, kind in places
    ]
    for each in patches:
        each.start()
    try:
        yield calls
    finally:
        for each in patches:
            each.stop()


def show(repeats: list[dict[str, float]]) -> None:
    """Print a table of parts and a line of JSON."""
    share = [parts[OURS] / sum(parts.values()) for parts in repeats]
    print(f"processor time of an evaluation, {len(repeats)} repeats")
    for name in ("physics", "rendering", "inference", OURS):
        values = [parts[name] for parts in repeats]
        of = median(parts[name] / sum(parts.values()) for parts in repeats)
        told = f"{median(values):.3f} ms a control step (from {min(values):.3f} to {max(values):.3f})"
        print(f"  {name:<10} {of:>6.1%}   {told}")
    print(f"  {OURS}: {median(share):.1%} (from {min(share):.1%} to {max(share):.1%}, wanted at most {WANTED:.0%})")
    print(json.dumps({"figure": "overhead", "ms_per_step": repeats, "share": median(share), "wanted": WANTED}))


def profile(run: Callable[[], object], functions: int) -> None:
    """Print the functions that take longest, their callees included in neither; a profiler makes short ones dear."""
    recorded = cProfile.Profile()
    recorded.runcall(run)
    pstats.Stats(recorded).sort_stats("tottime").print_stats(functions)


if __name__ == "__main__":
    main()
