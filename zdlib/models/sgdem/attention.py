"""Attention between channels: each takes from the others what it lacks.

Source: SGDEM's repository, where it is CADepth's "structure perception" (Yan et al., 3DV 2021) at several levels.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def channel_attention(x: Float[Tensor, "b c h w"], scaled: bool = False) -> Float[Tensor, "b c h w"]:
    """A X + X, with E = X Xᵀ over pixels and A = softmax of (largest of the row - E).

    Args:
        x: features.
        scaled: E / √pixels.
    """
    flat = x.flatten(2)
    energy = flat @ flat.transpose(1, 2)
    if scaled:
        energy = energy / flat.shape[2] ** 0.5
    # The least similar channels get the largest weights.
    weights = torch.softmax(energy.amax(2, keepdim=True) - energy, dim=2)
    return (weights @ flat).reshape(x.shape) + x


def strip_attention(
    x: Float[Tensor, "b c h w"], strips: Sequence[int] = (1,), scaled: bool = False
) -> Float[Tensor, "b c h w"]:
    """`channel_attention` within vertical strips, put side by side; averaged over the numbers of strips.

    Strips are equal where the width allows it, else some are a column wider; each has one column at least.
    """
    results = []
    for count in strips:
        parts = x.tensor_split(min(count, x.shape[3]), dim=3)
        results.append(torch.cat([channel_attention(part, scaled) for part in parts], dim=3))
    return results[0] if len(results) == 1 else torch.stack(results).mean(0)
