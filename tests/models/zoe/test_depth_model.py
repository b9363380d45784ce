"""Zoe-Distill as a depth model: weights held in bfloat16, classes, relative depth, heads."""

import numpy as np
import pytest
import torch
from tiny_models import ENCODERS, tiny_model

from zdlib.errors import ZDError
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.zoe.depth_model import ZoeDepthModel


def pictures(count, size=(48, 64)):
    return list(np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8))


@pytest.mark.parametrize("encoder", [*ENCODERS, "tf_efficientnet_lite0"])
@pytest.mark.parametrize("name", ["zoe_distill_lite0", "zoe_nk_beit_l"])
def test_weights_held_in_bfloat16_give_what_autocast_gives(encoder, name):
    model = ZoeDepthModel(tiny_model(encoder, name).eval())
    image = torch.rand(1, 3, 64, 64)
    with model.inference("bf16"):
        expected = model.network(image)
        model.halve_weights()
        found = model.network(image)
    assert torch.equal(found.metric_depth, expected.metric_depth)
    assert torch.equal(found.rel_depth, expected.rel_depth)
    halved = [name for name, p in model.network.named_parameters() if p.dtype == torch.bfloat16]
    assert any(name.startswith("decoder.") for name in halved)
    assert any(name.startswith("encoder.") for name in halved) == (encoder != "tf_efficientnet_lite0")
    assert not any("cpb_mlp" in name or name.startswith("head.") for name in halved)


def test_pixels_stay_exact_when_weights_are_halved():
    """The first parameter's type is no guide for the picture's."""
    model, seen = ZoeDepthModel(tiny_model(ENCODERS[0]).eval()), []
    model.halve_weights()
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    model(pictures(1)[0], Inference(flip=False, precision="bf16"))
    assert seen == [torch.float32]


def test_a_head_is_chosen_by_name():
    model = ZoeDepthModel(tiny_model(ENCODERS[0], "zoe_nk_beit_l").eval())
    assert model.domains == ("nyu", "kitti")
    x = torch.rand(1, 3, 64, 64)
    for number, name in enumerate(model.domains):
        with torch.inference_mode():
            expected = model.network(x, domains=torch.tensor([number])).metric_depth
        assert torch.equal(model.depth(x, Inference(flip=False, domain=name)), expected)
    with pytest.raises(ZDError, match="domain moon: this model has nyu, kitti"):
        model(pictures(1)[0], Inference(domain="moon"))


def test_relative_depth_is_the_decoders_and_has_no_unit():
    network = tiny_model(ENCODERS[1]).eval()
    x = torch.rand(2, 3, 64, 64)
    model = ZoeDepthModel(network, Convention(metres_per_unit=1000.0)).relative()
    with torch.inference_mode():
        assert torch.equal(model.depth(x, Inference(flip=False)), network(x).rel_depth)


@pytest.mark.parametrize(("void", "possible"), [("class", range(14)), ("ignore", range(1, 14))])
def test_labels_answer_void_only_where_it_was_taught(void, possible):
    network = tiny_model(ENCODERS[1], segmentation=True).eval()
    model = ZoeDepthModel(network, Convention(void=void))
    network.unet.register_forward_hook(lambda _, __, logits: logits + 100 * torch.eye(14)[0].view(14, 1, 1))
    labels = list(model.predict_labels(pictures(3), Inference(batch_size=2)))
    assert [map_.shape for map_ in labels] == [(48, 64)] * 3
    assert set(np.unique(labels)) <= set(possible)
    assert (0 in np.unique(labels)) == (void == "class")


def test_labels_see_the_squeezed_picture():
    model = ZoeDepthModel(tiny_model(ENCODERS[1], segmentation=True).eval(), Convention(portrait_resize=True))
    seen = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    (labels,) = model.predict_labels(pictures(1), Inference())
    assert seen == [(1, 3, 64, 48)]
    assert labels.shape == (48, 64)


def test_labels_of_a_model_without_its_head():
    with pytest.raises(ZDError, match="no segmentation head"):
        list(ZoeDepthModel(tiny_model(ENCODERS[1])).predict_labels(pictures(1), Inference()))
