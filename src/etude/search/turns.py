"""The order of calls that every searcher keeps: ask, tell, ask, tell."""

from collections.abc import Sequence

from etude.core import EtudeError, ShapeError

FAILED = 0.5
"""Severities told above this are failures; see `ArchiveRow.told`."""


class Turns:
    """Raises when `ask` and `tell` do not alternate, or when a tell does not answer its ask."""

    def __init__(self) -> None:
        self._pending: int | None = None

    def ask(self, batch: int) -> None:
        """Begin a turn of `batch` perturbations.

        Raises:
            EtudeError: The last batch has not been told yet.
        """
        self.require_told()
        self._pending = batch

    def require_told(self) -> None:
        """Raise unless every batch asked for has been told, as `ask` does."""
        if self._pending is not None:
            raise EtudeError(f"ask() called twice: first tell() the severities of the {self._pending} asked for.")

    def tell(self, severities: Sequence[float]) -> None:
        """End the turn.

        Raises:
            EtudeError: Nothing was asked for.
            ShapeError: Not one severity in [0, 1] per perturbation asked for.
        """
        if self._pending is None:
            raise EtudeError("tell() called before ask(): there is nothing to learn the severities of.")
        if len(severities) != self._pending:
            raise ShapeError("severities", (self._pending,), (len(severities),))
        if not all(0.0 <= s <= 1.0 for s in severities):
            raise ShapeError("severities", "numbers in [0, 1]", f"[{min(severities):g}, {max(severities):g}]")
        self._pending = None
