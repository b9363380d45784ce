import math

import numpy as np
import pytest

from scenes.rooms.camera import Camera, Look, Taste, candidates, choose_views, view_score

LENS = (32, 24, 26.0)


def camera(yaw=0.0, pitch=0.0, roll=0.0, origin=(1.0, 1.5, 1.0)):
    return Camera(origin, yaw, pitch, roll, *LENS)


def test_pose_is_a_rotation_with_camera_axes():
    pose = camera(0.7, -0.2, 0.05).pose()
    turn = pose[:3, :3]
    assert np.allclose(turn.T @ turn, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    level = camera().pose()
    assert np.allclose(level[:3, 2], [0, 0, 1])
    assert np.allclose(level[:3, 1], [0, -1, 0])
    assert np.allclose(level[:3, 0], [-1, 0, 0])  # facing +z with y up, x is to the left


def test_positive_pitch_looks_up_and_yaw_turns_to_x():
    assert camera(pitch=0.3).pose()[1, 2] == pytest.approx(math.sin(0.3))
    assert np.allclose(camera(yaw=math.pi / 2).pose()[:3, 2], [1, 0, 0], atol=1e-12)


def test_rays_pass_through_pixel_centres():
    view = camera(0.4, -0.3, 0.02)
    directions, cosine = view.rays()
    points = directions / cosine[:, None]  # at depth 1
    local = points @ view.pose()[:3, :3]
    projected = local @ view.intrinsics().T
    columns, rows = np.meshgrid(np.arange(32), np.arange(24))
    assert np.allclose(projected[:, 0], columns.ravel())
    assert np.allclose(projected[:, 1], rows.ravel())
    assert np.allclose(local[:, 2], 1)


def test_resizing_keeps_the_field_of_view():
    assert camera().resized(320, 240).hfov_degrees == pytest.approx(camera().hfov_degrees)


def test_candidates_keep_away_from_furniture_and_walls():
    found = candidates(np.random.default_rng(0), (4.0, 2.5, 5.0), [(1.0, 1.0, 3.0, 3.0)], 30, LENS)
    assert len(found) == 30
    for view in found:
        x, height, z = view.origin
        assert 0.25 <= x <= 3.75
        assert 0.25 <= z <= 4.75
        assert 0.9 <= height <= 1.8
        assert not (0.9 < x < 3.1 and 0.9 < z < 3.1)
        assert abs(view.roll) <= math.radians(4)


def look(depth=3.0, shares=None, things=10):
    return Look(np.full(100, depth), shares or {"wall": 0.3, "floor": 0.3, "bed": 0.2, "chair": 0.2}, things)


def test_score_likes_variety_and_rare_things_and_dislikes_walls():
    taste = Taste({"television": 2.0})
    base = view_score(look(), taste)
    assert view_score(look(shares={"wall": 0.9, "floor": 0.1}), taste) < base
    assert view_score(look(shares={"wall": 0.3, "floor": 0.3, "bed": 0.3, "television": 0.1}), taste) > base
    assert view_score(look(depth=0.3), taste) < base
    assert view_score(look(things=30), taste) > base


def test_chosen_views_differ():
    views = [camera(0.0), camera(0.1), camera(1.2), camera(0.05)]
    looks = [look(things=n) for n in (40, 39, 10, 38)]
    assert choose_views(views, looks, Taste({}), 2) == [views[0], views[2]]
