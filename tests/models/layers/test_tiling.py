import itertools

import pytest
import torch
from tiny_models import ENCODERS, tiny_model
from torch import nn

from zdlib.config import ModelConfig
from zdlib.geometry import resize
from zdlib.models.factory import build_model
from zdlib.models.layers import tiling
from zdlib.models.layers.tiling import resize_rows, resized_convolution


@pytest.mark.parametrize("shape", [(5, 7), (1, 4), (12, 3)])
@pytest.mark.parametrize("size", [(9, 16), (24, 5), (5, 7)])
def test_rows_of_an_enlarged_map(shape, size):
    x = torch.randn(2, 3, *shape)
    whole = resize(x, size)
    for rows in ((0, size[0]), (0, 3), (2, 5), (size[0] - 2, size[0])):
        torch.testing.assert_close(resize_rows(x, size, rows), whole[:, :, rows[0] : rows[1]])
    torch.testing.assert_close(resize_rows(x.double(), size, (1, 4)), resize(x.double(), size)[:, :, 1:4])


@pytest.mark.parametrize("height", [33, 64])
def test_convolution_of_an_enlarged_map(monkeypatch, height):
    monkeypatch.setattr(tiling, "LARGE", 0)
    monkeypatch.setattr(tiling, "_BAND", 1000)
    convolution = nn.Conv2d(6, 4, 3, padding=1)
    x = torch.randn(2, 6, 20, 15)
    expected = convolution(resize(x, (height, 31))).relu()
    with torch.no_grad():
        assert len(tiling.bands(x, 6, (height, 31))) > 3
        found = resized_convolution(convolution, x, (height, 31))
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-5)


def test_bands_cover_every_row_once():
    x = torch.empty(1, 1, 1, 1)
    with torch.no_grad():
        parts = tiling.bands(x, 128, (384, 384))
        assert len(parts) > 8
        assert tiling.bands(x.to("meta"), 128, (384, 384)) == [(0, 384)]  # not on a CPU
    assert parts[0][0] == 0
    assert parts[-1][1] == 384
    assert all(a[1] == b[0] for a, b in itertools.pairwise(parts))
    assert tiling.bands(x, 128, (384, 384)) == [(0, 384)]  # with gradients


@pytest.mark.parametrize("output", ["log_binomial", "softmax"])
def test_depth_in_bands_is_the_depth(monkeypatch, output):
    model = tiny_model(ENCODERS[-1], output=output)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model(images).metric_depth
        monkeypatch.setattr(tiling, "LARGE", 0)
        monkeypatch.setattr(tiling, "_BAND", 2**15)
        found = model(images).metric_depth
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)
    assert not torch.equal(found, whole)


def test_small_models_are_never_cut():
    """The demo's: the same operations, and bits, with and without gradients."""
    demo = ModelConfig(
        encoder="tf_efficientnet_lite0",
        encoder_weights="none",
        input_size=(192, 256),
        decoder_channels=64,
        bin_embedding_dim=64,
    )
    torch.manual_seed(0)
    model = build_model(demo).eval()
    images = torch.rand(1, 3, 192, 256)
    with_gradients = model(images)
    with torch.inference_mode():
        without = model(images)
    assert torch.equal(without.metric_depth, with_gradients.metric_depth)
    assert torch.equal(without.rel_depth, with_gradients.rel_depth)
