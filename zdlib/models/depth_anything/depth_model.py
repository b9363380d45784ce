"""Depth Anything as a depth model: the picture's size to the network's and back, as each version's authors do it."""

from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zdlib.errors import ZDError
from zdlib.models.depth_anything.picture_sizes import cubic_resize, network_size
from zdlib.models.depth_model import DepthModel, Inference
from zdlib.models.zoe.network import LARGEST


class DepthAnythingModel(DepthModel):
    """Relative inverse depth (larger is nearer), or metres of a metric network; the convention says which."""

    as_authors: ClassVar[Inference] = Inference(flip=False, full_size=True)

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """At the network's size for these images: shorter side as described, multiples of the encoder's.

        Raises:
            ZDError: the images are so long that this would be many times the square of that side.
        """
        config, multiple = self.network.config, self.network.encoder.multiple
        size = network_size(tuple(images.shape[2:]), config.shortest_side, multiple)
        if size[0] * size[1] > LARGEST * config.shortest_side**2:
            raise ZDError(
                f"a picture of {images.shape[2]} × {images.shape[3]} pixels: this network would see it at {size[0]} × "
                f"{size[1]}, and memory allows {LARGEST} times the square of {config.shortest_side}: cut it into parts"
            )
        return self.network(cubic_resize(images, size)).depth

    def enlarge(self, depth: Float[Tensor, "b 1 _ _"], size: tuple[int, ...]) -> Float[Tensor, "b 1 h w"]:
        """Bilinear; V2's code aligns corners, V1's does not."""
        aligned = self.network.config.align_corners
        return F.interpolate(depth, size=tuple(size), mode="bilinear", align_corners=aligned)
