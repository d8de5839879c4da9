"""Jobs that workers can import."""

import os
import signal
import time
from pathlib import Path

from etude.core import ConfigError, FactorRangeError


def square(x: int) -> int:
    return x * x


def later_when_even(x: int) -> int:
    time.sleep(0.05 if x % 2 == 0 else 0.0)
    return x


def raise_range(x: int) -> int:
    if x == 2:
        raise FactorRangeError("light.intensity", 3.0, 0.0, 1.0, "1")
    return x


def raise_bug(x: int) -> int:
    raise ZeroDivisionError(f"bug {x}")


class Unpicklable(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__("cannot travel")


def raise_unpicklable(x: int) -> int:
    raise Unpicklable(x, x)


def big(x: int) -> bytes:
    return bytes(2_000_000)


def length(blob: bytes) -> bytes:
    return blob


def die_once(marker: str) -> str:
    path = Path(marker)
    if path.exists():
        return "survived"
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise ConfigError("unreachable")


def die(x: int) -> int:
    if x == 1:
        os._exit(7)
    return x


def threads(_: int) -> tuple[str | None, str | None]:
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("MKL_NUM_THREADS")


def pid_then_sleep(path: str) -> None:
    Path(path, str(os.getpid())).touch()
    time.sleep(60)
