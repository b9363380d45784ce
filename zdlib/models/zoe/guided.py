"""ZoeDepth that is given every pixel's true class: how much could semantics help depth at most?

The positive control of the control study. A segmentation branch can at best teach the features what the true labels
say; a network that is given them shows the room that there is. Labels travel in the lowest bits of the picture, so that
training, validation and evaluation predict from pictures as for any other network.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor, nn

from zdlib.models.layers.unet import N_CLASSES
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.network import ZoeDepth

# Lowest bits of red, green and blue: four in all, for 14 classes. A picture changes by 3/255 at most.
_BITS = (2, 1, 1)


def hide_labels(images: Float[Tensor, "*b 3 h w"], labels: Integer[Tensor, "*b h w"]) -> Float[Tensor, "*b 3 h w"]:
    """Pictures in [0, 1] that carry class ids 0..13 in their lowest bits."""
    shown = (images * 255).round().clamp(0, 255).long()
    rest, channels = labels.long(), []
    for channel, bits in enumerate(_BITS):
        size = 2**bits
        channels.append(shown[..., channel, :, :] // size * size + rest % size)
        rest = rest // size
    return torch.stack(channels, dim=-3).to(images.dtype) / 255


def hidden_labels(images: Float[Tensor, "*b 3 h w"]) -> Integer[Tensor, "*b h w"]:
    """The class ids that `hide_labels` put into pictures; the pictures must not have been resized since."""
    shown = (images * 255).round().long()
    labels, size = torch.zeros_like(shown[..., 0, :, :]), 1
    for channel, bits in enumerate(_BITS):
        labels = labels + shown[..., channel, :, :] % 2**bits * size
        size *= 2**bits
    return labels.clamp(max=N_CLASSES - 1)


class GuidedZoeDepth(ZoeDepth):
    """ZoeDepth whose encoder levels are added to by what the true labels say there, through 1×1 convolutions.

    These start at zero: before training, and with all labels unknown, the network is ZoeDepth.
    """

    def __init__(self, config: Architecture, segmentation: bool = False):
        super().__init__(config, segmentation)
        self.guides = nn.ModuleList(_from_nothing(width) for width in self.encoder.channels)

    def levels(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The encoder's maps, each with its share of the labels: one-hot, averaged over what a pixel covers."""
        classes = F.one_hot(hidden_labels(images), N_CLASSES).movedim(-1, 1).to(images.dtype)
        maps = super().levels(images)
        return [
            level + guide(F.interpolate(classes, level.shape[-2:], mode="area"))
            for level, guide in zip(maps, self.guides, strict=True)
        ]

    def parameter_groups(self, lr: float, encoder_lr_factor: float) -> list[dict[str, Any]]:
        """ZoeDepth's groups; the guides learn with the heads."""
        groups = super().parameter_groups(lr, encoder_lr_factor)
        groups[-1]["params"] += list(self.guides.parameters())
        return groups


def _from_nothing(width: int) -> nn.Conv2d:
    guide = nn.Conv2d(N_CLASSES, width, 1, bias=False)
    nn.init.zeros_(guide.weight)
    return guide
