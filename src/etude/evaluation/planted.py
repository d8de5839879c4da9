"""Planted truth in physics: a task's expert that is made to fail inside given boxes, so that a search has an answer.

    {"elsewhere": 0.02,
     "pockets": [{"bounds": {"light.intensity": [0.3, 0.5]}, "failure": 0.95, "mode": "drift"}]}

Whether an episode fails, and from which step on, is drawn from its case, so the same case always ends the same way.
Where nothing fails, the episode is the expert's own, bit for bit. A factor that a case leaves to its seed counts as
nominal: in nominal worlds a box in layout factors says little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import (
    ActionChunk,
    Case,
    ConfigError,
    EtudeError,
    FactorRangeError,
    Memory,
    Observation,
    Perturbation,
    PerturbationSpace,
    Policy,
    Task,
    UnknownNameError,
    begin_episode,
    stream,
)
from etude.core.files import read_json

type Mode = Literal["drift", "noise", "stuck"]
"""What becomes of the expert's actions: off by more and more; random; the same one again and again."""
MODES: tuple[str, ...] = get_args(Mode.__value__)

_LATEST = 0.2  # of the longest episode: experts are then on their way, and do not recover
_GROWTH = 0.15  # of half the range of an action, per step


@dataclass(frozen=True)
class PlantedBox:
    """A box in few factors inside which the expert fails.

    Attributes:
        bounds: (factor, low, high), physical units; other factors are free.
        failure: Chance that an episode in it is made to fail.
        mode: How.
    """

    bounds: tuple[tuple[str, float, float], ...]
    failure: float = 0.95
    mode: Mode = "drift"

    def contains(self, theta: Perturbation, space: PerturbationSpace) -> bool:
        """Whether θ lies in the box; unset factors stand at their nominal value."""
        return all(low <= theta.get(name, space[name].nominal) <= high for name, low, high in self.bounds)


@dataclass(frozen=True)
class Planted:
    """The expert of a task with planted failures.

    Attributes:
        task: Whose expert.
        boxes: Where it fails; in several at once, the first decides.
        elsewhere: Chance that it is made to fail outside all of them.
    """

    task: Task
    boxes: tuple[PlantedBox, ...]
    elsewhere: float = 0.0
    object_state: bool = True

    @staticmethod
    def parse(file: str, task: Task) -> "Planted":
        """Read the JSON file of planted boxes.

        Raises:
            EtudeError: It says something else; one line tells what and where.
        """
        try:
            return Planted.from_json(read_json(Path(file)), task)
        except UnknownNameError as error:
            raise EtudeError(f"'{file}': {error}") from error
        except (ConfigError, FactorRangeError) as error:
            raise ConfigError(f"'{file}': {error}") from error

    @staticmethod
    def from_json(record: Any, task: Task) -> "Planted":
        """Read what such a file holds.

        Raises:
            ConfigError, UnknownNameError, FactorRangeError: It cannot be, or is not of the task's space.
        """
        if not isinstance(record, dict) or not isinstance(record.get("pockets"), list) or not record["pockets"]:
            raise ConfigError('expected {"pockets": [{"bounds": {FACTOR: [LOW, HIGH]}}]}, with one pocket at least.')
        _require_known(record, ("pockets", "elsewhere"))
        boxes = tuple(_box(i, pocket, task.space) for i, pocket in enumerate(record["pockets"]))
        return Planted(task, boxes, _chance("elsewhere", record.get("elsewhere", 0.0)))

    def create(self) -> "PlantedPolicy":
        """Make the expert and what spoils it."""
        return PlantedPolicy(self, self.task.expert())


@dataclass
class _Memory:
    inner: Memory
    mode: Mode
    onset: int | None  # the first step that is spoilt; None for a whole episode of the expert
    rng: np.random.Generator
    steps: int = 0
    stuck: Float64[NDArray[np.float64], " A"] | None = None
    direction: Float64[NDArray[np.float64], " A"] | None = None


class PlantedPolicy:
    """The policy: asks the expert, and spoils its actions from a drawn step on."""

    def __init__(self, planted: Planted, expert: Policy) -> None:
        self._planted, self._expert = planted, expert
        low, high = planted.task.action_bounds
        self._low = np.where(np.isfinite(low), low, -1.0)
        self._high = np.where(np.isfinite(high), high, 1.0)

    def begin(self, rng: np.random.Generator) -> Memory:
        """Refused: without its case there is no telling whether an episode lies in a box."""
        raise EtudeError("a planted policy has to be told its case: it runs in simulated tasks only.")

    def begin_at(self, case: Case, rng: np.random.Generator) -> _Memory:
        """Draw whether and when the episode of a case fails; the expert's own stream stays as it is."""
        planted, own = self._planted, stream(case.seed, "planted")
        box = next((box for box in planted.boxes if box.contains(case.theta, planted.task.space)), None)
        chance = box.failure if box else planted.elsewhere
        fails, when = own.random() < chance, own.random()
        onset = int(when * _LATEST * planted.task.max_steps) if fails else None
        return _Memory(begin_episode(self._expert, case, rng), box.mode if box else "drift", onset, own)

    def act(self, observations: Sequence[Observation], memories: Sequence[_Memory]) -> Sequence[ActionChunk]:
        """The expert's chunks, (H, A) float32 each, spoilt where it is due."""
        chunks = self._expert.act(observations, [memory.inner for memory in memories])
        return [self._spoilt(chunk, memory) for chunk, memory in zip(chunks, memories, strict=True)]

    def _spoilt(self, chunk: ActionChunk, memory: _Memory) -> ActionChunk:
        first, memory.steps = memory.steps, memory.steps + len(chunk)
        if memory.onset is None or memory.steps <= memory.onset:
            return chunk
        spoilt = np.array(chunk, np.float64)
        begin = max(memory.onset - first, 0)
        spoilt[begin:] = self._instead(spoilt[begin:], first + begin - memory.onset, memory)
        return np.clip(spoilt, self._low, self._high).astype(np.float32)

    def _instead(
        self, actions: Float64[NDArray[np.float64], "L A"], since: int, memory: _Memory
    ) -> Float64[NDArray[np.float64], "L A"]:
        """What is done in place of actions, the first of them `since` steps after the onset."""
        if memory.mode == "noise":
            return memory.rng.uniform(self._low, self._high, actions.shape)
        if memory.mode == "stuck":
            stuck = actions[0].copy() if memory.stuck is None else memory.stuck
            memory.stuck = stuck
            return np.broadcast_to(stuck, actions.shape)
        if memory.direction is None:
            memory.direction = memory.rng.choice([-1.0, 1.0], actions.shape[1])
        grown = _GROWTH * (1 + since + np.arange(len(actions)))[:, None]
        return actions + grown * memory.direction * (self._high - self._low) / 2


def _box(index: int, record: Any, space: PerturbationSpace) -> PlantedBox:
    where = f"pocket {index}"
    if not isinstance(record, dict) or not isinstance(record.get("bounds"), dict) or not record["bounds"]:
        raise ConfigError(f'{where}: expected {{"bounds": {{FACTOR: [LOW, HIGH]}}}}, with one factor at least.')
    _require_known(record, ("bounds", "failure", "mode"))
    mode = record.get("mode", "drift")
    if mode not in MODES:
        raise UnknownNameError(f"mode of {where}", str(mode), MODES)
    bounds = tuple((name, *_range(name, given, space)) for name, given in record["bounds"].items())
    return PlantedBox(bounds, _chance(f"failure of {where}", record.get("failure", 0.95)), mode)


def _range(name: str, given: Any, space: PerturbationSpace) -> tuple[float, float]:
    """A factor's bounds; raises unless they are two numbers in its range, the smaller first."""
    factor = space[name]
    if not isinstance(given, list) or len(given) != 2 or not all(_is_number(value) for value in given):
        raise ConfigError(f"factor '{name}': expected [LOW, HIGH], got {given}.")
    low, high = float(given[0]), float(given[1])
    for value in (low, high):
        factor.check(value)
    if low >= high:
        raise ConfigError(f"factor '{name}': {low:g} is not below {high:g}; write the lower bound first.")
    return low, high


def _chance(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= 1:
        raise ConfigError(f"{name} = {value}: a chance is a number from 0 to 1.")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _require_known(record: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in record:
        if name not in names:
            raise UnknownNameError("key", name, names)
