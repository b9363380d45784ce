"""Networks by name from a hub: a local server with its headers, and small random weights in the true layout."""

import numpy as np
import pytest
import torch
from downloads_server import COMMIT, serving
from huggingface_hub import constants
from safetensors.torch import save
from tiny_models import NATIVE

from zdlib.errors import ZDError
from zdlib.models import registry
from zdlib.models.choice import chosen_model
from zdlib.models.depth_model import Inference
from zdlib.models.factory import create_model, is_transformers, load_depth_model, transformers_network
from zdlib.models.hub import HUB
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.transformers_keys import from_transformers, to_transformers

TINY = Architecture(encoder="beit_test_patch16_64", input_size=(NATIVE, NATIVE), decoder_channels=16)
FILE = f"/{HUB['zoe_beit_l'][0].repository}/resolve/main/model.safetensors"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.ARCHITECTURES, "zoe_beit_l", TINY)
        return create_model("zoe_beit_l")


@pytest.fixture
def hub(network, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.ARCHITECTURES, "zoe_beit_l", TINY)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 1)
    with serving({FILE: save(to_transformers(network.state_dict()))}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_the_keys_go_there_and_back(network):
    there = to_transformers(network.state_dict())
    assert all(key.startswith(("backbone.", "neck.", "relative_head.", "metric_head.")) for key in there)
    back = from_transformers(there, "a file")
    for key, value in network.state_dict().items():
        if not key.startswith("encoder.model.fc_norm."):
            assert torch.equal(back.pop(key), value), key
    assert back == {}


def test_two_heads_and_their_router_go_there_and_back():
    state = create_model("zoe_nk_beit_l", **TINY.model_dump(include={"encoder", "input_size", "decoder_channels"}))
    state = {key: value for key, value in state.state_dict().items() if not key.startswith("encoder.model.fc_norm.")}
    there = to_transformers(state, heads=2)
    assert any(key.startswith("metric_head.attractors.kitti.") for key in there)
    assert any("self_attn.key" in key for key in there)
    back = from_transformers(there, "a file")
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_a_network_that_transformers_does_not_have_is_refused():
    state = create_model("zoe_distill_lite0", input_size=(64, 64)).state_dict()
    with pytest.raises(ZDError, match="only models with BEiT can be converted"):
        to_transformers(state)


def test_a_name_is_enough_and_the_second_time_no_network_is_needed(hub, network):
    said = []
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    expected = ZoeDepthModel(network)(picture, Inference(full_size=True))
    model = chosen_model("zoe_beit_l", say=said.append)
    np.testing.assert_array_equal(model(picture, Inference(full_size=True)), expected)
    assert len(said) == 1
    assert "MIT" in said[0]
    assert hub.url in said[0]
    count = len(hub.requests)
    chosen_model("zoe_beit_l", say=said.append)
    assert (len(said), len(hub.requests)) == (1, count)


def test_a_redirect_to_another_address_is_followed(hub, network):
    hub.files["/blob"] = hub.files.pop(FILE)
    hub.redirects[FILE] = "/blob"  # as the hub does for a renamed repository
    assert chosen_model("zoe_beit_l", say=lambda _: None).network.config == network.config


def test_a_broken_download_leaves_no_weights_and_the_next_one_is_whole(hub, tmp_path, network):
    hub.break_after = 1000
    with pytest.raises(ZDError, match=r"cannot be downloaded .* name it with --weights FILE"):
        chosen_model("zoe_beit_l", say=lambda _: None)
    assert not list((tmp_path / "cache").rglob("model.safetensors"))
    hub.break_after = None
    loaded = chosen_model("zoe_beit_l", say=lambda _: None).network.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items() if "fc_norm" not in key)


def test_another_content_than_the_stated_one_is_refused_and_removed(hub, tmp_path):
    hub.etag = "0" * 64
    with pytest.raises(ZDError, match=r"not 000000000000, and is removed: run the command again"):
        chosen_model("zoe_beit_l", say=lambda _: None)
    assert not list((tmp_path / "cache").rglob("model.safetensors"))
    hub.etag = None
    chosen_model("zoe_beit_l", say=lambda _: None)
    assert [path.parent.name for path in (tmp_path / "cache").rglob("model.safetensors")] == [COMMIT]


@pytest.mark.parametrize("fault", ["closed", "missing", "offline"])
def test_without_the_hub_one_line_says_what_to_do(hub, monkeypatch, fault):
    if fault == "closed":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if fault == "missing":
        hub.files.clear()
    if fault == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ZDError, match=r"model\.safetensors: cannot be downloaded .* get it by hand") as refused:
        chosen_model("zoe_beit_l", say=lambda _: None)
    assert "\n" not in str(refused.value)


def test_a_file_got_by_hand_is_known_by_its_keys(hub, tmp_path):
    path = tmp_path / "by_hand.safetensors"
    path.write_bytes(hub.files[FILE])
    assert is_transformers(path)
    load_depth_model(path, "zoe_beit_l")
    with pytest.raises(ZDError, match="name its architecture with --model"):
        transformers_network(path)
    with pytest.raises(ZDError, match="cannot be fetched by name: name a checkpoint with --weights"):
        chosen_model("zoe_swin2_b")
    with pytest.raises(ZDError, match="moon: no such model: choose one of zoe_light, meter_nyu"):
        chosen_model("moon")
