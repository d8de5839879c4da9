"""What each factor explains by itself: a logistic model with main effects and their squares.

logit P(failure) = b_0 + Σ_d b_d x_d + c_d (x_d² − 1), x_d being the factor's standard score. The square tells failures
at both ends from failures at one. A factor's p-value is that of the likelihood ratio against the model without it.
"""

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.stats import chi2

from etude.core import MainEffect, PerturbationSpace, holm
from etude.core.diagnosis import Side
from etude.diagnosis.episodes import Flags, Points

_RIDGE = 0.5  # on standardised coefficients: keeps them finite where failures can be told apart without error
_STEPS = 50


def main_effects(space: PerturbationSpace, points: Points, failed: Flags) -> list[MainEffect]:
    """The effect of every factor, the clearest first; none without both failures and successes.

    Args:
        space: The factors.
        points: Episodes in the unit cube, shape (N, D).
        failed: Which of them failed, shape (N,).
    """
    if not len(space.factors) or not 0 < failed.sum() < len(failed):
        return []
    spread = points.std(axis=0)
    x = (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    columns = np.concatenate([np.ones((len(x), 1)), x, x**2 - 1.0], axis=1)
    whole, coefficients = fit(columns, failed)
    names, d = space.names, len(space.names)
    p_values: list[float] = []
    for i in range(d):
        without, _ = fit(np.delete(columns, [1 + i, 1 + d + i], axis=1), failed)
        p_values.append(float(chi2.sf(max(0.0, 2 * (whole - without)), df=2)))
    effects = [
        MainEffect(factor=name, p=p, side=_side(coefficients[1 + i], coefficients[1 + d + i]))
        for i, (name, p) in enumerate(zip(names, holm(p_values), strict=True))
    ]
    order = np.argsort(p_values, kind="stable").tolist()
    return [effects[i] for i in order]


def fit(
    columns: Float64[NDArray[np.float64], "N P"], failed: Flags
) -> tuple[float, Float64[NDArray[np.float64], " P"]]:
    """Fit a logistic model by Newton's method.

    Returns:
        Log-likelihood less the ridge's penalty, and the coefficients, shape (P,).
    """
    y = failed.astype(float)
    ridge = np.full(columns.shape[1], _RIDGE)
    ridge[0] = 1e-6
    b = np.zeros(columns.shape[1])
    best = _objective(columns, y, ridge, b)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(columns @ b, -30, 30)))
        gradient = columns.T @ (y - p) - ridge * b
        hessian = (columns * (p * (1 - p))[:, None]).T @ columns + np.diag(ridge)
        step, scale = np.linalg.solve(hessian, gradient), 1.0
        while (value := _objective(columns, y, ridge, b + scale * step)) < best and scale > 1e-4:
            scale /= 2
        gained, best = value - best, max(best, value)
        if gained > 0:
            b = b + scale * step
        if gained < 1e-7:
            break
    return best, b


def _objective(
    columns: Float64[NDArray[np.float64], "N P"],
    y: Float64[NDArray[np.float64], " N"],
    ridge: Float64[NDArray[np.float64], " P"],
    b: Float64[NDArray[np.float64], " P"],
) -> float:
    z = columns @ b
    return float(y @ z - np.logaddexp(0.0, z).sum() - 0.5 * ridge @ b**2)


def _side(linear: float, square: float) -> Side:
    """Where failures gather, from the two coefficients of a factor."""
    if abs(square) > abs(linear):
        return "ends" if square > 0 else "middle"
    return "high" if linear > 0 else "low"
