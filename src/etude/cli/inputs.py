"""What a policy's network shall see of the cameras, as a person says it: a file, options, or both."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from etude.core import ConfigError
from etude.core.files import read_json
from etude.policies.inputs.settings import Box, CameraView, ImageInputs


def image_inputs(
    file: Path | None,
    *,
    size: Sequence[int] = (),
    crop: Sequence[str] = (),
    keep: Sequence[str] = (),
    hide: Sequence[str] = (),
    shift: float | None = None,
    jitter: float | None = None,
) -> ImageInputs | None:
    """Image inputs from a file and options, which come on top; None where nothing is said.

    Args:
        file: JSON: {"size": [96, 96], "cameras": {"front": {"crop": […], "keep": [[…]], "hide": [[…]]}},
            "shift": 0.03, "colour_jitter": 0.1}.
        size: Of what the network sees: one number [px], or height and width.
        crop: "CAMERA=LEFT,TOP,RIGHT,BOTTOM" in fractions of the image: the part that is cut out.
        keep: Written so too: outside these boxes everything is grey.
        hide: Written so too: these boxes are grey.
        shift: Largest random shift while training, as a fraction of the image.
        jitter: Largest random change of colours while training, as a fraction.
    Raises:
        ConfigError: Of what cannot be read.
    """
    if file is None and not (size or crop or keep or hide) and shift is None and jitter is None:
        return None
    if len(size) > 2:
        raise ConfigError(f"--image-size {' '.join(map(str, size))}: give one number, or height and width.")
    inputs = ImageInputs.from_json(read_json(file)) if file else ImageInputs()
    views = dict(inputs.cameras)
    for camera, box in map(_box, crop):
        views[camera] = replace(views.get(camera, CameraView()), crop=box)
    for camera, box in map(_box, keep):
        view = views.get(camera, CameraView())
        views[camera] = replace(view, keep=(*view.keep, box))
    for camera, box in map(_box, hide):
        view = views.get(camera, CameraView())
        views[camera] = replace(view, hide=(*view.hide, box))
    return ImageInputs(
        size=(size[0], size[-1]) if size else inputs.size,
        cameras=views,
        shift=inputs.shift if shift is None else shift,
        colour_jitter=inputs.colour_jitter if jitter is None else jitter,
    )


def _box(text: str) -> tuple[str, Box]:
    """Read "front=0.1,0,0.9,1"."""
    camera, _, numbers = text.rpartition("=")
    try:
        left, top, right, bottom = (float(number) for number in numbers.split(","))
    except ValueError:
        raise ConfigError(
            f"'{text}' must be CAMERA=LEFT,TOP,RIGHT,BOTTOM in fractions of the image, as in front=0.1,0,0.9,1."
        ) from None
    if not camera:
        raise ConfigError(f"'{text}' does not say which camera: write CAMERA={numbers}.")
    return camera, (left, top, right, bottom)
