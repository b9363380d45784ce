import json

import numpy as np
import pytest
import self_supervised as fixtures
import torch

from zdlib.losses.semantics import (
    consistency_loss,
    interior,
    masked_share,
    moving_threshold,
    segmentation_loss,
)

SGDEPTH = json.loads((fixtures.FIXTURES / "sg_small.json").read_text())
SGDEM = json.loads((fixtures.FIXTURES / "sgdem_small.json").read_text())


def labels(case):
    maps = [fixtures.labels(case["height"], case["width"], case["seed"] + i) for i in range(2)]
    return torch.from_numpy(np.stack(maps))


@pytest.mark.parametrize("case", SGDEPTH["iou_threshold"], ids=lambda c: f"{c['linear']}-{c['epoch_just_finished']}")
def test_the_threshold_s_schedule_is_sgdepths(case):
    epoch = case["epoch_just_finished"]
    share = masked_share(epoch, linear=case["linear"])
    assert share == pytest.approx(case["share_below"])
    # At the end of the last epoch but one the share is 0: the lowest IoU; after that, and before the first, no mask.
    over = epoch < 15 or case["printed_error"]
    assert moving_threshold(SGDEPTH["iou_log"], share, over) == pytest.approx(case["threshold"], rel=1e-6)


def test_frames_without_anything_movable_have_no_say():
    assert moving_threshold([float("nan"), 0.2, 0.4], 0.5) == pytest.approx(0.3)
    assert moving_threshold([float("nan")], 0.5) == 0


@pytest.mark.parametrize("case", SGDEPTH["seg_loss"], ids=lambda c: f"seed{c['seed']}")
def test_the_segmentation_loss_is_sgdepths(case):
    size = (2, 20, case["height"], case["width"])
    logits = (2 * np.random.default_rng([case["seed"], 8]).standard_normal(size)).astype(np.float32)
    assert segmentation_loss(torch.from_numpy(logits), labels(case)).item() == pytest.approx(case["loss"], rel=1e-6)


def test_a_batch_without_labels_costs_nothing():
    logits = torch.rand(1, 20, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("case", SGDEM["consistency"], ids=lambda c: f"seed{c['seed']}")
def test_consistency_as_published_as_coded_and_as_meant(case):
    size, seed = (case["height"], case["width"]), case["seed"]
    maps = np.stack([fixtures.recipe_image(*size, seed + 300 + i)[0] for i in range(2)])
    disparity = torch.from_numpy(maps)[:, None].requires_grad_()
    ids = consistency_loss(disparity, labels(case), "ids")
    (gradient,) = torch.autograd.grad(ids, disparity)
    assert ids.item() == pytest.approx(case["authors_class_ids"], rel=1e-5)
    assert gradient.norm().item() == pytest.approx(case["authors_class_ids_grad_norm"], rel=1e-5)
    assert gradient.sum().item() == pytest.approx(case["authors_class_ids_grad_sum"], rel=1e-4)
    published = consistency_loss(disparity, labels(case), "published")
    assert published.item() == case["authors_binarised_as_published"] == 0
    assert not torch.autograd.grad(published, disparity)[0].any()
    assert consistency_loss(disparity, labels(case)).item() == pytest.approx(case["corrected_ours"], rel=1e-5)


def test_a_jump_within_a_car_costs_and_one_at_its_edge_does_not():
    cars = torch.zeros(1, 12, 12, dtype=torch.int64)
    cars[:, 2:10, 2:10] = 13
    inside = torch.full((1, 1, 12, 12), 0.5)
    inside[..., 6:] = 0.8
    edge = torch.full((1, 1, 12, 12), 0.5)
    edge[:, :, 2:10, 2:10] = 0.8
    assert consistency_loss(inside, cars).item() > 1
    assert consistency_loss(edge, cars).item() == 0
    assert consistency_loss(inside, torch.zeros_like(cars)).item() == 0  # roads may slant


def test_the_interior_has_all_neighbours_and_no_border():
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[1, 3] = False
    expected = torch.zeros(4, 5, dtype=torch.bool)
    expected[1, 1] = expected[2, 1] = expected[2, 2] = True
    assert torch.equal(interior(mask), expected)
