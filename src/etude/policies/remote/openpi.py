"""openpi's protocol: a WebSocket, the server's metadata first, then one reply per request, all in msgpack."""

from contextlib import ExitStack
from typing import Any

from etude.core import MissingDependencyError
from etude.policies.remote.codec import BadMessageError, pack_openpi, unpack_openpi
from etude.policies.remote.connection import LostError, ServerError

_OPEN_S = 10.0


class OpenpiLine:
    """An open connection.

    Args:
        url: "ws://HOST:PORT".
        timeout_s: For an answer; the first may take long, where a server compiles its network for it.

    Raises:
        LostError: Nobody answers there.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        client, self._errors = _websockets()
        self._timeout_s, self._stack = timeout_s, ExitStack()
        try:
            # A server that computes does not answer pings; no message is too large; no proxy stands between machines.
            connecting = client.connect(
                url, compression=None, max_size=None, open_timeout=_OPEN_S, ping_interval=None, proxy=None
            )
            self._socket = self._stack.enter_context(connecting)
        except (OSError, TimeoutError, *self._errors) as error:
            raise LostError(f"no connection: {_first_line(error)}.") from None
        self.metadata = self._receive()

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its answer."""
        try:
            self._socket.send(pack_openpi(request))
        except (OSError, *self._errors) as error:
            raise LostError(f"the connection broke: {_first_line(error)}.") from None
        return self._receive()

    def close(self) -> None:
        """Hang up."""
        self._stack.close()

    def _receive(self) -> Any:
        try:
            message = self._socket.recv(timeout=self._timeout_s)
        except TimeoutError:
            self.close()
            raise LostError(f"no answer in {self._timeout_s:g} s.") from None
        except (OSError, *self._errors) as error:
            raise LostError(f"the connection broke: {_first_line(error)}.") from None
        if isinstance(message, str):  # openpi sends a traceback, and closes
            self.close()
            raise ServerError(f"the server failed: {message.strip().rpartition('\n')[2].removesuffix('.')}.")
        answer = unpack_openpi(message)
        if not isinstance(answer, dict):
            raise BadMessageError(f"a message that is not of the protocol: {type(answer).__name__}, not a map.")
        return answer


def _websockets() -> tuple[Any, tuple[type[Exception], ...]]:
    """The library's client, and what it raises."""
    try:
        from websockets import exceptions
        from websockets.sync import client
    except ImportError:
        raise MissingDependencyError("policies on servers need more libraries: pip install 'etude[remote]'.") from None
    return client, (exceptions.WebSocketException,)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
