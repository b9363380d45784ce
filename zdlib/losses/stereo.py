"""Garg et al.'s losses of a rectified pair: the target is the source, read at x + sign · disparity along its row.

Source: Garg, Vijay Kumar, Carneiro and Reid, "Unsupervised CNN for single view depth estimation: geometry to the
rescue", ECCV 2016, eqs. 1 to 5.

The sign is the pair's: of a left target and a right source, both of true names, the match lies to the left, so it is
-1; the other way about, +1. (The paper writes x + fB/d; the pairs that its repository shows need +1, so what is called
left there is the right camera.)
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from zdlib.cameras import pixel_grid
from zdlib.errors import ZDError
from zdlib.losses.photometric import Image, Map

Derivative = Literal["exact", "linearised", "authors"]


@dataclass(frozen=True)
class RowWarp:
    """A source as its target sees it.

    Attributes:
        image: read between two neighbours of a row; beyond the border, the border's pixel. Its gradient on the
            disparity is the exact one.
        slope: right neighbour less left one, 0 beyond the border: the image's derivative by position. No gradient.
        valid: whether both neighbours are in the picture.
    """

    image: Image
    slope: Image
    valid: Bool[Tensor, "b 1 h w"]


def warp_rows(source: Image, disparity: Map, sign: float = -1.0) -> RowWarp:
    """Read a source along its rows at x + sign · disparity.

    Args:
        source: without a gradient of its own.
        disparity: pixels of this very grid.
        sign: see the module.

    Raises:
        ZDError: a disparity is not finite.
    """
    if not torch.isfinite(disparity).all():
        raise ZDError("warp: a disparity is NaN or infinite: lower train.lr, or inspect the frames of this step")
    height, width = disparity.shape[2:]
    position = pixel_grid(height, width, disparity)[0] + sign * disparity
    # Far outside, a position may be larger than any integer.
    left = position.detach().clamp(-2, width + 1).floor()
    share = position - left
    first, second = (source.gather(3, (left + step).clamp(0, width - 1).long().expand_as(source)) for step in (0, 1))
    slope = (second - first).detach()
    # Exactly on the last column the right neighbour is outside, though it would have no weight.
    valid = (left >= 0) & (left + 1 <= width - 1)
    return RowWarp(first + share * slope, slope, valid)


def photometric(warp: RowWarp, target: Image) -> Float[Tensor, " b"]:
    """Mean over valid pixels of the squared difference, summed over colours (eq. 2, as a mean).

    An image without a valid pixel counts 0.
    """
    squares = (warp.image - target).square().sum(1, keepdim=True)
    return mean_over(squares, warp.valid)


def linearised(warp: RowWarp, target: Image, disparity: Map, about: Map, sign: float = -1.0) -> Float[Tensor, " b"]:
    """The photometric loss with the warp's Taylor expansion about a disparity in its place (eqs. 3, 4).

    Quadratic in the disparity, and good for steps of about a pixel. At `about` its gradient is the exact one's.

    Args:
        warp: `warp_rows` at `about`.
        target: what it should look like.
        disparity: of the network.
        about: where the expansion is made: the disparity of the step before, or the present one.
        sign: that of the warp.
    """
    image = warp.image.detach() + sign * (disparity - about.detach()) * warp.slope
    return mean_over((image - target).square().sum(1, keepdim=True), warp.valid)


def mean_over(values: Map, valid: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, " b"]:
    """Of each image, over its valid pixels; 0 where it has none."""
    weights = valid.to(values.dtype)
    return (values * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3)).clamp(min=1)


class _AuthorsWarp(torch.autograd.Function):
    """The warping layer of the authors' repository: black outside, and a derivative of the warped image's own."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, disparity: Tensor, source: Tensor, sign: float) -> Tensor:
        warp = warp_rows(source, disparity, sign)
        image = torch.where(warp.valid, warp.image, 0)
        half = torch.zeros_like(image)
        half[..., 1:-1] = (image[..., 2:] - image[..., :-2]) / 2
        ctx.save_for_backward(half)
        ctx.sign = sign  # type: ignore[attr-defined]
        return image

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (half,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return ctx.sign * (gradients[0] * half).sum(1, keepdim=True), None, None  # type: ignore[attr-defined]


def authors_warp(source: Image, disparity: Map, sign: float = -1.0) -> Image:
    """The warp of the authors' repository: black where a neighbour is outside, and compared there.

    Its backward pass takes half the central difference of the *warped* image, that is (1 + sign · d′) times the
    source's slope, and 0 in the two border columns. The cosine to the exact gradient is 0.96, 0.92 and 0.83 at
    disparities of about 1, 6 and 15 pixels (measured on the test's pairs).
    """
    return _AuthorsWarp.apply(disparity, source, sign)


def gauss_newton_step(
    warp: RowWarp, target: Image, disparity: Map, smoothness_weight: float, sign: float = -1.0
) -> Map:
    """The step δ that minimises linearised Σ r² + weight · Σ‖∇(d + δ)‖², solved as a dense system: of small pictures.

    (diag(Σ slope²) + weight · Δᵀ) δ = -(sign · Σ r · slope + ½ weight · ∇Σ‖∇d‖²), Δᵀ the grid's graph Laplacian. What a
    classical method (Lucas and Kanade's, Horn and Schunck's) would do with the data that the network learns from.
    """
    height, width = disparity.shape[2:]
    valid = warp.valid.to(disparity.dtype)
    laplacian = _laplacian(height, width, disparity)
    steps = []
    for image, slope, mask, wanted, d in zip(warp.image, warp.slope, valid, target, disparity, strict=True):
        curvature = (slope.square() * mask).sum(0).flatten()
        pull = sign * ((image - wanted) * slope * mask).sum(0).flatten()
        system = torch.diag(curvature) + smoothness_weight * laplacian
        right = -(pull + smoothness_weight * (laplacian @ d.flatten()))
        steps.append(torch.linalg.solve(system, right).reshape(1, height, width))
    return torch.stack(steps).detach()


def _laplacian(height: int, width: int, like: Tensor) -> Float[Tensor, "n n"]:
    """L with dᵀ L d = Σ‖∇d‖², forward differences."""
    numbers = torch.arange(height * width, device=like.device).reshape(height, width)
    pairs = [(numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:])]
    matrix = torch.zeros(height * width, height * width, dtype=like.dtype, device=like.device)
    for a, b in ((a.flatten(), b.flatten()) for a, b in pairs):
        matrix[a, b] -= 1
        matrix[b, a] -= 1
    return matrix - torch.diag(matrix.sum(1))


def total_variation(disparity: Map, image: Image, strength: float = 0.33) -> Float[Tensor, " b"]:
    """Σ|∂d| · e^(-strength · Σ over colours of |∂I|), central differences: the prior of the authors' later variant.

    Args:
        disparity: pixels.
        image: on the variant's scale, 0.004 times the 8-bit values less their mean.
        strength: of the edges.
    """
    dx = (disparity[..., 2:] - disparity[..., :-2]) / 2
    dy = (disparity[..., 2:, :] - disparity[..., :-2, :]) / 2
    edge_x = ((image[..., 2:] - image[..., :-2]) / 2).abs().sum(1, keepdim=True)
    edge_y = ((image[..., 2:, :] - image[..., :-2, :]) / 2).abs().sum(1, keepdim=True)
    return (dx.abs() * (-strength * edge_x).exp()).sum((1, 2, 3)) + (dy.abs() * (-strength * edge_y).exp()).sum(
        (1, 2, 3)
    )
