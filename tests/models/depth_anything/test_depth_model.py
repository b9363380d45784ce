"""From a picture to its depth and back to its size, as the authors' own scripts do it."""

import json

import numpy as np
import pytest
import torch
from golden.weights_recipe import recipe_image
from golden_models import relative_error
from tiny_depth_anything import FOLDER, official_state, tiny_network

from zdlib.models.depth_anything.checkpoints import convention_of, create_model, depth_model, fill_official
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_anything.picture_sizes import cubic_resize, eight_bit, network_size
from zdlib.models.depth_anything.registry import ARCHITECTURES
from zdlib.models.depth_model import Convention, Inference, to_tensor
from zdlib.models.layers.colours import imagenet
from zdlib.models.zoe.network import network_size as zoe_size

CASES = json.loads((FOLDER / "resize_rule.json").read_text())
TRANSFORMS = np.load(FOLDER / "transforms.npz")


def picture(case: str) -> np.ndarray:
    height, width = (int(side) for side in TRANSFORMS[f"{case}/image_hw"])
    image = recipe_image(height, width, int(TRANSFORMS[f"{case}/seed"]))
    return np.round(255 * image).astype(np.uint8).transpose(1, 2, 0)


def test_network_sizes_are_the_authors():
    assert len(CASES) > 100
    for case in CASES:
        image, target = tuple(case["input_hw"]), tuple(case["size_hw"])
        if case["transform"] == "zoe":
            found = zoe_size(image, target, case["keep_ar"], 14)
        else:
            found = network_size(image, target, 14, case["method"])
        assert found == tuple(case["net_hw"]), case


@pytest.mark.parametrize("number", range(4))
def test_the_resize_is_opencv_s_cubic(number):
    case = f"transform/{number}"
    image = to_tensor([picture(case)], torch.device("cpu"))
    size = network_size(tuple(image.shape[2:]), int(TRANSFORMS[f"{case}/input_size"]))
    assert size == tuple(TRANSFORMS[f"{case}/net_hw"])
    stride = int(TRANSFORMS[f"{case}/stride"])
    found = imagenet(cubic_resize(image, size))[0, :, ::stride, ::stride].numpy()
    np.testing.assert_allclose(found, TRANSFORMS[f"{case}/net_input"], atol=2e-5)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_picture_s_depth_is_that_of_the_authors_scripts(version):
    case = f"infer/{version}"
    model = create_model(f"depth_anything_{version}_s", shortest_side=int(TRANSFORMS[f"{case}/input_size"]))
    seed = int(TRANSFORMS[f"{case}/seed"])
    gain, bias = (float(TRANSFORMS[f"{case}/out_{what}"]) for what in ("gain", "bias"))
    fill_official(model, official_state("v1_vits", seed, gain, bias), case)
    depth = depth_model(model, {}, case)(picture(case))
    assert depth.shape == tuple(TRANSFORMS[f"{case}/image_hw"])
    assert relative_error(depth[::2, ::2], TRANSFORMS[f"{case}/depth"]) < 1e-5
    if version == "v1":
        grey = TRANSFORMS[f"{case}/gray_uint8"].astype(int)
        assert np.abs(eight_bit(depth)[::2, ::2] - grey).max() <= 1


def test_grey_pictures():
    assert eight_bit(np.array([[1.0, 2.0], [1.5, 1.999]])).tolist() == [[0, 255], [127, 254]]
    assert eight_bit(np.full((2, 2), 3.0)).tolist() == [[0, 0], [0, 0]]


def test_authors_neither_mirror_nor_pad():
    model = DepthAnythingModel(tiny_network(), Convention(kind="relative"))
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    depth = model(image)
    assert depth.shape == (60, 90)
    assert np.array_equal(depth, model(image, Inference(flip=False, pad=False, full_size=True)))
    small = model(image, Inference(flip=False))
    assert small.shape == network_size((60, 90), 56) == (56, 84)
    assert not np.array_equal(model(image, Inference(flip=True, full_size=True)), depth)


def test_what_the_depth_means():
    assert convention_of(ARCHITECTURES["depth_anything_v1_l"]) == Convention(kind="relative")
    assert convention_of(ARCHITECTURES["depth_anything_v2_metric_outdoor_s"]) == Convention(max_depth=80.0)
    assert convention_of(ARCHITECTURES["zoe_depth_anything_nk"]) == Convention(max_depth=80.0)
    metres = DepthAnythingModel(tiny_network(max_depth=20.0), Convention(max_depth=20.0))
    depth = metres(np.zeros((60, 90, 3), np.uint8))
    assert 0 <= depth.min() < 5 < 15 < depth.max() <= 20


def test_halved_weights_change_nothing_in_bf16():
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    model, coarse = DepthAnythingModel(tiny_network()), Inference(flip=False, full_size=True, precision="bf16")
    before = model(image, coarse)
    model.halve_weights()
    assert np.array_equal(model(image, coarse), before)
