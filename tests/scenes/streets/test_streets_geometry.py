import numpy as np
import pytest

from scenes.streets.geometry import Curve, Soup, box, grid, plate, tube, upright
from scenes.streets.occupancy import Occupancy


def straight(slope: float = 0.0) -> Curve:
    return Curve(-10, 100, np.zeros_like, lambda s: np.full_like(s, slope))


def area(corners) -> float:
    sides = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    return float(np.linalg.norm(np.cross(*sides), axis=1).sum())


def test_a_straight_road_runs_north_with_its_right_side_east():
    curve = straight()
    assert np.allclose(curve.point(10.0, 2.0, 0.5), (2, 10, 0.5))
    assert np.allclose(curve.pose(10.0, 2.0), upright(2, 10, 0, 0))


def test_a_curved_road_keeps_its_radius_and_its_offset():
    radius = 50.0
    curve = Curve(0, 100, lambda s: np.full_like(s, 1 / radius), np.zeros_like)
    s = np.linspace(0, 90, 7)
    # It turns left, so that the middle of the circle is at x = -radius.
    for t in (-3.0, 0.0, 3.0):
        distance = np.linalg.norm(curve.point(s, t)[:, :2] - [-radius, 0], axis=1)
        assert np.allclose(distance, radius + t, atol=0.02)


def test_poses_tilt_with_the_slope_and_stay_rotations():
    pose = straight(0.1).pose(20.0, 1.0, turn=0.3)
    assert np.allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=0.02)
    assert pose[2, 1] > 0.09
    assert pose[2, 3] == pytest.approx(2.0, abs=0.01)


def test_a_box_has_the_area_of_a_box():
    corners, uv = box((1, 2, 3), centre=(5, 0, 0))
    assert area(corners) == pytest.approx(2 * (2 + 3 + 6))
    assert np.allclose(corners.reshape(-1, 3).mean(0), (5, 0, 0))
    assert uv.shape == (6, 4, 2)


def test_a_tube_lies_at_its_radius():
    corners, _ = tube((0, 0, 0), (0, 0, 2), 0.5, sides=64)
    side = corners[:64].reshape(-1, 3)
    assert np.allclose(np.hypot(side[:, 0], side[:, 1]), 0.5)
    assert area(corners[:64]) == pytest.approx(2 * np.pi * 0.5 * 2, rel=0.01)


def test_a_plate_faces_the_traffic():
    front, uv, back = plate(8, 0.3)
    assert np.all(front[..., 1] == 0)
    assert np.allclose(back[..., 1], 0.02)
    assert uv.min() >= 0
    assert uv.max() <= 1


def test_a_soup_knows_normals_colours_and_labels():
    points = np.array([[[0, 0, 0], [0, 1, 0]], [[1, 0, 0], [1, 1, 0]]], float)
    soup = Soup()
    soup.quads(*grid(points, points[..., :2]), label=3, colour=(0.1, 0.2, 0.3))
    vertices, normals, uv, colours, labels = soup.arrays()
    assert vertices.shape == (6, 3)
    assert np.allclose(np.abs(normals), (0, 0, 1))
    assert np.allclose(uv, vertices[:, :2])
    assert np.allclose(colours, (0.1, 0.2, 0.3))
    assert labels.tolist() == [3, 3]


def test_ground_is_taken_once():
    ground = Occupancy(3)
    car = (1.8, 4.0)
    assert ground.claim(upright(0, 0, 0, 0)[None], car)
    assert not ground.claim(upright(1.9, 0, 0, 0)[None], car)
    assert ground.claim(upright(1.9, 0, 0, 0)[None], car, margin=0.05)
    # Turned by 45 degrees, its corner reaches farther.
    assert not ground.free(upright(0, 4.0, 0, np.pi / 4)[None], car, 0)
    assert ground.free(upright(0, 4.1, 0, 0)[None], car, 0)
    assert len(ground) == 2


def test_moving_things_are_tested_in_every_frame():
    ground = Occupancy(3)
    ground.take(np.array([upright(0, y, 0, 0) for y in (0, 5, 10)]), (2, 4))
    assert not ground.free(upright(0, 10, 0, 0)[None], (2, 4), 0)
    # Always one step ahead.
    assert ground.free(np.array([upright(0, y, 0, 0) for y in (5, 10, 15)]), (2, 4), 0)
    assert not ground.claim_disc(np.array([1.2, 5.0, 0.0]), 0.3)
    assert ground.claim_disc(np.array([1.4, 5.0, 0.0]), 0.3)
