"""How well one picture explains another, and how smooth a disparity is: what depth is learnt from without depth.

Functions of images in [0, 1], one value per pixel: which pixels count, and how they are summed, is the losses' business
(`stereo`, `video`).
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Image = Float[Tensor, "b c h w"]
Map = Float[Tensor, "b 1 h w"]
C1, C2 = 0.01**2, 0.03**2


def ssim_loss(a: Image, b: Image) -> Image:
    """(1 - SSIM) / 2 in [0, 1], over means of 3×3 pixels of the reflected images.

    Source: Wang et al., "Image quality assessment", TIP 2004, with the uniform window of Godard et al., CVPR 2017.
    Variances are differences of large numbers: float32 is good to 2e-4.
    """
    a, b = (F.pad(image, (1, 1, 1, 1), mode="reflect") for image in (a, b))
    mean_a, mean_b = F.avg_pool2d(a, 3, 1), F.avg_pool2d(b, 3, 1)
    variance_a = F.avg_pool2d(a * a, 3, 1) - mean_a * mean_a
    variance_b = F.avg_pool2d(b * b, 3, 1) - mean_b * mean_b
    covariance = F.avg_pool2d(a * b, 3, 1) - mean_a * mean_b
    above = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    below = (mean_a * mean_a + mean_b * mean_b + C1) * (variance_a + variance_b + C2)
    return ((1 - above / below) / 2).clamp(0, 1)


def photometric_error(a: Image, b: Image, ssim_weight: float = 0.85) -> Map:
    """pe(a, b) = w · (1 - SSIM) / 2 + (1 - w) · |a - b|, means over colours (monodepth2, eq. 2).

    Args:
        a: prediction.
        b: target.
        ssim_weight: 0 leaves the absolute difference alone.
    """
    difference = (a - b).abs().mean(1, keepdim=True)
    if ssim_weight == 0:
        return difference
    return ssim_weight * ssim_loss(a, b).mean(1, keepdim=True) + (1 - ssim_weight) * difference


def minimum_reprojection(
    warped: Sequence[Map], unwarped: Sequence[Map] = (), average: bool = False
) -> tuple[Map, Bool[Tensor, "b 1 h w"]]:
    """The least error of all sources in each pixel, and whether it is that of a warped one (monodepth2, eqs. 4, 5).

    A pixel that a source explains as well without a warp as with one does not move against the camera: its error is
    then a constant and teaches nothing. So minimum and auto-mask are one.

    Args:
        warped: `photometric_error` of each source, warped, against the target.
        unwarped: that of each source as it is; none = no auto-mask.
        average: the mean over sources takes the place of the minimum, on both sides (monodepth2's ablation).

    Returns:
        The error, and True where it has a gradient. Of equal errors the unwarped one counts.
    """
    errors, still = torch.cat(list(warped), 1), torch.cat(list(unwarped), 1) if unwarped else None
    if average:
        errors = errors.mean(1, keepdim=True)
        still = None if still is None else still.mean(1, keepdim=True)
    count = 0 if still is None else still.shape[1]
    least, which = (errors if still is None else torch.cat([still, errors], 1)).min(1, keepdim=True)
    return least, which >= count


def edge_weights(image: Image, strength: float = 1.0) -> tuple[Float[Tensor, "b 1 h w1"], Float[Tensor, "b 1 h1 w"]]:
    """e^(-strength · mean over colours of |∂I|) between neighbours of a row, and of a column: small at edges."""
    dx, dy = (difference.abs().mean(1, keepdim=True) for difference in differences(image))
    return torch.exp(-strength * dx), torch.exp(-strength * dy)


def differences(values: Image) -> tuple[Float[Tensor, "b c h w1"], Float[Tensor, "b c h1 w"]]:
    """Each value's right neighbour less itself, and its lower neighbour less itself."""
    return values[..., :, 1:] - values[..., :, :-1], values[..., 1:, :] - values[..., :-1, :]


def edge_aware_smoothness(disparity: Map, image: Image, order: Literal[1, 2] = 1) -> Float[Tensor, " b"]:
    """Mean |∂ᵒd| · e^(-|∂I|) along rows, plus the same along columns, of each image (Godard et al., CVPR 2017, eq. 6).

    Args:
        disparity: `normalised` or not.
        image: of the same size.
        order: 1 = flat surfaces facing the camera are free; 2 = slanted planes are.
    """
    across, down = differences(disparity)
    weight_x, weight_y = edge_weights(image)
    if order == 2:
        across, down = across[..., 1:] - across[..., :-1], down[..., 1:, :] - down[..., :-1, :]
        # A curvature is spoilt by an edge on either side of its middle pixel.
        weight_x = torch.minimum(weight_x[..., 1:], weight_x[..., :-1])
        weight_y = torch.minimum(weight_y[..., 1:, :], weight_y[..., :-1, :])
    return (across.abs() * weight_x).mean((1, 2, 3)) + (down.abs() * weight_y).mean((1, 2, 3))


def normalised(disparity: Map) -> Map:
    """Divided by each image's mean, so that a smoothness cannot be had by shrinking (Wang et al., CVPR 2018)."""
    return disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)


def quadratic_smoothness(disparity: Map) -> Float[Tensor, " b"]:
    """Σ‖∇d‖² of each image, forward differences (Horn and Schunck 1981): Garg et al.'s prior."""
    across, down = differences(disparity)
    return across.square().sum((1, 2, 3)) + down.square().sum((1, 2, 3))
