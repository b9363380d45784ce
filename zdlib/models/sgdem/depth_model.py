"""Inverse depth up to a scale, from video; classes, where the network segments."""

from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zdlib.cameras import depth_between
from zdlib.models.depth_model import DepthModel, Inference
from zdlib.models.sgdem.network import Outputs

NEAREST, FARTHEST = 0.1, 100.0  # the authors' ends of depth


class SGDEMDepthModel(DepthModel):
    """Inverse depth of arbitrary scale: one camera's pictures do not say how far it went between them."""

    as_authors: ClassVar[Inference] = Inference(flip=False, full_size=True)

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """At the network's size."""
        return depth_between(self.outputs(images).disparities[0], *self.depths)[0]

    @property
    def depths(self) -> tuple[float, float]:
        """Nearest and farthest, in the unit of its motions: as it was trained, or the authors'."""
        options = self.info.get("options", {})
        return options.get("nearest", NEAREST), options.get("farthest", FARTHEST)

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> Outputs:
        """Depth and classes of pictures of any size, at the network's."""
        size = self.network.config.input_size
        resized = images if images.shape[2:] == size else F.interpolate(images, size, mode="bilinear", antialias=True)
        outputs: Outputs = self.network(resized, -1)
        return outputs
