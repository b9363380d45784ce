import json

import numpy as np
import pytest
import self_supervised as fixtures
import torch
from golden.weights_recipe import recipe_image

from zdlib.errors import ZDError
from zdlib.losses.photometric import quadratic_smoothness
from zdlib.losses.stereo import (
    authors_warp,
    gauss_newton_step,
    linearised,
    photometric,
    total_variation,
    warp_rows,
)

CASES = json.loads((fixtures.FIXTURES / "garg_cases.json").read_text())
ARRAYS = np.load(fixtures.FIXTURES / "garg_cases.npz")
KINDS = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


class Case:
    """One fixture's tensors."""

    def __init__(self, case, dtype):
        self.seed, self.dtype = case["seed"], dtype
        source = recipe_image(case["height"], case["width"], case["seed"])
        self.source = torch.from_numpy(source)[None].to(dtype)
        self.target = self["I1"][None]
        self.disparity = self["D"][None, None].requires_grad_()
        self.warp = warp_rows(self.source, self.disparity)
        self.count = self.warp.valid.sum()  # fixtures hold sums, the losses are means

    def __getitem__(self, key):
        return torch.from_numpy(ARRAYS[f"s{self.seed}_{key}"]).to(self.dtype)

    def gradient(self, loss):
        (gradient,) = torch.autograd.grad(loss.sum(), self.disparity, retain_graph=True)
        return gradient[0, 0]


def close(a, b, tolerance):
    return (a - b).abs().max() <= tolerance * max(1, b.abs().max())


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: f"case{case['seed']}")
@pytest.mark.parametrize(("dtype", "tolerance"), KINDS, ids=["double", "single"])
class TestFixtures:
    def test_warp(self, case, dtype, tolerance):
        c = Case(case, dtype)
        assert c.warp.valid.sum() == case["valid"]
        assert np.array_equal(c.warp.valid[0, 0], c["valid"].bool())
        assert close(c.warp.image[0], c["warped"], tolerance)
        assert close(c.warp.slope[0], c["slope"], tolerance)

    def test_losses_and_their_exact_gradients(self, case, dtype, tolerance):
        c = Case(case, dtype)
        loss, smoothness = photometric(c.warp, c.target) * c.count, quadratic_smoothness(c.disparity)
        assert loss.item() == pytest.approx(case["photometric"], rel=tolerance)
        assert smoothness.item() == pytest.approx(case["smoothness"], rel=tolerance)
        assert (loss + 0.01 * smoothness).item() == pytest.approx(case["total_lambda_0.01"], rel=tolerance)
        assert close(c.gradient(loss), c["grad_exact"], tolerance)
        assert close(c.gradient(smoothness), c["smooth_grad"], 10 * tolerance)

    def test_the_authors_layer(self, case, dtype, tolerance):
        c = Case(case, dtype)
        loss = (authors_warp(c.source, c.disparity) - c.target).square().sum()
        assert loss.item() == pytest.approx(case["photometric_zero_outside"], rel=tolerance)
        assert close(c.gradient(loss), c["grad_caffe"], tolerance)
        valid = c.warp.valid[0, 0]
        inner = valid & valid.roll(1, 1) & valid.roll(-1, 1)
        inner[:, [0, -1]] = False  # where it has no black pixel to look at
        cosine = torch.cosine_similarity(c.gradient(loss)[inner], c["grad_exact"][inner], dim=0)
        assert cosine.item() == pytest.approx(case["cos_caffe_vs_exact_inside"], abs=1e-4)

    def test_taylor_expansion(self, case, dtype, tolerance):
        c = Case(case, dtype)
        moved = c.disparity + c["delta"]
        loss = linearised(c.warp, c.target, moved, c.disparity) * c.count
        assert loss.item() == pytest.approx(case["linearised_at_delta"], rel=10 * tolerance)
        assert close(c.gradient(loss), c["grad_linearised"], 10 * tolerance)

    def test_linearised_and_exact_gradients_agree_where_the_expansion_is_made(self, case, dtype, tolerance):
        c = Case(case, dtype)
        here = linearised(c.warp, c.target, c.disparity, c.disparity)
        exact = photometric(c.warp, c.target)
        assert here.item() == pytest.approx(exact.item(), rel=tolerance)
        assert close(c.gradient(here), c.gradient(exact), tolerance)
        # … and nowhere else: a pixel further on they are different functions.
        far = c.disparity + 1
        exact_far = c.gradient(photometric(warp_rows(c.source, far), c.target))
        taylor = c.gradient(linearised(c.warp, c.target, far, c.disparity))
        assert (taylor - exact_far).norm() > 0.1 * exact_far.norm()

    def test_gauss_newton_step(self, case, dtype, tolerance):
        c = Case(case, dtype)
        step = gauss_newton_step(c.warp, c.target, c.disparity.detach(), 0.01)
        assert close(step[0, 0], c["gn_step"], 100 * tolerance)
        after = warp_rows(c.source, c.disparity.detach() + step)
        both = (after.valid & c.warp.valid).to(dtype)
        error = ((after.image - c.target).square() * both).sum()
        assert error.item() == pytest.approx(case["photometric_after_gn_step_common_valid"], rel=1e-3)


@pytest.mark.parametrize("case", CASES["hand_warp"], ids=lambda case: f"u{case['u']}")
def test_a_row_by_hand(case):
    row = torch.tensor(case["image"], dtype=torch.float64).reshape(1, 1, 1, 5)
    warp = warp_rows(row, torch.full((1, 1, 1, 5), case["u"], dtype=torch.float64), sign=1.0)
    assert warp.image.flatten().tolist() == case["value_border"]
    assert warp.slope.flatten().tolist() == case["slope"]
    assert warp.valid.flatten().int().tolist() == case["both_neighbours_inside"]


def test_the_sign_is_that_of_the_names():
    """A thing at column 6 of the left picture with disparity 2 is at column 4 of the right one."""
    right = torch.zeros(1, 1, 1, 10)
    right[..., 4] = 1
    disparity = torch.full((1, 1, 1, 10), 2.0)
    assert warp_rows(right, disparity, sign=-1.0).image.argmax() == 6
    assert warp_rows(right, disparity, sign=1.0).image.argmax() == 2


def test_a_picture_without_a_valid_pixel_counts_nothing():
    image = torch.rand(1, 3, 2, 6)
    disparity = torch.full((1, 1, 2, 6), 1e9, requires_grad=True)
    loss = photometric(warp_rows(image, disparity), image)
    (gradient,) = torch.autograd.grad(loss.sum(), disparity)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_disparity_that_is_not_finite_is_refused():
    with pytest.raises(ZDError, match="NaN or infinite"):
        warp_rows(torch.rand(1, 3, 2, 6), torch.full((1, 1, 2, 6), torch.nan))


def test_total_variation_by_hand():
    """Central differences of a ramp are its slope; edges of the image weigh them down."""
    ramp = 2 * torch.arange(6.0, dtype=torch.float64).expand(1, 1, 4, 6)
    flat = torch.zeros(1, 3, 4, 6, dtype=torch.float64)
    assert total_variation(ramp, flat).item() == 2 * 4 * 4
    edges = torch.arange(6.0, dtype=torch.float64).expand(1, 3, 4, 6)
    assert total_variation(ramp, edges).item() == pytest.approx(2 * 4 * 4 * np.exp(-0.33 * 3))
