import json

import numpy as np
import pytest
import self_supervised as fixtures
import torch
from torch.autograd import gradcheck

from zdlib.losses.photometric import (
    edge_aware_smoothness,
    minimum_reprojection,
    normalised,
    photometric_error,
    quadratic_smoothness,
    ssim_loss,
)

SIZE = (64, 96)
SEED = 1
OPS = np.load(fixtures.FIXTURES / "m2_ops_64x96_s1.npz")
HAND = json.loads((fixtures.FIXTURES / "garg_cases.json").read_text())["hand_smooth"]


def pair(dtype=torch.float32):
    now, before, _ = fixtures.frames(*SIZE, SEED)
    return [torch.from_numpy(image)[None].to(dtype) for image in (before, now)]


def disparity(dtype=torch.float32):
    return torch.from_numpy(fixtures.disparity(*SIZE, SEED))[None, None].to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 2e-4)])
def test_ssim_and_error_are_monodepth2s(dtype, tolerance):
    """In double precision they differ from the authors' float32 by the cancellation in its variances."""
    before, now = pair(dtype)
    assert np.abs(ssim_loss(before, now)[0].numpy() - OPS["ssim_prev"]).max() <= tolerance
    assert np.abs(photometric_error(before, now)[0].numpy() - OPS["reproj_prev"]).max() <= tolerance


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smoothness_is_monodepth2s(dtype):
    found = edge_aware_smoothness(normalised(disparity(dtype)), pair(dtype)[1])
    assert found.item() == pytest.approx(float(OPS["smooth"]), rel=2e-6)


def test_equal_images_have_no_error():
    _, now = pair(torch.float64)
    assert photometric_error(now, now).abs().max() < 1e-12


def test_the_minimum_is_over_sources_and_a_still_one_teaches_nothing():
    first, second, still = (
        torch.tensor(v).reshape(1, 1, 1, 4) for v in ([3.0, 1, 5, 2], [2.0, 4, 6, 2], [9.0, 9, 4, 2])
    )
    least, teaches = minimum_reprojection([first, second], [still])
    assert least.flatten().tolist() == [2, 1, 4, 2]
    assert teaches.flatten().tolist() == [True, True, False, False]  # of equal ones, the still one counts
    average, _ = minimum_reprojection([first, second], [still], average=True)
    assert average.flatten().tolist() == [2.5, 2.5, 4, 2]
    everywhere = minimum_reprojection([first, second])[1]
    assert everywhere.all()


def test_an_edge_of_the_image_lets_disparity_jump():
    step = torch.zeros(1, 1, 4, 8)
    step[..., 4:] = 1
    flat, edge = torch.zeros(1, 3, 4, 8), step.expand(1, 3, 4, 8)
    assert edge_aware_smoothness(step, flat).item() == pytest.approx(1 / 7)
    assert edge_aware_smoothness(step, edge).item() == pytest.approx(np.exp(-1) / 7)


def test_second_order_lets_planes_be():
    ramp = torch.arange(8.0).expand(1, 1, 4, 8)
    flat = torch.zeros(1, 3, 4, 8)
    assert edge_aware_smoothness(ramp, flat, order=2).item() == 0
    assert edge_aware_smoothness(ramp, flat).item() == 1
    kink = (ramp - 4).relu()
    assert edge_aware_smoothness(kink, flat, order=2).item() == pytest.approx(1 / 6)


def test_a_smoothness_of_normalised_disparity_knows_no_scale():
    image, d = pair(torch.float64)[1], disparity(torch.float64)
    one, two = (edge_aware_smoothness(normalised(k * d), image).item() for k in (1, 7))
    assert one == pytest.approx(two, rel=1e-5)


def test_quadratic_smoothness_by_hand():
    d = torch.tensor(HAND["D"], dtype=torch.float64)[None, None].requires_grad_()
    value = quadratic_smoothness(d)
    (gradient,) = torch.autograd.grad(value.sum(), d)
    assert value.item() == HAND["value"]
    assert gradient[0, 0].tolist() == HAND["gradient"]


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_in_double_precision(order):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 3, 5, 6, generator=generator, dtype=torch.float64)
    d = torch.rand(1, 1, 5, 6, generator=generator, dtype=torch.float64).requires_grad_()
    assert gradcheck(lambda a: photometric_error(a, b), a.requires_grad_())
    assert gradcheck(lambda d: edge_aware_smoothness(normalised(d), b, order), d)
