import numpy as np

from etude.evaluation.heatmaps import overlaid, pointed, principal_colours, scaled, strongest_channels

IMAGE = np.full((12, 24, 3), 120, np.uint8)


def test_maps_share_one_scale():
    maps = np.zeros((2, 30, 30), np.float32)
    maps[0, :5], maps[1, :5] = 2, 1
    values = scaled(maps)
    assert (values.min(), values.max()) == (0, 1)
    np.testing.assert_allclose(values[1, 0], 0.5)
    assert not scaled(np.ones((2, 4, 4), np.float32)).any()


def test_blurring_averages_over_squares():
    one = np.zeros((1, 9, 9), np.float32)
    one[0, 4, 4] = 1
    blurred = scaled(one, blur=1)[0] > 0.5
    assert blurred[3:6, 3:6].all()
    assert blurred.sum() == 9


def test_heat_is_bright_where_it_is_strong_and_keeps_proportions():
    heat = np.zeros((4, 8), np.float32)
    heat[:, 6:] = 1
    picture = overlaid(IMAGE, heat, 48)
    assert picture.shape == (24, 48, 3)
    assert picture[:, 44:].mean() > picture[:, :20].mean() + 60


def test_a_point_lies_where_it_says():
    picture = pointed(IMAGE, np.array([[1.0, -1.0]], np.float32), 48)  # top right
    changed = (picture != 120).any(axis=2)
    assert changed[:3, 45:].any()
    assert not changed[6:].any()


def test_like_features_get_like_colours():
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((3, 8))
    labels = rng.integers(0, 3, (2, 6, 6))
    colours = principal_colours(kinds[labels].transpose(0, 3, 1, 2).astype(np.float32))
    assert colours.shape == (2, 6, 6, 3)
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) == 3
    assert principal_colours(np.ones((1, 2, 3, 3), np.float32)).shape == (1, 3, 3, 3)


def test_the_strongest_channels_differ_most_between_places():
    features = np.random.default_rng(0).standard_normal((2, 4, 5, 5)).astype(np.float32)
    features *= np.array([1, 4, 0.1, 2], np.float32)[:, None, None]
    assert strongest_channels(features, 3) == [1, 3, 0]
