import time

import numpy as np
import pytest

from zdlib.data.rooms import kinect

FOCAL = 259.43


def white(depth):
    return np.full((*depth.shape, 3), 230, np.uint8)


def room(height=240, width=320):
    """A wall at 3 m with a board at 1.2 m before it, in columns 150 to 219."""
    depth = np.full((height, width), 3.0, np.float32)
    depth[60:200, 150:220] = 1.2
    return depth


def measure(depth, image=None, seed=0):
    return kinect.simulate(white(depth) if image is None else image, depth, FOCAL, np.random.default_rng(seed))


def test_same_generator_same_frame():
    first, second, other = measure(room(), seed=1), measure(room(), seed=1), measure(room(), seed=2)
    assert np.array_equal(first.raw_depth, second.raw_depth)
    assert np.array_equal(first.depth, second.depth)
    assert not np.array_equal(first.raw_depth, other.raw_depth)


def test_the_image_has_a_white_border_and_the_depth_nyus_margins():
    frame = measure(room(480, 640), np.zeros((480, 640, 3), np.uint8) + 150)
    border = np.ones((480, 640), bool)
    border[7:-7, 7:-7] = False
    assert (frame.image[border] == 255).all()
    assert (frame.image[~border] == 150).all()
    measured = frame.raw_depth > 0
    # Two real frames have depth in rows 42 (41) to 471 and columns 34 (29) to 609 (608).
    rows, columns = np.nonzero(measured.any(1))[0], np.nonzero(measured.any(0))[0]
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (42, 471, 32, 609)
    assert frame.depth.min() > 0


def test_the_share_of_holes_is_that_of_real_frames():
    # A dim room of 4 m with some furniture: 25 to 27 % in all, 6 to 7 % in Eigen's crop on two real frames.
    rng = np.random.default_rng(0)
    depth = np.full((240, 320), 4.0, np.float32)
    depth[120:] = (4 * 120 / np.arange(120, 240, dtype=np.float32))[:, None]
    for x in (40, 120, 230):
        depth[100:190, x : x + 50] = 2.2
    image = rng.integers(20, 120, (24, 32, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    hole = measure(depth, image).raw_depth == 0
    assert 0.18 < hole.mean() < 0.35
    assert 0.02 < hole[23:235, 21:300].mean() < 0.2


def test_the_shadow_lies_left_of_nearer_things_and_is_as_wide_as_the_parallax():
    hole = measure(room()).raw_depth == 0
    parallax = FOCAL * 0.075 * (1 / 1.2 - 1 / 3)  # 9.7 pixels
    widths = hole[80:180, 120:150].sum(1)
    assert np.median(widths) == pytest.approx(parallax, abs=1.5)
    assert hole[80:180, 144:149].mean() > 0.9
    assert hole[80:180, 225:300].mean() < 0.02


def test_a_slanted_wall_casts_no_shadow_on_itself():
    depth = np.tile(np.linspace(1.5, 4.5, 320, dtype=np.float32), (240, 1))
    for wall in (depth, depth[:, ::-1].copy(), np.ascontiguousarray(np.tile(depth[:1, :240].T, (1, 320)))):
        assert not kinect._shadow(wall, FOCAL)[:, 4:-4].any()


@pytest.mark.parametrize("metres", [1.0, 2.0, 4.0])
def test_steps_grow_with_the_squared_depth(metres):
    rng = np.random.default_rng(0)
    ramp = np.linspace(metres * 0.9, metres * 1.1, 320 * 240, dtype=np.float32).reshape(240, 320)
    values = np.unique(kinect._quantised(ramp, rng))
    step = np.diff(values).mean()
    assert step == pytest.approx(metres**2 / 351.3, rel=0.1)  # 1.1 cm at 2 m


@pytest.mark.parametrize("case", ["dark", "grazing", "far", "near"])
def test_what_returns_too_little_light_has_holes(case):
    depth = np.full((240, 320), 3.0, np.float32)
    image = white(depth)
    if case == "dark":
        image[:] = 12
        depth[:] = 5
    elif case == "grazing":  # a ceiling: 1 m away at the top, 7.5 m and seen at an angle at the bottom
        depth = np.tile((300 / np.arange(40, 280, dtype=np.float32))[:, None], (1, 320))[::-1].copy()
        image[:] = 60
    else:
        depth[:] = {"far": 10.5, "near": 0.4}[case]
    crop = np.s_[23:235, 21:300]
    normal = measure(np.full((240, 320), 2.0, np.float32)).raw_depth[crop] == 0
    hole = measure(depth, image).raw_depth[crop] == 0
    assert normal.mean() < 0.001
    assert hole.mean() > 0.1
    if case == "grazing":
        assert hole[-40:].mean() > 0.5 > 0.01 > hole[:40].mean()


def test_measured_depth_is_close_to_the_truth_and_inpainting_keeps_it():
    depth = room()
    frame = measure(depth)
    measured = frame.raw_depth > 0
    away = np.ones(depth.shape, bool)
    away[55:205, 130:225] = False
    error = np.abs(frame.raw_depth - depth)[measured & away]
    assert error.max() < 0.03  # half a step at 3 m is 1.3 cm
    assert np.array_equal(frame.depth[measured], frame.raw_depth[measured])


def test_inpainting_follows_colours():
    raw = np.full((20, 40), 2.0, np.float32)
    raw[:, 20:] = 4
    raw[:, 12:26] = 0  # the hole reaches further into the near side
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 20:] = 200
    filled = kinect.inpaint(image, raw, iterations=500)
    assert np.abs(filled[:, 12:19] - 2).max() < 0.1
    assert np.abs(filled[:, 21:26] - 4).max() < 0.1


def test_a_depth_without_any_measurement_stays_empty():
    raw = np.zeros((20, 40), np.float32)
    assert not kinect.inpaint(np.zeros((20, 40, 3), np.uint8), raw).any()


def test_it_is_fast_enough_for_hundreds_of_images():
    times = []
    for _ in range(3):
        start = time.process_time()
        measure(room())
        times.append(time.process_time() - start)
    assert min(times) < 0.06  # 17 ms measured; twice the 30 ms aimed at, for a slow processor
