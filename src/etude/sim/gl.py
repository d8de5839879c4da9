"""Finding a way to draw without a screen, and saying in one line what is missing when there is none.

MuJoCo picks its OpenGL binding from MUJOCO_GL while `import mujoco` runs, and that import fails when the library is
not there. So the variable is never set here. The binding is loaded by name when the first image is wanted; work on
states alone never comes this far.
"""

import atexit
import ctypes.util
import importlib
import os
import platform
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol, cast

from etude.core.errors import EtudeError

_LIBRARIES: dict[str, tuple[tuple[str, ...], ...]] = {
    # Each group needs one member: PyOpenGL looks up common functions in libOpenGL or libGLESv2.
    "egl": (("EGL",), ("OpenGL", "GLESv2")),
    "osmesa": (("OSMesa",),),
    "glfw": (),  # its wheel brings the library
    "cgl": (),  # part of macOS
}
_BINDING_OF_VARIABLE = {"egl": "egl", "osmesa": "osmesa", "glfw": "glfw", "glx": "glfw", "wgl": "glfw", "cgl": "cgl"}
_OFF = ("disable", "disabled", "off", "false", "0")
_REMEDY = (
    "on Debian: apt install libegl1 libopengl0 libgl1-mesa-dri (or libosmesa6). Tasks without images run as they are"
)


class GlUnavailableError(EtudeError):
    """No image can be drawn on this machine.

    Attributes:
        reason: What was tried and how it failed.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"cannot draw images: {reason}; {_REMEDY}.")


class GlContext(Protocol):
    """An OpenGL context without a window, of any of MuJoCo's bindings. Belongs to one thread at a time."""

    def make_current(self) -> None:
        """Direct this thread's OpenGL calls to the context."""
        ...

    def free(self) -> None:
        """Release it."""
        ...


def probe() -> str | None:
    """Name the binding that images would use: "egl", "osmesa", "glfw" or "cgl"; None without any.

    Looks for libraries only: nothing is loaded and no variable is set. Respects the user's MUJOCO_GL.
    """
    return next(iter(_bindings(os.environ, platform.system())), None)


def require_gl() -> str:
    """Like probe(), for callers that cannot go on without images.

    Raises:
        GlUnavailableError: No library was found, or MUJOCO_GL forbids the ones there are.
    """
    binding = probe()
    if binding is None:
        chosen = os.environ.get("MUJOCO_GL")
        raise GlUnavailableError(f"MUJOCO_GL is {chosen!r}" if chosen else "no OpenGL library was found")
    return binding


def open_context(width_px: int, height_px: int) -> GlContext:
    """Create a context and make it current, with the first binding that works.

    Mesa's software renderer is told to work in the calling thread (LP_NUM_THREADS=0, unless the user set it):
    images are small, and rollouts run in as many processes as there are cores.

    Raises:
        GlUnavailableError: None works.
    """
    require_gl()
    os.environ.setdefault("LP_NUM_THREADS", "0")  # read once, when the process makes its first context
    failures: list[str] = []
    for binding in _bindings(os.environ, platform.system()):
        try:
            module = importlib.import_module(f"mujoco.{binding}")
            context = cast(GlContext, module.GLContext(width_px, height_px))
            context.make_current()
        except (ImportError, AttributeError, OSError, RuntimeError, TypeError, ctypes.ArgumentError) as error:
            failures.append(f"{binding} failed ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
        else:
            return context
    raise GlUnavailableError(", ".join(failures))


@contextmanager
def drawing_in(context: GlContext) -> Generator[None]:
    """Make a context current, and at the end again that of somebody else; quick where it is current already."""
    egl: Any = sys.modules.get("OpenGL.EGL")
    ours: Any = getattr(context, "_context", None) if egl else None  # as MuJoCo's binding to EGL calls it
    now = egl.eglGetCurrentContext() if ours else None
    if now and bytes(now) == bytes(ours):  # the same pointer: quicker than their addresses
        yield
        return
    with others_context_kept():
        context.make_current()
        yield


@contextmanager
def others_context_kept() -> Generator[None]:
    """Make current again, at the end, the context of somebody else that is current now.

    Other libraries remember which context they made current last and draw into whatever is there: dm_control, and with
    it gym_aloha, would show what is left of our images. Only EGL tells what is current.
    """
    egl: Any = sys.modules.get("OpenGL.EGL")  # until somebody imports it, no context is current
    before = egl.eglGetCurrentContext() if egl else None
    if egl:
        # All share one display. Whoever ends it first at exit makes the others fail to free what they have there; the
        # operating system ends it anyway.
        atexit.unregister(egl.eglTerminate)
    if not before:
        yield
        return
    there = (
        egl.eglGetCurrentDisplay(),
        egl.eglGetCurrentSurface(egl.EGL_DRAW),
        egl.eglGetCurrentSurface(egl.EGL_READ),
    )
    try:
        yield
    finally:
        after = egl.eglGetCurrentContext()
        if not after or after.address != before.address:
            with suppress(egl.EGLError):  # it may have been one of ours, and just freed
                egl.eglMakeCurrent(*there, before)


def _bindings(environment: Mapping[str, str], system: str) -> list[str]:
    """Bindings whose libraries are here, best first."""
    chosen = environment.get("MUJOCO_GL", "").lower().strip()
    if chosen in _OFF:
        return []
    if chosen in _BINDING_OF_VARIABLE:
        candidates = [_BINDING_OF_VARIABLE[chosen]]
    elif system == "Linux":
        screen = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
        candidates = ["egl", "osmesa", *(["glfw"] if screen else [])]
    else:
        candidates = ["cgl" if system == "Darwin" else "glfw"]
    return [binding for binding in candidates if _has_libraries(binding)]


def _has_libraries(binding: str) -> bool:
    return all(any(ctypes.util.find_library(name) for name in group) for group in _LIBRARIES[binding])
