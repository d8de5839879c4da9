"""Finding a kind of policy by name; each is imported only when it is asked for."""

from etude.policies.kind import PolicyKind
from etude.policies.names import check_policy_name


def find_kind(name: str) -> PolicyKind:
    """Find a kind.

    Raises:
        UnknownNameError: No policy has that name.
    """
    name = "act" if name == "etude_act" else name  # LeRobot's type of an ACT that has a backbone of ours
    check_policy_name(name)
    match name:
        case "act":
            from etude.policies.act.kind import ACT

            return ACT
        case "diffusion":
            from etude.policies.diffusion import DIFFUSION

            return DIFFUSION
        case "flow":
            from etude.policies.flow.kind import FLOW

            return FLOW
        case "vinn":
            from etude.policies.vinn.kind import VINN

            return VINN
        case _:
            from etude.policies.lerobot_any import lerobot_kind

            return lerobot_kind(name)
