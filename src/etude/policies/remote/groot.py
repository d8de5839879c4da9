"""GR00T's protocol (N1.6, N1.7): ZeroMQ requests and replies, one msgpack map each.

The server says which cameras, parts of the state and parts of an action it knows; a mapping says what these are here.
Its noise is its own: a policy that draws some does not repeat.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from etude.core import ActionChunk, EtudeError, MismatchError, MissingDependencyError, Observation
from etude.policies.remote.codec import BadMessageError, pack_groot, unpack_groot
from etude.policies.remote.connection import Connection, LostError, ServerError
from etude.policies.remote.mapping import RemoteMapping, camera_image, take_actions


class GrootLine:
    """An open connection.

    Args:
        url: "tcp://HOST:PORT".
        timeout_s: For an answer.

    Raises:
        LostError: Nobody answers there.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._zmq = _zmq()
        self._timeout_s = timeout_s
        self._socket = self._zmq.Context.instance().socket(self._zmq.REQ)
        milliseconds = round(1000 * timeout_s)
        for option, value in {"RCVTIMEO": milliseconds, "SNDTIMEO": milliseconds, "LINGER": 0}.items():
            self._socket.setsockopt(getattr(self._zmq, option), value)
        self._socket.connect(url)
        try:
            self.ask({"endpoint": "ping"})
        except EtudeError:
            self.close()
            raise

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its answer; a socket that got none is of no more use."""
        try:
            self._socket.send(pack_groot(request))
            answer = unpack_groot(self._socket.recv())
        except self._zmq.Again:
            raise LostError(f"no answer in {self._timeout_s:g} s.") from None
        except self._zmq.ZMQError as error:
            raise LostError(f"the connection broke: {error}.") from None
        if isinstance(answer, dict) and "error" in answer:
            raise ServerError(f"the server failed: {' '.join(str(answer['error']).split()).removesuffix('.')}.")
        return answer

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass(frozen=True, kw_only=True)
class Modalities:
    """What a server knows: names of cameras, of parts of the state and of an action, and of the task in words."""

    video: tuple[str, ...]
    state: tuple[str, ...]
    action: tuple[str, ...]
    language: tuple[str, ...]

    @staticmethod
    def read(answer: Any) -> "Modalities":
        """Read the answer to "get_modality_config".

        Raises:
            BadMessageError: It is something else.
            MismatchError: The policy looks at more than the present moment.
        """
        try:
            configs = {name: _config(answer[name]) if name in answer else {} for name in Modalities.__annotations__}
            keys = {name: tuple(map(str, config.get("modality_keys", ()))) for name, config in configs.items()}
            moments = [len(configs[name].get("delta_indices", [0])) for name in ("video", "state")]
        except (TypeError, ValueError, AttributeError) as error:
            raise BadMessageError(f"its modalities are not of the protocol: {error}.") from None
        if max(moments) > 1:
            raise MismatchError(
                f"the policy looks at {max(moments)} moments at once; only the present one can be sent."
            )
        return Modalities(**keys)

    def mapping(self, given: RemoteMapping, cameras: Sequence[str], url: str) -> RemoteMapping:
        """A mapping with all parts: what is not given goes by equal names, as far as that is clear.

        Raises:
            MismatchError: It is not; the message says what the mapping has to say.
        """
        images = given.images
        if images is None:
            images = tuple((name, name) for name in self.video)
            if not set(self.video) <= set(cameras):
                raise MismatchError(
                    f"the policy server {url} looks through {', '.join(self.video)}, and the task has "
                    f"{', '.join(cameras) or 'no cameras'}: say which is which in a mapping ('images')."
                )
        if given.state is None and len(self.state) > 1:
            raise MismatchError(
                f"the policy server {url} wants the state in parts ({', '.join(self.state)}): say which numbers of it "
                "go where in a mapping ('state')."
            )
        usual = RemoteMapping(
            state=tuple((name, 0, None) for name in self.state),
            images=images,
            prompt=self.language[0] if self.language else "",
            actions=self.action,
        )
        return given.filled(usual)


class GrootClient:
    """Asks a GR00T server, for all observations at once."""

    def __init__(self, url: str, mapping: RemoteMapping, cameras: Sequence[str], *, timeout_s: float) -> None:
        self._connection = Connection(url, partial(GrootLine, url, timeout_s=timeout_s))
        try:
            modalities = Modalities.read(self._connection.ask({"endpoint": "get_modality_config"}))
            self._names = modalities.mapping(mapping, cameras, url)
            self._connection.ask({"endpoint": "reset", "data": {"options": None}})
        except EtudeError:
            self._connection.close()
            raise

    def infer(self, observations: Sequence[Observation], rngs: Sequence[np.random.Generator]) -> list[ActionChunk]:
        """One chunk per observation, (H, A)."""
        del rngs
        data = {"observation": self._batch(observations), "options": None}
        answer = self._connection.ask({"endpoint": "get_action", "data": data})
        action = answer[0] if isinstance(answer, list) and answer else answer
        actions = take_actions(action, self._names.actions or (), self._connection.url)
        if actions.ndim != 3 or len(actions) != len(observations):
            raise MismatchError(
                f"the policy server {self._connection.url} gives actions of shape {actions.shape}, expected "
                f"({len(observations)}, horizon, numbers)."
            )
        return list(actions)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _batch(self, observations: Sequence[Observation]) -> dict[str, Any]:
        """Observations as the protocol has them: batch and time before everything else."""
        names = self._names
        states = [names.states(observation.state) for observation in observations]
        cameras: Mapping[str, str] = dict(names.images or ())
        return {
            "video": {
                name: np.stack([camera_image(observation, camera)[None] for observation in observations])
                for camera, name in cameras.items()
            },
            "state": {name: np.stack([state[name][None] for state in states]) for name in states[0]},
            "language": {names.prompt: [[observation.task] for observation in observations]} if names.prompt else {},
        }


def _config(record: Any) -> dict[str, Any]:
    return json.loads(record) if isinstance(record, str) else dict(record)


def _zmq() -> Any:
    try:
        import zmq
    except ImportError:
        raise MissingDependencyError("policies on servers need more libraries: pip install 'etude[remote]'.") from None
    return zmq
