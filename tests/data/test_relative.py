"""Of a frame without scale, no metre is left: scenes equal up to scale and shift are one."""

import numpy as np
import pytest

from zdlib.data.relative import WithoutScale, without_scale
from zdlib.data.sample import Frames, Sample
from zdlib.metrics.relative import aligned_depth


def scene(seed=0, size=(12, 16)):
    return np.random.default_rng(seed).uniform(0.5, 8, size).astype(np.float32)


class OneFrame(Frames[Sample]):
    """A reader of one frame."""

    path, names, scenes = "nowhere", ["one"], ["a room"]

    def __init__(self, depth, mask=None):
        self._depth, self._mask = depth, mask

    def __getitem__(self, index, /):
        image = np.arange(self._depth.size * 3, dtype=np.uint8).reshape(*self._depth.shape, 3)
        return Sample("one", image, self._depth, mask=self._mask, intrinsics=np.eye(3), scene="a room")


@pytest.mark.parametrize(("scale", "shift"), [(0.1, 0.0), (4.0, 0.0), (1.0, 0.3), (2.5, -0.1)])
def test_scenes_equal_up_to_scale_and_shift_become_one(scale, shift):
    depth = scene()
    other = (1 / (scale / depth.astype(np.float64) + shift)).astype(np.float32)
    assert other.min() > 0
    one, two = (WithoutScale(OneFrame(map_))[0] for map_ in (depth, other))
    np.testing.assert_allclose(one.depth, two.depth, atol=3e-6)
    assert one.intrinsics is None
    assert np.array_equal(one.image, two.image)


def test_twice_the_size_is_the_same_to_the_bit():
    depth = scene()
    valid = np.ones(depth.shape, bool)
    assert np.array_equal(without_scale(depth, valid), without_scale(4 * depth, valid))


def test_the_shape_is_all_there_and_another_shape_is_another():
    depth = scene()
    valid = np.ones(depth.shape, bool)
    relative = without_scale(depth, valid)
    assert (relative.min(), relative.max()) == (0.5, 1.0)
    assert (relative.argmax(), relative.argmin()) == (depth.argmax(), depth.argmin())
    np.testing.assert_allclose(aligned_depth(1 / relative, depth, valid, far=100.0), depth, rtol=1e-5)
    assert np.abs(without_scale(scene(1), valid) - relative).max() > 0.1


def test_pixels_without_depth_stay_so_and_decide_nothing():
    depth = scene()
    mask = np.ones(depth.shape, bool)
    mask[0] = False
    broken = depth.copy()
    broken[0], broken[1, 0], broken[1, 1] = 1e-4, 0, np.inf
    relative = WithoutScale(OneFrame(broken, mask))[0].depth
    assert not relative[0].any()
    assert not relative[1, :2].any()
    valid = relative > 0
    assert np.array_equal(relative, without_scale(depth, valid))
    assert not WithoutScale(OneFrame(np.zeros((3, 4), np.float32)))[0].depth.any()


def test_a_frame_at_one_distance_has_no_shape():
    wall = np.full((3, 4), 2.7, np.float32)
    assert np.array_equal(without_scale(wall, np.ones((3, 4), bool)), np.ones((3, 4), np.float32))
