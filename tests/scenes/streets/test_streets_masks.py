import numpy as np
import pytest

from scenes.streets import lidar
from scenes.streets.camera import Camera, kitti_camera, right_of
from scenes.streets.generate import STEPS, depth_agreement, encode_depth, occlusion
from scenes.streets.shader import response

CAMERA, BASELINE = Camera(64, 16, 40.0, 31.5, 7.5), 0.5


class Ground:
    """A plane 1.73 m under the scanner, of glass on the left side."""

    def cast(self, origin, directions):
        down = directions[:, 1]
        distance = np.where(down > 1e-6, (lidar.POSITION[1] + 1.81 - origin[1]) / np.maximum(down, 1e-6), 0)
        empty = np.zeros(len(directions), np.uint8)
        return distance, empty, empty, directions[:, 0] < 0


def test_depth_codes_are_exact_to_half_a_step():
    depth = np.geomspace(1.01, 249, 500).reshape(20, 25)
    code = encode_depth(depth)
    assert np.abs(np.exp(code / STEPS) / depth - 1).max() <= 0.5 / STEPS + 1e-6
    assert encode_depth(np.array([0.0, 0.9, 260.0])).tolist() == [0, 0, 0]


def test_kittis_camera_scaled():
    camera = kitti_camera(1242, 375)
    assert (camera.focal, camera.cx, camera.cy) == pytest.approx((721.5377, 609.5593, 172.854))
    half = kitti_camera(621, 375)
    # The centre of the half-size image's first pixel lies between KITTI's first two.
    assert half.cx == pytest.approx((609.5593 - 0.5) / 2)


def test_rays_and_points_agree():
    directions, cosine = CAMERA.rays()
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    depth = np.full((16, 64), 7.0)
    pose = np.eye(4)
    pose[:3, 3] = (1, 2, 3)
    points = CAMERA.unproject(depth, pose)
    assert np.allclose(points[:, 2], 10)
    assert np.allclose(points, directions * (7 / cosine)[:, None] + (1, 2, 3))
    assert np.allclose(right_of(pose, BASELINE)[:3, 3], (1.5, 2, 3))


def test_what_lies_outside_the_right_image_is_occluded():
    depth = np.full((16, 64), 4.0)  # disparity 5
    depth[0] = 0
    hidden = occlusion(depth, CAMERA, BASELINE, np.ones(depth.shape, bool))
    assert hidden[1:, :5].all()
    assert not hidden[:, 5:].any()
    assert not hidden[0].any()
    seen = np.ones(depth.shape, bool)
    seen[3, 30] = False
    assert occlusion(depth, CAMERA, BASELINE, seen)[3, 30]


def test_depth_of_both_cameras_agrees_on_a_slanted_plane_and_not_on_a_wrong_one():
    x = np.arange(64) - CAMERA.cx
    inverse = np.broadcast_to(0.1 + 0.0008 * x, (16, 64))
    left = 1 / inverse
    # A plane's inverse depth is linear in x; the same plane seen from a place 0.5 m to the right.
    a, b = 0.1, 0.0008 * CAMERA.focal
    right = 1 / np.broadcast_to((a + b * x / CAMERA.focal) / (1 - BASELINE * b), (16, 64))
    hidden = occlusion(left, CAMERA, BASELINE, np.ones(left.shape, bool))
    assert depth_agreement(left, right, CAMERA, BASELINE, hidden).max() < 1e-9
    assert np.median(depth_agreement(left, right * 1.02, CAMERA, BASELINE, hidden)) > 0.015


def test_a_scan_of_flat_ground():
    ranges = lidar.scan(Ground(), np.eye(4), np.random.default_rng(0))
    directions = lidar.beams()
    assert ranges.shape == directions.shape[:2] == (64, len(lidar.AZIMUTHS))
    assert np.allclose(np.linalg.norm(directions, axis=-1), 1)
    assert not ranges[lidar.ELEVATIONS >= 0].any()
    echo, down = ranges > 0, directions[..., 1]
    exact = 1.81 / np.maximum(down, 1e-9)
    assert np.std((ranges - exact)[echo]) == pytest.approx(lidar.NOISE, rel=0.1)
    reach = (exact < lidar.FARTHEST) & (down > 0)
    left, right = directions[..., 0] < 0, directions[..., 0] > 0
    assert 1 - echo[reach & left].mean() == pytest.approx(lidar.LOST_ON_GLASS, abs=0.05)
    assert 1 - echo[reach & right].mean() == pytest.approx(lidar.LOST, abs=0.01)


def test_one_exposure_for_a_whole_clip():
    dark, light = np.full((8, 8, 3), 0.1), np.full((8, 8, 3), 0.4)
    develop = response([dark, light], np.random.default_rng(0))
    assert develop(dark).dtype == np.uint8
    assert develop(dark).mean() + 40 < develop(light).mean() < 250
