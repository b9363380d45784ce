"""Disparity as metres: f·B / d, with f·B that of the pairs that taught it, in widths of the picture.

A picture of another camera has another f·B, and so depths that are wrong by a factor: the network cannot see it.
"""

from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zdlib.errors import ZDError
from zdlib.models.depth_model import DepthModel, Inference

FARTHEST = 80.0  # metres, where the convention has no farthest depth


class GargDepthModel(DepthModel):
    """Metres through the training pairs' focal length and baseline."""

    as_authors: ClassVar[Inference] = Inference(flip=False, full_size=True)

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """At the resolution of the finest trained level.

        Raises:
            ZDError: the network has never seen a pair.
        """
        shares = self.disparity(images)
        farthest = self.convention.max_depth or FARTHEST
        metres = self.network.metres
        if not metres > 0:
            raise ZDError("this network knows no camera: train it on pairs first, or load weights that were")
        return metres / shares.clamp(min=float(metres) / farthest)

    def disparity(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 _ _"]:
        """Disparity in widths of the picture, at the resolution of the finest trained level; may be negative."""
        size = self.network.config.input_size
        resized = images if images.shape[2:] == size else F.interpolate(images, size, mode="bilinear", antialias=True)
        output = self.network(resized)[-1]
        return output / output.shape[3]
