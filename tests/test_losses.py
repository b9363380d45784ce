import math

import pytest
import torch
import torch.nn.functional as F

from zdlib.losses import SegmentationLosses, ZoeDistillLoss, silog_loss
from zdlib.recipes import RECIPES


def test_silog_by_hand():
    prediction = torch.tensor([[[[1.0, math.e, math.e**2, 5.0]]]])
    target = torch.ones(1, 1, 1, 4)
    mask = torch.tensor([[[[True, True, True, False]]]])
    # g = 0, 1, 2: unbiased variance 1, mean 1.
    assert silog_loss(prediction, target, mask).item() == pytest.approx(10 * math.sqrt(1 + 0.15), rel=1e-5)


def test_silog_pools_the_batch():
    prediction, target = torch.rand(2, 1, 4, 5) + 0.5, torch.rand(2, 1, 4, 5) + 0.5
    mask = torch.rand(2, 1, 4, 5) > 0.3
    flat = [t.reshape(1, 1, 8, 5) for t in (prediction, target, mask)]
    torch.testing.assert_close(silog_loss(prediction, target, mask), silog_loss(*flat))


def test_silog_resizes_the_prediction_with_aligned_corners():
    small = torch.tensor([[[[1.0, 3.0]]]])
    target = torch.tensor([[[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]]])
    assert silog_loss(small, target, torch.ones_like(target, dtype=torch.bool)).item() == pytest.approx(0, abs=1e-4)


def test_focal_and_dice_by_hand():
    logits = torch.tensor([[0.0, 2.0], [-1.0, 0.5]]).reshape(1, 2, 1, 2)
    labels = torch.tensor([[[1, 0]]])
    dice, focal = SegmentationLosses("class")(logits, labels)
    p = torch.sigmoid(logits)[0, :, 0]
    y = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    pt = torch.where(y == 1, p, 1 - p)
    expected_focal = ((1 - pt) ** 2 * -torch.log(pt)).mean()
    expected_dice = (1 - 2 * (p * y).sum(1) / (p + y).sum(1)).mean()
    torch.testing.assert_close(focal, expected_focal)
    torch.testing.assert_close(dice, expected_dice)


def test_absent_channels_cost_nothing_in_dice_but_count_in_its_mean():
    logits = torch.full((1, 4, 2, 2), -20.0)
    logits[:, 2] = 0.0
    labels = torch.full((1, 2, 2), 2)
    dice, _ = SegmentationLosses("class")(logits, labels)
    assert dice.item() == pytest.approx((1 - 2 * 2 / (2 + 4)) / 4)  # p = 0.5 on 4 pixels of one of 4 channels


def test_ignored_void_has_no_influence_and_taught_void_has():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 14, (2, 6, 7), generator=generator)
    labels[0, :3] = 0
    logits = torch.randn(2, 14, 6, 7, generator=generator)
    changed = logits + 5 * torch.randn(logits.shape, generator=generator) * (labels == 0)[:, None]
    ignore, teach = SegmentationLosses("ignore"), SegmentationLosses("class")
    torch.testing.assert_close(ignore(logits, labels), ignore(changed, labels), rtol=0, atol=0)
    assert teach(logits, labels)[1] != teach(changed, labels)[1]


def test_a_batch_without_labels_gives_zero_and_finite_gradients():
    logits = torch.randn(1, 14, 4, 4, requires_grad=True)
    dice, focal = SegmentationLosses("ignore")(logits, torch.zeros(1, 4, 4, dtype=torch.int64))
    (dice + focal).backward()
    assert dice.item() == focal.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def batch(generator):
    return {
        "depth": torch.rand(2, 1, 8, 8, generator=generator) + 1,
        "mask": torch.rand(2, 1, 8, 8, generator=generator) > 0.2,
        "labels": torch.randint(0, 14, (2, 8, 8), generator=generator),
    }


def test_total_is_silog_plus_a_tenth_of_the_rest():
    generator = torch.Generator().manual_seed(1)
    data = batch(generator)
    depth, logits = torch.rand(2, 1, 8, 8, generator=generator) + 1, torch.randn(2, 14, 8, 8, generator=generator)
    parts = ZoeDistillLoss(RECIPES["corrected"], 0.1)(depth, logits, data)
    torch.testing.assert_close(parts["total"], parts["silog"] + 0.1 * (parts["dice"] + parts["focal"]))
    control = ZoeDistillLoss(RECIPES["corrected"], 0.0)(depth, None, data)
    assert set(control) == {"total", "silog"}
    torch.testing.assert_close(control["total"], parts["silog"])


def test_a_segmentation_weight_without_logits_is_an_error():
    with pytest.raises(ValueError, match="segmentation head"):
        ZoeDistillLoss(RECIPES["corrected"], 0.1)(torch.ones(2, 1, 8, 8), None, batch(torch.Generator()))


def test_gradients_in_double_precision():
    generator = torch.Generator().manual_seed(2)
    target = torch.rand(1, 1, 3, 3, generator=generator, dtype=torch.float64) + 0.5
    mask = torch.ones_like(target, dtype=torch.bool)
    prediction = (torch.rand(1, 1, 2, 2, generator=generator, dtype=torch.float64) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: silog_loss(p, target, mask), prediction)
    labels = torch.randint(0, 3, (1, 3, 3), generator=generator)
    logits = torch.randn(1, 3, 3, 3, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: sum(SegmentationLosses("class")(z, labels)), logits)


def test_the_focal_term_is_the_flattened_one():
    logits, labels = torch.randn(2, 14, 5, 5), torch.randint(0, 14, (2, 5, 5))
    target = F.one_hot(labels, 14).movedim(-1, 1).float()
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    torch.testing.assert_close(
        SegmentationLosses("class")(logits, labels)[1], ((1 - torch.exp(-bce)) ** 2 * bce).mean()
    )
