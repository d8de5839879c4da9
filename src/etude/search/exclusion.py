"""Keeps training away from the exam: θ too near an exam θ are used by no arm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
from numpy.typing import NDArray

from etude.core import InfeasibleError, Perturbation, PerturbationSpace, Pocket, Suite, stream
from etude.search.pockets import sample_inside

_MAX_TRIES = 10_000


@dataclass(frozen=True)
class Exclusion:
    """Says which θ are too near an exam θ for any arm to train on.

    Near is meant in the max-norm over the active factors of the pocket that the exam θ came from, in the unit cube.

    Attributes:
        exam: The exam.
        pockets: The pockets that its labels name.
        space: The space of both.
        radii: Pocket -> radius.
    """

    exam: Suite
    pockets: tuple[Pocket, ...]
    space: PerturbationSpace
    radii: Mapping[str, float]

    @staticmethod
    def fitted(
        exam: Suite,
        pockets: Sequence[Pocket],
        space: PerturbationSpace,
        rng: np.random.Generator,
        *,
        share: float = 0.2,
        cap: float = 0.05,
    ) -> "Exclusion":
        """Choose each pocket's radius so that about `share` of the pocket is excluded, and at most `cap`.

        One radius for all would exclude a pocket of one factor altogether, and nothing of a pocket of three.
        """
        bare = Exclusion(exam, tuple(pockets), space, {})
        radii: dict[str, float] = {}
        for pocket in pockets:
            draws = [sample_inside(space, pocket.bounds, rng) for _ in range(200)]
            distances = [bare.distance(theta, pocket.name) for theta in draws]
            radii[pocket.name] = min(cap, float(np.quantile(distances, share)))
        return Exclusion(exam, tuple(pockets), space, radii)

    @staticmethod
    def of(exam: Suite, pockets: Sequence[Pocket], space: PerturbationSpace) -> "Exclusion":
        """The same for everybody who has this exam: its radii are fitted with draws that its hash decides."""
        return Exclusion.fitted(exam, pockets, space, stream(int(exam.hash[:8], 16), "exclusion"))

    def __call__(self, theta: Perturbation) -> bool:
        """Whether θ is too near."""
        return any(self.distance(theta, name) < radius for name, radius in self.radii.items())

    def distance(self, theta: Perturbation, pocket: str) -> float:
        """Distance of θ to the nearest exam θ of a pocket; infinite when it has none."""
        active, points = self._exam_points[pocket]
        if not len(points):
            return float("inf")
        return float(np.abs(points - self.space.to_unit(theta)[active]).max(axis=1).min())

    @cached_property
    def _exam_points(self) -> "dict[str, tuple[list[int], NDArray[np.float64]]]":
        """Pocket -> (its active factors, its exam θ over them, shape (n, active))."""
        labelled = list(zip(self.exam.labels, self.exam.cases, strict=True))
        points: dict[str, tuple[list[int], NDArray[np.float64]]] = {}
        for pocket in self.pockets:
            active = [self.space.names.index(name) for name in pocket.bounds]
            own = [self.space.to_unit(case.theta)[active] for label, case in labelled if label == pocket.name]
            points[pocket.name] = active, np.array(own)
        return points


@dataclass(frozen=True)
class KeepsAway:
    """Draws θ for training, none of them too near an exam case.

    Attributes:
        draw: Draws one θ, e.g. a `TargetedSampler`.
        exclusion: Says which θ nobody may train on.
    """

    draw: Callable[[np.random.Generator], Perturbation]
    exclusion: Exclusion

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw one θ."""
        return self.counted(rng)[0]

    def counted(self, rng: np.random.Generator) -> tuple[Perturbation, int]:
        """Draw one θ, and say how many were refused before it.

        Raises:
            InfeasibleError: Hardly any draw is far enough away.
        """
        for refused in count():
            theta = self.draw(rng)
            if not self.exclusion(theta):
                return theta, refused
            if refused == _MAX_TRIES:
                break
        raise InfeasibleError(f"{_MAX_TRIES} draws were all too near an exam case")
