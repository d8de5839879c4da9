"""A checkpoint behind openpi's protocol, for the machine it runs on.

The server keeps nothing between requests: an episode's random numbers travel with them, so outcomes are those of the
checkpoint run directly, whoever asks in which order.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from http import HTTPStatus
from threading import Lock
from typing import Any

import numpy as np

from etude.core import ConfigError, EtudeError, MissingDependencyError, Policy
from etude.policies.checkpoint_policy import CheckpointPolicy
from etude.policies.features import Features
from etude.policies.remote.codec import pack_openpi, unpack_openpi
from etude.policies.remote.mapping import RemoteMapping
from etude.policies.remote.policy import REPEATS, RNG, from_state, state_of

HOST = "127.0.0.1"
"""Nobody from outside is let in: the protocol knows no passwords worth the name."""


class PolicyServer(AbstractContextManager["PolicyServer"]):
    """Serves a checkpoint; its address is `url`.

    Args:
        checkpoint: What is served.
        features: What it was trained with.
        port: 0 takes a free one.
        mapping: What clients call things; by default as `RemoteMapping.openpi` does.

    Raises:
        ConfigError: The port is taken.
    """

    def __init__(
        self, checkpoint: CheckpointPolicy, features: Features, *, port: int, mapping: RemoteMapping | None = None
    ) -> None:
        serve = _library()
        names = (mapping or RemoteMapping()).filled(RemoteMapping.openpi(features.cameras))
        self._answering = Answering(checkpoint.whole_chunks(), names)
        self._metadata = {REPEATS: True, "checkpoint": checkpoint.path, "features": asdict(features)}
        try:
            self._server = serve(
                self._talk, HOST, port, compression=None, max_size=None, ping_interval=None, process_request=_health
            )
        except OSError as error:
            raise ConfigError(
                f"--port {port}: {error.strerror or error}; choose another, or 0 for a free one."
            ) from None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"ws://{HOST}:{self._server.socket.getsockname()[1]}"

    def run(self) -> None:
        """Serve until `stop` is called, from another thread or a signal's handler."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Take no more requests."""
        self._server.shutdown()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _talk(self, socket: Any) -> None:
        """Answer one client until it hangs up."""
        socket.send(pack_openpi(self._metadata))
        for message in socket:
            try:
                reply = self._answering.answer(unpack_openpi(message))
            except EtudeError as error:  # the client is told, as openpi tells it
                socket.send(" ".join(str(error).split()))
                socket.close(1011, "the request cannot be answered")
                return
            socket.send(pack_openpi(reply))


class Answering:
    """What a request is answered with, one at a time.

    Args:
        policy: Predicts whole chunks; its memory of an episode is the generator that draws its noise.
        names: What requests call things.
    """

    def __init__(self, policy: Policy, names: RemoteMapping) -> None:
        self._policy, self._names, self._lock = policy, names, Lock()

    def answer(self, request: Any) -> dict[str, Any]:
        """The reply to a request.

        Raises:
            EtudeError: Something is missing in it, or of another shape.
        """
        if not isinstance(request, Mapping):
            raise ConfigError(f"a request is a map of names to values, got {type(request).__name__}.")
        observation, rng = self._names.observation(request), np.random.default_rng()
        if RNG in request:
            rng.bit_generator.state = from_state(request[RNG])
        begun = time.perf_counter()
        with self._lock:
            (chunk,) = self._policy.act([observation], [self._policy.begin(rng)])
        timing = {"infer_ms": 1000 * (time.perf_counter() - begun)}
        (name,) = self._names.actions or ("actions",)
        return {name: np.asarray(chunk, np.float32), "server_timing": timing, RNG: state_of(rng)}


def _health(connection: Any, request: Any) -> Any:
    """Answer GET /healthz; everything else goes on to the protocol."""
    return connection.respond(HTTPStatus.OK, "OK\n") if request.path == "/healthz" else None


def _library() -> Any:
    try:
        from websockets.sync.server import serve
    except ImportError:
        raise MissingDependencyError("serving a policy needs more libraries: pip install 'etude[remote]'.") from None
    return serve
