"""METER-XXS (Papa et al., "METER: a mobile vision transformer architecture for monocular depth estimation", 2023).

713,464 parameters: a MobileViT encoder at 1/32 of the picture, three transposed convolutions up to 1/4. The authors
released weights for NYU Depth v2 and for KITTI; modules bear the names of those files, so that they load as they are.
The files say nothing of units and colours: both were found by trial on frames with known depth (`RELEASES`).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.models.checkpoints import load_exactly, read_pickle
from zdlib.models.depth_model import Convention, DepthModel, Inference

HEADS, HEAD_WIDTH, PATCH = 4, 8, 2
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Release:
    """One file of released weights.

    Attributes:
        input_size: height and width the network was trained at.
        normalise: whether its pictures had ImageNet's mean and deviation taken out.
        metres_per_unit: of its output.
        max_depth: farthest depth of its training data, metres.
    """

    input_size: tuple[int, int]
    normalise: bool
    metres_per_unit: float
    max_depth: float


RELEASES = {
    "meter_nyu": Release((192, 256), True, 0.01, 10.0),
    "meter_kitti": Release((192, 640), False, 0.1, 80.0),
}


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]


class SeparableConv(nn.Module):
    """3×3 and then 1×1, without bias. The authors call the first depthwise; it mixes channels like any other."""

    def __init__(self, before: int, after: int, stride: int = 1):
        super().__init__()
        self.depthwise = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.pointwise = nn.Conv2d(after, after, 1, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d _ _"]:
        """Both convolutions."""
        return self.pointwise(self.depthwise(x))


class InvertedResidual(nn.Module):
    """A block of MobileNetV2 with expansion 2."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        hidden = 2 * before
        self.residual = stride == 1 and before == after
        self.conv = nn.Sequential(
            nn.Conv2d(before, hidden, 1, bias=False),
            *_norm_relu(hidden),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            *_norm_relu(hidden),
            nn.Conv2d(hidden, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d _ _"]:
        """The map at its size over the stride."""
        return x + self.conv(x) if self.residual else self.conv(x)


class PreNorm(nn.Module):
    """A function of normalised tokens."""

    def __init__(self, width: int, function: nn.Module):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), function

    def forward(self, x: Float[Tensor, "b p n d"]) -> Float[Tensor, "b p n d"]:
        """The function's tokens."""
        return self.fn(self.norm(x))


class Attention(nn.Module):
    """Among the patches, for each position inside a patch by itself."""

    def __init__(self, width: int):
        super().__init__()
        inner = HEADS * HEAD_WIDTH
        self.to_qkv = nn.Linear(width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, width))

    def forward(self, x: Float[Tensor, "b p n d"]) -> Float[Tensor, "b p n d"]:
        """Tokens that have seen each other."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, HEADS, HEAD_WIDTH)).permute(3, 0, 1, 4, 2, 5)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(3))


class FeedForward(nn.Module):
    """Two linear layers; the authors' numbering counts their dropout."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Identity(), nn.Linear(hidden, width))

    def forward(self, x: Float[Tensor, "b p n d"]) -> Float[Tensor, "b p n d"]:
        """Tokens, each by itself."""
        return self.net(x)


class Transformer(nn.Module):
    """One layer."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        parts = PreNorm(width, Attention(width)), PreNorm(width, FeedForward(width, hidden))
        self.layers = nn.ModuleList([nn.ModuleList(parts)])

    def forward(self, x: Float[Tensor, "b p n d"]) -> Float[Tensor, "b p n d"]:
        """Tokens after attention and the linear layers."""
        for layer in self.layers:
            for part in layer:  # type: ignore[attr-defined]  # attention, and the linear layers
                x = x + part(x)
        return x


class MobileViTBlock(nn.Module):
    """Local convolutions, attention over 2×2 patches, and both joined."""

    def __init__(self, channels: int, width: int, hidden: int):
        super().__init__()
        self.conv1 = nn.Sequential(SeparableConv(channels, channels), *_norm_relu(channels))
        self.conv2 = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), *_norm_relu(width))
        self.transformer = Transformer(width, hidden)
        self.conv3 = nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), *_norm_relu(channels))
        self.conv4 = nn.Sequential(SeparableConv(2 * channels, channels), *_norm_relu(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map at its size."""
        y = self.conv2(self.conv1(x))
        rows, columns = y.shape[2] // PATCH, y.shape[3] // PATCH
        tokens = y.unflatten(3, (columns, PATCH)).unflatten(2, (rows, PATCH))  # b d rows p columns p
        tokens = self.transformer(tokens.permute(0, 3, 5, 2, 4, 1).flatten(3, 4).flatten(1, 2))
        tokens = tokens.unflatten(2, (rows, columns)).unflatten(1, (PATCH, PATCH))  # b p p rows columns d
        y = tokens.permute(0, 5, 3, 1, 4, 2).flatten(4).flatten(2, 3)
        return self.conv4(torch.cat([self.conv3(y), x], 1))


class Encoder(nn.Module):
    """The picture at 1/32, and the skips at 1/4, 1/8 and 1/16."""

    def __init__(self) -> None:
        super().__init__()
        steps = ((16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 24, 1), (24, 48, 2), (48, 64, 2), (64, 80, 2))
        self.conv1 = nn.Sequential(SeparableConv(3, 16, 2), *_norm_relu(16))
        self.mv2 = nn.ModuleList(InvertedResidual(*step) for step in steps)
        self.mvit = nn.ModuleList(MobileViTBlock(*sizes) for sizes in ((48, 64, 128), (64, 80, 320), (80, 96, 384)))
        self.conv2 = nn.Sequential(nn.Conv2d(80, 160, 1, bias=False), *_norm_relu(160))

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, list[Tensor]]:
        """The deepest map, and the skips from fine to coarse."""
        x = self.conv1(x)
        skips = []
        for number, block in enumerate(self.mv2):
            x = block(x)
            if number in (1, 4, 5):
                skips.append(x)
            if number >= 4:
                x = self.mvit[number - 4](x)
        return self.conv2(x), skips


class UpBlock(nn.Module):
    """Twice the size, joined with a skip."""

    def __init__(self, before: int, skip: int, after: int):
        super().__init__()
        self.conv2d_transpose = nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1, bias=False)
        self.end_up_layer = nn.Sequential(SeparableConv(after + skip, after), nn.ReLU())

    def forward(self, x: Float[Tensor, "b c h w"], skip: Float[Tensor, "b s _ _"]) -> Float[Tensor, "b d _ _"]:
        """The map at the skip's size."""
        return self.end_up_layer(torch.cat([self.conv2d_transpose(x), skip], 1))


class Decoder(nn.Module):
    """From 1/32 to depth at 1/4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_in = nn.Conv2d(160, 64, 1, bias=False)
        self.ups_block_1 = UpBlock(64, 64, 32)
        self.ups_block_2 = UpBlock(32, 48, 16)
        self.ups_block_3 = UpBlock(16, 24, 8)
        self.conv2d_out = nn.Conv2d(8, 1, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "b 160 h w"], skips: list[Tensor]) -> Float[Tensor, "b 1 _ _"]:
        """Depth at 1/4, in the unit of the weights."""
        x = self.ups_block_1(self.conv2d_in(x), skips[2])
        x = self.ups_block_2(x, skips[1])
        return self.conv2d_out(self.ups_block_3(x, skips[0]))


class Meter(nn.Module):
    """The network, of pictures whose sides are multiples of 64 (2×2 patches at 1/32); depth at 1/4 of their size."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 _ _"]:
        """Depth at 1/4, in the unit of the weights."""
        x, skips = self.encoder(images)
        return self.decoder(x, skips)


class MeterModel(DepthModel):
    """METER as a depth model: pictures are stretched to the size it was trained at.

    Args:
        name: a key of `RELEASES`.
    """

    as_authors = Inference(flip=True, full_size=True)

    def __init__(self, name: str):
        self.release = RELEASES[name]
        convention = Convention(metres_per_unit=self.release.metres_per_unit, max_depth=self.release.max_depth)
        super().__init__(Meter().eval(), convention)

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """Stretched, normalised as the release wants it, and predicted."""
        x = F.interpolate(images, size=self.release.input_size, mode="bilinear", align_corners=False, antialias=True)
        if self.release.normalise:
            mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
            x = (x - mean) / std
        return self.network(x)


def load_meter(name: str, path: str) -> MeterModel:
    """METER with the authors' weights, in eval mode on the CPU.

    Args:
        name: `meter_nyu` or `meter_kitti`: units and colours differ.
        path: the authors' file. No code in it is run.

    Raises:
        ZDError: unreadable, unsafe, or another network's.
    """
    model = MeterModel(name)
    load_exactly(model.network, read_pickle(path), path)
    return model
