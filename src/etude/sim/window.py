"""A window on a running world: MuJoCo's own viewer, in which a person turns the view while the episode goes on."""

import importlib
import os
import platform
import threading
import time
import warnings
from typing import Any

import numpy as np

from etude.core import Case, Environment, EtudeError, Observation, Outcome, Step
from etude.sim.environment import SimEnv

_CLOSING_S, _DISTANCE_M = 5.0, 1.8


class WindowUnavailableError(EtudeError):
    """No window can be opened here."""


class WindowClosedError(EtudeError):
    """A person closed the window."""


class Window:
    """Observer that shows every moment of an episode when it is due: one second of the world takes one second.

    Use it as a context manager, or close() it.
    """

    def __init__(self, environment: Environment) -> None:
        """Open the window.

        Args:
            environment: Of one of Etude's own worlds; its episodes are shown.

        Raises:
            WindowUnavailableError: There is no display, or nothing that MuJoCo could show.
        """
        if not isinstance(environment, SimEnv):
            raise WindowUnavailableError("only Etude's own worlds have a window; this one is seen by its cameras.")
        _require_display()
        from mujoco import viewer  # loads what opens windows: of use to nobody else

        self._environment, self._begun_s = environment, 0.0
        model, data = environment.world.model, environment.world.data
        others = set(threading.enumerate())
        try:
            self._viewer = viewer.launch_passive(model, data, show_left_ui=False, show_right_ui=False)
        except RuntimeError as error:  # macOS wants its main thread for windows
            raise WindowUnavailableError(f"{error}.") from error
        self._threads = set(threading.enumerate()) - others

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def begin(self, case: Case) -> None:
        """Show where an episode starts."""
        del case
        poses = list(self._environment.world.object_poses().values())
        if self._begun_s == 0.0 and poses:
            self._viewer.cam.lookat[:] = np.mean([X_world_object[:3, 3] for X_world_object in poses], axis=0)
            self._viewer.cam.distance = _DISTANCE_M
        self._begun_s = time.monotonic()
        self._show(0)

    def step(self, step: Step) -> None:
        """Wait until the step is due, then show the moment before its action."""
        self._show(step.index)

    def end(self, observation: Observation, outcome: Outcome) -> None:
        """Show how it ended."""
        del observation
        self._show(outcome.length)

    def close(self) -> None:
        """Close the window; a second call does nothing."""
        self._viewer.close()
        for thread in self._threads:  # which MuJoCo does not wait for: it would meet the interpreter's end, and crash
            thread.join(_CLOSING_S)

    def _show(self, index: int) -> None:
        due_s = self._begun_s + index / self._environment.task.fps
        time.sleep(max(0.0, due_s - time.monotonic()))
        if not self._viewer.is_running():
            raise WindowClosedError("the window was closed.")
        self._viewer.sync()


def _require_display() -> None:
    """Raise unless a window can be opened: the viewer's own thread would fail without telling anybody."""
    if platform.system() != "Linux":
        return
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise WindowUnavailableError("there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set.")
    glfw: Any = importlib.import_module("glfw")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GLFW warns of what is said here in one line
        opened = bool(glfw.init())
    if not opened:
        raise WindowUnavailableError(f"display '{os.environ.get('DISPLAY', '')}' cannot be opened.")
    glfw.terminate()
