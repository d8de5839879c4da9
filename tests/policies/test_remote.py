"""Policies on servers do what they do here; a server that misbehaves or goes away is one line."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from toys import PointTask
from training.demonstrations import STATISTICS, TINY
from websockets.sync.server import ServerConnection, serve

from etude.cli import main
from etude.compute import SerialExecutor
from etude.core import (
    INVALID_ACTION,
    Case,
    ConfigError,
    EtudeError,
    MismatchError,
    Observation,
    Outcome,
    Perturbation,
    PolicyFactory,
    StageFailedError,
    UnknownNameError,
    stream,
)
from etude.data import FeatureStatistics
from etude.evaluation import Runner
from etude.evaluation.bench import clear_bench
from etude.loop.wiring import policy_factory
from etude.policies import CheckpointPolicy, Features
from etude.policies.checkpoint import build_policy
from etude.policies.remote import RemoteMapping, RemotePolicy, connection
from etude.policies.remote.codec import BadMessageError, pack_groot, pack_openpi, unpack_groot, unpack_openpi
from etude.policies.remote.policy import RNG, from_state, state_of
from etude.policies.remote.serving import PolicyServer

TASK = PointTask(max_steps=12)
FEATURES = Features(cameras=("front",), image_size=(16, 16), state_size=2, action_size=2)
CASES = [Case(Perturbation({"light.intensity": 0.3 + seed / 20}), seed) for seed in range(6)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "_PAUSE_S", 0.01)
    yield
    clear_bench()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "checkpoint"
    state = {"mean": np.zeros(2), "std": np.ones(2)}
    statistics = FeatureStatistics({"observation.state": state, "action": STATISTICS.features["action"]})
    build_policy("flow", FEATURES, statistics, np.random.default_rng(0), **TINY).save(folder)
    return folder


@contextmanager
def serving(checkpoint: Path, mapping: RemoteMapping | None = None, port: int = 0) -> Generator[str]:
    policy = CheckpointPolicy(str(checkpoint), execute=1)
    with PolicyServer(policy, FEATURES, port=port, mapping=mapping) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server.url
    thread.join()


@contextmanager
def answering(reply: Callable[[ServerConnection, Any], None], metadata: Any = None) -> Generator[str]:
    """A server that says its metadata, and does as it likes with every request."""

    def talk(socket: ServerConnection) -> None:
        socket.send(pack_openpi(metadata or {}))
        for message in socket:
            reply(socket, unpack_openpi(message))  # type: ignore[arg-type]

    with serve(talk, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
    thread.join()


def outcomes(policy: PolicyFactory, slots: int = 4) -> list[Outcome]:
    return Runner(TASK, policy, SerialExecutor(), slots=slots).run(CASES)


def remote(url: str, **execution: Any) -> PolicyFactory:
    return policy_factory(url, TASK, **{"execute": 4, **execution})


@pytest.mark.parametrize("execution", [{}, {"execute": 1, "ensemble": 0.01}, {"overlap": 2, "smooth": 0.3}])
def test_a_served_checkpoint_does_what_it_does_here(checkpoint: Path, execution: dict[str, Any]) -> None:
    here = outcomes(policy_factory(str(checkpoint), TASK, **{"execute": 4, **execution}))
    with serving(checkpoint) as url:
        assert outcomes(remote(url, **execution)) == here
        assert outcomes(remote(url, **execution), slots=1) == here
    assert len({o.progress for o in here}) > 1


def test_other_names_for_things_change_nothing(checkpoint: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    record = {
        "state": {"joints.y": [1, 2], "joints.x": [0, 1]},
        "images": {"front": "images.cam_high"},
        "prompt": "",
        "actions": "act",
    }
    names.write_text(json.dumps(record))
    swapped = RemoteMapping.read(names)
    names.write_text(json.dumps({**record, "state": {"joints.x": [0, 1], "joints.y": [1, 2]}}))
    with serving(checkpoint, RemoteMapping.read(names)) as url:
        assert outcomes(remote(f"{url}?mapping={names}")) == outcomes(policy_factory(str(checkpoint), TASK, execute=4))
    seen = Observation(images={"front": np.zeros((2, 2, 3), np.uint8)}, state=np.array([1.0, 2.0], np.float32))
    sent = swapped.record(seen)
    assert {name: values.tolist() for name, values in sent["joints"].items()} == {"x": [1.0], "y": [2.0]}
    assert set(sent) == {"joints", "images"}


def test_a_server_says_that_it_is_well_and_what_is_wrong_with_a_request(checkpoint: Path) -> None:
    with serving(checkpoint) as url:
        with urlopen(f"http{url[2:]}/healthz", timeout=10) as answer:
            assert answer.read() == b"OK\n"
        for wrong, told in (
            ({"state": {"observation/state": [0, 1]}}, "expected (2,), got (1,)"),
            ({"images": {}}, "'observation/images/front' is missing"),
        ):
            mapping = RemoteMapping(**{k: tuple((n, *s) for n, s in v.items()) for k, v in wrong.items()})
            policy = RemotePolicy(url, mapping=mapping, cameras=("front",), action_size=2, execute=4)
            with pytest.raises(EtudeError, match="the server failed") as error:
                outcomes(policy)
            assert told in str(error.value)
            clear_bench()
        assert outcomes(remote(url))  # it is still there
        with (
            pytest.raises(ConfigError, match="choose another, or 0"),
            serving(checkpoint, port=int(url[-5:].strip(":"))),
        ):
            pass


def chunk(actions: Any) -> Callable[[ServerConnection, Any], None]:
    return lambda socket, _request: socket.send(pack_openpi({"actions": np.asarray(actions, np.float64)}))


def test_actions_that_are_no_numbers_fail_their_episode() -> None:
    with answering(chunk(np.full((8, 2), np.nan))) as url:
        assert {o.failure_mode for o in outcomes(remote(url))} == {INVALID_ACTION}


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (chunk(np.zeros((8, 7))), MismatchError, r"shape \(8, 7\), expected \(horizon, 2\)"),
        (chunk(np.zeros(2)), MismatchError, r"shape \(2,\)"),
        (chunk(np.zeros((2, 2))), MismatchError, "chunks of 2 actions, fewer than --execute 4"),
        (lambda s, _: s.send(pack_openpi({"action": 1})), MismatchError, "'actions' is missing: there are action"),
        (lambda s, _: s.send(pack_openpi({"actions": "left"})), MismatchError, "no actions under actions: could not"),
        (
            lambda s, _: s.send("Traceback:\n  x\nValueError: no such key."),
            EtudeError,
            "failed: ValueError: no such key",
        ),
        (lambda s, _: s.send(b"\xc1\xff"), EtudeError, "not of the protocol"),
        (lambda s, _: s.send(pack_openpi([1])), EtudeError, "not of the protocol: list, not a map"),
        (lambda s, _: s.close(), StageFailedError, r"is not there \(the connection broke: .*, 4 tries\)"),
        (lambda _s, _: None, StageFailedError, r"is not there \(no answer in 0.2 s, 4 tries\)"),
    ],
    ids=["width", "flat", "short", "key", "words", "error", "noise", "list", "hangs up", "silent"],
)
def test_a_server_that_misbehaves_is_one_line(reply: Any, kind: type[EtudeError], told: str) -> None:
    with answering(reply) as url:
        with pytest.raises(kind, match=told) as error:
            outcomes(remote(f"{url}?timeout=0.2"))
        assert type(error.value) is kind
        assert url in str(error.value) or kind is MismatchError
        assert "\n" not in str(error.value)
        clear_bench()


def test_a_broken_connection_is_made_anew(checkpoint: Path) -> None:
    served = 0

    def drop(socket: ServerConnection, _request: Any) -> None:
        nonlocal served
        served += 1
        if served % 3 == 0:
            socket.close()
            return
        socket.send(pack_openpi({"actions": np.full((8, 2), 0.1)}))

    with answering(drop) as url:
        assert all(o.failure_mode == "timeout" for o in outcomes(remote(url)))
        clear_bench()
    assert served > 6


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ws://somewhere", "a policy server is ws://HOST:PORT"),
        ("http://host:80", "a policy server is ws://HOST:PORT"),
        ("ws://host:port", "a policy server is ws://HOST:PORT"),
        ("ws://host:80?maping=x", "Did you mean 'mapping'?"),
        ("ws://host:80?timeout=soon", "timeout=soon is not a number of seconds"),
        ("ws://host:80?mapping=nowhere.json", "'nowhere.json' does not exist"),
    ],
)
def test_addresses_that_cannot_be_are_one_line(address: str, told: str) -> None:
    with pytest.raises(EtudeError) as error:
        policy_factory(address, TASK)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("record", "kind", "told"),
    [
        ([], ConfigError, "expected a JSON object"),
        ({"image": {}}, UnknownNameError, "Did you mean 'images'?"),
        ({"state": {"a": [3, 1]}}, ConfigError, "0 <= FIRST < END"),
        ({"images": ["front"]}, ConfigError, '"images": {CAMERA: NAME}'),
        ({"actions": [1]}, ConfigError, "1 is not a name"),
    ],
)
def test_mappings_that_cannot_be_are_one_line(record: Any, kind: type, told: str, tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps(record))
    with pytest.raises(kind) as error:
        RemoteMapping.read(tmp_path / "names.json")
    assert told in str(error.value)
    assert "names.json" in str(error.value)


ARRAYS = [np.zeros((2, 3), np.uint8), np.arange(6.0).reshape(2, 3).T, np.array(3), np.array([], np.float32)]


@pytest.mark.parametrize(("pack", "unpack"), [(pack_openpi, unpack_openpi), (pack_groot, unpack_groot)])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: str(a.shape))
def test_arrays_survive_a_message(array: np.ndarray[Any, Any], pack: Any, unpack: Any) -> None:
    found = unpack(pack({"a": {"b": [array, "text", 1, None, np.float32(0.5)]}}))["a"]["b"]
    assert found[0].dtype == array.dtype
    np.testing.assert_array_equal(found[0], array)
    assert found[1:] == ["text", 1, None, 0.5]


def test_messages_are_laid_out_as_the_protocols_say() -> None:
    import msgpack

    array = np.array([[1, 2]], np.int16)
    assert msgpack.unpackb(pack_openpi(array)) == {
        b"__ndarray__": True, b"data": array.tobytes(), b"dtype": "<i2", b"shape": [1, 2],
    }  # fmt: skip
    assert msgpack.unpackb(pack_openpi(np.int16(2))) == {b"__npgeneric__": True, b"data": 2, b"dtype": "<i2"}
    assert set(msgpack.unpackb(pack_groot(array))) == {"__ndarray_class__", "as_npy"}
    bytes_dtype = {b"__ndarray__": True, b"data": b"\x01", b"dtype": b"|u1", b"shape": (1,)}
    assert unpack_openpi(msgpack.packb(bytes_dtype)).tolist() == [1]


@pytest.mark.parametrize("dtype", ["O", "c16", "V4"])
def test_arrays_of_objects_are_neither_sent_nor_read(dtype: str) -> None:
    import msgpack

    with pytest.raises(BadMessageError):
        pack_openpi(np.zeros(1, dtype))
    with pytest.raises(BadMessageError):
        unpack_openpi(msgpack.packb({b"__ndarray__": True, b"data": b"", b"dtype": dtype, b"shape": (0,)}))
    with pytest.raises(BadMessageError):
        unpack_groot(msgpack.packb({"__ndarray_class__": True, "as_npy": b"no array"}))


def test_random_numbers_go_on_where_they_were() -> None:
    rng, copy = stream(3, "policy"), np.random.default_rng()
    rng.random(5)
    rng.integers(7, dtype=np.uint32)
    copy.bit_generator.state = from_state(unpack_openpi(pack_openpi({RNG: state_of(rng)}))[RNG])
    assert copy.random(4).tolist() == rng.random(4).tolist()


def start(checkpoint: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    etude = Path(sys.executable).with_name("etude")
    process = subprocess.Popen([etude, "serve", checkpoint, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split(" at ")[1].split(";")[0]


@pytest.mark.slow
def test_an_evaluation_goes_on_when_its_server_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world = "franka-lift:image_size=32,max_steps=10"
    made = ["collect", world, "--episodes", "1", "--processes", "1", "--out", "data"]
    assert main([arg.replace(",max_steps=10", "") for arg in made]) == 0
    assert main(["train", "--dataset", "data", "--policy", "flow", "--steps", "2", "--out", "run"]) == 0
    served, url = start(tmp_path / "run", "--port", "0")
    asked = ["eval", world, "--policy", url, "--episodes", "24", "--processes", "1", "--out", "remote"]
    run = subprocess.Popen([Path(sys.executable).with_name("etude"), *asked], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "remote/journal.jsonl").exists() or not (tmp_path / "remote/journal.jsonl").read_text():
        assert run.poll() is None
    while (tmp_path / "remote/journal.jsonl").read_text().count("\n") < 2:  # a header, and the first job
        assert run.poll() is None
    served.kill()
    served.communicate()
    _, complaint = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "is not there" in complaint.splitlines()[-1]
    assert "--resume" in complaint.splitlines()[-1]
    served, again = start(tmp_path / "run", "--port", url.rpartition(":")[2])
    assert again == url
    assert main([*asked, "--resume"]) == 0
    served.terminate()
    assert "all connections are closed" in served.communicate(timeout=60)[0]
    assert served.returncode == 0
    here = [*asked[:2], "--policy", "run", "--episodes", "24", "--processes", "1", "--out", "here"]
    assert main(here) == 0
    assert (tmp_path / "here/outcomes.parquet").read_bytes() == (tmp_path / "remote/outcomes.parquet").read_bytes()
    capsys.readouterr()
