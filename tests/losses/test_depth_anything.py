"""The losses against values and gradients derived from the paper's equations (see tests/golden/README.md)."""

import json

import numpy as np
import pytest
import torch
from golden_models import GOLDEN
from torch import Tensor

from zdlib.losses.depth_anything import (
    cutmix_loss,
    feature_alignment_loss,
    labelled_loss,
    normalised_disparity,
    residuals,
    standardised,
)
from zdlib.losses.relative import gradient_matching_loss

FOLDER = GOLDEN / "depth_anything"
VALUES = json.loads((FOLDER / "losses.json").read_text())
ARRAYS = np.load(FOLDER / "losses.npz")


def image(key: str) -> Tensor:
    return torch.from_numpy(ARRAYS[key])[None, None]


def gradient(loss: Tensor, of: Tensor) -> np.ndarray:
    return torch.autograd.grad(loss, of)[0].squeeze().numpy()


@pytest.mark.parametrize("case", VALUES["affine"])
def test_affine_invariant(case):
    expected = VALUES["affine"][case]
    pred, target, mask = (image(f"affine/{case}/{name}") for name in ("pred", "target", "mask"))
    pred.requires_grad_(True)
    loss = labelled_loss(pred, target, mask)
    assert loss.item() == pytest.approx(expected["loss"], abs=1e-12)
    np.testing.assert_allclose(gradient(loss, pred), ARRAYS[f"affine/{case}/grad"], atol=1e-8)
    rho = residuals(pred, target, mask).detach()
    np.testing.assert_allclose(rho[0, 0].numpy(), ARRAYS[f"affine/{case}/rho"], atol=1e-12)
    lower = labelled_loss(pred, target, mask, median="lower")
    assert lower.item() == pytest.approx(expected["loss_lower_median"], abs=1e-12)
    assert labelled_loss(3 * pred + 7, target, mask).item() == pytest.approx(expected["loss"], abs=1e-12)
    assert labelled_loss(-pred, target, mask).item() == pytest.approx(expected["loss_after_negated_pred"], abs=1e-12)


@pytest.mark.parametrize("case", VALUES["cutmix"])
def test_cutmix(case):
    expected = VALUES["cutmix"][case]
    student, mask, a, b = (image(f"cutmix/{case}/{name}") for name in ("student", "mask", "teacher_a", "teacher_b"))
    student.requires_grad_(True)
    loss = cutmix_loss(student, a, b, mask)
    assert loss.item() == pytest.approx(expected["loss_u"], abs=1e-12)
    np.testing.assert_allclose(gradient(loss, student), ARRAYS[f"cutmix/{case}/grad"], atol=1e-7)
    for wrong in ("wrong_single_normalisation", "wrong_zero_filled", "wrong_unweighted"):
        if case not in ("none", "full"):
            assert abs(loss.item() - expected[wrong]) > 1e-2
    # Pixels without a label count in neither part.
    valid = torch.ones_like(mask)
    valid[..., 0, :] = False
    changed = student.detach().clone()
    changed[..., 0, :] += 100
    assert cutmix_loss(changed, a, b, mask, valid).item() == cutmix_loss(student.detach(), a, b, mask, valid).item()


@pytest.mark.parametrize("case", VALUES["feature"])
def test_feature_alignment(case):
    expected = VALUES["feature"][case]
    student, frozen = (torch.from_numpy(ARRAYS[f"feature/{case}/{name}"])[None] for name in ("student", "frozen"))
    student.requires_grad_(True)
    loss = feature_alignment_loss(student, frozen)
    assert loss.item() == pytest.approx(expected["loss_mean_over_kept"], abs=1e-12)
    wanted = ARRAYS[f"feature/{case}/grad_mean_over_kept"]
    np.testing.assert_allclose(gradient(loss, student), wanted, atol=1e-8)
    over_all = feature_alignment_loss(student, frozen, over="all")
    assert over_all.item() == pytest.approx(expected["loss_sum_over_all"], abs=1e-12)
    assert feature_alignment_loss(student, frozen, 1.1).item() == pytest.approx(
        expected["loss_no_tolerance"], abs=1e-12
    )


def test_the_largest_tenth_is_ignored():
    expected = VALUES["top10"]
    pred, target, mask = (image(f"top10/{name}") for name in ("pred", "target", "mask"))
    assert labelled_loss(pred, target, mask, ignored=0.1).item() == pytest.approx(
        expected["mean_below_quantile"], abs=1e-12
    )
    assert labelled_loss(pred, target, mask).item() > expected["mean_below_quantile"] + 0.05


def test_labels_are_disparities():
    depth, sky = image("disparity/depth"), image("disparity/sky")
    mask = depth > 0
    found, valid = normalised_disparity(depth, mask & ~sky, sky)
    assert torch.equal(valid, mask | sky)
    plain = torch.where(sky, 0, 1 / torch.where(mask, depth, 1))
    low, high = plain[valid].min(), plain[valid].max()
    torch.testing.assert_close(found[valid], (plain[valid] - low) / (high - low))
    constant, _ = normalised_disparity(torch.full((1, 1, 2, 2), 3.0), torch.ones(1, 1, 2, 2, dtype=torch.bool))
    assert not constant.any()


def test_gradient_matching_is_that_of_the_authors_group():
    """Video Depth Anything's, of two maps that its own normalisation gave."""
    expected = VALUES["authors_code"]
    pred, target, mask = (torch.from_numpy(ARRAYS[f"code/{name}"]) for name in ("normalized_pred", "target", "mask"))
    centres, scales = torch.tensor(expected["normalize_target_median_scale"], dtype=torch.float64)[..., None, None]
    target = (target - centres) / scales
    for levels in (1, 4):
        found = gradient_matching_loss(pred[:, None], target[:, None], mask[:, None], levels).item()
        assert found == pytest.approx(expected[f"gradient_scales{levels}"], rel=1e-12)


def test_images_without_a_valid_pixel_count_nothing():
    pred, target = torch.rand(2, 1, 4, 5), torch.rand(2, 1, 4, 5)
    pred.requires_grad_(True)
    mask = torch.ones(2, 1, 4, 5, dtype=torch.bool)
    mask[1] = False
    for loss in (
        labelled_loss(pred, target, mask, ignored=0.1),
        cutmix_loss(pred, target, target, torch.zeros_like(mask), mask),
    ):
        assert torch.isfinite(torch.autograd.grad(loss, pred, retain_graph=True)[0]).all()
    assert not standardised(torch.full((1, 1, 2, 2), 3.0), mask[:1, :, :2, :2]).any()
