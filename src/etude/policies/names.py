"""The policies that can be trained, by name; torch-free, because the command line lists them."""

import re
from functools import cache
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from etude.core import UnknownNameError

POLICIES = ("act", "diffusion", "flow", "vinn")
"""Those that Etude chooses settings for; every other one comes as LeRobot has it."""

PLUGIN_PREFIX = "lerobot_policy_"


def policy_names() -> tuple[str, ...]:
    """Names of the policies with settings for a few cores, sorted; `build_policy` takes LeRobot's others too."""
    return POLICIES


@cache
def lerobot_names() -> tuple[str, ...]:
    """Type names of LeRobot's own policies, sorted; read from its sources, since importing them takes seconds."""
    spec = find_spec("lerobot")
    roots = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    files = [file for root in roots for file in Path(root).glob("policies/*/configuration_*.py")]
    return tuple(
        sorted(name for file in files for name in re.findall(r'register_subclass\("(\w+)"\)', file.read_text()))
    )


def check_policy_name(name: str) -> None:
    """Check a name, as far as that is possible without importing LeRobot's plugins.

    Raises:
        UnknownNameError: No policy has it.
    """
    valid = {*POLICIES, *lerobot_names()}
    if name not in valid and not _foreign_plugins():
        raise UnknownNameError("policy", name, valid)


def _foreign_plugins() -> bool:
    """Whether there are plugins of others, whose names only LeRobot can tell."""
    names = {str(distribution.metadata["Name"]) for distribution in distributions()}
    return any(name.startswith(PLUGIN_PREFIX) for name in names - {"lerobot_policy_etude"})
