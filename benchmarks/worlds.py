"""Every world: expert episodes a minute, how long θ takes to apply; and ALOHA's transfer against gym-aloha's own.

Episodes are run by two processes: state only, and with two 96² cameras into a dataset. The comparison with gym-aloha
is in turns; its environment has a process of its own, because dm_control draws into whatever context was current last.
Whatever it is asked for, it draws three 480×640 images with shadows at every step; ours draws those that it is asked
for, without shadows. Both hold the arms where episodes start, physics included.
"""

import importlib.util
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.timing import Comparison, Side, compare
from etude.compute import ProcessExecutor
from etude.core import Case, Executor, Perturbation, derive_seed, stream, to_observation
from etude.evaluation import Expert, Runner
from etude.loop.making.collecting import collect
from etude.sim import SimTask, make_task, task_names

EPISODES = 24
CHUNK = 8
"""Steps between a policy's looks."""
TRANSFER = "aloha-transfer-cube"


def main(repeats: int = 3) -> None:
    """Measure and print."""
    tasks = [task for name in task_names() if isinstance(task := make_task(name), SimTask)]
    with ProcessExecutor(2) as executor:
        for task in tasks:
            for what, run in (("state only", state_only), ("two 96² cameras, written as a dataset", with_images)):
                run(task, executor, 4, 0)  # starts the processes and compiles the scene
                rates = [60 * EPISODES / seconds(run, task, executor, 1 + i) for i in range(repeats)]
                show(f"{task.name}: expert episodes a minute, {what}", rates, digits=0)
    for task in tasks:
        show(f"{task.name}: θ applied [ms]", theta_times_ms(task), wanted="at most 0.2")
    show(f"{TRANSFER}: reset and 400 steps, state only [s]", episode_times(10), wanted="at most 0.25")
    against_gym_aloha()


def seconds(run: Callable[..., None], task: SimTask, executor: Executor, seed: int) -> float:
    begin = time.perf_counter()
    run(task, executor, EPISODES, seed)
    return time.perf_counter() - begin


def state_only(task: SimTask, executor: Executor, episodes: int, seed: int) -> None:
    task = make_task(f"{task.name}:cameras=none")
    cases = [Case(Perturbation(), derive_seed(seed, i)) for i in range(episodes)]
    Runner(task, Expert(task), executor, slots=1, cases_per_job=2).run(cases)


def with_images(task: SimTask, executor: Executor, episodes: int, seed: int) -> None:
    two = make_task(f"{task.name}:cameras={'+'.join(task.cameras[:2])}")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "dataset")
        collect(two, out, accepted=episodes, draw=lambda _rng: Perturbation(), seed=seed, executor=executor)


def theta_times_ms(task: SimTask, thetas: int = 200) -> list[float]:
    """Of putting a model's fields back to nominal and applying a θ that sets every factor."""
    world: Any = task.world()
    rng, times = stream(0, "theta"), list[float]()
    for theta in [task.space.sample(rng) for _ in range(thetas)]:
        begin = time.perf_counter()
        world._perturber.apply(theta)
        times.append(1e3 * (time.perf_counter() - begin))
    return times[10:]


def episode_times(episodes: int) -> list[float]:
    """Of a reset and what the expert does then, from the reset to the last moment; the expert itself is not in it."""
    task = make_task(f"{TRANSFER}:cameras=none,end_at_success=false")
    environment, expert, actions = task.environment(object_state=True), task.expert(), list[np.ndarray]()
    raw, memory = environment.reset(seed=0)[0], expert.begin(stream(0, "policy"))
    while len(actions) < task.max_steps:
        (chunk,) = expert.act([to_observation(raw, task.text)], [memory])
        for action in chunk:
            actions.append(action)
            raw = environment.step(action)[0]
    times: list[float] = []
    for _ in range(episodes):
        begin = time.perf_counter()
        environment.reset(seed=0)
        for action in actions[:400]:
            environment.step(action)
        times.append(time.perf_counter() - begin)
    return times


def against_gym_aloha(repeats: int = 5) -> list[Comparison]:
    """What gym-aloha shows at every step, as many images as it draws, and what a policy needs."""
    if importlib.util.find_spec("gym_aloha") is None:
        raise SystemExit("this benchmark compares with gym-aloha: pip install 'etude[aloha]' (make bench does).")
    results: list[Comparison] = []
    with gym_aloha_steps() as steps:
        theirs = Side("gym-aloha, `top` of 480×640", steps)
        for name, cameras, size, every, wanted in (
            ("`top` of 640²", "top", 640, 1, 10),
            ("three cameras of 480²", "top+angle+left_wrist", 480, 1, 10),
            (f"two cameras of 96², every {CHUNK}th step", "top+left_wrist", 96, CHUNK, 100),
        ):
            ours = Side(f"{TRANSFER}, {name}", etude_steps(cameras, size, every))
            results.append(compare("control steps", ours, theirs, unit="steps", repeats=repeats))
            results[-1].show(wanted=wanted)
    return results


def etude_steps(cameras: str, size: int, every: int, steps: int = 48) -> Callable[[], int]:
    environment: Any = make_task(f"{TRANSFER}:cameras={cameras},image_size={size}").environment(lazy_images=True)

    def run() -> int:
        observation, _ = environment.reset(seed=0)
        hold = observation["agent_pos"]
        for step in range(steps):
            observation, *_ = environment.step(hold)
            if (step + 1) % every == 0:
                dict(observation["pixels"])
        return steps

    return run


@contextmanager
def gym_aloha_steps(steps: int = 3) -> Iterator[Callable[[], int]]:
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve_gym_aloha, args=(there,))
    process.start()

    def run() -> int:
        here.send(steps)
        return here.recv()

    yield run
    here.send(0)
    process.join()


def serve_gym_aloha(connection: Connection) -> None:
    """Make as many steps as is asked for, until that is none."""
    os.environ.setdefault("MUJOCO_GL", "egl")  # its renderer has to be told
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium and dm_control on what they find
        from gym_aloha.env import AlohaEnv

        environment = AlohaEnv("transfer_cube", obs_type="pixels_agent_pos")
    observation, _ = environment.reset(seed=0)
    hold = observation["agent_pos"]
    while steps := connection.recv():
        for _ in range(steps):
            observation, *_ = environment.step(hold)
        assert observation["pixels"]["top"].std() > 10, "a picture of something"
        connection.send(steps)


def show(figure: str, values: list[float], wanted: str = "", digits: int = 3) -> None:
    goal = f" (wanted {wanted})" if wanted else ""
    middle, low, high = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    print(f"{figure}: median {middle}, from {low} to {high}{goal}", flush=True)


if __name__ == "__main__":
    main()
