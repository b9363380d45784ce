"""Inference on single pictures, as ZoeDepth's own `infer` does it."""

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import nn

from zdlib.models.zoe.network import ZoeDepth

Precision = Literal["fp32", "bf16"]


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Where products and convolutions are computed in bfloat16, if that is the precision; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def halve_weights(model: ZoeDepth) -> None:
    """Hold the weights of encoder and decoder in bfloat16, for good.

    Under autocast the depth stays the same to the last bit: that is what it makes of these weights anew at every call,
    a tenth of the time of a large network with a single image.
    """
    kept = {id(module) for part in model.encoder.in_full_precision() for module in part.modules()}
    for part in (model.encoder, model.decoder):
        for module in part.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and id(module) not in kept:
                module.to(torch.bfloat16)


class Border(NamedTuple):
    """Pixels of reflection added at each side: (top and bottom, left and right)."""

    rows: int
    columns: int


def border(height: int, width: int) -> Border:
    """ZoeDepth's: 3·√(side/2), rounded down."""
    return Border(*(int((side / 2) ** 0.5 * 3) for side in (height, width)))


@torch.inference_mode()
def predict_depth(
    model: ZoeDepth,
    image: UInt8[np.ndarray, "h w 3"],
    pad: bool = True,
    flip: bool = True,
    domain: int | None = None,
    precision: Precision = "fp32",
) -> Float32[np.ndarray, "h w"]:
    """Metric depth at the picture's own resolution, in the model's unit.

    Args:
        model: in eval mode.
        image: RGB.
        pad: surround the picture by its reflection, and cut the border off the depth again.
        flip: average with the prediction on the mirrored picture, mirrored back.
        domain: the head to use, of a model with several; None leaves it to the router.
        precision: bf16 is faster where the processor computes in it; `zdlib bench --group drift` measures what it
            does to metrics.
    """
    parameter = next(model.parameters())
    x = torch.from_numpy(image.copy()).to(parameter.device).permute(2, 0, 1)[None].to(parameter.dtype) / 255  # 1 3 h w
    height, width = x.shape[2:]
    rows, columns = border(height, width) if pad else Border(0, 0)
    if pad:
        x = F.pad(x, (columns, columns, rows, rows), mode="reflect")
    if flip:
        x = torch.cat([x, x.flip(3)])
    domains = None if domain is None else torch.full((len(x),), domain, device=x.device)
    with autocast(x.device, precision):
        depth = model(x, domains=domains).metric_depth.float()
    depth = F.interpolate(depth, size=x.shape[2:], mode="bicubic", align_corners=False)
    if flip:
        depth = (depth[:1] + depth[1:].flip(3)) / 2
    return depth[0, 0, rows : rows + height, columns : columns + width].float().cpu().numpy()
