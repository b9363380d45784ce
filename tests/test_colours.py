"""Colours mean what they say."""

import numpy as np

from zdlib import colours

RAMP = np.linspace(0.5, 9.5, 12, dtype=np.float32).reshape(3, 4)


def test_depth_picture_marks_missing_values():
    depth = RAMP.copy()
    depth[0, 0] = 0
    picture = colours.depth_picture(depth)
    assert tuple(picture[0, 0]) == colours.INVALID
    brightness = picture.astype(int).sum(-1).ravel()[1:]
    assert (np.diff(brightness) > 0).all()  # inferno: far is bright
    hidden = colours.depth_picture(depth, valid=np.zeros(depth.shape, bool))
    assert (hidden == colours.INVALID).all()


def test_relative_picture_is_dark_where_near():
    brightness = colours.relative_picture(1 / RAMP).astype(int).sum(-1).ravel()
    assert (np.diff(brightness) > 0).all()


def test_error_picture_is_zero_for_a_perfect_prediction():
    valid = np.ones(RAMP.shape, bool)
    valid[1, 1] = False
    perfect = colours.error_picture(RAMP, RAMP, valid)
    worse = colours.error_picture(2 * RAMP, RAMP, valid)
    assert tuple(perfect[1, 1]) == colours.INVALID
    assert len(np.unique(perfect[valid], axis=0)) == 1
    assert (perfect[valid] != worse[valid]).any()
