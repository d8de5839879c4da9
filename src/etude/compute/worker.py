"""What runs inside a worker process."""

import os
import pickle
import signal
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

from etude.core import EtudeError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ONE_THREAD: dict[str, str] = dict.fromkeys(_THREAD_VARIABLES, "1")
"""Environment of a process that computes with one thread: numeric libraries read it as they load."""


def serve(connection: "Connection[Any, Any]") -> None:
    """Run jobs from the pipe until it closes.

    A thread of its own reads the pipe, so that sending never waits for running, and so that the process ends at once
    when the other side is gone, be it by `close()` or by `kill -9`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches everyone: the other side decides
    messages: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_read, args=(connection, messages), daemon=True).start()
    while True:
        reply = reply_to(messages.get())
        try:
            connection.send_bytes(reply)
        except OSError:
            os._exit(0)


def _read(connection: "Connection[Any, Any]", messages: "SimpleQueue[bytes]") -> None:
    while True:
        try:
            messages.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)  # nobody is left to hear an exit handler's complaint


def reply_to(message: bytes) -> bytes:
    """Run the job of a message, a pickled (function, job); reply (True, result) or (False, error), pickled."""
    try:
        function, job = pickle.loads(message)
        return pickle.dumps((True, function(job)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again where the job came from
        if not isinstance(error, EtudeError):  # a bug: show where it happened
            error.add_note("In a worker process:\n" + traceback.format_exc())
        return _pickled(error)


def _pickled(error: Exception) -> bytes:
    try:
        reply = pickle.dumps((False, error))
        pickle.loads(reply)
    except Exception:  # noqa: BLE001 - an error that cannot travel is told in words
        return pickle.dumps((False, RuntimeError("\n".join(traceback.format_exception(error)))))
    return reply
