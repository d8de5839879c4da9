"""A policy on a server, by its address: ws://HOST:PORT speaks openpi's protocol, tcp://HOST:PORT GR00T's."""

import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from etude.core import ActionChunk, ConfigError, MismatchError, Observation, Policy, Task, UnknownNameError
from etude.policies.execution.ensembling import TemporalEnsemble
from etude.policies.execution.latency import Meter, Metered
from etude.policies.execution.receding import RecedingHorizon
from etude.policies.execution.smoothing import Smoothing
from etude.policies.remote.connection import Connection
from etude.policies.remote.mapping import RemoteMapping, take, take_actions
from etude.policies.remote.openpi import OpenpiLine

SCHEMES = ("ws", "wss", "tcp")
RNG = "etude/rng"
"""Key of the episode's random numbers, in requests to and replies of a server that says it repeats."""
REPEATS = "etude/repeats"
"""Key in the metadata of such a server."""

_TIMEOUT_S = 60.0


class Client(Protocol):
    """A protocol."""

    def infer(self, observations: Sequence[Observation], rngs: Sequence[np.random.Generator]) -> list[ActionChunk]:
        """One chunk per observation, (H, A)."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


@dataclass(frozen=True)
class RemotePolicy:
    """A policy on a server.

    Attributes:
        url: Its address.
        mapping: What it calls things, as far as that is not usual.
        cameras: Of the task; sent by default.
        action_size: Numbers in an action of the task, A.
        execute, ensemble, smooth, overlap: As in CheckpointPolicy.
        timeout_s: For an answer.
    """

    url: str
    _: KW_ONLY
    cameras: tuple[str, ...]
    action_size: int
    mapping: RemoteMapping = field(default_factory=RemoteMapping)
    execute: int = 8
    ensemble: float | None = None
    smooth: float = 0.0
    overlap: int = 0
    timeout_s: float = _TIMEOUT_S

    @property
    def object_state(self) -> bool:
        """A server sees cameras and proprioception only."""
        return False

    @staticmethod
    def parse(address: str, task: Task, **execution: Any) -> "RemotePolicy":
        """Read "ws://HOST:PORT?mapping=FILE&timeout=SECONDS".

        Args:
            address: As a person writes it.
            task: What the policy will be asked to do.
            execution: How its chunks are executed.

        Raises:
            ConfigError, UnknownNameError: It says something else.
        """
        parts = urlsplit(address)
        try:
            port = parts.port
        except ValueError:
            port = None
        if not parts.hostname or port is None or parts.scheme not in SCHEMES:
            raise ConfigError(f"'{address}': a policy server is ws://HOST:PORT (openpi) or tcp://HOST:PORT (GR00T).")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        for name in options:
            if name not in ("mapping", "timeout"):
                raise UnknownNameError(f"option of '{address}'", name, ("mapping", "timeout"))
        mapping = RemoteMapping.read(Path(options["mapping"])) if "mapping" in options else RemoteMapping()
        return RemotePolicy(
            f"{parts.scheme}://{parts.netloc}{parts.path}",
            mapping=mapping,
            cameras=task.cameras,
            action_size=len(task.action_names),
            timeout_s=_seconds(address, options.get("timeout", str(_TIMEOUT_S))),
            **execution,
        )

    def create(self) -> Policy:
        """Connect."""
        meter = Meter()
        policy: Policy = RemoteChunks(self._client(), self, meter)
        if self.ensemble is not None:
            first = self.execute - self.overlap
            policy = TemporalEnsemble(policy, decay=self.ensemble, every=self.execute, first=first)
        policy = RecedingHorizon(policy, execute=self.execute, overlap=self.overlap)
        return Metered(Smoothing(policy, share=self.smooth) if self.smooth else policy, meter)

    def _client(self) -> Client:
        if self.url.startswith("tcp:"):
            from etude.policies.remote.groot import GrootClient

            return GrootClient(self.url, self.mapping, self.cameras, timeout_s=self.timeout_s)
        return OpenpiClient(self.url, self.mapping.filled(RemoteMapping.openpi(self.cameras)), self.timeout_s)


class RemoteChunks:
    """The policy that a server's chunks make; an episode's memory is its random numbers.

    Args:
        client: Speaks with the server.
        recipe: What is expected of its answers.
        meter: Notes how long they take.
    """

    def __init__(self, client: Client, recipe: RemotePolicy, meter: Meter) -> None:
        self._client, self._recipe, self._meter = client, recipe, meter
        weakref.finalize(self, client.close)

    def begin(self, rng: np.random.Generator) -> np.random.Generator:
        """Remember the episode's stream."""
        return rng

    def act(
        self, observations: Sequence[Observation], memories: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """One chunk per observation, (H, A) float32.

        Raises:
            MismatchError: The server's actions are not the task's.
            StageFailedError: The server is gone.
        """
        begun = time.perf_counter()
        chunks = self._client.infer(observations, memories)
        self._meter.add(time.perf_counter() - begun, len(observations))
        for chunk in chunks:
            self._check(chunk)
        return chunks

    def _check(self, chunk: ActionChunk) -> None:
        recipe = self._recipe
        if chunk.ndim != 2 or chunk.shape[1] != recipe.action_size:
            raise MismatchError(
                f"the policy server {recipe.url} gives actions of shape {chunk.shape}, expected "
                f"(horizon, {recipe.action_size}): it is for another robot, or its mapping should say which actions."
            )
        if len(chunk) < recipe.execute + recipe.overlap:
            overlap = f" and --overlap {recipe.overlap}" if recipe.overlap else ""
            raise MismatchError(
                f"the policy server {recipe.url} gives chunks of {len(chunk)} actions, fewer than --execute "
                f"{recipe.execute}{overlap}: execute fewer."
            )


class OpenpiClient:
    """Asks an openpi server, observation by observation."""

    def __init__(self, url: str, mapping: RemoteMapping, timeout_s: float) -> None:
        self._mapping, self._repeats = mapping, False
        self._connection = Connection(url, partial(self._open, url, timeout_s))
        self._connection.connect()

    def infer(self, observations: Sequence[Observation], rngs: Sequence[np.random.Generator]) -> list[ActionChunk]:
        """One chunk per observation, (H, A)."""
        return [self._one(o, rng) for o, rng in zip(observations, rngs, strict=True)]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _open(self, url: str, timeout_s: float) -> OpenpiLine:
        line = OpenpiLine(url, timeout_s=timeout_s)
        self._repeats = bool(line.metadata.get(REPEATS))
        return line

    def _one(self, observation: Observation, rng: np.random.Generator) -> ActionChunk:
        request = self._mapping.record(observation)
        if self._repeats:
            request[RNG] = state_of(rng)
        reply = self._connection.ask(request)
        if self._repeats:
            rng.bit_generator.state = from_state(take(reply, RNG))
        return take_actions(reply, self._mapping.actions or (), self._connection.url)


def state_of(rng: np.random.Generator) -> dict[str, Any]:
    """A generator's state in plain values; its large integers as text."""
    state = dict(rng.bit_generator.state)
    return {**state, "state": {name: str(value) for name, value in state["state"].items()}}


def from_state(record: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of state_of."""
    return {**record, "state": {name: int(value) for name, value in record["state"].items()}}


def _seconds(address: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not (seconds > 0 and isfinite(seconds)):
        raise ConfigError(f"'{address}': timeout={text} is not a number of seconds.")
    return seconds
