"""One finished run for all tests of this folder, made once."""

from pathlib import Path

import pytest
from loop.tiny import run_tiny


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the smallest loop that nobody disturbed; not to be changed."""
    directory = tmp_path_factory.mktemp("loop") / "r"
    run_tiny(directory)
    return directory
