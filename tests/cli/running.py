"""How a test runs a command here, in this process."""

from collections.abc import Callable

type Run = Callable[..., tuple[str, str]]
"""(arguments, code=0) -> stdout and stderr of a command that ended with that code."""
