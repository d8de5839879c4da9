"""All executors keep the same promises; only workers can die."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from compute import jobs

from etude.compute import ProcessExecutor, RayExecutor, SerialExecutor
from etude.compute.pool import Job, WorkerDiedError, WorkerPool
from etude.core import ConfigError, EtudeError, FactorRangeError, StageFailedError

RAY = pytest.param("ray", marks=pytest.mark.slow)  # a cluster takes seconds to start
WORKERS = {"processes": ProcessExecutor, "ray": RayExecutor}

type Pool = ProcessExecutor | RayExecutor
type Executor = SerialExecutor | Pool


@pytest.fixture(scope="module")
def pools() -> Iterator[Callable[[str], Pool]]:
    """Two workers of a kind, started when first asked for."""
    with ExitStack() as stack:
        yield cache(lambda kind: stack.enter_context(WORKERS[kind](2)))


@pytest.fixture(params=["serial", "processes", RAY])
def executor(request: pytest.FixtureRequest, pools: Callable[[str], Pool]) -> Executor:
    return SerialExecutor() if request.param == "serial" else pools(request.param)


@pytest.fixture(params=["processes", RAY])
def pool(request: pytest.FixtureRequest, pools: Callable[[str], Pool]) -> Pool:
    return pools(request.param)


def test_results_come_in_the_order_of_the_jobs(executor: Executor) -> None:
    assert list(executor.map(jobs.later_when_even, range(9))) == list(range(9))


def test_no_jobs_give_no_results(executor: Executor) -> None:
    assert list(executor.map(jobs.square, [])) == []


def test_jobs_are_drawn_only_as_needed(executor: Executor) -> None:
    drawn: list[int] = []

    def source() -> Iterator[int]:
        for i in range(1000):
            drawn.append(i)
            yield i

    results = executor.map(jobs.square, source())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(drawn) < 30


def test_an_error_arrives_in_its_turn_with_its_evidence(executor: Executor) -> None:
    results = executor.map(jobs.raise_range, range(4))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(FactorRangeError, match=r"light.intensity.*outside") as caught:
        next(results)
    assert (caught.value.factor, caught.value.value, caught.value.high) == ("light.intensity", 3.0, 1.0)


def test_after_an_error_the_executor_works_on(executor: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        list(executor.map(jobs.raise_bug, range(20)))
    assert list(executor.map(jobs.square, range(5))) == [0, 1, 4, 9, 16]


def test_two_maps_may_be_interleaved(executor: Executor) -> None:
    first, second = executor.map(jobs.square, range(6)), executor.map(jobs.later_when_even, range(6))
    assert [(a, b) for a, b in zip(first, second, strict=True)] == [(i * i, i) for i in range(6)]


def test_a_bug_in_a_worker_shows_where_it_happened(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(pool.map(jobs.raise_bug, [5]))
    assert "raise_bug" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_pickled_is_told_in_words(pool: Pool) -> None:
    with pytest.raises(RuntimeError, match="cannot travel"):
        list(pool.map(jobs.raise_unpicklable, [1]))


def test_large_jobs_and_large_results_do_not_block_each_other(pool: Pool) -> None:
    blobs = [bytes(3_000_000)] * 8
    assert [len(b) for b in pool.map(jobs.length, blobs)] == [3_000_000] * 8


def test_workers_compute_with_one_thread_and_this_process_is_unchanged(pool: Pool) -> None:
    before = os.environ.get("MKL_NUM_THREADS")
    assert set(pool.map(jobs.threads, range(4))) == {("1", "1")}
    assert os.environ.get("MKL_NUM_THREADS") == before


def test_a_worker_that_dies_is_replaced_and_its_job_run_again(tmp_path: Path, pool: Pool) -> None:
    marker = str(tmp_path / "died")
    assert list(pool.map(jobs.die_once, [marker, marker, marker])) == ["survived"] * 3


def test_a_job_that_kills_three_workers_is_named(pool: Pool) -> None:
    results = pool.map(jobs.die, [0, 1, 2])
    assert next(results) == 0
    how = "exit code 7" if isinstance(pool, ProcessExecutor) else "The actor died unexpectedly.*"
    with pytest.raises(StageFailedError, match=rf"job 1 ended its worker process 3 times \({how}\)"):
        next(results)
    assert list(pool.map(jobs.square, [3])) == [9]


def test_a_lost_job_may_have_a_result_of_its_own_and_the_others_come_as_ever(pool: Pool) -> None:
    lost: list[tuple[int, str]] = []

    def on_lost(job: int, error: EtudeError) -> int:
        lost.append((job, str(error)))
        return -job

    assert list(pool.map(jobs.die, range(8), on_lost=on_lost)) == [0, -1, *range(2, 8)]
    assert [job for job, _ in lost] == [1]
    assert "3 times" in lost[0][1]


class Forgetful:
    """A worker whose replies are still on their way when it dies, as a Ray actor's may be."""

    ready = True

    def __init__(self) -> None:
        self.held: deque[Job] = deque()

    def send(self, job: Job) -> None: ...

    def receive(self) -> None:
        if any(job.job == 1 for job in self.held):
            raise WorkerDiedError
        self.held.popleft().reply = pickle.dumps((True, 0))

    def end(self) -> str:
        return "gone"


class ForgetfulPool(WorkerPool[Forgetful]):
    def _hire(self) -> Forgetful:
        return Forgetful()

    def _answering(self, workers: Sequence[Forgetful], *, block: bool) -> Sequence[Forgetful]:
        return [worker for worker in workers if worker.held][:1]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_job_before_one_that_ends_its_worker_is_not_blamed_for_it(processes: int) -> None:
    def on_lost(job: int, error: EtudeError) -> int:
        assert str(error).startswith("job 1 ended its worker process 3 times (gone)")
        return -job

    assert list(ForgetfulPool(processes).map(jobs.square, range(6), on_lost=on_lost)) == [0, -1, 0, 0, 0, 0]


def test_no_processes_is_an_error() -> None:
    with pytest.raises(ConfigError, match="processes = 0"):
        ProcessExecutor(0)


SCRIPT = """
import sys
from etude.compute import {executor} as Executor
from compute import jobs
if __name__ == "__main__":
    with Executor(2) as executor:
        list(executor.map(jobs.pid_then_sleep, [sys.argv[1]] * 4))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["processes", RAY])
def test_workers_never_outlive_their_parent(tmp_path: Path, how: signal.Signals, kind: str) -> None:
    script, pids = tmp_path / "script.py", tmp_path / "pids"
    script.write_text(SCRIPT.format(executor=WORKERS[kind].__name__))
    pids.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, str(script), str(pids)]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, start_new_session=True, text=True
    ) as parent:
        assert eventually(lambda: len(list(pids.iterdir())) == 2)
        if how == signal.SIGINT:
            os.killpg(parent.pid, how)  # as a terminal does: to everyone
        else:
            parent.send_signal(how)
        complaint = parent.communicate(timeout=30)[1]
    assert eventually(lambda: not any(alive(int(p.name)) for p in pids.iterdir()))
    if how == signal.SIGINT:
        assert complaint.count("Traceback") == 1, complaint  # only the parent speaks


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
