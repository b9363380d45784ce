"""The networks of other papers run, and have the sizes that their papers state."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from zdlib.data.sample import Sample
from zdlib.evaluate.judge import evaluate_depth
from zdlib.metrics import protocols
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.inspection import count_parameters
from zdlib.paper.rivals import AdaBins, AdaBinsModel, NeWCRFs, NeWCRFsModel
from zdlib.paper.rivals.adabins import MiniViT
from zdlib.paper.rivals.newcrfs import WindowCRF, neighbours, unwindows, windows


def test_adabins_has_the_sizes_of_its_paper():
    with torch.device("meta"):
        model = AdaBins()
    decoder = sum(map(count_parameters, (model.bottleneck, model.blocks, model.decoded)))
    assert count_parameters(model.encoder) / 1e6 == pytest.approx(28, abs=0.5)
    assert decoder / 1e6 == pytest.approx(44, abs=0.5)
    assert count_parameters(model.bins) / 1e6 == pytest.approx(5.8, abs=0.05)
    assert count_parameters(model) / 1e6 == pytest.approx(78, abs=0.5)


def test_newcrfs_has_the_size_of_its_paper():
    with torch.device("meta"):
        model = NeWCRFs()
    assert count_parameters(model) / 1e6 == pytest.approx(270, abs=0.5)
    assert count_parameters(model.encoder) == 194_995_476  # Swin-L with windows of 7 and no classifier


def test_adabins_runs():
    torch.manual_seed(0)
    model = AdaBins((64, 96), n_bins=16, kernels=4).eval()
    with torch.no_grad():
        depth = model(torch.randn(2, 3, 64, 96))
    assert depth.shape == (2, 1, 64, 96)
    assert depth.min() >= 1e-3
    assert depth.max() <= 10


def test_adabins_widths_are_shares_of_the_interval():
    torch.manual_seed(0)
    widths, maps = MiniViT(8, patches=12, n_bins=16, kernels=4, dim=32).eval()(torch.randn(2, 8, 32, 64))
    torch.testing.assert_close(widths.sum(1), torch.ones(2))
    assert (widths > 0).all()
    assert maps.shape == (2, 4, 32, 64)


def test_newcrfs_runs():
    torch.manual_seed(0)
    model = NeWCRFs((64, 96), encoder="swin_tiny_patch4_window7_224").eval()
    with torch.no_grad():
        depth = model(torch.randn(1, 3, 64, 96))
    assert depth.shape == (1, 1, 64, 96)
    assert depth.isfinite().all()
    assert depth.std() > 0


@pytest.fixture(params=["AdaBins", "NeWCRFs"])
def rival(request):
    torch.manual_seed(0)
    if request.param == "AdaBins":
        return AdaBinsModel(AdaBins((64, 96), n_bins=16, kernels=4).eval())
    return NeWCRFsModel(NeWCRFs((64, 96), encoder="swin_tiny_patch4_window7_224").eval())


def odd_pictures(count):
    return list(np.random.default_rng(0).integers(0, 256, (count, 51, 77, 3), dtype=np.uint8))


def test_a_rival_predicts_a_picture_of_odd_size(rival):
    """Stretched to its size, normalised, predicted with its mirror image, back at the picture's size, in metres."""
    (picture,) = odd_pictures(1)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    x = F.interpolate(x, (64, 96), mode="bilinear", align_corners=True)
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.inference_mode():
        straight, mirrored = rival.network(x), rival.network(x.flip(3)).flip(3)
        expected = F.interpolate((straight + mirrored) / 2, (51, 77), mode="bicubic")[0, 0].numpy()
    found = rival(picture, Inference(full_size=True))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert expected.std() > 1e-3
    assert rival(picture).shape == (51, 77)  # with ZoeDepth's border
    rival.convention = Convention(metres_per_unit=100.0)
    np.testing.assert_allclose(rival(picture, Inference(full_size=True)), 100 * found, rtol=1e-5)


def test_a_rival_is_judged_as_ours_are(rival):
    pictures = odd_pictures(3)
    truth = [Sample(str(i), picture, np.full((51, 77), 3, np.float32)) for i, picture in enumerate(pictures)]
    maps = list(rival.predict(pictures, Inference(batch_size=2)))
    assert [map_.shape for map_ in maps] == [(64, 96)] * 3
    scores = evaluate_depth(maps, truth, range(3), protocols.get("ibims/published"))
    assert (scores["pixels"] > 3000).all()
    middle = [map_[8:-8, 8:-8].mean() for map_ in maps]
    np.testing.assert_allclose(scores["abs_rel"], np.abs(np.array(middle) - 3) / 3, rtol=0.1)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), shift=st.sampled_from([0, 3]))
def test_cutting_into_windows_is_reversible(height, width, shift):
    x = torch.arange(2.0 * height * width).view(2, height, width, 1)
    assert torch.equal(unwindows(windows(x, shift), height, width, shift), x)


@pytest.mark.parametrize(("shift", "reached"), [(0, range(7, 14)), (3, range(3, 10))])
def test_a_pixel_sees_its_window_alone(shift, reached):
    torch.manual_seed(0)
    crf = WindowCRF(32, heads=1, shift=shift)
    features, x = torch.randn(1, 16, 18, 32), torch.randn(1, 16, 18, 32, requires_grad=True)
    crf(features, x)[0, 8, 9].sum().backward()  # row 8 is in the windows 7–13 and 3–9
    seen = x.grad[0].abs().sum(2).nonzero()
    assert sorted(set(seen[:, 0].tolist())) == list(reached)
    assert sorted(set(seen[:, 1].tolist())) == list(reached)


def test_shifted_windows_do_not_join_opposite_borders():
    # With a shift of 3, the last window of a 14 × 14 map holds rows 10–13 and, wrapped around, rows 0–2.
    assert neighbours(14, 14, 0).all()
    last = neighbours(14, 14, 3)[-1].view(7, 7, 7, 7)
    assert last[0, 0, 3, 3]
    assert not last[0, 0, 4, 0]
    assert not last[0, 0, 0, 4]
    assert last[5, 5, 6, 6]
