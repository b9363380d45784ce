"""Stage 4: the distribution over bins, and its mean (Bhat et al., 2023, equation 3), without holding it in memory."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zdlib.geometry import resize


def log_binomial_depth(
    raw: Float[Tensor, "b 4 h w"], centres: Float[Tensor, "b k h2 w2"], min_temperature: float, max_temperature: float
) -> Float[Tensor, "b 1 h w"]:
    """Mean bin centre at every pixel under a binomial distribution with a temperature.

    Args:
        raw: the output layer's four channels; softplus makes them positive, their first pair gives the binomial's p,
            the second its temperature t.
        centres: metres, upsampled to (h, w) here.
        min_temperature: of t.
        max_temperature: of t.

    The K probabilities are softmax_k((ln C(K-1, k) + k ln p + (K-1-k) ln(1-p)) / t): all that has to be kept for the
    backward pass are the three maps ln p, ln(1-p), 1/t.
    """
    precision = torch.promote_types(raw.dtype, torch.float32)  # half precision is too coarse for the logarithms
    # Channels last, so that the gradient returns in the layout that convolutions are fastest in.
    a, b, c, d = (F.softplus(raw.permute(0, 2, 3, 1).to(precision)) + 1e-4).unbind(3)  # b h w each
    p = a / (a + b)
    t = min_temperature + (max_temperature - min_temperature) * c / (c + d)
    maps = torch.stack([p.clamp(1e-4, 1).log(), (1 - p).clamp(1e-4, 1).log(), 1 / t], dim=1)  # b 3 h w
    basis = binomial_basis(centres.shape[1]).to(maps)
    return _MeanBin.apply(maps, centres.to(precision).contiguous(), basis)


def binomial_basis(n_bins: int) -> Float[Tensor, "k 3"]:
    """Columns: k, n - k and ln C(n, k) by Stirling's formula without its square root (as the reference); n = K - 1."""
    # In float32, like the reference: its rounding of n ln n, divided by a small temperature, shows in the depth.
    eps = 1e-7
    index = torch.arange(n_bins, dtype=torch.float32)
    n, k = torch.tensor(n_bins - 1.0) + eps, index + eps
    stirling = n * n.log() - k * k.log() - (n - k) * (n - k + eps).log()
    return torch.stack([index, index.flip(0), stirling], dim=1)


class _MeanBin(torch.autograd.Function):
    """Σ_k P_k · up(centres)_k with P = softmax(basis · (ln p, ln(1-p), 1) · 1/t), one image at a time.

    Written out, autograd would keep five K × h × w tensors an image. Here P is made again in the backward pass:
    ∂y/∂centres = P; with the covariance under P of basis column j and the centres, cov_j = E[basis_j · centre] -
    E[basis_j] · y: ∂y/∂(ln p) = cov_0 / t, ∂y/∂(ln(1-p)) = cov_1 / t, ∂y/∂(1/t) = cov_0 ln p + cov_1 ln(1-p) + cov_2.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, centres: Tensor, basis: Tensor) -> Tensor:
        ctx.save_for_backward(maps, centres, basis)
        size = maps.shape[2:]
        means = [
            (_probabilities(m, basis) * resize(c[None], size)[0].flatten(1)).sum(0)
            for m, c in zip(maps, centres, strict=True)
        ]
        return torch.stack(means).view(-1, 1, *size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        maps, centres, basis = ctx.saved_tensors
        size = maps.shape[2:]
        to_maps, to_centres = torch.empty_like(maps), torch.empty_like(centres)
        for i, (m, c, g) in enumerate(zip(maps, centres, gradient.flatten(1), strict=True)):
            probabilities = _probabilities(m, basis)
            weighted = probabilities * resize(c[None], size)[0].flatten(1)
            covariance = (basis.T @ weighted - (basis.T @ probabilities) * weighted.sum(0)).view_as(m)
            to_maps[i, :2] = covariance[:2] * m[2]
            to_maps[i, 2] = (covariance[:2] * m[:2]).sum(0) + covariance[2]
            to_maps[i] *= g.view(size)
            to_centres[i] = _resize_backward((g * probabilities).view(1, -1, *size), c.shape)
        return to_maps, to_centres, None


def _probabilities(maps: Float[Tensor, "3 h w"], basis: Float[Tensor, "k 3"]) -> Float[Tensor, "k hw"]:
    maps = maps.flatten(1)
    # The terms nearly cancel: adding them before the division by t keeps float32's error small.
    return torch.addmm(basis[:, 2:], basis[:, :2], maps[:2]).mul_(maps[2]).softmax(0)


def _resize_backward(gradient: Float[Tensor, "1 k h w"], shape: torch.Size) -> Float[Tensor, "k h2 w2"]:
    """Transpose of `resize` to the gradient's size from `shape`."""
    if gradient.shape[1:] == shape:
        return gradient[0]
    return torch.ops.aten.upsample_bilinear2d_backward(gradient, gradient.shape[2:], (1, *shape), True)[0]
