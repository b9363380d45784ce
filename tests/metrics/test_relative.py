import numpy as np
import pytest

from zdlib.metrics.depth import depth_metrics
from zdlib.metrics.relative import aligned_depth, fit_scale_and_shift


def scene(seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 8, (12, 16)).astype(np.float32)
    return depth, rng.random((12, 16)) > 0.2


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (7.5, -3.0), (0.01, 100.0), (-2.0, 5.0)])
def test_any_affine_function_of_inverse_depth_is_a_perfect_prediction(scale, shift):
    depth, valid = scene()
    prediction = (1 / depth.astype(np.float64)) * scale + shift
    found = aligned_depth(prediction, depth, valid, far=10.0)
    np.testing.assert_allclose(found, depth, rtol=1e-5)
    assert depth_metrics(found, depth, valid)["abs_rel"] < 1e-5


def test_the_fit_is_that_of_least_squares():
    rng = np.random.default_rng(1)
    prediction, target, (_, valid) = rng.random((12, 16)), rng.random((12, 16)), scene()
    matrix = np.stack([prediction[valid], np.ones(valid.sum())], 1)
    expected = np.linalg.lstsq(matrix, target[valid], rcond=None)[0]
    np.testing.assert_allclose(fit_scale_and_shift(prediction, target, valid), expected, rtol=1e-9)


def test_invalid_pixels_have_no_influence_on_the_fit():
    depth, valid = scene()
    rng = np.random.default_rng(2)
    prediction = rng.random(depth.shape)
    expected = aligned_depth(prediction, depth, valid, far=10.0)
    changed = np.where(valid, depth, 0).astype(np.float32)
    np.testing.assert_array_equal(aligned_depth(prediction, changed, valid, far=10.0), expected)
    assert (expected > 0).all()


def test_nothing_is_farther_than_the_cap_and_nearness_has_none():
    # The pixels that are fitted say disparity = prediction; the others would lie at 20 m, behind the camera, at 1 mm.
    depth = np.array([[1.0, 2.0, 1.0, 1.0, 1.0]], np.float32)
    prediction = np.array([[1.0, 0.5, 0.05, -3.0, 1000.0]])
    valid = np.array([[True, True, False, False, False]])
    found = aligned_depth(prediction, depth, valid, far=10.0)
    np.testing.assert_allclose(found, [[1, 2, 10, 10, 0.001]], rtol=1e-6)


def test_a_constant_prediction_is_the_mean_disparity_and_no_pixel_is_the_cap():
    depth, valid = scene()
    for value in (0.0, 0.1, 1e6):
        constant = np.full(depth.shape, value, np.float32)
        mean = (1 / depth[valid].astype(np.float64)).mean()
        np.testing.assert_allclose(aligned_depth(constant, depth, valid, far=10.0), 1 / mean, rtol=1e-5)
    assert (aligned_depth(depth, depth, np.zeros_like(valid), far=10.0) == 10).all()
