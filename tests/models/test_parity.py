"""Whole models against the reference implementation's outputs."""

import json

import pytest
import torch
from golden_models import GOLDEN, errors, official_state

from zdlib.models.checkpoints import load_exactly
from zdlib.models.factory import create_model
from zdlib.models.zoe.architecture import Domain
from zdlib.models.zoe.network import network_size
from zdlib.models.zoe.official_keys import from_official

NORMED = {"bin_type": "normed", "domains": (Domain(name="kitti", max_depth=80.0),)}


def check(name: str, keys: str, fixture: str, **changes: object) -> None:
    model = create_model(name, **changes)
    load_exactly(model, from_official(model, official_state(keys), keys), keys)
    found = errors(model, fixture)
    # NK: 7 of 196,608 pixels differ by up to 3e-4. They have a small temperature and a p near 0, where float32 is that
    # coarse: the same features in float64 differ from the reference by 3.4e-4 there, from this library by 0.8e-4.
    depth_limit = 4e-4 if keys == "nk" else 1e-4
    assert found.pop("metric_depth") < depth_limit
    assert max(found.values()) < 1e-4, found


@pytest.mark.parametrize(("keys", "changes"), [("swin2_t", {}), ("swin2_t_normed", NORMED)])
def test_small_models(keys, changes):
    check("zoe_swin2_t", keys, f"zoe_{keys}_256x256", **changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keys", "size"),
    [
        ("zoe_beit_b", "beit_b", "480x640"),
        ("zoe_beit_l", "beit_l", "384x384"),
        ("zoe_swin2_b", "swin2_b", "384x384"),
        ("zoe_nk_beit_l", "nk", "480x640"),
    ],
)
def test_large_models(name, keys, size):
    check(name, keys, f"zoe_{keys}_{size}")


@pytest.mark.parametrize("case", json.loads((GOLDEN / "resize_rule.json").read_text()), ids=str)
def test_network_size(case):
    found = network_size(tuple(case["input"]), tuple(case["img_size"]), case["keep_ar"])
    assert found == tuple(case["net"])


def test_two_models_share_no_state():
    small = {"encoder": "tf_efficientnet_lite0", "decoder_channels": 16, "input_size": (64, 96)}
    models = [create_model("zoe_distill_lite0", **small) for _ in range(2)]
    storages = [{p.data_ptr() for p in model.parameters()} for model in models]
    assert not storages[0] & storages[1]
    images = torch.rand(1, 3, 64, 96)
    before = models[0](images).metric_depth
    models[1](torch.rand(2, 3, 50, 70))
    assert torch.equal(models[0](images).metric_depth, before)
