"""Asking a server: a timeout for every answer, a few tries, and one clear line when it is gone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from etude.core import EtudeError, StageFailedError
from etude.policies.remote.codec import BadMessageError

_TRIES, _PAUSE_S = 4, 0.5


class LostError(EtudeError):
    """The connection is gone, or the answer does not come: worth another try."""


class ServerError(EtudeError):
    """The server answers that it cannot: another try would be answered alike."""


class Line(Protocol):
    """An open connection."""

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its answer. Raises LostError, ServerError, BadMessageError."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


@dataclass
class Connection:
    """A connection that is made anew when it is lost. Requests carry all they need, so asking twice does no harm.

    Attributes:
        url: Of the server, for messages.
        open: Connects; raises LostError.
    """

    url: str
    open: Callable[[], Line]
    _line: Line | None = None

    def connect(self) -> None:
        """Connect now, so that a server that is not there is told at once. Raises as `ask` does."""
        self._try(lambda _line: None)

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its answer, a few times if need be.

        Raises:
            StageFailedError: The server is gone, or answers nothing.
            EtudeError: It answers that it cannot, or something that is not of the protocol.
        """
        return self._try(lambda line: line.ask(request))

    def _try(self, act: Callable[[Line], Any]) -> Any:
        reason = ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
            try:
                self._line = self._line or self.open()
                return act(self._line)
            except (ServerError, BadMessageError) as error:
                self.close()
                raise EtudeError(f"policy server {self.url}: {error}") from None
            except LostError as error:
                reason = str(error).removesuffix(".")
                self.close()
        raise StageFailedError(
            f"the policy server {self.url} is not there ({reason}, {_TRIES} tries): what is finished is kept; start "
            "the server and go on with --resume."
        )

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
        self._line = None
