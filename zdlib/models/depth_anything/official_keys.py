"""The key map between our networks and the authors' checkpoints (`.pth`): V1, V2, V2 metric, and V1's `metric_depth`.

The map is one to one: what is read is written back as it was. Nothing is dropped but constants of the metric head,
which writing makes again.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from zdlib.errors import ZDError
from zdlib.models.depth_anything.architecture import MetricBinsConfig
from zdlib.models.depth_anything.network import DepthAnything, ZoeDepthAnything
from zdlib.models.zoe.official_keys import head_constants, head_rules

Network = DepthAnything | ZoeDepthAnything
CORE = "core.core."
DROPPED = (r"\.log_binomial_transform\.(k_idx|K_minus_1)$",)
MASK_TOKEN = "encoder.mask_token"  # never used; files that other programs wrote may lack it


def rules() -> list[tuple[str, str]]:
    """(pattern of our key, the authors' key) of encoder and decoder; the first pattern that matches applies."""
    head, scratch = "depth_head.", "depth_head.scratch."
    table = [(r"encoder\.mask_token", "pretrained.mask_token"), (r"encoder\.model\.(.*)", r"pretrained.\1")]
    for i in range(4):
        refine = rf"{scratch}refinenet{i + 1}."
        table += [
            (rf"encoder\.reassemble\.{i}\.readout\.(.*)", rf"{head}readout_projects.{i}.0.\1"),
            (rf"encoder\.reassemble\.{i}\.project\.(.*)", rf"{head}projects.{i}.\1"),
            (rf"encoder\.reassemble\.{i}\.resample\.(.*)", rf"{head}resize_layers.{i}.\1"),
            (rf"decoder\.reduce\.{i}\.(.*)", rf"{scratch}layer{i + 1}_rn.\1"),
            (rf"decoder\.fuse\.{i}\.skip_unit\.(.*)", rf"{refine}resConfUnit1.\1"),
            (rf"decoder\.fuse\.{i}\.unit\.(.*)", rf"{refine}resConfUnit2.\1"),
            (rf"decoder\.fuse\.{i}\.project\.(.*)", rf"{refine}out_conv.\1"),
        ]
    outputs = {"out_half": "output_conv1", "out_fine": "output_conv2.0", "out_depth": "output_conv2.2"}
    return table + [(rf"decoder\.{ours}\.(.*)", rf"{scratch}{theirs}.\1") for ours, theirs in outputs.items()]


def official_keys(keys: Iterable[str], model: Network) -> dict[str, str]:
    """The authors' key of each of a network's own `keys`.

    Raises:
        ZDError: the authors' code cannot express the network: its encoder is no ViT.
    """
    config = model.config
    if isinstance(config, MetricBinsConfig):
        table = [(ours, CORE + theirs) for ours, theirs in rules()] + head_rules(config)
    elif config.is_vit:
        table = rules()
    else:
        raise ZDError(f"{config.encoder}: the authors' layout has no place for this encoder: keep .safetensors")
    return {key: next(re.sub(ours, theirs, key) for ours, theirs in table if re.fullmatch(ours, key)) for key in keys}


def from_official(model: Network, tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The authors' state dict under our keys.

    Raises:
        ZDError: a key that is neither mapped nor on the list of dropped ones.
    """
    state = model.state_dict()
    ours = {theirs: key for key, theirs in official_keys(state, model).items()}
    plain = {key.removeprefix("module."): value for key, value in tensors.items()}
    unknown = [key for key in plain if key not in ours and not any(re.search(pattern, key) for pattern in DROPPED)]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ZDError(f"{source}: not a checkpoint of this model: unknown keys {', '.join(unknown[:5])}{more}")
    return with_mask_token({ours[key]: value for key, value in plain.items() if key in ours}, state)


def with_mask_token(tensors: dict[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, with zeros for a mask token that is missing where the network has one."""
    if MASK_TOKEN in state and MASK_TOKEN not in tensors:
        tensors[MASK_TOKEN] = torch.zeros_like(state[MASK_TOKEN])
    return tensors


def to_official(model: Network) -> dict[str, Tensor]:
    """The network's state dict in the authors' layout, as their code loads it."""
    state = model.state_dict()
    tensors = {theirs: state[key].detach().clone() for key, theirs in official_keys(state, model).items()}
    config = model.config
    return tensors | head_constants(config) if isinstance(config, MetricBinsConfig) else tensors
