import numpy as np
from data.recordings import moving_images

from etude.core import stream
from etude.data.statistics import image_statistics, merge_statistics, vector_statistics


def test_merging_gives_the_statistics_of_all_frames_together():
    x = stream(0, "x").standard_normal((90, 4))
    merged = merge_statistics([vector_statistics(x[a:b]) for a, b in ((0, 7), (7, 50), (50, 90))])
    whole = vector_statistics(x)
    for key in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(merged[key], whole[key], atol=1e-12)


def test_statistics_of_images_are_those_of_their_pixels():
    images = moving_images(5, stream(0, "x"))
    found = image_statistics(images)
    pixels = (images / 255.0).reshape(-1, 3)
    expected = {"min": pixels.min(0), "max": pixels.max(0), "mean": pixels.mean(0), "std": pixels.std(0)}
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value.reshape(3, 1, 1), atol=1e-12)
    np.testing.assert_allclose(found["q50"].ravel(), np.median(pixels, axis=0), atol=1 / 255)
    assert found["count"] == 5


def test_merging_agrees_with_lerobot():
    from lerobot.datasets.compute_stats import aggregate_stats

    x = stream(1, "x").standard_normal((40, 3))
    parts = [vector_statistics(x[:11]), vector_statistics(x[11:])]
    theirs = aggregate_stats([{"action": dict(part)} for part in parts])["action"]
    ours = merge_statistics(parts)
    assert theirs.keys() == ours.keys()
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-12)
