import copy
import hashlib
import subprocess
import sys
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from etude.core.errors import ConfigError, MismatchError, UnknownNameError
from etude.sim.gl import probe
from etude.sim.rendering import Image, RendererClosedError, RenderOptions, SceneRenderer, shared_renderer

pytestmark = pytest.mark.skipif(probe() is None, reason="no OpenGL library on this machine")

SCENE = """
<mujoco>
  <visual><headlight ambient=".2 .2 .2" diffuse=".2 .2 .2" specular="0 0 0"/></visual>
  <asset>
    <texture type="skybox" builtin="gradient" rgb1="0 0 1" rgb2="0 1 0" width="32" height="32"/>
    <mesh name="wedge" vertex="0 0 0  .1 0 0  0 .1 0  0 0 .1"/>
  </asset>
  <worldbody>
    <light name="lamp" type="directional" dir=".5 0 -1" diffuse=".6 .6 .6" castshadow="true"/>
    <camera name="front" pos="1 0 .5" xyaxes="0 1 0 -.45 0 1"/>
    <camera name="top" pos="0 0 1"/>
    <camera name="away" pos="0 0 10" xyaxes="1 0 0 0 -1 0"/>
    <geom name="table" type="box" pos="0 0 -.02" size=".4 .4 .02" rgba=".6 .5 .4 1"/>
    <geom name="hidden" type="box" pos="0 .2 .1" size=".05 .05 .05" rgba="1 0 1 1" group="3"/>
    <site name="mark" pos="0 -.2 .1" size=".05" rgba="1 0 1 1"/>
    <body name="cube" pos="0 0 .05">
      <freejoint/><geom name="cube" type="box" size=".05 .05 .05" rgba=".9 .1 .1 1"/>
    </body>
    <body pos=".2 .2 0"><geom name="wedge" type="mesh" mesh="wedge" rgba=".1 .9 .1 1"/></body>
  </worldbody>
</mujoco>
"""
DIGEST_IN_ANOTHER_PROCESS = f"""
import hashlib, mujoco
from etude.sim.rendering import SceneRenderer
model = mujoco.MjModel.from_xml_string('''{SCENE}''')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
image = SceneRenderer(model).render(model, data, "front", height_px=96, width_px=96)
print(hashlib.sha256(image.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(SCENE)


@pytest.fixture(scope="module")
def data(model: mujoco.MjModel) -> mujoco.MjData:
    return settled(model)


@pytest.fixture(scope="module")
def renderer(model: mujoco.MjModel) -> Iterator[SceneRenderer]:
    renderer = SceneRenderer(model)
    yield renderer
    renderer.close()


def settled(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def front(renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData, side_px: int = 96) -> Image:
    return renderer.render(model, data, "front", height_px=side_px, width_px=side_px)


def test_an_image_has_its_size_its_top_row_first_and_cannot_be_written(
    renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    image = renderer.render(model, data, "front", height_px=40, width_px=70)
    assert image.shape == (40, 70, 3)
    assert image.dtype == np.uint8
    assert not image.flags.writeable
    assert image[20:].sum() > 2 * image[:20].sum()  # the nearer half of the table is below the middle
    assert not image[0].any()  # nothing above: black


def test_an_image_stays_what_it_was_when_others_are_drawn(
    renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    image = front(renderer, model, data)
    before = image.copy()
    renderer.render(model, data, "top", height_px=96, width_px=96)
    np.testing.assert_array_equal(image, before)


def test_nothing_leaks_from_one_image_into_the_next(
    renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    expected = front(renderer, model, data)
    rng = np.random.default_rng(0)
    for _ in range(10):
        other = copy.copy(model)
        other.geom_rgba[:, :3] = rng.uniform(size=(other.ngeom, 3))
        other.light_diffuse[:] = rng.uniform(size=3)
        other.cam_fovy[:] = rng.uniform(20, 90)
        other.geom_size[other.geom("cube").id] *= 1.5
        other.vis.headlight.ambient[:] = rng.uniform(size=3)
        camera = int(rng.integers(other.ncam))
        renderer.render(other, settled(other), camera, height_px=int(rng.integers(1, 200)), width_px=50)
        np.testing.assert_array_equal(front(renderer, model, data), expected)


def test_pixels_do_not_depend_on_the_buffers_size(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    small, grown = SceneRenderer(model), SceneRenderer(model)
    front(grown, model, data, side_px=500)
    for side_px in (33, 64, 96, 128):
        np.testing.assert_array_equal(front(small, model, data, side_px), front(grown, model, data, side_px))
    small.close()
    grown.close()


def test_pixels_are_the_same_in_another_process(
    renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    command = [sys.executable, "-c", DIGEST_IN_ANOTHER_PROCESS]
    other = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert other.stdout.strip() == hashlib.sha256(front(renderer, model, data).tobytes()).hexdigest()
    assert other.stderr == "", "a renderer that nobody closed must not complain at exit"


def test_model_fields_show_at_once(renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    plain = front(renderer, model, data)
    for change in ("geom_rgba", "light_diffuse", "cam_fovy", "geom_size", "cam_pos"):
        other = copy.copy(model)
        getattr(other, change)[:] = np.asarray(getattr(model, change)) * 0.8
        assert not np.array_equal(front(renderer, other, settled(other)), plain), change


def test_collision_geoms_and_sites_are_not_drawn(
    renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    image = renderer.render(model, data, "top", height_px=96, width_px=96).astype(int)
    magenta = (image[..., 0] > image[..., 1] + 60) & (image[..., 2] > image[..., 1] + 60)
    assert not magenta.any()


def test_each_option_changes_the_picture_and_only_its_own_renderer(
    renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    plain = front(renderer, model, data)
    for options in (RenderOptions(shadows=True), RenderOptions(antialias_samples=4), RenderOptions(skybox=True)):
        other = SceneRenderer(model, options)
        first = front(other, model, data)
        assert not np.array_equal(first, plain), options
        np.testing.assert_array_equal(front(other, model, data), first)
        np.testing.assert_array_equal(front(renderer, model, data), plain)
        other.close()


def test_a_context_of_somebody_else_does_not_disturb(
    renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    expected = front(renderer, model, data)
    other_model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><camera name="c"/></worldbody></mujoco>')
    other = SceneRenderer(other_model)
    other.render(other_model, settled(other_model), "c", height_px=20, width_px=20)
    np.testing.assert_array_equal(front(renderer, model, data), expected)
    other.close()
    np.testing.assert_array_equal(front(renderer, model, data), expected)


def test_it_does_not_disturb_a_context_of_somebody_else(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    egl = pytest.importorskip("mujoco.egl", exc_type=ImportError)
    theirs = egl.GLContext(64, 64)
    theirs.make_current()
    current = egl.EGL.eglGetCurrentContext().address
    renderer = SceneRenderer(model)
    assert egl.EGL.eglGetCurrentContext().address == current, "libraries that think theirs is current go on drawing"
    front(renderer, model, data)
    assert egl.EGL.eglGetCurrentContext().address == current
    renderer.close()
    assert egl.EGL.eglGetCurrentContext().address == current
    theirs.free()


def test_worlds_of_one_structure_share_a_renderer(model: mujoco.MjModel) -> None:
    recoloured = copy.copy(model)
    recoloured.geom_rgba[:] = 0.5
    shared = shared_renderer(model)
    assert shared_renderer(recoloured) is shared
    assert shared_renderer(model, RenderOptions(shadows=True)) is not shared
    reshaped = mujoco.MjModel.from_xml_string(SCENE.replace('0 0 .1"/>', '0 0 .2"/>'))
    assert shared_renderer(reshaped) is not shared
    shared.close()
    assert not shared_renderer(model).closed


def test_mistakes_are_named(renderer: SceneRenderer, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown camera 'frnt'.*Did you mean 'front'"):
        renderer.render(model, data, "frnt", height_px=8, width_px=8)
    with pytest.raises(UnknownNameError, match="unknown camera '3'"):
        renderer.render(model, data, 3, height_px=8, width_px=8)
    with pytest.raises(ConfigError, match="0×8"):
        renderer.render(model, data, "front", height_px=0, width_px=8)
    other = mujoco.MjModel.from_xml_string("<mujoco/>")
    with pytest.raises(MismatchError, match="another structure"):
        renderer.render(other, settled(other), 0, height_px=8, width_px=8)
    with pytest.raises(ConfigError, match="antialias_samples is 3"):
        RenderOptions(antialias_samples=3)


def test_after_closing_no_image_comes(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    renderer = SceneRenderer(model)
    renderer.close()
    renderer.close()
    assert renderer.closed
    with pytest.raises(RendererClosedError):
        front(renderer, model, data)
