"""What a server calls the parts of an observation and of an action: a small JSON file.

    {"state": {"observation/state": [0, 8]},              which numbers of the state go where; or one name for all
     "images": {"front": "observation/image"},            camera -> name; cameras that are not named are not sent
     "prompt": "prompt",                                  where the task in words goes
     "actions": ["actions"]}                              what an action is put together from, in order

All parts may be left out. A dot in a name nests: "images.cam_high" is "cam_high" in "images".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import ConfigError, MismatchError, Observation, UnknownNameError, Vector
from etude.core.files import read_json

type Slice = tuple[str, int, int | None]
"""(name, first number, one past the last number or None for all that follow)."""


@dataclass(frozen=True, kw_only=True)
class RemoteMapping:
    """Names by which a server knows things; None stands for the protocol's usual ones.

    Attributes:
        state: Which numbers of the state go where.
        images: (camera, name), for the cameras that are sent.
        prompt: Name of the task in words; "" sends none.
        actions: Names of an action's parts, in order.
    """

    state: tuple[Slice, ...] | None = None
    images: tuple[tuple[str, str], ...] | None = None
    prompt: str | None = None
    actions: tuple[str, ...] | None = None

    @staticmethod
    def read(path: Path) -> "RemoteMapping":
        """Read a mapping file.

        Raises:
            ConfigError, UnknownNameError: It says something else; the message names the file and the part.
        """
        record = read_json(path)
        if not isinstance(record, dict):
            raise ConfigError(f"'{path}': expected a JSON object with state, images, prompt or actions.")
        for key in record:
            if key not in ("state", "images", "prompt", "actions"):
                raise UnknownNameError(f"key of '{path}'", key, ("state", "images", "prompt", "actions"))
        try:
            return RemoteMapping(
                state=_slices(record["state"]) if "state" in record else None,
                images=tuple((str(c), _text(n)) for c, n in record["images"].items()) if "images" in record else None,
                prompt=_text(record["prompt"]) if "prompt" in record else None,
                actions=_names(record["actions"]) if "actions" in record else None,
            )
        except (AttributeError, TypeError, ValueError) as error:
            shape = '"state": NAME or {NAME: [FIRST, END]}, "images": {CAMERA: NAME}, "prompt": NAME, "actions": [NAME]'
            raise ConfigError(f"'{path}': {error or 'unexpected value'}; expected {{{shape}}}.") from None

    def filled(self, other: "RemoteMapping") -> "RemoteMapping":
        """This mapping, with what it leaves out taken from another."""
        parts = {name: getattr(self, name) for name in ("state", "images", "prompt", "actions")}
        return RemoteMapping(**{n: getattr(other, n) if part is None else part for n, part in parts.items()})

    @staticmethod
    def openpi(cameras: Sequence[str]) -> "RemoteMapping":
        """The names that `etude serve` goes by, like those of openpi's examples."""
        return RemoteMapping(
            state=(("observation/state", 0, None),),
            images=tuple((camera, f"observation/images/{camera}") for camera in cameras),
            prompt="prompt",
            actions=("actions",),
        )

    def record(self, observation: Observation) -> dict[str, Any]:
        """An observation by the server's names; all parts of the mapping are given.

        Raises:
            MismatchError: It has no such camera, or fewer numbers than are asked for.
        """
        record: dict[str, Any] = {}
        for name, numbers in self.states(observation.state).items():
            put(record, name, numbers)
        for camera, name in self.images or ():
            put(record, name, camera_image(observation, camera))
        if self.prompt:
            put(record, self.prompt, observation.task)
        return record

    def observation(self, record: Mapping[str, Any]) -> Observation:
        """The inverse of `record`: what a server makes of a request.

        Raises:
            MismatchError: A part is missing; the message names it.
        """
        states = [np.asarray(take(record, name), np.float32).ravel() for name, _, _ in self.state or ()]
        return Observation(
            images={camera: np.asarray(take(record, name)) for camera, name in self.images or ()},
            state=np.concatenate(states) if states else np.zeros(0, np.float32),
            task=str(take(record, self.prompt)) if self.prompt and self.prompt in record else "",
        )

    def states(self, state: Vector) -> dict[str, NDArray[np.float32]]:
        """Name -> its numbers of the state, float32.

        Raises:
            MismatchError: The state has fewer.
        """
        for name, first, end in self.state or ():
            if (end or first + 1) > len(state):
                raise MismatchError(f"'{name}' takes numbers {first} to {end} of the state, which has {len(state)}.")
        return {name: np.asarray(state[first:end], np.float32) for name, first, end in self.state or ()}


def camera_image(observation: Observation, camera: str) -> NDArray[np.uint8]:
    """A camera's image, (H, W, 3).

    Raises:
        MismatchError: There is no such camera.
    """
    if camera not in observation.images:
        there = ", ".join(observation.images) or "none"
        raise MismatchError(f"the policy looks through camera '{camera}'; the task has {there}.")
    return np.ascontiguousarray(observation.images[camera])


def put(record: dict[str, Any], name: str, value: Any) -> None:
    """Set a value by a name whose dots nest."""
    *outer, last = name.split(".")
    for part in outer:
        record = record.setdefault(part, {})
    record[last] = value


def take(record: Any, name: str) -> Any:
    """Get a value by a name whose dots nest.

    Raises:
        MismatchError: There is none.
    """
    found = record
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            there = ", ".join(map(str, record)) if isinstance(record, Mapping) else type(record).__name__
            raise MismatchError(f"'{name}' is missing: there are {there or 'no keys'}.")
        found = found[part]
    return found


def take_actions(reply: Any, names: Sequence[str], url: str) -> Float32[NDArray[np.float32], "*BH A"]:
    """A server's actions, put together in the order of their names.

    Args:
        reply: What it answered.
        names: Of its parts; shape (…, numbers) each.
        url: Its address, for messages.

    Raises:
        MismatchError: A part is missing, holds no numbers, or does not go with the others.
    """
    try:
        return np.concatenate([np.asarray(take(reply, name), np.float32) for name in names], axis=-1)
    except MismatchError as error:
        raise MismatchError(f"the policy server {url} gives no such actions: {error}") from None
    except (TypeError, ValueError) as error:
        raise MismatchError(
            f"the policy server {url} gives no actions under {', '.join(names)}: {str(error).removesuffix('.')}."
        ) from None


def _slices(value: Any) -> tuple[Slice, ...]:
    if isinstance(value, str):
        return ((value, 0, None),)
    slices = tuple((str(name), int(first), int(end)) for name, (first, end) in value.items())
    if not all(0 <= first < end for _, first, end in slices):
        raise ValueError("a part of the state needs 0 <= FIRST < END")
    return slices


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(_text, value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a name")
    return value
