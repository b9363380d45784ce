"""ZoeDepth's checkpoints as Hugging Face `transformers` names their tensors.

The networks are the same functions; only names differ, and some tensors here are several there.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor, nn

from zdlib.errors import ZDError

# Key there → key here. Parts of one tensor here are numbered (#0, #1, #2) and joined in this order.
_BLOCK, _THEIR_BLOCK = r"encoder.model.blocks.\1.", r"backbone\.beit\.layers\.(\d+)\."
_ROUTER, _THEIR_ROUTER = r"head.router.layers.\1.", r"metric_head\.patch_transformer\.transformer_encoder\.(\d)\."
_RULES = (
    (r"backbone\.beit\.embeddings\.cls_token", "encoder.model.cls_token"),
    (r"backbone\.beit\.embeddings\.patch_embeddings\.projection\.", "encoder.model.patch_embed.proj."),
    (_THEIR_BLOCK + r"lambda_(\d)", _BLOCK + r"gamma_\2"),
    (_THEIR_BLOCK + r"layernorm_before\.", _BLOCK + "norm1."),
    (_THEIR_BLOCK + r"layernorm_after\.", _BLOCK + "norm2."),
    (_THEIR_BLOCK + r"mlp\.", _BLOCK + "mlp."),
    (_THEIR_BLOCK + r"attention\.q_proj\.weight", _BLOCK + "attn.qkv.weight#0"),
    (_THEIR_BLOCK + r"attention\.k_proj\.weight", _BLOCK + "attn.qkv.weight#1"),
    (_THEIR_BLOCK + r"attention\.v_proj\.weight", _BLOCK + "attn.qkv.weight#2"),
    (_THEIR_BLOCK + r"attention\.([qv])_proj\.bias", _BLOCK + r"attn.\2_bias"),
    (_THEIR_BLOCK + r"attention\.o_proj\.", _BLOCK + "attn.proj."),
    (
        _THEIR_BLOCK + r"relative_position_bias\.relative_position_bias_table",
        _BLOCK + "attn.relative_position_bias_table",
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
    (_THEIR_ROUTER + r"self_attn\.query\.(\w+)", _ROUTER + r"self_attn.in_proj_\2#0"),
    (_THEIR_ROUTER + r"self_attn\.key\.(\w+)", _ROUTER + r"self_attn.in_proj_\2#1"),
    (_THEIR_ROUTER + r"self_attn\.value\.(\w+)", _ROUTER + r"self_attn.in_proj_\2#2"),
    (_THEIR_ROUTER + r"(self_attn\.out_proj|linear\d|norm\d)\.", _ROUTER + r"\2."),
    (r"metric_head\.mlp_classifier\.linear1\.", "head.router.classifier.0."),
    (r"metric_head\.mlp_classifier\.linear2\.", "head.router.classifier.2."),
)


def from_transformers(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Their state dict under our keys.

    BEiT's last normalisation, which no output depends on, is not in it.

    Raises:
        ZDError: a key that is not known; all of them are named.
    """
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    unknown = []
    for key, value in tensors.items():
        found = {re.sub(f"^{theirs}", ours, key) for theirs, ours in _RULES if re.match(theirs, key)}
        if len(found) != 1:
            unknown.append(key)
            continue
        name, _, number = found.pop().partition("#")
        parts[name][number] = value
    if unknown:
        raise ZDError(f"{where}: keys that ZoeDepth in transformers does not have: {', '.join(sorted(unknown))}")
    return {name: torch.cat([part[number] for number in sorted(part)]) for name, part in parts.items()}


def into_transformers(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill a ZoeDepth of transformers from our state dict: the reverse of `from_transformers`.

    Raises:
        ZDError: a tensor is missing or of another shape.
    """
    sizes: dict[str, list[tuple[str, int, Tensor]]] = defaultdict(list)
    for key, value in model.state_dict().items():
        found = next(re.sub(f"^{theirs}", ours, key) for theirs, ours in _RULES if re.match(theirs, key))
        name, _, number = found.partition("#")
        sizes[name].append((number, len(value), value))
    for name, theirs_parts in sizes.items():
        if name not in tensors or len(tensors[name]) != sum(size for _, size, _ in theirs_parts):
            raise ZDError(f"{name}: missing, or of another shape than transformers has it")
        ordered = sorted(theirs_parts, key=lambda part: part[0])
        for (_, _, target), part in zip(ordered, tensors[name].split([size for _, size, _ in ordered]), strict=True):
            target.copy_(part)


def to_transformers(tensors: Mapping[str, Tensor], heads: int = 1) -> dict[str, Tensor]:
    """Our state dict under the keys of transformers: the reverse of `from_transformers`.

    Args:
        tensors: of a ZoeDepth with a BEiT encoder and the released kinds of layers.
        heads: how many metric heads it has; those of two are called nyu and kitti.

    Raises:
        ZDError: a tensor that ZoeDepth in transformers has no place for.
    """
    names = _their_names(heads > 1)
    renamed: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key.startswith("encoder.model.fc_norm."):  # no output depends on it, and it is not there
            continue
        if key not in names:
            raise ZDError(f"{key}: ZoeDepth in transformers has no such tensor: only models with BEiT can be converted")
        ordered = [name for _, name in sorted(names[key])]
        for name, part in zip(ordered, value.chunk(len(ordered)), strict=True):
            renamed[name] = part.contiguous()
    return renamed


# What the groups of the rules stand for.
_CHOICES = {
    r"(\d+)": [str(number) for number in range(24)],
    r"(\d)": [str(number) for number in range(10)],
    r"(\w+)": ["weight", "bias"],
    r"([qv])": ["q", "v"],
    r"(self_attn\.out_proj|linear\d|norm\d)": ["self_attn.out_proj", "linear1", "linear2", "norm1", "norm2"],
}


def _their_names(two_heads: bool) -> dict[str, list[tuple[str, str]]]:
    """For each name here the numbers and names of its parts there: the rules, with every group's every choice."""
    names: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for theirs, ours in _RULES:
        if theirs.startswith(_OF_ONE_HEAD if two_heads else _OF_TWO_HEADS):
            continue
        groups = re.findall("|".join(map(re.escape, _CHOICES)), theirs)
        for choice in product(*(_CHOICES[group] for group in groups)):
            name = theirs
            for group, text in zip(groups, choice, strict=True):
                name = name.replace(group, text, 1)
            name = name.replace("\\", "")
            for ending in _ENDINGS if name.endswith(".") else ("", ".weight", ".bias"):
                mine, _, number = re.sub(f"^{theirs}", ours, name + ending).partition("#")
                names[mine].append((number, name + ending))
    return names


# What follows a rule that ends in a dot: a layer's two tensors, or those of a small network's layers. Names that do not
# exist do no harm.
_ENDINGS = [f"{layer}{kind}" for layer in ("", "fc1.", "fc2.", "0.", "2.") for kind in ("weight", "bias")]
# Beginnings of the rules' patterns.
_OF_ONE_HEAD = (
    r"metric_head\.seed_bin_regressor\.",
    r"metric_head\.attractors\.(\d)",
    r"metric_head\.conditional_log_binomial\.mlp",
)
_OF_TWO_HEADS = (
    r"metric_head\.seed_bin_regressors\.",
    r"metric_head\.attractors\.nyu",
    r"metric_head\.attractors\.kitti",
    r"metric_head\.conditional_log_binomial\.nyu",
    r"metric_head\.conditional_log_binomial\.kitti",
)


def beit_large(size: tuple[int, int]) -> nn.Module:
    """ZoeD-M12-N (BEiT-L) as transformers builds it, for an input size; random weights, evaluation mode.

    Raises:
        ZDError: transformers is not installed.
    """
    try:
        from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation
    except ImportError as error:
        raise ZDError("transformers is not installed: pip install transformers") from error
    backbone = BeitConfig(  # type: ignore[call-arg]  # `out_features` is taken, and not declared
        image_size=384, num_hidden_layers=24, hidden_size=1024, intermediate_size=4096, num_attention_heads=16,
        layer_norm_eps=1e-6, use_relative_position_bias=True, reshape_hidden_states=False,
        out_features=["stage6", "stage12", "stage18", "stage24"],
    )  # fmt: skip
    bins = [{"name": "nyu", "n_bins": 64, "min_depth": 1e-3, "max_depth": 10.0}]
    config = ZoeDepthConfig(backbone_config=backbone, neck_hidden_sizes=[256, 512, 1024, 1024], bin_configurations=bins)
    return ZoeDepthForDepthEstimation(config).eval()
