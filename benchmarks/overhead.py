"""Where the processor time of an evaluation goes: physics, rendering, inference, and our code around them.

One process runs episodes of a flow policy with two 96² cameras, in worlds drawn from all of the space; everything is
loaded before. The time inside MuJoCo and inside the network is measured by replacing their functions, while this runs,
with ones that read the process's clock before and after. So is the arm's controller, which solves its inverse
kinematics in Python where a real arm has a box that does: it belongs to the simulated robot, and is shown beside. What
is left, less what the clocks cost, is ours: progress and failure modes, observations, chunks, outcomes.
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
from etude.sim.worlds.franka.control import RelativePoseController

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
    clock = Clock()
    with timed(clock):
        begin = time.process_time()
        count = run()
        whole = time.process_time() - begin
    parts = {**clock.spent, OURS: whole - clock.spent.total() - clock.calls * clock_s()}
    return {name: 1e3 * seconds / count for name, seconds in parts.items()}


class Clock:
    """Adds up the time of functions, by kind; what is inside another counts for the inner one."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.calls = 0
        self._inner = 0.0  # time of the functions within the one that runs

    def clocked(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is added up."""

        def call(*arguments: Any, **options: Any) -> Any:
            before, self._inner = self._inner, 0.0
            begin = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                whole = time.process_time() - begin
                self.spent[kind] += whole - self._inner
                self._inner = before + whole
                self.calls += 1

        return call


def clock_s(calls: int = 20_000) -> float:
    """What the clocks of one call cost beyond the time that they show."""
    clock = Clock()
    nothing = clock.clocked("", lambda: None)
    begin = time.process_time()
    for _ in range(calls):
        nothing()
    return (time.process_time() - begin - clock.spent.total()) / calls


@contextmanager
def timed(clock: Clock) -> Generator[None]:
    """While this is open, the clock sees the time inside MuJoCo, the network and the arm's controller."""
    places = [
        *((mujoco, name, "physics") for name in PHYSICS),
        *((mujoco, name, "rendering") for name in RENDERING),
        (FlowPredictor, "predict", "inference"),
        (RelativePoseController, "step", "control"),
    ]
    patches = [patch.object(owner, name, clock.clocked(kind, getattr(owner, name))) for owner, name, kind in places]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def show(repeats: list[dict[str, float]]) -> None:
    """Print a table of parts and a line of JSON."""
    share = [parts[OURS] / sum(parts.values()) for parts in repeats]
    with_control = median((parts[OURS] + parts["control"]) / sum(parts.values()) for parts in repeats)
    print(f"processor time of an evaluation, {len(repeats)} repeats")
    for name in ("physics", "control", "rendering", "inference", OURS):
        values = [parts[name] for parts in repeats]
        of = median(parts[name] / sum(parts.values()) for parts in repeats)
        told = f"{median(values):.3f} ms a control step (from {min(values):.3f} to {max(values):.3f})"
        print(f"  {name:<10} {of:>6.1%}   {told}")
    print(f"  {OURS}: {median(share):.1%} (from {min(share):.1%} to {max(share):.1%}, wanted at most {WANTED:.0%}); "
          f"{with_control:.1%} with the controller")  # fmt: skip
    print(json.dumps({"figure": "overhead", "ms_per_step": repeats, "share": median(share), "wanted": WANTED}))


def profile(run: Callable[[], object], functions: int) -> None:
    """Print the functions that take longest, their callees included in neither; a profiler makes short ones dear."""
    recorded = cProfile.Profile()
    recorded.runcall(run)
    pstats.Stats(recorded).sort_stats("tottime").print_stats(functions)


if __name__ == "__main__":
    main()
