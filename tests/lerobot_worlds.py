"""Environments made by LeRobot's own factory, as module-level functions that other processes find."""

from typing import Any


def aloha_of_lerobot() -> Any:
    """LeRobot's built-in `aloha` environment: a vector of one around gym_aloha."""
    from lerobot.envs.configs import AlohaEnv
    from lerobot.envs.factory import make_env

    suites = make_env(AlohaEnv(task="AlohaTransferCube-v0"), n_envs=1)
    return suites["aloha"][0]
