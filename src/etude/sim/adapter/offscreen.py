"""Letting environments that draw by themselves draw without a screen.

They take the OpenGL binding that MuJoCo or dm_control chose from MUJOCO_GL when they were imported; without the
variable that is a window's, and on a machine without a screen every image fails. They are lent the binding that
Etude's own images use. A MUJOCO_GL that the user has set is respected.
"""

import importlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from etude.sim.gl import probe

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


@contextmanager
def lent_binding() -> Generator[None]:
    """While an environment is imported and made: a binding that works without a screen, where one is needed."""
    binding = None if any(name in os.environ for name in ("MUJOCO_GL", *_SCREENS)) else probe()
    if binding is None:
        yield
        return
    # mujoco.Renderer looks here each time it makes a context. Names, not imports: without a library they would fail.
    classic: Any = importlib.import_module("mujoco.rendering.classic.gl_context")
    classic.GLContext = importlib.import_module(f"mujoco.{binding}").GLContext
    os.environ["MUJOCO_GL"] = binding  # dm_control reads it when it is imported
    try:
        yield
    finally:
        os.environ.pop("MUJOCO_GL", None)
