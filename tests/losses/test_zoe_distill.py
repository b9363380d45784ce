import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden.weights_recipe import recipe_depth

from zdlib.losses.zoe_distill import SegmentationLosses, ZoeDistillLoss, silog_loss
from zdlib.models._torchvision import ensure_torchvision
from zdlib.recipes import RECIPES


def test_silog_by_hand():
    prediction = torch.tensor([[[[1.0, math.e, math.e**2, 5.0]]]])
    target = torch.ones(1, 1, 1, 4)
    mask = torch.tensor([[[[True, True, True, False]]]])
    # g = 0, 1, 2: unbiased variance 1, mean 1.
    assert silog_loss(prediction, target, mask).item() == pytest.approx(10 * math.sqrt(1 + 0.15), rel=1e-5)


@pytest.mark.parametrize("case", json.loads((Path(__file__).parents[1] / "golden" / "heads.json").read_text())["silog"])
def test_silog_equals_the_authors_code(case):
    pairs = [recipe_depth(case["height"], case["width"], seed) for seed in case["seeds"]]
    target = torch.from_numpy(np.stack([gt for gt, _ in pairs]))[:, None]
    prediction = np.stack([pred for _, pred in pairs])[:, None]
    prediction = np.nan_to_num(prediction, nan=1.0, posinf=9.0, neginf=0.1).clip(*case["clip"])
    leaf = torch.from_numpy(prediction).requires_grad_()
    low, high = case["range"]
    loss = silog_loss(leaf, target, (target > low) & (target < high))
    loss.backward()
    assert loss.item() == pytest.approx(case["silog"], rel=1e-5)
    assert leaf.grad.norm().item() == pytest.approx(case["grad_l2"], rel=1e-5)
    assert leaf.grad.sum().item() == pytest.approx(case["grad_sum"], rel=1e-4)


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


@pytest.mark.parametrize("void", ["class", "ignore"])
def test_both_equal_segmentation_models_pytorch(void):
    ensure_torchvision()
    import segmentation_models_pytorch as smp

    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 11, (2, 5, 6), generator=generator)  # classes 11 to 13 are absent
    logits = (3 * torch.randn(2, 14, 5, 6, generator=generator)).requires_grad_()
    kept = torch.ones_like(labels, dtype=torch.bool) if void == "class" else labels != 0
    pixels, target = logits.movedim(1, -1)[kept], F.one_hot(labels[kept], 14).float()
    dice = smp.losses.DiceLoss("multilabel", from_logits=True)(pixels.T[None], target.T[None])
    focal = smp.losses.FocalLoss("binary", alpha=None, gamma=2.0)(pixels, target)
    (expected,) = torch.autograd.grad(dice + 2 * focal, logits)
    ours = SegmentationLosses(void)(logits, labels)
    torch.testing.assert_close(ours, (dice, focal))
    (gradient,) = torch.autograd.grad(ours[0] + 2 * ours[1], logits)
    torch.testing.assert_close(gradient, expected)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[80.0, -80.0], [-80.0, 80.0]]).reshape(1, 2, 1, 2).requires_grad_()
    for labels in (torch.tensor([[[0, 1]]]), torch.tensor([[[1, 0]]])):
        loss = sum(SegmentationLosses("class")(logits, labels))
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
