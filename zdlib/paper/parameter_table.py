"""Parameters and multiply–adds of every model that this library builds, counted on it, beside published numbers."""

import functools
from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd
import torch
from torch import nn

from zdlib.config import ModelConfig
from zdlib.models.factory import build_model
from zdlib.models.inspection import count_parameters, multiply_adds
from zdlib.models.registry import architecture, list_models
from zdlib.models.zoe.network import ZoeDepth
from zdlib.paper import published
from zdlib.paper.rivals import AdaBins, NeWCRFs

# Name here → row of the quoted table (ZoeDepth's Table 17; the original README).
_QUOTED: Mapping[str, str] = MappingProxyType(
    {
        "zoe_beit_b": "ZoeDepth B-B",
        "zoe_beit_l": "ZoeDepth B-L",
        "zoe_distill_swin2_b": "Zoe-Distill (README)",
        "zoe_swin2_b": "ZoeDepth S2-B",
        "zoe_swin2_l": "ZoeDepth S2-L",
        "zoe_swin2_t": "ZoeDepth S2-T",
        "zoe_swin_l": "ZoeDepth S-L",
    }
)
_NYU_SIZE = (480, 640)  # what AdaBins and NeWCRFs are evaluated at
# Counted by building the original's own package (commit 512f0ad on timm 0.6.13); part → parameters.
_ORIGINAL: Mapping[str, int] = MappingProxyType(
    {
        "encoder": 87_918_816,
        "DPT decoder": 14_460_097,
        "bottleneck convolution": 65_792,
        "seed bins": 82_240,
        "seed embedding": 49_408,
        "four embeddings": 197_632,
        "attractors (16, 8, 4, 1)": 69_789,
        "log-binomial output": 13_284,
        "U-Net decoder (training only)": 2_875_072,
        "U-Net classifier (training only)": 2_030,
    }
)


def paper_parts() -> pd.DataFrame:
    """The paper's own network part by part: `part, original, here, difference`, with the totals."""
    model = _on_meta(architecture("zoe_distill_swin2_b"), segmentation=True)
    head, unet = model.head, model.unet
    assert unet is not None
    modules = (
        model.encoder,
        model.decoder,
        head.conv,
        head.seed_bins,
        head.seed_projector,
        head.projectors,
        head.refiners,
        head.output,
        unet.decoder,
        unet.classifier,
    )
    counted = {part: count_parameters(module) for part, module in zip(_ORIGINAL, modules, strict=True)}
    rows = [(part, _ORIGINAL[part], here) for part, here in counted.items()]
    rows.append(("in all (training)", sum(_ORIGINAL.values()), count_parameters(model)))
    only = count_parameters(unet)
    rows.append(("in all (inference)", sum(_ORIGINAL.values()) - 2_877_102, count_parameters(model) - only))
    table = pd.DataFrame(rows, columns=["part", "original", "here"])
    return table.assign(difference=table["here"] - table["original"])


def model_table() -> pd.DataFrame:
    """Every model of `list_models`: `model, network, input`, parameters by part, `published [M]`, multiply–adds.

    `U-Net` is what training adds; `in all` and the multiply–adds (billions, at the input size) are without it, as the
    network runs.
    """
    quoted = published.load("any", "parameters").set_index("method")["params_m"]
    rows = []
    for name in list_models():
        config = architecture(name)
        distilled = name.startswith("zoe_distill")
        model = _on_meta(config, segmentation=distilled)
        only = count_parameters(model.unet) if model.unet is not None else 0
        height, width = config.input_size
        rows.append(
            {
                "model": name,
                "network": config.encoder,
                "input": f"{height} × {width}",
                "encoder": count_parameters(model.encoder),
                "decoder": count_parameters(model.decoder),
                "head": count_parameters(model) - only - sum(map(count_parameters, (model.encoder, model.decoder))),
                "U-Net": only or None,
                "in all": count_parameters(model) - only,
                "published [M]": quoted.get(_QUOTED.get(name, ""), None),
                "multiply–adds [G]": _operations(config, distilled),
            }
        )
    return pd.DataFrame(rows).astype({"U-Net": "Int64"})


def comparison_table(profile_model: ModelConfig, title: str) -> pd.DataFrame:
    """The original README's parameter table, every row of it counted on a built network.

    Args:
        profile_model: one more model to count, the one of the profile.
        title: its name.

    Returns:
        `method, input, counted [M], published [M], gap [%], multiply–adds [G], built from`; a training row counts the
        U-Net's parameters, the multiply–adds are those of inference.
    """
    quoted = published.load("any", "parameters").set_index("method")["params_m"]
    millions = {str(method): float(value) for method, value in quoted.items()}
    rows: list[tuple[str, str, float, float | None, float, str]] = []

    def add(method: str, model: nn.Module, size: tuple[int, int], operations: float, stated: float | None) -> None:
        source = "zdlib.models" if isinstance(model, ZoeDepth) else "its paper"
        rows.append((method, f"{size[0]} × {size[1]}", count_parameters(model) / 1e6, stated, operations, source))

    def add_ours(method: str, config: ModelConfig, segmentation: bool, stated: float | None) -> None:
        model = _on_meta(config, segmentation)
        add(method, model, config.input_size, _operations(config, segmentation), stated)

    with torch.device("meta"):
        rivals = {"AdaBins": AdaBins(_NYU_SIZE), "NeWCRFs": NeWCRFs(_NYU_SIZE)}
    for method, rival in rivals.items():
        add(method, rival, _NYU_SIZE, multiply_adds(rival, _NYU_SIZE) / 1e9, millions[method])
    for name in ("zoe_swin2_b", "zoe_beit_l"):
        add_ours(_QUOTED[name], architecture(name), False, millions[_QUOTED[name]])
    stated = millions[_QUOTED["zoe_distill_swin2_b"]]
    for label, own, number in (
        ("Zoe-Distill", architecture("zoe_distill_swin2_b"), stated),
        (title, profile_model.model_copy(update={"encoder_weights": "none"}), None),
    ):
        add_ours(f"{label}, training", own, True, number)
        add_ours(f"{label}, inference", own, False, None)
    columns = ["method", "input", "counted [M]", "published [M]", "multiply–adds [G]", "built from"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(4, "gap [%]", 100 * (table["counted [M]"] / table["published [M]"] - 1))
    return table


@functools.cache
def _operations(config: ModelConfig, segmentation: bool) -> float:
    """Multiply–adds of inference, in billions; `segmentation` says whether the U-Net was built."""
    return multiply_adds(_on_meta(config, segmentation), config.input_size) / 1e9


def _on_meta(config: ModelConfig, segmentation: bool) -> ZoeDepth:
    """The model without values: counting a gigabyte of weights must not allocate one."""
    with torch.device("meta"):
        return build_model(config, segmentation)
