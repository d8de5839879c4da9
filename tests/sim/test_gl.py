"""What happens on machines with and without OpenGL libraries, simulated by hiding libraries from the loader."""

import ctypes.util
import os
import subprocess
import sys

import pytest

from etude.sim.gl import GlUnavailableError, probe, require_gl

VARIABLES = ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY", "PYOPENGL_PLATFORM", "LP_NUM_THREADS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in VARIABLES}
HIDE_EVERY_LIBRARY = """
import ctypes.util
ctypes.util.find_library = lambda name: None
"""
STATE_ONLY_THEN_IMAGE = """
import mujoco
from etude.core.errors import EtudeError
from etude.sim.rendering import SceneRenderer
ball = '<body><freejoint/><geom size="1"/></body>'
model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{ball}</worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_step(model, data)
print("fell to", data.qpos[2] < 0)
try:
    SceneRenderer(model)
except EtudeError as error:
    print(error)
"""


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A Linux machine with the libraries that a test puts into this set, and no variables."""
    present: set[str] = set()
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: name if name in present else None)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return present


def run(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT | variables, capture_output=True, text=True, timeout=120
    )


def test_egl_comes_before_osmesa_and_osmesa_before_a_window(
    libraries: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe() is None
    monkeypatch.setenv("DISPLAY", ":0")
    assert probe() == "glfw"
    libraries.add("OSMesa")
    assert probe() == "osmesa"
    libraries.add("EGL")
    assert probe() == "osmesa", "libEGL alone is not enough for PyOpenGL"
    libraries.add("OpenGL")
    assert probe() == "egl"


def test_the_users_choice_is_respected(libraries: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    libraries |= {"EGL", "OpenGL", "OSMesa"}
    for chosen, binding in (("osmesa", "osmesa"), ("EGL", "egl"), ("glfw", "glfw"), ("1", "egl"), ("off", None)):
        monkeypatch.setenv("MUJOCO_GL", chosen)
        assert probe() == binding


def test_without_a_library_one_line_names_the_packages(libraries: set[str]) -> None:
    assert not libraries
    with pytest.raises(GlUnavailableError, match=r"no OpenGL library was found.*libegl1.*libosmesa6") as caught:
        require_gl()
    assert "\n" not in str(caught.value)


def test_a_choice_that_forbids_images_is_named(libraries: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    libraries |= {"EGL", "OpenGL"}
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(GlUnavailableError, match="MUJOCO_GL is 'disable'"):
        require_gl()


def test_without_a_library_physics_runs_and_images_fail_with_one_line() -> None:
    result = run(HIDE_EVERY_LIBRARY + STATE_ONLY_THEN_IMAGE)
    assert result.returncode == 0, result.stderr
    physics, error = result.stdout.splitlines()
    assert physics == "fell to True"
    assert error.startswith("cannot draw images: no OpenGL library was found; on Debian: apt install libegl1")


def test_a_library_without_a_driver_is_one_line_too() -> None:
    hide_devices = "import mujoco.egl.egl_ext as EGL; EGL.eglQueryDevicesEXT = lambda *_: []\n"
    if probe() != "egl":
        pytest.skip("this machine has no EGL library")
    result = run(hide_devices + STATE_ONLY_THEN_IMAGE, MUJOCO_GL="egl")
    assert result.returncode == 0, result.stderr
    assert "cannot draw images: egl failed (Cannot initialize a EGL device display" in result.stdout
    assert len(result.stdout.splitlines()) == 2


def test_importing_the_room_sets_no_variable_and_opens_no_library() -> None:
    result = run(
        "import os, sys; before = dict(os.environ)\n"
        "import etude.sim.gl, etude.sim.rendering\n"
        "assert dict(os.environ) == before\n"
        "assert 'OpenGL' not in sys.modules"
    )
    assert result.returncode == 0, result.stderr
