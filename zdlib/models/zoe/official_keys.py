"""The key map between our models and the authors' checkpoints (ZoeDepth on MiDaS v3.1, written with timm 0.6).

One table of rules, ours → theirs, applied to the keys of the model at hand. Every key of a foreign file must be one of
those, or match the list of dropped keys; the dropped ones are constants, which writing an official file makes again.
"""

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from zdlib.errors import ZDError
from zdlib.models.encoders.timm import BeitEncoder, relative_position_index
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.network import ZoeDepth

_CORE = "core.core."
# Constants that timm 0.6 and the log-binomial module store beside the weights.
DROPPED = (
    r"\.attn_mask$",
    r"\.relative_position_index$",
    r"\.relative_coords_table$",
    r"\.log_binomial_transform\.(k_idx|K_minus_1)$",
)


def _rules(config: Architecture) -> list[tuple[str, str]]:
    """(pattern of our key, official key); the first pattern that matches applies."""
    trunk, scratch = f"{_CORE}pretrained.model.", f"{_CORE}scratch."
    rules = []
    if config.encoder.startswith("swin"):
        # Today's timm merges patches at the start of a stage, timm 0.6 did at the end of the stage before.
        rules += [
            (rf"encoder\.model\.layers\.{i}\.downsample\.(.*)", rf"{trunk}layers.{i - 1}.downsample.\1")
            for i in range(1, 4)
        ]
        rules.append((r"encoder\.model\.head\.fc\.(.*)", rf"{trunk}head.\1"))
    rules.append((r"encoder\.model\.(.*)", rf"{trunk}\1"))
    for i in range(4):
        post = f"{_CORE}pretrained.act_postprocess{i + 1}."
        rules += [
            (rf"encoder\.reassemble\.{i}\.readout\.(.*)", rf"{post}0.project.0.\1"),
            (rf"encoder\.reassemble\.{i}\.project\.(.*)", rf"{post}3.\1"),
            (rf"encoder\.reassemble\.{i}\.resample\.(.*)", rf"{post}4.\1"),
            (rf"decoder\.reduce\.{i}\.(.*)", rf"{scratch}layer{i + 1}_rn.\1"),
            (rf"decoder\.fuse\.{i}\.skip_unit\.(.*)", rf"{scratch}refinenet{i + 1}.resConfUnit1.\1"),
            (rf"decoder\.fuse\.{i}\.unit\.(.*)", rf"{scratch}refinenet{i + 1}.resConfUnit2.\1"),
            (rf"decoder\.fuse\.{i}\.project\.(.*)", rf"{scratch}refinenet{i + 1}.out_conv.\1"),
        ]
    outputs = {"out_half": 0, "out_fine": 2, "out_depth": 4}
    rules += [(rf"decoder\.{name}\.(.*)", rf"{scratch}output_conv.{n}.\1") for name, n in outputs.items()]
    return rules + head_rules(config)


def head_rules(config: Architecture) -> list[tuple[str, str]]:
    """Those of the metric head, which is the same on every encoder."""
    rules = [
        (r"head\.conv\.(.*)", r"conv2.\1"),
        (r"head\.seed_projector\.0\.(.*)", r"seed_projector._net.\1"),
        (r"head\.projectors\.(\d)\.0\.(.*)", r"projectors.\1._net.\2"),
        (r"head\.router\.embed\.(.*)", r"patch_transformer.embedding_convPxP.\1"),
        (r"head\.router\.layers\.(.*)", r"patch_transformer.transformer_encoder.layers.\1"),
        (r"head\.router\.classifier\.(.*)", r"mlp_classifier.\1"),
    ]
    several = len(config.domains) > 1
    for d, domain in enumerate(config.domains):
        plural, name = ("s", f".{domain.name}") if several else ("", "")
        rules += [
            (rf"head\.seed_bins\.{d}\.(.*)", rf"seed_bin_regressor{plural}{name}._net.\1"),
            (rf"head\.refiners\.(\d)\.{d}\.(.*)", rf"attractors{name}.\1._net.\2"),
            (rf"head\.output\.{d}\.(.*)", rf"conditional_log_binomial{name}.mlp.\1"),
        ]
    return rules


def official_keys(keys: Iterable[str], config: Architecture) -> dict[str, str]:
    """Official key of each of a model's own `keys`; the U-Net's, which the official code lacks, are left out.

    Raises:
        ZDError: the authors' code cannot express the model (another encoder or head).
    """
    expressible = config.encoder.startswith(("swin", "beit_")) and config.decoder_channels == 256
    if not expressible or config.head != "attractor" or config.output != "log_binomial":
        raise ZDError(f"{config.encoder}: the official layout has no place for this model: keep .safetensors")
    rules = _rules(config)
    return {
        key: next(re.sub(ours, theirs, key) for ours, theirs in rules if re.fullmatch(ours, key))
        for key in keys
        if not key.startswith("unet.")
    }


def from_official(model: ZoeDepth, tensors: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """An official state dict (or MiDaS', which has no `core.core.` prefix) under our keys.

    Raises:
        ZDError: a key that is neither mapped nor on the list of dropped ones.
    """
    tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    if not any(key.startswith(_CORE) for key in tensors):
        tensors = {_CORE + key: value for key, value in tensors.items()}
    ours = {theirs: key for key, theirs in official_keys(model.state_dict(), model.config).items()}
    unknown = [k for k in tensors if k not in ours and not any(re.search(pattern, k) for pattern in DROPPED)]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ZDError(f"{source}: not a checkpoint of this model: unknown keys {', '.join(unknown[:5])}{more}")
    return {ours[key]: value for key, value in tensors.items() if key in ours}


def to_official(model: ZoeDepth) -> dict[str, Tensor]:
    """The model's state dict in the official layout, constants included, as the authors' code loads it."""
    state = model.state_dict()
    tensors = {theirs: state[key].detach().clone() for key, theirs in official_keys(state, model.config).items()}
    trunk = f"{_CORE}pretrained.model."
    if isinstance(model.encoder, BeitEncoder):
        for i, block in enumerate(model.encoder.model.blocks):
            tensors[f"{trunk}blocks.{i}.attn.relative_position_index"] = relative_position_index(block.attn.window_size)
    else:
        for i, stage in enumerate(model.encoder.model.layers):
            for j, block in enumerate(stage.blocks):
                prefix = f"{trunk}layers.{i}.blocks.{j}."
                mask = block.get_attn_mask(device=block.norm1.weight.device)
                if mask is not None:
                    tensors[f"{prefix}attn_mask"] = mask
                if model.config.encoder.startswith("swin_"):  # of Swin V2's constants timm 0.6 stored only the masks
                    tensors[f"{prefix}attn.relative_position_index"] = block.attn.relative_position_index.clone()
    return tensors | head_constants(model.config)


def head_constants(config: Architecture) -> dict[str, Tensor]:
    """What the metric head's log-binomial modules store beside their weights."""
    names = [f".{domain.name}" for domain in config.domains] if len(config.domains) > 1 else [""]
    tensors = {}
    for name in names:
        constants = f"conditional_log_binomial{name}.log_binomial_transform."
        tensors[constants + "k_idx"] = torch.arange(config.n_bins).view(1, -1, 1, 1)
        tensors[constants + "K_minus_1"] = torch.full((1, 1, 1, 1), float(config.n_bins - 1))
    return tensors
