"""Against a second reference that others wrote: ZoeDepth in Hugging Face `transformers`, with random weights.

Common ground is a BEiT (so small that it is fast), DPT, and softplus or normed bins with inverse attractors, for one
domain and for two with the router. Like the authors' code, and unlike what its own configuration says, transformers
never passes `attractor_alpha` on (300 is what runs), gives each level of a model with two domains 16 attractors, keeps
the normed attractors unnormalised, and routes a batch as a whole. It has no exponential attractors, hybrid bins,
splitter or labels, resizes nothing inside the model, and its BEiT carries no unused last normalisation.
"""

import socket

import pytest
import torch
from golden_models import relative_error
from tiny_models import NATIVE, enliven
from torch import Tensor
from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation

from zdlib.errors import ZDError
from zdlib.models.checkpoints import load_exactly
from zdlib.models.factory import create_model
from zdlib.models.zoe.architecture import Domain
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.transformers_keys import from_transformers, into_transformers

NYU, KITTI = Domain(name="nyu"), Domain(name="kitti", max_depth=80.0)


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))


def theirs(domains: tuple[Domain, ...], seed: int, **changes: object) -> ZoeDepthForDepthEstimation:
    backbone = BeitConfig(
        image_size=NATIVE, num_hidden_layers=4, hidden_size=64, intermediate_size=256, num_attention_heads=2,
        layer_norm_eps=1e-6, use_relative_position_bias=True, reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    bins = [{"name": d.name, "n_bins": 64, "min_depth": d.min_depth, "max_depth": d.max_depth} for d in domains]
    router = {"num_patch_transformer_layers": 4, "patch_transformer_hidden_size": 128}
    router |= {"patch_transformer_intermediate_size": 1024, "patch_transformer_num_attention_heads": 4}
    config = ZoeDepthConfig(
        backbone_config=backbone, neck_hidden_sizes=[8, 16, 32, 64], bin_configurations=bins, **router, **changes
    )
    model = ZoeDepthForDepthEstimation(config).eval()
    enliven(model, seed)
    return model


def ours(model: ZoeDepthForDepthEstimation, size: tuple[int, int], name: str, **changes: object) -> ZoeDepth:
    own = create_model(name, encoder="beit_test_patch16_64", input_size=size, keep_aspect_ratio=False, **changes)
    unused = {key: value for key, value in own.state_dict().items() if key.startswith("encoder.model.fc_norm.")}
    load_exactly(own, from_transformers(model.state_dict(), "transformers") | unused, "transformers")
    return own


def compare(reference: ZoeDepthForDepthEstimation, own: ZoeDepth, images: Tensor) -> Tensor | None:
    """Returns the domain logits, after checking them and the depth."""
    # Without rounding they are the same function; with it, differences grow where the temperature is small.
    for dtype, limit in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        with torch.no_grad():
            x = images.to(dtype)
            expected, found = reference.to(dtype)(2 * x - 1), own.to(dtype)(x)
        assert expected.predicted_depth.std() > 0.05  # metres: not a constant
        assert relative_error(found.metric_depth[:, 0].numpy(), expected.predicted_depth.numpy()) < limit
        if expected.domain_logits is not None:
            torch.testing.assert_close(found.domain_logits, expected.domain_logits, rtol=1e-4, atol=1e-5)
    return found.domain_logits


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (128, 32)], ids=str)
@pytest.mark.parametrize(
    ("kind", "bin_type", "domain"), [("mean", "softplus", NYU), ("sum", "softplus", NYU), ("mean", "normed", KITTI)]
)
def test_one_domain(size, kind, bin_type, domain):
    reference = theirs((domain,), seed=1, attractor_kind=kind, bin_centers_type=bin_type)
    own = ours(reference, size, "zoe_beit_b", attractor_kind=kind, bin_type=bin_type, domains=(domain,))
    compare(reference, own, torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2)))


@pytest.mark.slow
@pytest.mark.parametrize("winner", ["nyu", "kitti"])
def test_two_domains_and_the_router(winner):
    reference = theirs((NYU, KITTI), seed=3, num_attractors=[16, 16, 16, 16])
    wanted = ["nyu", "kitti"].index(winner)
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(4))
    bias = reference.metric_head.mlp_classifier.linear2.bias
    with torch.no_grad():
        logits = reference(2 * images - 1).domain_logits.sum(0)
        bias[wanted] += (logits[1 - wanted] - logits[wanted]).clamp(min=0) / len(images) + 0.1
    logits = compare(reference, ours(reference, (64, 96), "zoe_nk_beit_l", routing="batch"), images)
    assert logits.sum(0).argmax() == wanted
    # One image is a batch and an image.
    compare(reference, ours(reference, (64, 96), "zoe_nk_beit_l"), images[wanted : wanted + 1])


def test_unknown_keys_are_named():
    with pytest.raises(ZDError, match=r"^a file: keys that ZoeDepth in transformers does not have: b, y\.z$"):
        from_transformers({"y.z": torch.ones(1), "metric_head.conv2.bias": torch.ones(1), "b": torch.ones(1)}, "a file")


def test_there_and_back():
    reference = theirs((NYU,), seed=5)
    tensors = ours(reference, (64, 64), "zoe_beit_b").state_dict()
    other = theirs((NYU,), seed=6)
    into_transformers(other, tensors)
    for key, value in reference.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key
    del tensors["head.conv.bias"]
    with pytest.raises(ZDError, match=r"head\.conv\.bias: missing, or of another shape"):
        into_transformers(other, tensors)
