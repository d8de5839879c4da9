from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from data.recordings import moving_images

from etude.core import EtudeError, ShapeError, stream
from etude.data.video import decode_video, encode_video


@pytest.mark.parametrize("fps", [10, 20, 30, 50])
@pytest.mark.parametrize("frames", [1, 2, 33])
def test_frame_i_is_shown_at_exactly_i_over_fps(fps: int, frames: int):
    video = encode_video(moving_images(frames, stream(0, "video")), fps)
    with av.open(BytesIO(video)) as container:
        seen = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert seen == [Fraction(i, fps) for i in range(frames)]


@pytest.mark.parametrize("size", [(96, 96), (32, 48), (2, 2), (66, 34)])
def test_what_is_decoded_is_close_to_what_was_encoded(size: tuple[int, int], tmp_path: Path):
    images = moving_images(12, stream(0, "video"), size) if min(size) > 30 else np.full((12, *size, 3), 99, np.uint8)
    (tmp_path / "a.mp4").write_bytes(encode_video(images, 20))
    decoded = np.stack(list(decode_video(tmp_path / "a.mp4")))
    assert decoded.shape == images.shape
    error = np.abs(decoded.astype(int) - images)
    assert error.mean() < 3
    assert (error > 25).mean() < 0.03  # only at sharp coloured edges: colour is stored at half the resolution


def test_images_can_be_resized_while_decoding(tmp_path: Path):
    images = moving_images(3, stream(0, "video"), (64, 64))
    (tmp_path / "a.mp4").write_bytes(encode_video(images, 20))
    small = np.stack(list(decode_video(tmp_path / "a.mp4", (32, 32))))
    by_area = images.reshape(3, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(small - by_area).mean() < 3


@pytest.mark.parametrize("shape", [(3, 33, 32, 3), (3, 32, 31, 3), (0, 32, 32, 3), (3, 32, 32, 4)])
def test_frames_that_h264_cannot_hold_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ShapeError, match="even H and W"):
        encode_video(np.zeros(shape, np.uint8), 20)


def test_a_damaged_video_is_one_line_with_its_name(tmp_path: Path):
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(EtudeError, match=r"broken\.mp4"):
        list(decode_video(tmp_path / "broken.mp4"))
