"""Pictures of what each factor of a task does: one world, one factor from low to high, through every camera."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from itertools import pairwise
from typing import Any, cast

import numpy as np
from PIL import Image as Pillow

from etude.core import Environment, EtudeError, Factor, Image, InfeasibleError, Perturbation, Task, stream
from etude.evaluation.canvas import Sheet, Tile

type Views = Mapping[str, Image]
"""Camera -> (H, W, 3) uint8."""

_VISIBLE_STEP, _VISIBLE_SHARE = 8, 5e-4  # of 255; of an image's pixels: fewer are a contact that settled otherwise
_DRAWS, _PLACINGS, _PLACES = 200, 4, (".x_m", ".y_m", ".yaw_rad")


@dataclass(frozen=True, kw_only=True)
class Stop:
    """One column of a sweep: values of the factor that give the same pictures.

    Attributes:
        low, high: The first and the last of these values.
        nominal: Whether the nominal value is among them.
        views: The pictures; empty where the world cannot be so.
        reason: Why it cannot.
    """

    low: float
    high: float
    nominal: bool
    views: Views
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A factor from low to high, in the world of one seed.

    Attributes:
        factor: What varies.
        stops: In order; neighbours with equal pictures are one stop.
        visible: Whether any picture differs from another as far as an eye could tell.
        beside: Other factors that had to be set for this one to show.
    """

    factor: Factor
    stops: tuple[Stop, ...]
    visible: bool
    beside: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def note(self) -> str:
        """What there is to say about it, beyond its description."""
        if self.beside:
            return "shown with " + ", ".join(f"{name} = {value:g}" for name, value in self.beside.items())
        if self.visible:
            return ""
        return "not visible in a still" if self.factor.kind == "physics" else "changes no picture of this world"


def sharper(task: Task, image_size: int) -> Task:
    """The task with images for people to look at, where its images can be of another size."""
    if not is_dataclass(task) or isinstance(task, type) or "image_size" not in task.__dataclass_fields__:
        return task
    try:
        return cast(Task, replace(cast(Any, task), image_size=image_size))
    except (EtudeError, TypeError, ValueError):  # an adapted environment draws as it does
        return task


def sweep_values(factor: Factor, count: int = 7) -> list[float]:
    """Values from low to high at equal distances, the inner one nearest to nominal moved there."""
    values = np.linspace(factor.low, factor.high, count)
    values[np.abs(values) < 1e-9 * (factor.high - factor.low)] = 0.0  # not -6.9e-18
    if factor.nominal not in (factor.low, factor.high):
        values[1 + np.argmin(np.abs(values[1:-1] - factor.nominal))] = factor.nominal
    return values.tolist()


def sweep(environment: Environment, task: Task, factor: Factor, *, seed: int = 0) -> Sweep:
    """Draw a factor's sweep; a factor that shows nothing is tried with another of its kind at its far end.

    Args:
        environment: Of the task.
        task: Whose factor it is.
        factor: What to vary.
        seed: Draws what the factor leaves open.
    """
    made = _sweep(environment, task, factor, {}, seed)
    if made.visible or factor.kind == "physics":  # friction shows nothing, whatever else is set
        return made
    for other in task.space.factors:
        if other.kind == factor.kind and other.name != factor.name:
            far = max((other.low, other.high), key=lambda value: abs(value - other.nominal))
            together = _sweep(environment, task, factor, {other.name: far}, seed)
            if together.visible:
                return together
    return made


def look(environment: Environment, theta: Perturbation, seed: int) -> Views:
    """What every camera sees right after a reset."""
    observation, _ = environment.reset(seed=seed, options={"perturbation": theta})
    return {camera: np.array(image) for camera, image in observation["pixels"].items()}


def sweep_picture(made: Sweep, cameras: Sequence[str], tile_px: int) -> Pillow.Image:
    """The picture of a sweep: values as columns, cameras as rows; what no still shows is one column."""
    factor = made.factor
    stops = made.stops if made.visible else [s for s in made.stops if s.nominal] or made.stops[:1]
    rows = [[Tile(stop.views.get(camera), stop.reason) for stop in stops] for camera in cameras]
    described = ": ".join(part for part in (factor.name, factor.description) if part)
    middle = "centre" if factor.kind == "layout" else "nominal"
    span = f"{factor.low:.4g} to {factor.high:.4g}{_unit(factor)}, {middle} {factor.nominal:.4g}"
    return Sheet(
        title=described,
        note="; ".join(part for part in (span, made.note) if part),
        columns=[_heading(stop, factor, middle) for stop in stops] if made.visible else ["nominal"],
        rows=cameras,
        tiles=rows,
        marked=next((i for i, stop in enumerate(stops) if stop.nominal), -1) if made.visible else -1,
    ).draw(tile_px)


def nominal_picture(
    environment: Environment, task: Task, title: str, seeds: Sequence[int], tile_px: int
) -> Pillow.Image:
    """The picture of the unperturbed world of several seeds, through every camera."""
    views = [look(environment, Perturbation(), seed) for seed in seeds]
    return Sheet(
        title=title,
        note=task.text,
        columns=task.cameras,
        rows=[f"seed {seed}" for seed in seeds],
        tiles=[[Tile(view[camera]) for camera in task.cameras] for view in views],
    ).draw(tile_px)


def _sweep(environment: Environment, task: Task, factor: Factor, beside: Mapping[str, float], seed: int) -> Sweep:
    fixed = {**_places(environment, task, factor, beside, seed), **beside}
    stops: list[Stop] = []
    for value in sweep_values(factor):
        stop = _stop(environment, factor, value, fixed, seed)
        if stops and _same(stops[-1], stop):
            stops[-1] = replace(stops[-1], high=value, nominal=stops[-1].nominal or stop.nominal)
        else:
            stops.append(stop)
    drawn = [stop.views for stop in stops if stop.views]
    visible = any(_changed(drawn[0], views) > _VISIBLE_SHARE for views in drawn[1:])
    return Sweep(factor=factor, stops=tuple(stops), visible=visible, beside=beside)


def _places(
    environment: Environment, task: Task, factor: Factor, beside: Mapping[str, float], seed: int
) -> Mapping[str, float]:
    """Where all else lies while one thing moves: the seed alone would move it out of the way.

    Of a few places that leave the sweep feasible, those that show most of it; none for a factor that moves nothing.
    """
    if factor.kind != "layout" and not _is_place(factor):
        return {}

    def shown(held: Mapping[str, float]) -> float:
        values = sweep_values(factor, 3)  # both halves: a cube looks the same after a quarter turn
        views = [_stop(environment, factor, value, {**held, **beside}, seed).views for value in values]
        return sum(_changed(a, b) for a, b in pairwise(views) if a and b)

    return max(_feasible_places(task, factor, beside, seed), key=shown)


def _feasible_places(task: Task, factor: Factor, beside: Mapping[str, float], seed: int) -> list[Mapping[str, float]]:
    """A few draws that leave all of the sweep feasible; or the one of many that leaves most of it."""
    others = [f for f in task.space.factors if _is_place(f) and f.name not in {factor.name, *beside}]
    rng, found, best = stream(seed, "sweep"), list[Mapping[str, float]](), (-1, dict[str, float]())
    for _ in range(_DRAWS):
        held = {f.name: float(rng.uniform(f.low, f.high)) for f in others}
        thetas = [Perturbation({**held, **beside, factor.name: value}) for value in sweep_values(factor)]
        feasible = sum(task.space.infeasible(theta) is None for theta in thetas)
        best = max(best, (feasible, held), key=lambda pair: pair[0])
        if feasible == len(thetas):
            found.append(held)
        if len(found) == _PLACINGS:
            break
    return found or [best[1]]


def _is_place(factor: Factor) -> bool:
    return factor.kind in ("layout", "distractor") and factor.name.endswith(_PLACES)


def _stop(environment: Environment, factor: Factor, value: float, fixed: Mapping[str, float], seed: int) -> Stop:
    nominal = value == factor.nominal
    try:
        views = look(environment, Perturbation({**fixed, factor.name: value}), seed)
    except InfeasibleError as error:
        return Stop(low=value, high=value, nominal=nominal, views={}, reason=error.reason)
    return Stop(low=value, high=value, nominal=nominal, views=views)


def _same(a: Stop, b: Stop) -> bool:
    return (
        a.reason == b.reason
        and a.views.keys() == b.views.keys()
        and all(np.array_equal(a.views[camera], b.views[camera]) for camera in a.views)
    )


def _changed(a: Views, b: Views) -> float:
    """Share of the pixels of the camera that shows most of it in which an eye could tell a from b."""
    return max((np.abs(a[camera].astype(int) - b[camera]).max(axis=-1) > _VISIBLE_STEP).mean() for camera in a)


def _heading(stop: Stop, factor: Factor, middle: str) -> str:
    value = f"{stop.low:.3g}" if stop.low == stop.high else f"{stop.low:.3g} to {stop.high:.3g}"
    return value + _unit(factor) + (f" ({middle})" if stop.nominal else "")


def _unit(factor: Factor) -> str:
    return "" if factor.unit == "1" else f" {factor.unit}"
