"""What every test shares: checked array shapes, one mesh cache, no writing outside temporary folders."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("etude", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("etude")

# Array annotations are checked at run time where the package's mathematics lives. What runs per control step or per
# training batch stays unhooked, for the check would cost more than what it checks, and so do modules whose signatures
# name Protocols: beartype refuses those that are not runtime_checkable.
install_import_hook(["etude.core.se3", "etude.core.space", "etude.core.statistics"], "beartype.beartype")


def pytest_configure(config: pytest.Config) -> None:
    """Give the session, and every process it starts, one cache of its own.

    It is set before any test module is imported, and inherited by worker processes and by commands run as
    subprocesses, so that the robot's meshes are prepared once per session. A cache that the caller names is kept.

    A shell's background jobs ignore Ctrl-C, and so would all that they start: here it interrupts, as it does a person's
    command.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "ETUDE_CACHE_DIR" not in os.environ:
        os.environ["ETUDE_CACHE_DIR"] = tempfile.mkdtemp(prefix="etude-test-cache-")
        config.add_cleanup(_remove_cache)


def _remove_cache() -> None:
    shutil.rmtree(os.environ.pop("ETUDE_CACHE_DIR"), ignore_errors=True)


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """The folder where this session keeps what is made once, such as merged meshes."""
    return Path(os.environ["ETUDE_CACHE_DIR"])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A real LeRobot v2.1 recording, if ETUDE_REAL_DATA names one."""
    folder = os.environ.get("ETUDE_REAL_DATA")
    if not folder:
        pytest.skip("ETUDE_REAL_DATA names no real recording")
    return Path(folder)
