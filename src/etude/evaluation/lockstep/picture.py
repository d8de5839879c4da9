"""The picture of a lockstep: how far the two episodes are apart, over time."""

from collections.abc import Mapping

import numpy as np
from PIL import Image as Pillow

from etude.evaluation.curves import LIMIT, Chart, Mark, Panel, Series
from etude.evaluation.lockstep.divergence import STATE, action_errors, path_errors, state_errors
from etude.evaluation.lockstep.record import Lockstep

_UNITS = {"m": "m", "rad": "rad", "deg": "deg", "1": "others"}
_FAR_CM = 100.0  # what fell off the table must not flatten the other curves
_MOST_CURVES = 6  # in one panel; the furthest off are drawn


def divergence_picture(found: Lockstep, title: str) -> Pillow.Image:
    """Draw the errors of poses, state and actions, and the progress of both.

    Args:
        found: The lockstep.
        title: First line.
    """
    pair, tolerance = found.pair, found.tolerance
    moved = {thing: np.minimum(100 * values, _FAR_CM) for thing, values in found.position_m.items()}
    position = f"distance [cm], up to {_FAR_CM:g} cm; line: {100 * tolerance.m:g} cm"
    if STATE in moved:
        moved, position = dict(found.position_m), f"largest difference of the state, line: {tolerance.m:g}"
    panels = [Panel(title=position, curves=_most(moved), limit=tolerance.m if STATE in moved else 100 * tolerance.m)]
    if STATE not in moved:
        away = {t: np.minimum(100 * v, _FAR_CM) for t, v in path_errors(pair.demonstration, pair.policy).items()}
        limit = 100 * tolerance.m
        panels.append(Panel(title="distance from the demonstration's path [cm]", curves=_most(away), limit=limit))
    if found.rotation_rad:
        turned = f"angle [rad], line: {tolerance.rad:g} rad"
        panels.append(Panel(title=turned, curves=_most(found.rotation_rad), limit=tolerance.rad))
    states = state_errors(pair.demonstration, pair.policy, found.task.state_names)
    panels += [
        Panel(title="state: largest difference, by unit", curves={_UNITS[unit]: v for unit, v in states.items()}),
        Panel(
            title="action: mean absolute difference",
            curves={
                "as executed": action_errors(pair.demonstration, pair.policy),
                "in the demonstration's place": pair.forced,
            },
        ),
        Panel(
            title="progress; grey lines: sub-tasks as the demonstration reaches them",
            curves={"demonstration": pair.demonstration.progress, "policy": pair.policy.progress},
        ),
    ]
    return Chart(title=title, panels=panels, fps=found.task.fps, marks=_marks(found)).draw()


def _most(curves: Mapping[str, Series]) -> dict[str, Series]:
    """The curves that come highest, in their order."""
    highest = sorted(curves, key=lambda name: -float(np.nanmax(curves[name], initial=0.0)))[:_MOST_CURVES]
    return {name: curves[name] for name in curves if name in highest}


def _marks(found: Lockstep) -> list[Mark]:
    """The start, sub-tasks as the demonstration reached them, and where they part."""
    reached = found.pair.demonstration.reached
    marks = [Mark(step=first, text=name) for name, first in reached.items() if first is not None]
    marks += [Mark(step=found.start_step, text="policy takes over")] if found.start_step else []
    marks += [Mark(step=p.step, text=f"{p.thing} parts", colour=LIMIT) for p in found.partings[:3]]
    return sorted(marks, key=lambda mark: mark.step)
