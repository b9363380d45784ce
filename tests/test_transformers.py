"""Against a second reference that others wrote: ZoeDepth in Hugging Face `transformers`, with random weights.

Common ground is a BEiT (so small that it is fast), DPT, and softplus or normed bins with inverse attractors, for one
domain and for two with the router. Like the authors' code, and unlike what its own configuration says, transformers
never passes `attractor_alpha` on (300 is what runs), gives each level of a model with two domains 16 attractors, keeps
the normed attractors unnormalised, and routes a batch as a whole. It has no exponential attractors, hybrid bins,
splitter or labels, resizes nothing inside the model, and its BEiT carries no unused last normalisation.
"""

import re
import socket
from collections import defaultdict

import pytest
import torch
from golden_models import relative_error
from tiny_models import NATIVE, enliven
from torch import Tensor
from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation

from zdlib.models import ZoeDepth, create_model
from zdlib.models.architecture import Domain
from zdlib.models.checkpoints import load_exactly

NYU, KITTI = Domain(name="nyu"), Domain(name="kitti", max_depth=80.0)
# Key there → key here. Parts of one tensor here are numbered (#0, #1, #2) and joined in this order.
BLOCK, THEIR_BLOCK = r"encoder.model.blocks.\1.", r"backbone\.beit\.layers\.(\d)\."
ROUTER, THEIR_ROUTER = r"head.router.layers.\1.", r"metric_head\.patch_transformer\.transformer_encoder\.(\d)\."
RULES = (
    (r"backbone\.beit\.embeddings\.cls_token", "encoder.model.cls_token"),
    (r"backbone\.beit\.embeddings\.patch_embeddings\.projection\.", "encoder.model.patch_embed.proj."),
    (THEIR_BLOCK + r"lambda_(\d)", BLOCK + r"gamma_\2"),
    (THEIR_BLOCK + r"layernorm_before\.", BLOCK + "norm1."),
    (THEIR_BLOCK + r"layernorm_after\.", BLOCK + "norm2."),
    (THEIR_BLOCK + r"mlp\.", BLOCK + "mlp."),
    (THEIR_BLOCK + r"attention\.q_proj\.weight", BLOCK + "attn.qkv.weight#0"),
    (THEIR_BLOCK + r"attention\.k_proj\.weight", BLOCK + "attn.qkv.weight#1"),
    (THEIR_BLOCK + r"attention\.v_proj\.weight", BLOCK + "attn.qkv.weight#2"),
    (THEIR_BLOCK + r"attention\.([qv])_proj\.bias", BLOCK + r"attn.\2_bias"),
    (THEIR_BLOCK + r"attention\.o_proj\.", BLOCK + "attn.proj."),
    (
        THEIR_BLOCK + r"relative_position_bias\.relative_position_bias_table",
        BLOCK + "attn.relative_position_bias_table",
    ),
    (r"neck\.reassemble_stage\.readout_projects\.(\d)\.0\.", r"encoder.reassemble.\1.readout."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"encoder.reassemble.\1.project."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"encoder.reassemble.\1.resample."),
    (r"neck\.convs\.(\d)\.", r"decoder.reduce.\1."),
    *(
        (rf"neck\.fusion_stage\.layers\.{3 - level}\.{theirs}", rf"decoder.fuse.{level}.{ours}")
        for level in range(4)  # theirs starts at the coarsest
        for theirs, ours in (
            (r"projection\.", "project."),
            (r"residual_layer1\.convolution(\d)", r"skip_unit.conv\1"),
            (r"residual_layer2\.convolution(\d)", r"unit.conv\1"),
        )
    ),
    (r"relative_head\.conv1\.", "decoder.out_half."),
    (r"relative_head\.conv2\.", "decoder.out_fine."),
    (r"relative_head\.conv3\.", "decoder.out_depth."),
    (r"metric_head\.conv2\.", "head.conv."),
    *(
        (rf"metric_head\.{theirs}\.conv{number}\.", f"head.{ours}.{layer}.")
        for number, layer in ((1, 0), (2, 2))
        for theirs, ours in (
            ("seed_bin_regressor", "seed_bins.0"),
            (r"seed_bin_regressors\.nyu", "seed_bins.0"),
            (r"seed_bin_regressors\.kitti", "seed_bins.1"),
            ("seed_projector", "seed_projector.0"),
            (r"projectors\.(\d)", r"projectors.\1.0"),
            (r"attractors\.(\d)", r"refiners.\1.0"),
            (r"attractors\.nyu\.(\d)", r"refiners.\1.0"),
            (r"attractors\.kitti\.(\d)", r"refiners.\1.1"),
        )
    ),
    (r"metric_head\.conditional_log_binomial\.mlp\.", "head.output.0."),
    (r"metric_head\.conditional_log_binomial\.nyu\.mlp\.", "head.output.0."),
    (r"metric_head\.conditional_log_binomial\.kitti\.mlp\.", "head.output.1."),
    (r"metric_head\.patch_transformer\.embedding_convPxP\.", "head.router.embed."),
    (THEIR_ROUTER + r"self_attn\.query\.(\w+)", ROUTER + r"self_attn.in_proj_\2#0"),
    (THEIR_ROUTER + r"self_attn\.key\.(\w+)", ROUTER + r"self_attn.in_proj_\2#1"),
    (THEIR_ROUTER + r"self_attn\.value\.(\w+)", ROUTER + r"self_attn.in_proj_\2#2"),
    (THEIR_ROUTER + r"(self_attn\.out_proj|linear\d|norm\d)\.", ROUTER + r"\2."),
    (r"metric_head\.mlp_classifier\.linear1\.", "head.router.classifier.0."),
    (r"metric_head\.mlp_classifier\.linear2\.", "head.router.classifier.2."),
)


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


def mapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their state dict under our keys; a key that no rule or more than one takes is an error."""
    parts = defaultdict(dict)
    for key, value in tensors.items():
        (found,) = {re.sub(f"^{theirs}", ours, key) for theirs, ours in RULES if re.match(theirs, key)}
        name, _, number = found.partition("#")
        assert number not in parts[name], name
        parts[name][number] = value
    return {name: torch.cat([part[number] for number in sorted(part)]) for name, part in parts.items()}


def ours(model: ZoeDepthForDepthEstimation, size: tuple[int, int], name: str, **changes: object) -> ZoeDepth:
    own = create_model(name, encoder="beit_test_patch16_64", input_size=size, keep_aspect_ratio=False, **changes)
    unused = {key: value for key, value in own.state_dict().items() if key.startswith("encoder.model.fc_norm.")}
    load_exactly(own, mapped(model.state_dict()) | unused, "transformers")
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


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (128, 32)], ids=str)
@pytest.mark.parametrize(
    ("kind", "bin_type", "domain"), [("mean", "softplus", NYU), ("sum", "softplus", NYU), ("mean", "normed", KITTI)]
)
def test_one_domain(size, kind, bin_type, domain):
    reference = theirs((domain,), seed=1, attractor_kind=kind, bin_centers_type=bin_type)
    own = ours(reference, size, "zoe_beit_b", attractor_kind=kind, bin_type=bin_type, domains=(domain,))
    compare(reference, own, torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2)))


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
