"""Against a second reference that others wrote: Depth Anything in Hugging Face `transformers`, with random weights.

Its position table between the native sizes is sampled at n / side, the authors' at (n + 0.1) / side: at other sizes
than the native one the two agree if that tenth is left out here.
"""

import socket

import pytest
import torch
from safetensors.torch import load_file
from tiny_depth_anything import tiny_network
from tiny_models import enliven
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from zdlib.errors import ZDError
from zdlib.models.checkpoints import load_exactly
from zdlib.models.depth_anything.checkpoints import load_weights, network_of, save_transformers
from zdlib.models.depth_anything.registry import ARCHITECTURES
from zdlib.models.depth_anything.transformers_keys import from_transformers, to_transformers, transformers_keys
from zdlib.models.encoders import dinov2
from zdlib.models.layers.colours import imagenet


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))


def theirs(seed: int = 1, **changes: object) -> DepthAnythingForDepthEstimation:
    backbone = Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, neck_hidden_sizes=[8, 8, 16, 32], fusion_hidden_size=16,
        **changes,
    )  # fmt: skip
    model = DepthAnythingForDepthEstimation(config).eval()
    enliven(model, seed)
    return model


@pytest.mark.parametrize("size", [(56, 56), (70, 98), (28, 140)], ids=str)
@pytest.mark.parametrize("largest", [None, 20.0])
def test_the_same_weights_give_the_same_depth(size, largest, monkeypatch):
    if size != (56, 56):
        monkeypatch.setattr(dinov2, "TABLE_OFFSET", 0.0)
    kind = {} if largest is None else {"depth_estimation_type": "metric", "max_depth": 20}
    reference, model = theirs(**kind), tiny_network(max_depth=largest)
    load_exactly(model, from_transformers(model, reference.state_dict(), "transformers"), "transformers")
    with torch.no_grad():
        for last in (reference.head.conv3, model.decoder.out_depth):
            last.weight.mul_(0.1)  # neither dead nor saturated
            last.bias.fill_(0.5)
        images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2))
        expected = reference(imagenet(images)).predicted_depth
        found = model(images).depth[:, 0]
    assert expected.std() > 0.05 * expected.max()
    assert (found - expected).abs().max() < 1e-5 * (expected.max() - expected.min())


def test_a_file_goes_there_and_back(tmp_path):
    reference = theirs()
    reference.save_pretrained(tmp_path / "theirs")
    model = tiny_network(seed=5)
    load_weights(model, tmp_path / "theirs" / "model.safetensors")
    save_transformers(tmp_path / "back.safetensors", model)
    before, after = load_file(tmp_path / "theirs" / "model.safetensors"), load_file(tmp_path / "back.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    (tmp_path / "theirs" / "model.safetensors").write_bytes((tmp_path / "back.safetensors").read_bytes())
    again = DepthAnythingForDepthEstimation.from_pretrained(tmp_path / "theirs")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in reference.state_dict().items())


def test_what_does_not_fit_is_named():
    model = tiny_network()
    tensors = to_transformers(model)
    with pytest.raises(ZDError, match=r"^a file: keys that this Depth Anything does not have in transformers: x\.y$"):
        from_transformers(model, tensors | {"x.y": torch.zeros(1)}, "a file")
    key = "backbone.encoder.layer.2.attention.attention.key.bias"
    del tensors[key]
    with pytest.raises(ZDError, match=f"^a file: {key} is missing"):
        from_transformers(model, tensors, "a file")
    for other in (tiny_network(class_token=True), network_of(ARCHITECTURES["depth_anything_lite0"])):
        with pytest.raises(ZDError, match="transformers has no such Depth Anything"):
            transformers_keys(other)


def test_a_missing_mask_token_is_none(tmp_path):
    model = tiny_network()
    tensors = to_transformers(model)
    del tensors["backbone.embeddings.mask_token"]
    assert not from_transformers(model, tensors, "a file")["encoder.mask_token"].any()
