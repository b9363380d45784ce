import json

import numpy as np
import pytest
import self_supervised as fixtures
import torch
from torch.autograd import gradcheck

from zdlib.cameras import (
    back_project,
    depth_between,
    depth_from_disparity,
    inside,
    pixel_grid,
    pose_matrix,
    pose_vectors,
    project,
    warp,
)
from zdlib.errors import ZDError

POSES = json.loads((fixtures.FIXTURES / "m2_small.json").read_text())["transformation"]
STEREO = json.loads((fixtures.FIXTURES / "garg_cases.json").read_text())


def double(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("case", POSES)
def test_pose_matrices_are_monodepth2s(case):
    found = pose_matrix(torch.tensor([case["axisangle"]]), torch.tensor([case["translation"]]), case["invert"])
    assert torch.allclose(found[0], torch.tensor(case["matrix"]), atol=1e-6, rtol=1e-6)


def test_vectors_of_a_pose_give_it_back():
    turn, shift = 2 * double(6, 3) - 1, double(6, 3, seed=1)
    turn[0] = 0
    turn[1] *= 1e-7
    turn[2] *= 2.5
    again = pose_vectors(pose_matrix(turn, shift))
    assert torch.allclose(again[0], turn, atol=2e-7)
    assert torch.equal(again[1], shift)


def test_what_is_no_rotation_has_no_vectors():
    with pytest.raises(ZDError, match="no rotation"):
        pose_vectors(2 * torch.eye(4)[None])


def test_the_inverse_pose_leads_back():
    turn, shift = double(3, 3), double(3, 3, seed=1)
    there, back = pose_matrix(turn, shift), pose_matrix(turn, shift, invert=True)
    assert torch.allclose(there @ back, torch.eye(4, dtype=torch.float64).expand(3, 4, 4), atol=2e-6)


def test_no_turn_has_a_gradient():
    turn, shift = torch.zeros(1, 3, requires_grad=True), torch.zeros(1, 3)
    (gradient,) = torch.autograd.grad(pose_matrix(turn, shift)[0, 2, 1], turn)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("case", STEREO["depth_from_disparity"])
def test_depth_from_disparity(case):
    widths = (case["width_full"], case["width_pred"])
    disparity = torch.tensor([case["disparity_pred"]], dtype=torch.float64)
    assert depth_from_disparity(disparity, case["f"] * case["B"], widths).item() == pytest.approx(
        case["depth"], rel=1e-12
    )


def test_the_ends_of_a_sigmoid_are_the_nearest_and_the_farthest():
    inverse, depth = depth_between(torch.tensor([0.0, 1.0], dtype=torch.float64), 0.5, 80.0)
    assert torch.allclose(depth, torch.tensor([80, 0.5], dtype=torch.float64))
    assert torch.allclose(inverse, 1 / depth)


def test_a_point_is_seen_where_it_came_from():
    intrinsics = torch.tensor([[[50.0, 0, 9.5], [0, 40, 4.5], [0, 0, 1]]], dtype=torch.float64)
    depth = 1 + double(1, 1, 10, 20)
    points = back_project(depth, torch.linalg.inv(intrinsics))
    pixels, z = project(points, intrinsics, torch.eye(4, dtype=torch.float64)[None])
    assert torch.allclose(pixels[0], pixel_grid(10, 20, depth), atol=1e-5)
    assert torch.equal(z, depth)


def test_a_sideways_baseline_moves_pixels_by_the_disparity():
    """The right camera is at +B: in its axes every point lies B further left."""
    intrinsics = torch.tensor([[[50.0, 0, 9.5], [0, 50, 4.5], [0, 0, 1]]], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)[None]
    pose[0, 0, 3] = -0.5
    depth = 5 + double(1, 1, 10, 20)
    pixels, _ = project(back_project(depth, torch.linalg.inv(intrinsics)), intrinsics, pose)
    assert torch.allclose(pixel_grid(10, 20, depth)[0] - pixels[0, 0], 50 * 0.5 / depth[0, 0], atol=1e-5)


def test_reading_a_picture_at_its_own_pixels_gives_it_back():
    picture = double(2, 3, 6, 9)
    pixels = pixel_grid(6, 9, picture).expand(2, 2, 6, 9)
    assert torch.allclose(warp(picture, pixels), picture, atol=1e-12)
    assert inside(pixels, 6, 9).all()


def test_the_authors_coordinates_read_half_a_pixel_off_at_the_borders():
    row = torch.arange(9.0).expand(1, 1, 4, 9)
    pixels = pixel_grid(4, 9, row)[None]
    off = warp(row, pixels, align_corners=False)[0, 0, 1] - row[0, 0, 1]
    expected = torch.arange(9.0) * 9 / 8 - 0.5 - torch.arange(9.0)
    assert torch.allclose(off[1:-1], expected[1:-1], atol=1e-5)


def test_outside_is_the_border_and_not_valid():
    row = torch.arange(5.0).expand(1, 1, 3, 5)
    pixels = pixel_grid(3, 5, row)[None] + torch.tensor([2.0, 0])[None, :, None, None]
    assert warp(row, pixels)[0, 0, 1].tolist() == [2, 3, 4, 4, 4]
    assert inside(pixels, 3, 5)[0, 0, 1].tolist() == [True, True, True, False, False]
    assert warp(row, pixels, padding="zeros")[0, 0, 1].tolist() == [2, 3, 4, 0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_position_that_is_not_finite_is_refused(value):
    pixels = torch.full((1, 2, 3, 4), 1.0)
    pixels[0, 0, 1, 2] = value
    with pytest.raises(ZDError, match="NaN or infinite"):
        warp(torch.rand(1, 3, 3, 4), pixels)


def test_gradients_in_double_precision():
    """Through pose, projection and warp; positions are kept off the pixel centres, where interpolation has kinks."""
    intrinsics = torch.tensor([[[6.0, 0, 3.5], [0, 6, 2.5], [0, 0, 1]]], dtype=torch.float64)
    picture, depth = double(1, 2, 6, 8), 2 + double(1, 1, 6, 8, seed=3)
    turn, shift = 0.02 * double(1, 3, seed=4) + 0.01, 0.05 * double(1, 3, seed=5) + 0.11

    def view(depth, turn, shift):
        points = back_project(depth, torch.linalg.inv(intrinsics))
        return warp(picture, project(points, intrinsics, pose_matrix(turn, shift))[0])

    assert gradcheck(view, (depth.requires_grad_(), turn.requires_grad_(), shift.requires_grad_()), eps=1e-7)
