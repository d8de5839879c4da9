"""The policies that can be trained, by name; torch-free, because the command line lists them."""

from etude.core import UnknownNameError

POLICIES = ("act", "flow")


def policy_names() -> tuple[str, ...]:
    """Names that `build_policy` takes, sorted."""
    return POLICIES


def check_policy_name(name: str) -> None:
    """Check a name.

    Raises:
        UnknownNameError: It is none of `policy_names()`.
    """
    if name not in POLICIES:
        raise UnknownNameError("policy", name, POLICIES)
