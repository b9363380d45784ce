"""Pairs and clips: what follows from their fields."""

import numpy as np
import pytest

from zdlib.data.sequences import Clip, StereoPair

K = np.array([[100.0, 0, 3.5], [0, 100.0, 1.5], [0, 0, 1]])


def test_disparity_is_focal_length_times_baseline_over_depth_and_zero_where_there_is_none() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    depth = np.array([[0, 5, 10], [50, 2, 0]], np.float32)
    pair = StereoPair("a", picture, picture, K, 0.5, depth)
    assert pair.disparity is not None
    np.testing.assert_allclose(pair.disparity, [[0, 10, 5], [1, 25, 0]], rtol=1e-6)
    assert StereoPair("a", picture, picture, K, 0.5).disparity is None


def test_the_target_is_the_picture_of_offset_zero_wherever_it_stands() -> None:
    pictures = np.stack([np.full((2, 3, 3), value, np.uint8) for value in (7, 8, 9)])
    assert Clip("a", pictures, (-1, 0, 1), K).target[0, 0, 0] == 8
    assert Clip("a", pictures, (0, 1, 2), K).target[0, 0, 0] == 7
    with pytest.raises(ValueError, match="not in tuple"):
        _ = Clip("a", pictures, (1, 2, 3), K).target
