"""Maps of one size as maps of another."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def resize(
    x: Float[Tensor, "b c h w"], size: tuple[int, ...], align_corners: bool = True
) -> Float[Tensor, "b c h2 w2"]:
    """Bilinear, without antialiasing: inside ZoeDepth's network, and from its size to that of the ground truth.

    Args:
        x: maps.
        size: height and width to give them; maps that have it are returned as they are.
        align_corners: whether the centres of corner pixels stay in place, as everywhere in ZoeDepth's family.
    """
    return x if x.shape[2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
