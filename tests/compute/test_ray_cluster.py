"""On a cluster of several machines: those that die take no outcome with them, and a wrong address is told at once."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compute.fatal import SlowPolicy
from toys import SPACE, PlantedPolicy, PointTask

from etude.compute import RayExecutor, SerialExecutor, ray_cluster
from etude.core import Case, ConfigError, MissingDependencyError, StageFailedError
from etude.evaluation import Runner

TASK = PointTask()
RNG = np.random.default_rng(2)
CASES = [Case(SPACE.sample(RNG), seed) for seed in range(48)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two machines in one, with a processor each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def processes(folder: Path, machine: str) -> set[int]:
    """Those that SlowPolicy ran in."""
    return {int(path.name.partition("-")[2]) for path in folder.glob(f"{machine}-*")}


@pytest.mark.slow
def test_a_worker_and_a_machine_that_die_in_the_middle_lose_and_double_nothing(cluster: Any, tmp_path: Path) -> None:
    (second,) = cluster.worker_nodes
    head, other = cluster.head_node.node_id, second.node_id
    with RayExecutor(2, cluster.address) as executor:
        jobs = Runner(TASK, SlowPolicy(folder=str(tmp_path)), executor, cases_per_job=2).stream(CASES)
        stream = chain.from_iterable(jobs)
        outcomes = [next(stream)]
        while not (processes(tmp_path, head) and processes(tmp_path, other)):
            outcomes.append(next(stream))
        (killed,) = processes(tmp_path, head)
        os.kill(killed, signal.SIGKILL)
        outcomes += [next(stream) for _ in range(6)]
        assert len(outcomes) < 36, "the machine goes while there is much to do"
        cluster.remove_node(second, allow_graceful=False)
        outcomes += stream
    assert outcomes == Runner(TASK, PlantedPolicy(), SerialExecutor()).run(CASES)
    assert len(processes(tmp_path, head)) == 2, "another worker took the place of the one that was killed"
    with RayExecutor(1, cluster.address) as executor:  # a cluster that was joined is left running
        assert list(executor.map(abs, [-1])) == [1]


@pytest.mark.slow
def test_without_a_free_processor_there_is_an_end_to_waiting(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with RayExecutor(2, cluster.address) as first:
        assert list(first.map(abs, [-1, -2, -3])) == [1, 2, 3]
        monkeypatch.setattr(ray_cluster, "_STARTED_S", 5.0)
        with (
            RayExecutor(1) as second,
            pytest.raises(StageFailedError, match=r"within 5 s: the Ray cluster has 2 processors, of which 0 are free"),
        ):
            list(second.map(abs, [-1]))


@pytest.mark.parametrize("address", ["nowhere", "10.0.0.1", "ray://10.0.0.1:10001", "host:port", ":6379"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(ConfigError, match=f"'{address}': must be HOST:PORT"):
        RayExecutor(2, address)


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigError, match=r"no cluster answers there \(Connection refused\); start one with"):
            RayExecutor(2, f"127.0.0.1:{bound.getsockname()[1]}")


def test_an_address_where_something_else_listens_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "_ANSWERED_S", 1.0)
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as server,
        pytest.raises(ConfigError, match="what listens there is not Ray"),
    ):
        RayExecutor(2, f"127.0.0.1:{server.getsockname()[1]}")


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'etude\[ray\]'"):
        RayExecutor(2)
