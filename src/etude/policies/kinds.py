"""Finding a kind of policy by name; each is imported only when it is asked for."""

from etude.policies.kind import PolicyKind
from etude.policies.names import check_policy_name


def find_kind(name: str) -> PolicyKind:
    """Find a kind.

    Raises:
        UnknownNameError: No policy has that name.
    """
    check_policy_name(name)
    match name:
        case "act":
            from etude.policies.act import ACT

            return ACT
        case _:
            from etude.policies.flow.kind import FLOW

            return FLOW
