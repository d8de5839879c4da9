"""A GR00T server is asked as its protocol says, by the names it tells."""

import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from toys import PointTask

from etude.compute import SerialExecutor
from etude.core import Case, EtudeError, MismatchError, Observation, Outcome, Perturbation, StageFailedError
from etude.evaluation import Runner
from etude.evaluation.bench import clear_bench
from etude.loop.wiring import policy_factory
from etude.policies.remote import connection
from etude.policies.remote.codec import pack_groot, unpack_groot
from etude.policies.remote.groot import GrootClient
from etude.policies.remote.mapping import RemoteMapping

TASK = PointTask(max_steps=12)
CASES = [Case(Perturbation(), seed) for seed in range(8)]

type Request = dict[str, Any]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "_PAUSE_S", 0.01)
    yield
    clear_bench()


def modalities(state: list[str], video: list[str], action: list[str], moments: int = 1) -> dict[str, Any]:
    def config(keys: list[str], count: int = 1) -> dict[str, Any]:
        return {
            "__ModalityConfig_class__": True,
            "as_json": {"delta_indices": list(range(count)), "modality_keys": keys},
        }

    language = {"__ModalityConfig_class__": True, "as_json": json.dumps({"modality_keys": ["task"]})}
    return {"video": config(video, moments), "state": config(state), "action": config(action, 8), "language": language}


@contextmanager
def serving(
    act: Callable[[Request], Any], config: dict[str, Any] | None = None, seen: list[Request] | None = None
) -> Generator[str]:
    """A server whose "get_action" does as it likes; None answers nothing any more."""
    config = config or modalities(["arm"], ["front"], ["arm"])
    context, over = zmq.Context(), threading.Event()
    socket = context.socket(zmq.REP)
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")

    def answer(request: Request) -> Any:
        plain = {"ping": {"status": "ok", "message": "here"}, "get_modality_config": config, "reset": {}}
        return plain[request["endpoint"]] if request["endpoint"] in plain else act(request["data"])

    def run() -> None:
        while not over.is_set():
            if not socket.poll(20):
                continue
            request = unpack_groot(socket.recv())
            if seen is not None:
                seen.append(request)
            reply = answer(request)
            if reply is None:
                break
            socket.send(reply if isinstance(reply, bytes) else pack_groot(reply))
        socket.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        over.set()
        thread.join()
        context.term()


def outward(data: Request) -> Any:
    """Away from where the point is: a batched answer by the state alone."""
    state = data["observation"]["state"]["arm"]
    return [{"arm": np.repeat(np.sign(state), 8, axis=1).astype(np.float32)}, {}]


def outcomes(url: str, slots: int = 4) -> list[Outcome]:
    return Runner(TASK, policy_factory(url, TASK, execute=4), SerialExecutor(), slots=slots).run(CASES)


def test_outcomes_are_those_of_its_actions_in_any_batch() -> None:
    seen: list[Request] = []
    with serving(outward, seen=seen) as url:
        together = outcomes(url)
        assert outcomes(url, slots=1) == together
        clear_bench()
    assert len({o.progress for o in together}) > 1
    assert [request["endpoint"] for request in seen[:4]] == ["ping", "get_modality_config", "reset", "get_action"]
    assert "data" not in seen[0]
    observation = seen[3]["data"]["observation"]
    assert (observation["video"]["front"].shape, observation["video"]["front"].dtype) == ((4, 1, 16, 16, 3), np.uint8)
    assert (observation["state"]["arm"].shape, observation["state"]["arm"].dtype) == ((4, 1, 2), np.float32)
    assert observation["language"] == {"task": [["move to the goal"]] * 4}


def test_a_mapping_says_which_numbers_and_cameras_are_meant(tmp_path: Path) -> None:
    def act(data: Request) -> Any:
        state = data["observation"]["state"]
        return [{name: np.repeat(values, 8, axis=1) for name, values in state.items()}, {}]

    names = RemoteMapping(state=(("y", 1, 2), ("x", 0, 1)), images=(("front", "ego_view"),), actions=("x", "y"))
    with serving(act, modalities(["x", "y"], ["ego_view"], ["y", "x"])) as url:
        client = GrootClient(url, names, ["front"], timeout_s=5.0)
        image = np.zeros((4, 4, 3), np.uint8)
        seen = [Observation(images={"front": image}, state=np.array([i, 10 + i], np.float32)) for i in range(3)]
        chunks = client.infer(seen, [])
        client.close()
    assert [chunk.tolist() for chunk in chunks] == [[[i, 10.0 + i]] * 8 for i in range(3)]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (modalities(["arm"], ["ego_view"], ["arm"]), "looks through ego_view, and the task has front"),
        (modalities(["arm", "hand"], ["front"], ["arm"]), r"in parts \(arm, hand\)"),
        (modalities(["arm"], ["front"], ["arm"], moments=2), "looks at 2 moments at once"),
    ],
)
def test_what_the_server_wants_and_nobody_said_is_told(config: dict[str, Any], told: str) -> None:
    with serving(outward, config) as url, pytest.raises(MismatchError, match=told):
        outcomes(url)


@pytest.mark.parametrize(
    ("act", "kind", "told"),
    [
        (lambda _: {"error": "no such\nkey"}, EtudeError, "the server failed: no such key"),
        (lambda _: [{"hand": 1}, {}], MismatchError, "'arm' is missing: there are hand"),
        (lambda _: [{"arm": np.zeros((4, 8, 7), np.float32)}, {}], MismatchError, r"shape \(8, 7\), expected"),
        (lambda _: [{"arm": np.zeros((8, 2), np.float32)}, {}], MismatchError, r"expected \(4, horizon, numbers\)"),
        (lambda _: b"\xc1", EtudeError, "not of the protocol"),
        (lambda _: None, StageFailedError, r"is not there \(no answer in 0.3 s, 4 tries\)"),
    ],
    ids=["error", "key", "width", "batch", "noise", "silent"],
)
def test_a_server_that_misbehaves_is_one_line(act: Any, kind: type[EtudeError], told: str) -> None:
    with serving(act) as url, pytest.raises(kind, match=told) as error:
        outcomes(f"{url}?timeout=0.3")
    clear_bench()
    assert "\n" not in str(error.value)


def test_nobody_there_is_one_line() -> None:
    with serving(outward) as url:
        pass
    with pytest.raises(StageFailedError, match="start the server and go on with --resume"):
        outcomes(f"{url}?timeout=0.1")
