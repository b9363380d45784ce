"""Which domain's head an image belongs to: ZoeD-NK's latent classifier (Bhat et al., 2023, section 3.3)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Router(nn.Module):
    """A small transformer over the bottleneck's pixels; its class token is classified.

    Args:
        channels: of the bottleneck.
        domains: number of heads to choose from.
        dim: of the tokens.
    """

    def __init__(self, channels: int, domains: int, dim: int = 128):
        super().__init__()
        self.embed = nn.Conv2d(channels, dim, 1)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(dim, 4, 1024, batch_first=True) for _ in range(4))
        self.classifier = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, domains))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Domain logits."""
        tokens = self.embed(x).flatten(2).transpose(1, 2)  # b hw dim
        tokens = torch.cat([torch.zeros_like(tokens[:, :1]), tokens], dim=1)  # the class token is not learnt
        tokens = tokens + sinusoids(tokens.shape[1], tokens.shape[2]).to(tokens)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.classifier(tokens[:, 0])


def sinusoids(length: int, dim: int) -> Float[Tensor, "n c"]:
    """Position embedding: all sines, then all cosines."""
    frequency = torch.exp(torch.arange(0, dim, 2) * (-math.log(1e4) / dim))
    angle = torch.arange(length)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def choose(logits: Float[Tensor, "b d"], routing: str) -> Int[Tensor, " b"]:
    """The most likely domain of each image, or (`routing` "batch") of the batch as a whole."""
    if routing == "batch":
        logits = logits.sum(0, keepdim=True).expand_as(logits)
    return logits.argmax(1)
