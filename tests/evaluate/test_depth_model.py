"""Predicting with weights held in bfloat16."""

import pytest
import torch
from tiny_models import ENCODERS, tiny_model

from zdlib.evaluate.depth_model import autocast, halve_weights


@pytest.mark.parametrize("encoder", [*ENCODERS, "tf_efficientnet_lite0"])
@pytest.mark.parametrize("name", ["zoe_distill_lite0", "zoe_nk_beit_l"])
def test_weights_held_in_bfloat16_give_what_autocast_gives(encoder, name):
    model = tiny_model(encoder, name).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode(), autocast(image.device, "bf16"):
        expected = model(image)
        halve_weights(model)
        found = model(image)
    assert torch.equal(found.metric_depth, expected.metric_depth)
    assert torch.equal(found.rel_depth, expected.rel_depth)
    halved = [name for name, p in model.named_parameters() if p.dtype == torch.bfloat16]
    assert any(name.startswith("decoder.") for name in halved)
    assert any(name.startswith("encoder.") for name in halved) == (encoder != "tf_efficientnet_lite0")
    assert not any("cpb_mlp" in name or name.startswith("head.") for name in halved)
