import pytest
import torch
from torch.autograd import gradcheck

from zdlib.losses.relative import (
    affine_invariant_loss,
    gradient_matching_loss,
    scale_shift_invariant_loss,
    standardise,
)

DEPTH_LOSSES = [scale_shift_invariant_loss, affine_invariant_loss, gradient_matching_loss]


def row(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def random_maps(seed=0):
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.rand(2, 2, 1, 5, 7, generator=generator, dtype=torch.float64) + 0.5
    return prediction, target, torch.rand(2, 1, 5, 7, generator=generator) > 0.2


@pytest.mark.parametrize("loss", DEPTH_LOSSES)
def test_gradients_in_double_precision(loss):
    prediction, target, mask = random_maps()
    assert gradcheck(lambda p: loss(p, target, mask), prediction.requires_grad_())


@pytest.mark.parametrize("loss", DEPTH_LOSSES)
def test_invalid_pixels_have_no_influence(loss):
    prediction, target, mask = random_maps()
    changed = torch.where(mask, target, 99.0)
    assert loss(prediction, changed, mask) == loss(prediction, target, mask)


@pytest.mark.parametrize("loss", [scale_shift_invariant_loss, affine_invariant_loss])
def test_scale_and_shift_of_each_image_are_free(loss):
    prediction, target, mask = random_maps()
    scale, shift = torch.tensor([[2.0, 0.3], [5.0, -1.0]], dtype=torch.float64)[..., None, None, None]
    torch.testing.assert_close(loss(prediction * scale + shift, target, mask), loss(prediction, target, mask))
    assert loss(target * scale + shift, target, mask).item() == pytest.approx(0, abs=1e-12)


def test_scale_shift_invariant_by_hand():
    # Means 1 and 4/3; scale = Σpt/Σp² = 2/2; residuals 1/3, -2/3, 1/3; half of their mean square.
    loss = scale_shift_invariant_loss(row(0, 1, 2, 7), row(0, 2, 2, 0), torch.tensor([[[[True, True, True, False]]]]))
    assert loss.item() == pytest.approx((1 + 4 + 1) / 9 / 3 / 2)


def test_affine_invariant_by_hand():
    mask = torch.ones(1, 1, 1, 5, dtype=torch.bool)
    # Medians 2 and 2; deviations (2+1+0+1+2)/5 = 1.2 and (2+1+0+1+7)/5 = 2.2.
    loss = affine_invariant_loss(row(0, 1, 2, 3, 4), row(0, 1, 2, 3, 9), mask)
    residuals = sorted([2 / 1.2 - 2 / 2.2, 1 / 1.2 - 1 / 2.2, 0, 1 / 1.2 - 1 / 2.2, 7 / 2.2 - 2 / 1.2])
    assert loss.item() == pytest.approx(sum(residuals) / 5)
    trimmed = affine_invariant_loss(row(0, 1, 2, 3, 4), row(0, 1, 2, 3, 9), mask, trim=0.2)
    assert trimmed.item() == pytest.approx(sum(residuals[:4]) / 5)


def test_gradient_matching_by_hand():
    prediction = torch.tensor([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0]]).reshape(1, 1, 2, 3)
    mask = torch.ones(1, 1, 2, 3, dtype=torch.bool)
    # Full size: |1| + |2| in both rows, over 6 pixels. Every second pixel: 0 and 3, over 2.
    loss = gradient_matching_loss(prediction, torch.zeros(1, 1, 2, 3), mask, scales=2)
    assert loss.item() == pytest.approx(6 / 6 + 3 / 2)


def test_a_constant_image_and_one_without_a_valid_pixel_teach_nothing():
    prediction, target, mask = random_maps()
    mask[1] = False
    alone = affine_invariant_loss(prediction[:1], target[:1], mask[:1])
    assert affine_invariant_loss(prediction, target, mask) == pytest.approx(alone.item() / 2)
    constant = torch.ones_like(prediction).requires_grad_()
    loss = affine_invariant_loss(constant, target, mask)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(constant.grad).all()
    assert not standardise(constant, mask).any()


def test_standardised_images_have_the_median_0_and_the_mean_deviation_1():
    values, _, mask = random_maps()
    for image, valid in zip(standardise(values * 7 - 3, mask), mask, strict=True):
        assert image[valid].median().item() == pytest.approx(0, abs=1e-12)
        assert image[valid].abs().mean().item() == pytest.approx(1)
        assert not image[~valid].any()
