"""What the tests of commands share."""

import pytest
from cli.running import Run

from etude.cli import main


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command here; its stdout and stderr. A refusal is one line."""

    def run_command(*arguments: object, code: int = 0) -> tuple[str, str]:
        found = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert found == code, err
        if code == 2:
            assert err.startswith("etude: "), err
            assert err.count("\n") == 1, err
        return out, err

    return run_command
