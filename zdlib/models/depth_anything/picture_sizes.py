"""Pictures at the network's size, and maps as grey pictures: the authors' rules, alike in both versions."""

import math
from typing import Literal

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

Rule = Literal["lower_bound", "upper_bound", "minimal"]


def network_size(
    image: tuple[int, ...], target: int | tuple[int, int] = 518, multiple: int = 14, rule: Rule = "lower_bound"
) -> tuple[int, int]:
    """The (height, width) that an image is resized to; its aspect ratio is kept up to the rounding.

    Args:
        image: (height, width) in pixels.
        target: (height, width) to reach, or one number for both.
        multiple: of both sides, rounded half to even.
        rule: `lower_bound`, the authors' for prediction: no side is smaller than the target's; `upper_bound`: none is
            larger; `minimal`: the side that has to change less decides.
    """
    goals = (target, target) if isinstance(target, int) else target
    scales = [goal / side for goal, side in zip(goals, image, strict=True)]
    if rule == "minimal":
        scale = min(scales, key=lambda s: abs(1 - s))  # the height decides between equals
    else:
        scale = max(scales) if rule == "lower_bound" else min(scales)
    sides = []
    for side, goal in zip(image, goals, strict=True):
        exact = scale * side
        rounded = round(exact / multiple)
        if rule == "lower_bound" and rounded * multiple < goal:
            rounded = math.ceil(exact / multiple)
        if rule == "upper_bound" and rounded * multiple > goal:
            rounded = math.floor(exact / multiple)
        sides.append(multiple * rounded)
    return sides[0], sides[1]


def cubic_resize(images: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 h2 w2"]:
    """OpenCV's INTER_CUBIC of images in [0, 1]: a = −¾, no antialiasing, nothing clipped; in float64, as there."""
    resized = F.interpolate(images.double(), size=size, mode="bicubic", align_corners=False, antialias=False)
    return resized.to(images.dtype)


def eight_bit(depth: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The authors' grey picture of a map: its own range stretched to 0 … 255, truncated; a constant map is black."""
    low, extent = depth.min(), depth.max() - depth.min()
    if extent == 0:
        return np.zeros(depth.shape, np.uint8)
    stretched: np.ndarray = (depth - low) / extent * 255.0
    return stretched.astype(np.uint8)
