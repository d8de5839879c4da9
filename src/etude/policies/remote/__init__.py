"""Policies on servers: clients of openpi's and GR00T's protocols, and a server of the former."""

from etude.policies.remote.mapping import RemoteMapping
from etude.policies.remote.policy import SCHEMES, RemotePolicy

__all__ = ["SCHEMES", "RemoteMapping", "RemotePolicy"]
