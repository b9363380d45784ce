"""Stage 2: feature maps → relative depth. MiDaS v3.1's DPT decoder (Ranftl et al., ICCV 2021; Birkl et al., 2023).

Depth Anything's is the same but for its sizes: the tokens of 14 × 14 pixels make maps at strides 3½, 7, 14 and 28.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.geometry import resize
from zdlib.models.layers.pixels import Pixels
from zdlib.models.layers.tiling import resized_convolution


class DecoderFeatures(NamedTuple):
    """What the decoder hands to the heads; (H, W) is the network's input size.

    Attributes:
        rel_depth: (b, 1, H, W) relative inverse depth, ≥ 0, of arbitrary scale and shift.
        fine: (b, 32, H, W) the map that `rel_depth` is a linear function of.
        bottleneck: (b, c, H/32, W/32).
        fused: (b, c, H/16, W/16), (b, c, H/8, W/8), (b, c, H/4, W/4), (b, c, H/2, W/2).
        pixels: those that `rel_depth` and `fine` were computed at; None: at all.
    """

    rel_depth: Float[Tensor, "b 1 h w"]
    fine: Float[Tensor, "b 32 h w"]
    bottleneck: Float[Tensor, "b c h32 w32"]
    fused: list[Tensor]
    pixels: Pixels | None = None


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Same shape in and out."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class FusionBlock(nn.Module):
    """Add a skip connection, refine, upsample."""

    def __init__(self, channels: int):
        super().__init__()
        self.skip_unit = ResidualUnit(channels)
        self.unit = ResidualUnit(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(
        self, x: Float[Tensor, "b c h w"], skip: Float[Tensor, "b c h w"] | None, size: tuple[int, ...]
    ) -> Float[Tensor, "b c h2 w2"]:
        """`size` is that of the next finer level."""
        if skip is not None:
            x = x + self.skip_unit(skip)
        # The reference upsamples first. A 1×1 convolution commutes with interpolation, and costs a quarter here.
        return resize(self.project(self.unit(x)), size)


class DPTDecoder(nn.Module):
    """Four encoder levels → `DecoderFeatures`.

    Args:
        in_channels: of the encoder's levels, fine to coarse.
        channels: of every decoder map; MiDaS uses 256. The output convolutions have channels/2 and 32.
        stride: of the third level; its size times this is the input's.
        activation: of the last layer; ReLU for relative inverse depth.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        channels: int = 256,
        stride: int = 16,
        activation: Callable[[Tensor], Tensor] = F.relu,
    ):
        super().__init__()
        self.stride, self.activation = stride, activation
        self.reduce = nn.ModuleList(nn.Conv2d(c, channels, 3, padding=1, bias=False) for c in in_channels)
        # fuse[i] takes level i. fuse[3].skip_unit is never used: MiDaS has it, so checkpoints and counts do.
        self.fuse = nn.ModuleList(FusionBlock(channels) for _ in in_channels)
        self.out_half = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.out_fine = nn.Conv2d(channels // 2, 32, 3, padding=1)
        self.out_depth = nn.Conv2d(32, 1, 1)

    def forward(self, levels: list[Tensor], pixels: Pixels | None = None) -> DecoderFeatures:
        """Fuse the levels.

        Args:
            levels: (b, c_i, H/s, W/s) for s = 4, 8, 16, 32, or in the same proportion; the coarsest rounded up.
            pixels: where the finest maps are wanted; None: everywhere.
        """
        l1, l2, l3, l4 = (reduce(level) for reduce, level in zip(self.reduce, levels, strict=True))
        r4 = self.fuse[3](l4, None, l3.shape[2:])  # b c H/16 W/16
        r3 = self.fuse[2](r4, l3, l2.shape[2:])  # b c H/8 W/8
        r2 = self.fuse[1](r3, l2, l1.shape[2:])  # b c H/4 W/4
        r1 = self.fuse[0](r2, l1, _double(l1))  # b c H/2 W/2
        half = self.out_half(r1)  # b c/2 H/2 W/2
        if pixels is None:
            size = self.stride * l3.shape[2], self.stride * l3.shape[3]
            fine = resized_convolution(self.out_fine, half, size)  # b 32 H W
        else:
            fine = F.relu(pixels.of_convolved(resize(half, pixels.size), self.out_fine))
        return DecoderFeatures(self.activation(self.out_depth(fine)), fine, l4, [r4, r3, r2, r1], pixels)


def _double(x: Tensor) -> tuple[int, int]:
    return 2 * x.shape[2], 2 * x.shape[3]
