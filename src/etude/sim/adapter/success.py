"""What counts as success in an environment that has its own ways to say so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.core import ConfigError

KEYS = ("is_success", "success", "succeed")
_REWARD = re.compile(r"reward:(-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class SuccessRule:
    """Reads success from what a step returns.

    Attributes:
        text: "" for the first of is_success, success and succeed that `info` has; "terminated" where an episode ends
            only by success; "reward:4" where a reward of at least 4 in one step means it; or another key of `info`,
            e.g. "episode/solved".
    """

    text: str = ""

    def __post_init__(self) -> None:
        if self.text.startswith("reward") and not _REWARD.fullmatch(self.text):
            raise ConfigError(f"success '{self.text}': write the least reward like reward:4.")

    def judge(self, reward: float, terminated: bool, info: Mapping[str, Any]) -> bool | None:
        """Whether this moment is a success; None if nothing says so."""
        if self.text == "terminated":
            return terminated
        if threshold := _REWARD.fullmatch(self.text):
            return reward >= float(threshold[1])
        for key in (self.text,) if self.text else KEYS:
            value = _look(info, key)
            if value is not None:
                return bool(np.all(value))
        return None

    def missing(self, name: str, info: Mapping[str, Any]) -> ConfigError:
        """The error for an episode that ended without a word about success."""
        wanted = f"'{self.text}'" if self.text else " or ".join(KEYS)
        return ConfigError(
            f"'{name}' does not say whether an episode succeeded: its info has {', '.join(sorted(info)) or 'nothing'}, "
            f"not {wanted}; choose success=KEY of info, success=terminated or success=reward:NUMBER."
        )


def _look(info: Mapping[str, Any], key: str) -> Any:
    value: Any = info
    for part in key.split("/"):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
