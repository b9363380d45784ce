"""Losses of relative depth, usually inverse: each image is compared up to a scale and a shift of its own.

Where processes train together, "the batch" is that of all of them.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from zdlib.distributed import mean_over_processes, sum_over_processes

Map = Float[Tensor, "b 1 h w"]
Mask = Bool[Tensor, "b 1 h w"]
LEAST_DEVIATION = 1e-6  # an image that deviates less from its median is constant, and becomes 0


def scale_shift_invariant_loss(prediction: Map, target: Map, mask: Mask) -> Float[Tensor, ""]:
    """½ · mean squared residual after the prediction's best affine fit to the target (MiDaS' "ssimse").

    Source: Ranftl et al., "Towards robust monocular depth estimation", TPAMI 2022, eqs. 1 to 4.

    Args:
        prediction: any affine function of the target's quantity.
        target: e.g. inverse depth.
        mask: True where the target is valid; at least two pixels of different prediction per image.
    """
    m = mask.to(prediction.dtype)
    count = m.sum((1, 2, 3), keepdim=True)
    mean_p = (prediction * m).sum((1, 2, 3), keepdim=True) / count
    mean_t = (target * m).sum((1, 2, 3), keepdim=True) / count
    p, t = (prediction - mean_p) * m, (target - mean_t) * m
    scale = (p * t).sum((1, 2, 3), keepdim=True) / p.square().sum((1, 2, 3), keepdim=True)
    return mean_over_processes((scale * p - t).square().sum((1, 2, 3)) / (2 * count[:, 0, 0, 0]))


def affine_invariant_loss(prediction: Map, target: Map, mask: Mask, trim: float = 0.0) -> Float[Tensor, ""]:
    """Mean absolute difference of the two maps after `standardise`: over each image, then over the batch.

    Source: Yang et al., "Depth Anything", CVPR 2024, eqs. 1 to 3 (no trim). With `trim` 0.2, twice MiDaS'
    "ssitrim" (Ranftl et al. 2022, eqs. 5 to 7): an image's largest residuals count 0, as outliers of the
    target.

    Args:
        prediction: any affine function, of positive scale, of the target's quantity.
        target: e.g. inverse depth.
        mask: True where the target is valid; an image without such a pixel counts 0.
        trim: share of the pixels of an image to leave out.
    """
    residuals = (standardise(prediction, mask) - standardise(target, mask)).abs()
    losses = []
    for values in (r[m] for r, m in zip(residuals, mask, strict=True)):
        kept = len(values) - int(trim * len(values))
        losses.append(values.sort().values[:kept].sum() / max(1, len(values)))
    return mean_over_processes(torch.stack(losses))


def standardise(values: Map, mask: Mask) -> Map:
    """Each image less its median and divided by its mean absolute deviation from it; 0 outside the mask."""
    images = []
    for image, valid in zip(values, mask, strict=True):
        inside = image[valid]
        if len(inside) == 0:
            images.append(torch.zeros_like(image))
            continue
        centred = image - inside.median()
        deviation = centred[valid].abs().mean().clamp(min=LEAST_DEVIATION)
        images.append(torch.where(valid, centred / deviation, 0))
    return torch.stack(images)


def gradient_matching_loss(prediction: Map, target: Map, mask: Mask, scales: int = 4) -> Float[Tensor, ""]:
    """Mean over the batch's valid pixels of |∂x R| + |∂y R|, R = prediction − target, at several resolutions.

    The means of all resolutions, each half the one before, are summed. Source: Li and Snavely, "MegaDepth",
    CVPR 2018; in the form of Ranftl et al. 2022, eq. 11 (4 scales, every second pixel each). Align prediction
    and target first if they are relative.
    """
    difference = (prediction - target) * mask
    total = prediction.new_zeros(())
    for level in range(scales):
        d, m = difference[..., :: 2**level, :: 2**level], mask[..., :: 2**level, :: 2**level]
        dx = (d[..., 1:] - d[..., :-1]).abs() * (m[..., 1:] & m[..., :-1])
        dy = (d[..., 1:, :] - d[..., :-1, :]).abs() * (m[..., 1:, :] & m[..., :-1, :])
        total = total + sum_over_processes(dx.sum() + dy.sum()) / sum_over_processes(m.sum()).clamp(min=1)
    return total
