"""What is measured of candidates, from which every score follows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """N candidates as the policy's loss sees them.

    Attributes:
        products: ⟨g_c, g_d⟩ between the gradients of the mean loss over the two halves of the anchors, (N, 2, 2).
        losses: Mean loss, (N,).
        along: ⟨g, g_pocket⟩, (N,); NaN where there are no pockets.
    """

    products: Float64[NDArray[np.float64], "N 2 2"]
    losses: Float64[NDArray[np.float64], " N"]
    along: Float64[NDArray[np.float64], " N"]

    @staticmethod
    def join(parts: Sequence["Evidence"]) -> "Evidence":
        """One after the other."""
        return Evidence(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Evidence)})

    def each(self) -> "list[Evidence]":
        """One candidate at a time."""
        names = [f.name for f in fields(Evidence)]
        return [Evidence(**{n: getattr(self, n)[i : i + 1] for n in names}) for i in range(len(self.losses))]

    @property
    def norm(self) -> Float64[NDArray[np.float64], " N"]:
        """‖g‖² of the mean loss over all anchors; never below 0."""
        return np.maximum(self.products.mean((1, 2)), 0.0)

    @property
    def split(self) -> Float64[NDArray[np.float64], " N"]:
        """⟨g_A, g_B⟩, clipped at 0: anchors and noise of the halves are disjoint, so what is incoherent cancels."""
        return np.maximum((self.products[:, 0, 1] + self.products[:, 1, 0]) / 2, 0.0)
