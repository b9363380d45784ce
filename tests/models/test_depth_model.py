"""The way from a picture to metres, on a network whose depth is known by hand."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from zdlib.errors import ZDError
from zdlib.models.depth_model import AS_ZOEDEPTH, Convention, DepthModel, Inference, border, with_border
from zdlib.recipes import RECIPES


class Ramp(nn.Module):
    """Depth = 1 + red, at half resolution, plus a ramp from left to right that flip averaging must cancel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls = []

    def forward(self, images):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.calls.append(tuple(images.shape))
        red = nn.functional.avg_pool2d(images[:, :1], 2)
        return self.weight * (1 + red + torch.linspace(-0.5, 0.5, red.shape[-1]))


class RampModel(DepthModel):
    def forward(self, images, domain=None):
        return self.network(images)


def ramp(**convention):
    return RampModel(Ramp(), Convention(**convention))


def images(n, size=(8, 12), seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8))


def test_predict_averages_the_mirrored_image():
    model = ramp()
    pictures = images(5)
    maps = list(model.predict(pictures, Inference(batch_size=2)))
    assert [shape[0] for shape in model.network.calls] == [4, 4, 2]
    assert len(maps) == 5
    for picture, depth in zip(pictures, maps, strict=True):
        red = picture[..., 0].reshape(4, 2, 6, 2).mean(axis=(1, 3)) / 255
        assert depth.dtype == np.float32
        np.testing.assert_allclose(depth, 1 + red, rtol=1e-5)
    ramped = list(ramp().predict(pictures, Inference(flip=False)))
    assert ramped[0][0, -1] - maps[0][0, -1] == pytest.approx(0.5, rel=1e-5)


def test_predict_takes_an_iterator_and_splits_batches_by_size():
    model = ramp()
    mixed = images(2) + images(1, (4, 6)) + images(1)
    maps = list(model.predict(iter(mixed), Inference(batch_size=8, flip=False)))
    assert [depth.shape for depth in maps] == [(4, 6), (4, 6), (2, 3), (4, 6)]
    assert [shape[0] for shape in model.network.calls] == [2, 1, 1]


def test_pictures_are_read_ahead_but_not_all_at_once():
    """Two batches wait while one is predicted; what was not wanted is not read."""
    read = []

    def reading():
        for picture in images(50):
            read.append(threading.current_thread())
            yield picture

    predictions = ramp().predict(reading(), Inference(batch_size=2, flip=False))
    next(predictions)
    predictions.close()
    assert 2 <= len(read) <= 8
    assert threading.current_thread() not in read


def test_a_caller_between_two_predictions_is_not_in_inference_mode():
    for _ in ramp().predict(images(2), Inference(batch_size=1)):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_units_and_squeeze_are_the_conventions():
    picture = images(1)[0]
    metres = ramp()(picture, Inference())
    np.testing.assert_allclose(ramp(metres_per_unit=1000.0)(picture, Inference()), metres * 1000, rtol=1e-6)
    np.testing.assert_array_equal(ramp(metres_per_unit=1000.0, kind="relative")(picture, Inference()), metres)
    squeezed = ramp(portrait_resize=True)
    squeezed(picture, Inference(flip=False))
    assert squeezed.network.calls == [(1, 3, 12, 8)]


@pytest.mark.parametrize("squeeze", [False, True])
def test_full_size_with_a_border_is_the_pictures_size(squeeze):
    """Of a picture without structure the depth is constant, so any shift or wrong cut of the border would show."""
    model = ramp(portrait_resize=squeeze)
    picture = np.full((21, 34, 3), 51, np.uint8)
    depth = model(picture)
    rows, columns = border(21, 34)
    padded = (21 + 2 * rows, 34 + 2 * columns)
    assert model.network.calls == [(2, 3, *(reversed(padded) if squeeze else padded))]
    np.testing.assert_allclose(depth, np.full((21, 34), 1.2), rtol=1e-6)
    picture[:, :5] = 255
    left = model(picture)
    assert left[:, :3].min() > 1.8
    assert left[:, 9:].max() < 1.3


def test_without_full_size_a_border_stays():
    rows, columns = border(20, 40)
    depth = ramp()(np.zeros((20, 40, 3), np.uint8), Inference(pad=True))
    assert depth.shape == ((20 + 2 * rows) // 2, (40 + 2 * columns) // 2)


def test_mirrored_pictures_have_mirrored_depths():
    picture = images(1, (40, 60))[0]
    depth = ramp()(picture)
    np.testing.assert_allclose(ramp()(picture[:, ::-1])[:, ::-1], depth, rtol=1e-5)
    assert not np.allclose(ramp()(picture, Inference(flip=False, full_size=True)), depth, rtol=1e-4)


def test_bfloat16_is_autocasts():
    class Linear(DepthModel):
        def forward(self, images, domain=None):
            return self.network(images)

    torch.manual_seed(0)
    model, x = Linear(nn.Conv2d(3, 1, 3, padding=1)), torch.rand(1, 3, 8, 8)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        half = model.network(x)
    assert half.dtype == torch.bfloat16
    found = model.depth(x, Inference(flip=False, precision="bf16"))
    assert torch.equal(found, half.float())
    assert not torch.equal(found, model.depth(x, Inference(flip=False)))


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_comes_back(training):
    model = ramp()
    model.network.train(training)
    list(model.predict(images(1), Inference()))
    assert model.network.training is training
    with pytest.raises(RuntimeError):
        list(model.predict(images(1, (1, 1)), Inference()))
    assert model.network.training is training


# ------------------------------------------------------------------------------------------------------- the pieces
def test_border_is_the_published_one():
    assert border(480, 640) == (46, 53)


def test_the_border_reflects():
    x = torch.rand(1, 3, 48, 64)
    rows, columns = border(48, 64)
    padded = with_border(x)
    assert padded.shape == (1, 3, 48 + 2 * rows, 64 + 2 * columns)
    assert torch.equal(padded[:, :, rows - 1, columns:-columns], x[:, :, 1])
    assert torch.equal(padded[:, :, rows:-rows, -columns], x[..., -2])


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((4, 60, 3), np.uint8), "4 × 60 pixels: too small for a border"),
        (np.zeros((40, 60, 3), np.float32), r"float32 \(40, 60, 3\): convert it to \(h, w, 3\) uint8"),
        (np.zeros((40, 60, 4), np.uint8), r"uint8 \(40, 60, 4\)"),
        (np.zeros((40, 60), np.uint8), r"uint8 \(40, 60\)"),
    ],
)
def test_a_picture_that_cannot_be_predicted(picture, message):
    with pytest.raises(ZDError, match=message):
        ramp()(picture, AS_ZOEDEPTH)


def test_a_head_that_is_not_there():
    with pytest.raises(ZDError, match="domain nyu: this model has none"):
        ramp()(images(1)[0], Inference(domain="nyu"))


def test_a_recipes_convention_is_in_metres():
    published = Convention.of(RECIPES["published"])
    assert published == Convention(
        metres_per_unit=1000.0, portrait_resize=True, min_depth=1.0, max_depth=10_000.0, void="class"
    )
    assert Convention.of(RECIPES["corrected"]) == Convention(min_depth=1e-3, max_depth=10.0)
    assert Convention(**published.model_dump()) == published
