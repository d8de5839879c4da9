"""What a person sees of a training while it runs: what it trains on, how fast, and its curves as a picture."""

import sys
import time
from pathlib import Path

from etude.cli.terminal import duration
from etude.core.files import read_json, write_bytes
from etude.loop.progress import Update
from etude.policies.features import Size
from etude.training.config import TrainConfig
from etude.training.fitting import Exercise

CURVES, PICTURE = "curves.json", "curves.svg"
_FIRST, _TIMED = 2, 10
"""Steps that are not timed, because memory is laid out then; and those that are, before their time is told."""


class Watcher:
    """Told after every step: shows how far a training is and how fast, and draws its curves when there is more of them.

    Args:
        out: The training's folder.
        config: Settings.
        update: Shows how far it is.
    """

    def __init__(self, out: Path, config: TrainConfig, update: Update) -> None:
        self._out, self._config, self._update = out, config, update
        self._begun: tuple[int, float] | None = None
        self._steps = 0

    def __call__(self, done: int, total: int, loss: float) -> None:
        """Take note of a step."""
        self._steps += 1
        if self._steps == _FIRST:
            self._begun = done, time.monotonic()
        pace = self._pace(done)
        self._update(done, f"loss {loss:.3f}" + (f", {pace:.3f} s/step" if pace else ""))
        if self._steps == _FIRST + _TIMED and pace:
            tell(f"{pace:.3f} s/step, so about {duration(pace * (total - done))} for the other {total - done} steps")
        if done % self._config.validate_every == 0:
            draw(self._out)

    def _pace(self, done: int) -> float | None:
        """Seconds a step takes; None as long as there is too little to say."""
        if self._begun is None or done <= self._begun[0]:
            return None
        return (time.monotonic() - self._begun[1]) / (done - self._begun[0])


def tell(line: str) -> None:
    """Say something beside the result, which has the standard output to itself."""
    print(f"etude: {line}", file=sys.stderr, flush=True)


def describe(exercise: Exercise, config: TrainConfig) -> str:
    """What is trained, on what, and where."""
    from etude.policies.placing import resolve_device
    from etude.training.placing import resolve_precision
    from etude.training.team import team_size

    episodes, held_out = exercise.episodes
    given, inputs = exercise.model.features.image_sizes, exercise.model.inputs
    seen = inputs.fitted.sizes if inputs else given
    cameras = ", ".join(_camera(name, size, seen[name]) for name, size in given.items()) or "no cameras"
    device = resolve_device(config.device).type
    numbers = str(resolve_precision(config.precision, device)).removeprefix("torch.")
    processes = f" in {team_size()} processes" if team_size() > 1 else ""
    return (
        f"{exercise.model.name} with {exercise.parameters:,} parameters on {episodes} episodes ({held_out} more held "
        f"out), {exercise.frames:,} frames, {cameras}; {config.steps} steps of {config.batch_size} windows of "
        f"{exercise.model.horizon} actions, {numbers} on {device}{processes}"
    )


def _camera(name: str, given: Size, seen: Size) -> str:
    """How large a camera's images are, and as how large the network sees them."""
    seen_as = f" seen as {seen[0]}x{seen[1]}" if seen != given else ""
    return f"{name} {given[0]}x{given[1]}{seen_as}"


def draw(out: Path) -> None:
    """Draw the curves that a training has written so far."""
    from etude.loop.report.learning import learning_picture

    if (out / CURVES).exists():
        write_bytes(out / PICTURE, learning_picture(read_json(out / CURVES)).encode())
