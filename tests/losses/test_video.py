import numpy as np
import pytest
import self_supervised as fixtures
import torch

from zdlib.cameras import back_project, depth_between, pose_matrix, project, warp
from zdlib.losses.video import (
    Reprojection,
    Views,
    movable,
    moving_mask,
    reprojection_losses,
    scale_loss,
    warped_labels,
    warped_sources,
)

SIZE, SEED = (64, 96), 1
OPS = np.load(fixtures.FIXTURES / "m2_ops_64x96_s1.npz")
GUIDED = np.load(fixtures.FIXTURES / "sg_loss_64x96_s1.npz")
VARIANTS = {
    "default": {},
    "avg": {"average": True},
    "noauto": {"auto_mask": False},
    "v1": {"own_scale": True},
    "nossim": {"ssim_weight": 0.0},
}
KINDS = [torch.float32, torch.float64]


class Case:
    """The fixture's inputs."""

    def __init__(self, dtype):
        now, before, after = (torch.from_numpy(image)[None].to(dtype) for image in fixtures.frames(*SIZE, SEED))
        self.disparities = [
            torch.from_numpy(fixtures.disparity(*SIZE, SEED, scale))[None, None].to(dtype).requires_grad_()
            for scale in range(4)
        ]
        self.turn, self.shift = (torch.from_numpy(v).to(dtype).requires_grad_() for v in fixtures.motion(SEED))
        poses = [pose_matrix(self.turn[:1], self.shift[:1], invert=True), pose_matrix(self.turn[1:], self.shift[1:])]
        intrinsics = torch.from_numpy(fixtures.intrinsics(*SIZE))[None, :3, :3].to(dtype)
        self.views = Views(now, [before, after], intrinsics, poses)

    @property
    def depth(self):
        return depth_between(self.disparities[0])[1]


def close(found, expected, tolerance):
    return np.abs(found.detach().numpy() - expected).max() <= tolerance * np.abs(expected).max()


def sums_agree(disparities, expected):
    """Sums and norms of gradients; sums nearly cancel, and a pixel between two minima may fall to either side."""
    sums, norms = np.array([[d.grad.sum().item(), d.grad.norm().item()] for d in disparities]).T
    largest = expected[:, 1].max()
    return (
        np.abs(sums - expected[:, 0]).max() <= 1e-2 * largest and np.abs(norms - expected[:, 1]).max() <= 1e-3 * largest
    )


@pytest.mark.parametrize("dtype", KINDS)
def test_geometry_is_monodepth2s(dtype):
    case = Case(dtype)
    inverse, depth = depth_between(case.disparities[0])
    assert close(inverse[0, 0], OPS["scaled_disp"], 1e-6)
    assert close(depth[0, 0], OPS["depth"], 1e-6)
    points = back_project(case.depth, torch.linalg.inv(case.views.intrinsics))
    ends = torch.tensor([SIZE[1] - 1, SIZE[0] - 1])
    for frame, source, pose in zip(("-1", "1"), case.views.sources, case.views.poses, strict=True):
        assert close(pose[0], OPS[f"T_{frame}"], 1e-6)
        pixels, _ = project(points, case.views.intrinsics, pose)
        assert close(pixels[0].permute(1, 2, 0) / ends * 2 - 1, OPS[f"pix_{frame}"], 1e-6)
        assert close(warp(source, pixels, align_corners=False)[0], OPS[f"warp_{frame}"], 2e-5)
        assert close(warp(source, pixels, align_corners=True)[0], OPS[f"warp_align_{frame}"], 2e-5)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", VARIANTS)
def test_losses_and_gradients_are_monodepth2s(name, dtype):
    case = Case(dtype)
    options = Reprojection(align_corners=False, **VARIANTS[name])
    reprojection, smoothness = reprojection_losses(case.disparities, case.views, options)
    losses = (reprojection + smoothness)[0]
    total = losses.mean()
    assert close(losses, OPS[f"loss_{name}"][:4], 1e-5)
    assert total.item() == pytest.approx(OPS[f"loss_{name}"][4], rel=1e-5)
    total.backward()
    assert sums_agree(case.disparities, OPS[f"gradsum_{name}"])
    assert close(case.turn.grad, OPS[f"grad_axisangle_{name}"], 1e-3)
    assert close(case.shift.grad, OPS[f"grad_translation_{name}"], 1e-3)
    if name == "default":
        for scale, disparity in enumerate(case.disparities):
            assert close(disparity.grad[0, 0], OPS[f"grad_disp{scale}"], 1e-4)


def test_the_auto_mask_is_monodepth2s():
    case = Case(torch.float32)
    _, teaches = scale_loss(case.disparities[0], case.views, Reprojection(align_corners=False))
    assert np.array_equal(teaches[0, 0], OPS["identity_selection_0"].astype(bool))
    assert 0.05 < teaches.float().mean() < 0.95


@pytest.mark.parametrize("masked", [False, True])
def test_losses_and_gradients_are_sgdepths(masked):
    case, kind = Case(torch.float32), "mask" if masked else "nomask"
    keep = torch.from_numpy(GUIDED["moving_mask"])[None, None].float() if masked else None
    options = Reprojection(align_corners=False)
    losses = sum(reprojection_losses(case.disparities, case.views, options, keep))
    total = losses.mean()
    assert total.item() == pytest.approx(GUIDED[f"{kind}_loss"][0], rel=1e-4)
    assert close(losses[0], GUIDED[f"{kind}_loss"][1:], 1e-4)
    total.backward()
    assert sums_agree(case.disparities, GUIDED[f"{kind}_grad"])


def test_the_moving_mask_is_sgdepths():
    case = Case(torch.float32)
    here = fixtures.labels(*SIZE, SEED)
    maps = [np.where(labels == 255, 13, labels) for labels in (here, np.roll(here, 5, 1), np.roll(here, -9, 0))]
    target, *others = (torch.from_numpy(labels)[None] for labels in maps)
    warped = [
        warped_labels(labels, pixels, align_corners=False)
        for labels, (_, pixels) in zip(others, warped_sources(case.depth, case.views, False), strict=True)
    ]
    for frame, labels in zip(("-1", "1"), warped, strict=True):
        assert np.array_equal(labels[0], GUIDED[f"segmentation_warped_{frame}"])
    keep, agreement = moving_mask(target, warped, threshold=1.0)
    assert np.array_equal(keep[0, 0], GUIDED["moving_mask"])
    assert agreement.item() == pytest.approx(GUIDED["iou_moving"][0], rel=1e-6)
    everything, _ = moving_mask(target, warped, threshold=agreement.item() - 1e-3)
    assert everything.all()


def test_where_nothing_can_move_nothing_is_removed():
    road = torch.zeros(1, 4, 5, dtype=torch.int64)
    keep, agreement = moving_mask(road, [road, road + 255], threshold=1.0)
    assert keep.all()
    assert agreement.isnan().all()
    assert movable(torch.tensor([[[10, 11, 18, 255]]])).flatten().tolist() == [False, True, True, False]


def test_true_depth_and_pose_explain_the_neighbour():
    """A textured wall at 4 m, seen by a second camera half a metre to the right."""
    width, focal, baseline, distance = 64, 32.0, 0.5, 4.0
    intrinsics = torch.tensor([[[focal, 0, 31.5], [0, focal, 15.5], [0, 0, 1]]])
    columns = torch.linspace(0, 12, width + 8)
    wall = (torch.sin(columns).expand(1, 3, 32, width + 8) + 1) / 2
    target, source = wall[..., :width], wall[..., 4 : width + 4]  # f·B / Z = 4 pixels further left
    pose = torch.eye(4)[None]
    pose[0, 0, 3] = -baseline
    views = Views(target, [source], intrinsics, [pose])
    errors = {}
    for metres in (3.0, distance, 5.0):
        sigmoid = torch.full((1, 1, 32, width), (1 / metres - 0.01) / (10 - 0.01))
        error, teaches = scale_loss(sigmoid, views, Reprojection())
        errors[metres] = error[..., 8:].mean().item()
        if metres == distance:
            assert teaches[..., 8:].all()
    assert errors[distance] < 1e-3 < 0.02 < min(errors[3.0], errors[5.0])
