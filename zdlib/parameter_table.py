"""Parameters of every model that this library builds, counted on the built model, beside the published numbers."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd
import torch

from zdlib import published
from zdlib.anatomy import count_parameters
from zdlib.config import ModelConfig
from zdlib.models import ZoeDepth, build_model
from zdlib.models.registry import architecture, list_models

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
    """Every model of `list_models`: `model, encoder, input, …` parameters by part, `in all`, `published [M]`.

    `U-Net` is what training adds; `in all` is without it, as the network runs.
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
            }
        )
    return pd.DataFrame(rows).astype({"U-Net": "Int64"})


def comparison_table(profile_model: ModelConfig, title: str) -> pd.DataFrame:
    """The original README's parameter table, counted where this library builds the model, quoted elsewhere.

    Args:
        profile_model: one more model to count, the one of the profile.
        title: its name.

    Returns:
        `method, counted [M], published [M], how`.
    """
    quoted = published.load("any", "parameters").set_index("method")
    millions = {str(method): float(value) for method, value in quoted["params_m"].items()}
    rows: list[tuple[str, float | None, float | None, str]] = [
        (method, None, millions[method], f"quoted: {quoted['source'][method]}") for method in ("AdaBins", "NeWCRFs")
    ]
    for name in ("zoe_swin2_b", "zoe_beit_l"):
        _, alone = _totals(architecture(name), segmentation=False)
        rows.append((_QUOTED[name], alone, millions[_QUOTED[name]], "counted"))
    paper = architecture("zoe_distill_swin2_b")
    for label, config, stated in (
        ("Zoe-Distill", paper, millions[_QUOTED["zoe_distill_swin2_b"]]),
        (title, profile_model.model_copy(update={"encoder_weights": "none"}), None),
    ):
        training, alone = _totals(config, segmentation=True)
        rows.append((f"{label}, training", training, stated, "counted"))
        rows.append((f"{label}, inference", alone, None, "counted"))
    return pd.DataFrame(rows, columns=["method", "counted [M]", "published [M]", "how"])


def _totals(config: ModelConfig, segmentation: bool) -> tuple[float, float]:
    """Millions of parameters with and without the U-Net."""
    model = _on_meta(config, segmentation)
    only = 0 if model.unet is None else count_parameters(model.unet)
    return count_parameters(model) / 1e6, (count_parameters(model) - only) / 1e6


def _on_meta(config: ModelConfig, segmentation: bool) -> ZoeDepth:
    """The model without values: counting a gigabyte of weights must not allocate one."""
    with torch.device("meta"):
        return build_model(config, segmentation)
