"""Camera images of MuJoCo worlds, as fast as software OpenGL gives them.

Making a context costs about 0.2 s and an image less than a millisecond, so contexts are few and long-lived. One serves
every image size and every world of the same structure: the same meshes and textures. Poses, colours, sizes, lights
and cameras may differ; they are read from the model and data at each image.
"""

import atexit
import copy
import hashlib
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import mujoco
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from etude.core.errors import ConfigError, EtudeError, MismatchError, UnknownNameError
from etude.sim.gl import GlContext, drawing_in, open_context, others_context_kept

Image = UInt8[NDArray[np.uint8], "H W 3"]

_COLLISION_GROUPS = (3, 4, 5)
_SAMPLES = (0, 2, 4, 8, 16)
_FLAGS = [
    int(flag)
    for flag in (
        mujoco.mjtRndFlag.mjRND_SHADOW,
        mujoco.mjtRndFlag.mjRND_REFLECTION,
        mujoco.mjtRndFlag.mjRND_SKYBOX,
        mujoco.mjtRndFlag.mjRND_HAZE,
    )
]
_MAX_SIDE_PX = 4096
_FIRST_SIDE_PX = 64  # buffers grow to the largest image asked for: clearing a larger one takes longer


class RendererClosedError(EtudeError):
    """An image was asked of a renderer that is closed."""

    def __init__(self) -> None:
        super().__init__("the renderer is closed; make a new one with SceneRenderer(model)")


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """What images show beyond lit surfaces. Times: software OpenGL, one 96×96 image of about half a millisecond."""

    shadows: bool = False
    """Shadows of lights that cast them: +2 ms with the smallest map."""
    shadow_map_px: int = 512
    """Side of the shadow map; 4096, MuJoCo's default, costs +28 ms."""
    reflections: bool = False
    """Mirror images in reflecting planes: the scene is drawn once more for each."""
    antialias_samples: int = 0
    """Samples per pixel: 0 (off), 2, 4, 8 or 16."""
    skybox: bool = False
    """Draw the model's sky; without, what no surface covers is black. +0.2 ms."""

    def __post_init__(self) -> None:
        if self.antialias_samples not in _SAMPLES:
            raise ConfigError(f"antialias_samples is {self.antialias_samples}; choose one of {_SAMPLES}")
        if not 1 <= self.shadow_map_px <= 2 * _MAX_SIDE_PX:
            raise ConfigError(f"shadow_map_px is {self.shadow_map_px}; choose 1 to {2 * _MAX_SIDE_PX}")


class SceneRenderer:
    """Draws the cameras of one model, and of every model of the same structure.

    Images are functions of the model, the data, the camera and the size alone: the same bits on every call, in every
    process of one machine. Use it in the thread and process that made it; close() it there (at the latest it
    closes itself at the interpreter's exit, because EGL complains otherwise).
    """

    def __init__(self, model: mujoco.MjModel, options: RenderOptions | None = None) -> None:
        """Open a context and load the model's meshes and textures into it.

        Args:
            model: Any world of the structure to draw. Not kept, not changed.
            options: Shadows and the like; all off by default.
        Raises:
            GlUnavailableError: This machine cannot draw.
        """
        self._options = options or RenderOptions()
        self._option = mujoco.MjvOption()
        self._option.geomgroup[list(_COLLISION_GROUPS)] = 0
        self._option.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 100)
        self._signature = model.signature
        with others_context_kept():
            gl = open_context(_FIRST_SIDE_PX, _FIRST_SIDE_PX)
            self._contexts: tuple[GlContext, mujoco.MjrContext] | None = (gl, _load(model, self._options))
        atexit.register(self.close)  # after open_context: exit runs the last registered first, and EGL ends there too

    def render(
        self, model: mujoco.MjModel, data: mujoco.MjData, camera: str | int, *, height_px: int, width_px: int
    ) -> Image:
        """Draw what one camera sees.

        Args:
            model: The world's current fields, of the structure this renderer was made for.
            data: Its state, after mj_forward or mj_kinematics + mj_camlight: poses are taken as they are there.
            camera: Name or index of a camera of the model.
            height_px: Rows of the image.
            width_px: Columns of the image.
        Returns:
            Image, (H, W, 3), uint8, row 0 on top, read-only, the caller's own.
        Raises:
            UnknownNameError: The model has no such camera.
            ConfigError: A size below 1 or above 4096.
            MismatchError: The model has another structure.
            RendererClosedError: After close().
        """
        if self._contexts is None:
            raise RendererClosedError
        gl, context = self._contexts
        if model.signature != self._signature:
            raise MismatchError("this renderer was made for a model of another structure; use shared_renderer(model)")
        self._camera.fixedcamid = _camera_index(model, camera)
        mujoco.mjv_updateScene(
            model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )
        self._set_flags()  # each update turns them on again
        rectangle = mujoco.MjrRect(0, 0, width_px, height_px)
        bottom_up = np.empty((height_px, width_px, 3), dtype=np.uint8)
        with drawing_in(gl):
            _grow(context, height_px, width_px)
            mujoco.mjr_render(rectangle, self._scene, context)
            mujoco.mjr_readPixels(bottom_up, None, rectangle, context)
        image = bottom_up[::-1].copy()
        image.setflags(write=False)
        return image

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._contexts is None

    def close(self) -> None:
        """Free the context; a second call does nothing."""
        if self._contexts is None:
            return
        gl, context = self._contexts
        self._contexts = None  # MuJoCo's bindings free once more when they are collected: not as late as at exit
        with others_context_kept():
            gl.make_current()
            context.free()
            gl.free()
        atexit.unregister(self.close)

    def _set_flags(self) -> None:
        options = self._options
        self._scene.flags[_FLAGS] = (options.shadows, options.reflections, options.skybox, options.skybox)


def shared_renderer(model: mujoco.MjModel, options: RenderOptions | None = None) -> SceneRenderer:
    """This process's renderer for models of this structure, made at the first call and kept until exit.

    Raises:
        GlUnavailableError: This machine cannot draw.
    """
    key = (_structure(model), options or RenderOptions())
    renderer = _RENDERERS.get(key)
    if renderer is None or renderer.closed:
        renderer = _RENDERERS[key] = SceneRenderer(model, options)
    return renderer


_RENDERERS: dict[tuple[str, RenderOptions], SceneRenderer] = {}
_STRUCTURES: WeakKeyDictionary[mujoco.MjModel, str] = WeakKeyDictionary()


def _structure(model: mujoco.MjModel) -> str:
    """Hash of what a context holds a copy of, and of what its scene is sized for: a model's meshes must not change."""
    if (known := _STRUCTURES.get(model)) is not None:
        return known
    digest = hashlib.sha256(f"{model.signature} {model.ngeom} {model.nmesh} {model.ntex}".encode())
    for field in (model.mesh_vert, model.mesh_normal, model.mesh_face, model.tex_data):
        digest.update(np.ascontiguousarray(field).tobytes())
    _STRUCTURES[model] = digest.hexdigest()
    return _STRUCTURES[model]


def _load(model: mujoco.MjModel, options: RenderOptions) -> mujoco.MjrContext:
    """Copy meshes and textures into the current GL context, with buffers as the options ask."""
    model = copy.copy(model)
    model.vis.quality.offsamples = options.antialias_samples
    model.vis.quality.shadowsize = options.shadow_map_px if options.shadows else 0
    model.vis.global_.offwidth = model.vis.global_.offheight = _FIRST_SIDE_PX
    context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, context)
    return context


def _grow(context: mujoco.MjrContext, height_px: int, width_px: int) -> None:
    if not (1 <= height_px <= _MAX_SIDE_PX and 1 <= width_px <= _MAX_SIDE_PX):
        raise ConfigError(f"image size is {height_px}×{width_px}; each side must be 1 to {_MAX_SIDE_PX} pixels")
    width, height = max(context.offWidth, width_px), max(context.offHeight, height_px)
    if (width, height) != (context.offWidth, context.offHeight):
        mujoco.mjr_resizeOffscreen(width, height, context)


def _camera_index(model: mujoco.MjModel, camera: str | int) -> int:
    if isinstance(camera, str):
        index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA.value, camera)
    else:
        index = camera
    if not 0 <= index < model.ncam:
        raise UnknownNameError("camera", str(camera), [model.camera(i).name for i in range(model.ncam)])
    return index
