import numpy as np
import pytest

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.evaluate.baselines import CONSTANT, MEAN_INVERSE_MAP, MEAN_MAP, baseline_maps, baselines_up_to


def frame(depth, name="a"):
    depth = np.array(depth, np.float32)
    return Sample(name=name, image=np.zeros((*depth.shape, 3), np.uint8), depth=depth)


def test_by_hand():
    reader = [
        frame([[1.0, 2.0, 0.0], [0.0, 9.0, 9.0]]),
        frame([[3.0, 0.0, 0.0], [0.0, 9.0, 9.0]]),
        frame([[100.0, 100.0, 100.0], [100.0, 100.0, 100.0]]),
    ]
    maps = baseline_maps(reader, np.array([0, 1]))
    np.testing.assert_array_equal(maps[CONSTANT], np.full((2, 3), 9, np.float32))
    # (0, 2) is nearest to two measured positions, (1, 0) to two: any of them is a fair answer.
    np.testing.assert_array_equal(maps[MEAN_MAP][[0, 0, 1, 1], [0, 1, 1, 2]], [2, 2, 9, 9])
    assert maps[MEAN_MAP][0, 2] in (2, 9)
    assert maps[MEAN_MAP][1, 0] in (2, 9)
    assert all(depth.dtype == np.float32 for depth in maps.values())


def test_median_is_numpys_to_a_millimetre():
    depths = np.random.default_rng(0).gamma(4, 0.7, (3, 19, 31)).astype(np.float32)
    maps = baseline_maps([frame(depth) for depth in depths], range(3))
    assert maps[CONSTANT][0, 0] == pytest.approx(np.median(depths), abs=6e-4)
    np.testing.assert_allclose(maps[MEAN_MAP], depths.mean(axis=0), rtol=1e-6)


def test_far_pixels_are_left_out_and_do_not_dominate():
    reader = [frame([[2.0, 100.0, 0.0, 4.0]]), frame([[6.0, 10.0, 0.0, 4.0]])]
    maps = baselines_up_to(80.0, reader, [0, 1])
    np.testing.assert_allclose(maps[MEAN_MAP][0, [0, 1, 3]], [4, 10, 4])  # the hole has two nearest neighbours
    # 1 / ((1/2 + 1/6) / 2) = 3.
    np.testing.assert_allclose(maps[MEAN_INVERSE_MAP][0, [0, 1, 3]], [3, 10, 4], rtol=1e-6)
    assert maps[CONSTANT][0, 0] == 4
    assert {depth.dtype for depth in maps.values()} == {np.dtype(np.float32)}


def test_no_depth_is_refused():
    with pytest.raises(ZDError, match="no depth at all"):
        baseline_maps([frame([[0.0]])], [0])


def test_two_sizes_are_refused():
    with pytest.raises(ZDError, match="nyu_0007"):
        baseline_maps([frame([[1.0]]), frame([[1.0, 1.0]], "nyu_0007")], [0, 1])
