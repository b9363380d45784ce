"""Tokens of a vision transformer's layers → the four feature maps that a DPT decoder fuses."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Reassemble(nn.Module):
    """Tokens of one ViT layer → a feature map: read the class token out, project, resample (Ranftl et al., eq. 2-5).

    Args:
        dim: of the tokens.
        channels: of the map.
        resample: from the grid of tokens to the level's size.
        readout: project each token together with the class token. Otherwise the class token is dropped, as in all
            released weights of Depth Anything.
    """

    def __init__(self, dim: int, channels: int, resample: nn.Module, readout: bool = True):
        super().__init__()
        self.readout = nn.Linear(2 * dim, dim) if readout else None
        self.project = nn.Conv2d(dim, channels, 1)
        self.resample = resample

    def forward(self, tokens: Float[Tensor, "b n c"], grid: tuple[int, int]) -> Float[Tensor, "b c2 h w"]:
        """`tokens`: class token first, then the grid row by row."""
        x = tokens[:, 1:]
        if self.readout is not None:
            x = F.gelu(self.readout(torch.cat([x, tokens[:, :1].expand_as(x)], dim=-1)))  # b hw c
        return self.resample(self.project(x.transpose(1, 2).unflatten(2, grid)))


def resamplers(channels: tuple[int, ...]) -> tuple[nn.Module, ...]:
    """What brings maps of the tokens' grid to 4, 2, 1 and ½ times its size (the last rounded up), fine to coarse."""
    c1, c2, _, c4 = channels
    return (
        nn.ConvTranspose2d(c1, c1, 4, stride=4),
        nn.ConvTranspose2d(c2, c2, 2, stride=2),
        nn.Identity(),
        nn.Conv2d(c4, c4, 3, stride=2, padding=1),
    )
