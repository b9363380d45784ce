"""Depth Anything's checkpoints as Hugging Face `transformers` names their tensors (`depth-anything/…-hf` on its hub).

The networks are the same functions but for one thing: between the sizes of the position table, transformers samples it
at n / 37, the authors at (n + 0.1) / 37. Attention's one product is three tensors there.
"""

import re
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.models.depth_anything.architecture import DepthAnythingConfig
from zdlib.models.depth_anything.network import DepthAnything
from zdlib.models.depth_anything.official_keys import with_mask_token

_THEIR_BLOCK = r"backbone.encoder.layer.\1."
# Ours → theirs; of several names, the tensor is cut into so many equal parts.
_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"encoder\.mask_token", ("backbone.embeddings.mask_token",)),
    (r"encoder\.model\.cls_token", ("backbone.embeddings.cls_token",)),
    (r"encoder\.model\.pos_embed", ("backbone.embeddings.position_embeddings",)),
    (r"encoder\.model\.patch_embed\.proj\.(.*)", (r"backbone.embeddings.patch_embeddings.projection.\1",)),
    (r"encoder\.model\.norm\.(.*)", (r"backbone.layernorm.\1",)),
    (
        r"encoder\.model\.blocks\.(\d+)\.attn\.qkv\.(.*)",
        tuple(rf"{_THEIR_BLOCK}attention.attention.{part}.\2" for part in ("query", "key", "value")),
    ),
    (r"encoder\.model\.blocks\.(\d+)\.attn\.proj\.(.*)", (rf"{_THEIR_BLOCK}attention.output.dense.\2",)),
    (r"encoder\.model\.blocks\.(\d+)\.ls(\d)\.gamma", (rf"{_THEIR_BLOCK}layer_scale\2.lambda1",)),
    (r"encoder\.model\.blocks\.(\d+)\.(norm\d|mlp\.fc\d)\.(.*)", (rf"{_THEIR_BLOCK}\2.\3",)),
    (r"encoder\.reassemble\.(\d)\.project\.(.*)", (r"neck.reassemble_stage.layers.\1.projection.\2",)),
    (r"encoder\.reassemble\.(\d)\.resample\.(.*)", (r"neck.reassemble_stage.layers.\1.resize.\2",)),
    (r"decoder\.reduce\.(\d)\.(.*)", (r"neck.convs.\1.\2",)),
    *(
        (rf"decoder\.fuse\.{level}\.{ours}", (rf"neck.fusion_stage.layers.{3 - level}.{theirs}",))
        for level in range(4)  # theirs starts at the coarsest
        for ours, theirs in (
            (r"project\.(.*)", r"projection.\1"),
            (r"skip_unit\.conv(\d)\.(.*)", r"residual_layer1.convolution\1.\2"),
            (r"unit\.conv(\d)\.(.*)", r"residual_layer2.convolution\1.\2"),
        )
    ),
    (r"decoder\.out_half\.(.*)", (r"head.conv1.\1",)),
    (r"decoder\.out_fine\.(.*)", (r"head.conv2.\1",)),
    (r"decoder\.out_depth\.(.*)", (r"head.conv3.\1",)),
)
# What version 5 calls parts of a network that it has loaded; files keep the names above.
_LATER_NAMES = {
    ".attention.q_proj.": ".attention.attention.query.",
    ".attention.k_proj.": ".attention.attention.key.",
    ".attention.v_proj.": ".attention.attention.value.",
    ".attention.o_proj.": ".attention.output.dense.",
}


def transformers_keys(model: DepthAnything) -> dict[str, tuple[str, ...]]:
    """Their names of each of a network's tensors.

    Raises:
        ZDError: transformers cannot express it: another encoder than a ViT, or one that reads the class token.
    """
    config = model.config
    if not config.is_vit or config.class_token:
        raise ZDError(f"{config.encoder}: transformers has no such Depth Anything: keep .safetensors of this project")
    return {
        key: next(tuple(re.sub(ours, name, key) for name in names) for ours, names in _RULES if re.fullmatch(ours, key))
        for key in model.state_dict()
    }


def from_transformers(model: DepthAnything, tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Their state dict, of a file or of a network in memory, under our keys.

    Raises:
        ZDError: a key that is not known, or one part of several is missing.
    """
    plain = {_as_in_files(key): value for key, value in tensors.items()}
    names = transformers_keys(model)
    unknown = plain.keys() - {name for several in names.values() for name in several}
    if unknown:
        listed = ", ".join(sorted(unknown)[:5])
        raise ZDError(f"{source}: keys that this Depth Anything does not have in transformers: {listed}")
    ours = {}
    for key, parts in names.items():
        present = [plain[name] for name in parts if name in plain]
        if 0 < len(present) < len(parts):
            raise ZDError(f"{source}: {next(n for n in parts if n not in plain)} is missing: get the file again")
        if present:
            ours[key] = present[0] if len(parts) == 1 else torch.cat(present)
    return with_mask_token(ours, model.state_dict())


def to_transformers(model: DepthAnything) -> dict[str, Tensor]:
    """The network's state dict as transformers' files have it."""
    state = model.state_dict()
    return {
        name: part.detach().clone()
        for key, names in transformers_keys(model).items()
        for name, part in zip(names, state[key].chunk(len(names)), strict=True)
    }


def reference_network(config: DepthAnythingConfig) -> nn.Module:
    """A network of relative depth as transformers builds it, with random weights, in evaluation mode.

    Raises:
        ZDError: transformers is not installed, or has no such network.
    """
    try:
        import transformers
    except ImportError as error:
        raise ZDError("transformers is not installed: pip install transformers") from error
    if config.taps is None or config.channels is None or config.class_token or config.max_depth is not None:
        raise ZDError(f"{config.encoder}: transformers has no such Depth Anything: take a V1 or V2 of relative depth")
    vit: Any = timm.create_model(config.encoder, num_classes=0)
    backbone = transformers.Dinov2Config(  # type: ignore[call-arg]  # `out_indices` is taken, and not declared
        hidden_size=vit.embed_dim, num_hidden_layers=len(vit.blocks), num_attention_heads=vit.blocks[0].attn.num_heads,
        image_size=vit.patch_embed.img_size[0], patch_size=vit.patch_embed.patch_size[0],
        out_indices=[tap + 1 for tap in config.taps], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    described = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=vit.embed_dim, neck_hidden_sizes=list(config.channels),
        fusion_hidden_size=config.decoder_channels,
    )  # fmt: skip
    return transformers.DepthAnythingForDepthEstimation(described).eval()


def into_transformers(theirs: nn.Module, model: DepthAnything) -> None:
    """Fill a network of transformers with the weights of ours.

    Raises:
        ZDError: it is another network.
    """
    tensors = to_transformers(model)
    missing = [key for key in theirs.state_dict() if _as_in_files(key) not in tensors]
    if missing:
        raise ZDError(f"{model.config.encoder}: has no {missing[0]} for transformers' network: build the same one")
    theirs.load_state_dict({key: tensors[_as_in_files(key)] for key in theirs.state_dict()})


def is_transformers(keys: Mapping[str, Tensor]) -> bool:
    """Whether tensors are named as transformers does."""
    return "backbone.embeddings.cls_token" in keys


def _as_in_files(key: str) -> str:
    for later, name in _LATER_NAMES.items():
        key = key.replace(later, name)
    return key
