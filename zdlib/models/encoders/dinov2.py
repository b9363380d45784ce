"""DINOv2 and its like: vision transformers whose tokens are patches of 14 × 14 pixels, tapped at four layers."""

from math import isqrt
from typing import Any

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.models.encoders.timm import Encoder
from zdlib.models.layers.attention import fast_linears
from zdlib.models.layers.colours import imagenet
from zdlib.models.layers.reassemble import Reassemble, resamplers

PATCH = 14
TABLE_OFFSET = 0.1  # of DINOv2's interpolation: it keeps the rounded size right, and it moves every sample


class DINOv2Encoder(Encoder):
    """A ViT of timm with patches of 14 pixels, at any size; levels at strides 3½, 7, 14 and 28.

    Args:
        name: timm's; `vit_{small,base,large}_patch14_dinov2` are DINOv2's.
        taps: numbers of the four blocks whose tokens become levels, fine to coarse.
        channels: of the levels.
        readout: project the class token into every level.

    Raises:
        ZDError: timm does not know the name, or it is another kind of network.
    """

    multiple, third_stride = PATCH, PATCH

    def __init__(self, name: str, taps: tuple[int, ...], channels: tuple[int, ...], readout: bool = False):
        super().__init__()
        if not timm.is_model(name):
            raise ZDError(f"{name}: no such network in timm {timm.__version__}: see timm.list_models()")
        self.model = timm.create_model(name, num_classes=0)
        patch = getattr(getattr(self.model, "patch_embed", None), "patch_size", None)
        if patch != (PATCH, PATCH) or self.model.num_prefix_tokens != 1:
            raise ZDError(f"{name}: not a ViT with patches of 14 pixels and a class token alone: take one of DINOv2's")
        if max(taps) >= len(self.model.blocks):
            raise ZDError(f"{name}: has {len(self.model.blocks)} blocks, no number {max(taps)}: lower the taps")
        dim = self.model.embed_dim
        # What DINOv2's own training put in the place of masked patches. Never used here; files of the authors have it.
        self.mask_token = nn.Parameter(torch.zeros(1, dim))
        self.taps, self.channels = tuple(taps), tuple(channels)
        self.reassemble = nn.ModuleList(
            Reassemble(dim, width, resample, readout)
            for width, resample in zip(channels, resamplers(self.channels), strict=True)
        )
        fast_linears(self)

    def normalise(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """ImageNet's mean and standard deviation become 0 and 1."""
        return imagenet(images)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Normalised image → four maps."""
        return self.levels(self.tokens(x), (x.shape[2] // PATCH, x.shape[3] // PATCH))

    def tokens(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Of each tapped block (b, 1 + h/14 · w/14, c): class token, then patches row by row, after the last norm."""
        model: Any = self.model
        grid = x.shape[2] // PATCH, x.shape[3] // PATCH
        x = model.patch_embed.proj(x).flatten(2).transpose(1, 2)  # b n c
        x = torch.cat([model.cls_token.expand(len(x), -1, -1), x], dim=1) + position_table(model.pos_embed, grid)
        tapped: list[Tensor] = []
        for number, block in enumerate(model.blocks[: max(self.taps) + 1]):
            x = self._run(block, x)
            if number in self.taps:
                tapped.append(model.norm(x))
        return tapped

    def levels(self, tokens: list[Tensor], grid: tuple[int, int]) -> list[Tensor]:
        """The four maps of `tokens`' layers."""
        return [part(layer, grid) for part, layer in zip(self.reassemble, tokens, strict=True)]


def position_table(table: Float[Tensor, "1 n c"], grid: tuple[int, int]) -> Float[Tensor, "1 n2 c"]:
    """Position embeddings of a grid; the table's first is the class token's, the others those of a square.

    As DINOv2's code does it: bicubic, without antialiasing, always in float32, and sampled at the scale
    (n + 0.1) / side, not n / side.
    """
    side = isqrt(table.shape[1] - 1)
    if grid == (side, side):
        return table
    square = table[:, 1:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)  # 1 c side side
    scale = [(n + TABLE_OFFSET) / side for n in grid]
    patches = F.interpolate(square, scale_factor=scale, mode="bicubic", antialias=False)
    return torch.cat([table[:, :1], patches.flatten(2).transpose(1, 2).to(table.dtype)], dim=1)
