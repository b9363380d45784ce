"""NeWCRFs (Yuan, Gu, Dai, Zhu and Tan, CVPR 2022, arXiv 2203.01502), from the paper's section 3 and Figure 3.

The paper leaves the widths open. Here the four levels have 1024, 512, 256 and 128 channels, which its upscaling by
rearrangement (four channels become one of twice the resolution) fits, heads of 32 channels, and 512 in the pyramid
pooling, as in UPerNet.
"""

from typing import Any

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zdlib.geometry import resize
from zdlib.models.depth_model import DepthModel
from zdlib.models.layers.colours import imagenet

WINDOW = 7


class PyramidPooling(nn.Module):
    """The prediction to start from: the coarsest map, and its means over 1, 2², 3² and 6² regions (PSPNet)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.scales = (1, 2, 3, 6)
        self.reduce = nn.ModuleList(nn.Conv2d(inputs, outputs, 1) for _ in self.scales)
        self.fuse = nn.Conv2d(inputs + outputs * len(self.scales), outputs, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        """Same resolution in and out."""
        pooled = [
            F.interpolate(F.relu(reduce(F.adaptive_avg_pool2d(x, scale))), size=x.shape[2:], mode="bilinear")
            for scale, reduce in zip(self.scales, self.reduce, strict=True)
        ]
        return F.relu(self.fuse(torch.cat([x, *pooled], dim=1)))


class WindowCRF(nn.Module):
    """One optimisation of fully-connected CRFs in windows: the prediction x moves by its energy (equations 4 to 8).

    Queries and keys come from the image features, values from the prediction: the pairwise potential. The prediction
    itself, added, is the unary one; two linear layers turn the energy into the better prediction.

    Args:
        channels: of features and prediction.
        heads: of the multi-head potential.
        shift: by how many pixels the windows are displaced.
    """

    def __init__(self, channels: int, heads: int, shift: int):
        super().__init__()
        self.heads, self.shift = heads, shift
        self.norm_features, self.norm_x, self.norm_energy = (nn.LayerNorm(channels) for _ in range(3))
        self.query_key = nn.Linear(channels, 2 * channels)
        self.positions = nn.Parameter(torch.zeros(heads, 2 * WINDOW - 1, 2 * WINDOW - 1))
        self.project = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )  # fmt: skip

    def forward(self, features: Float[Tensor, "b h w c"], x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """The better prediction."""
        height, width = x.shape[1:3]
        query_key = windows(self.query_key(self.norm_features(features)), self.shift)  # b·n 49 2c
        values = windows(self.norm_x(x), self.shift)  # b·n 49 c
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (*query_key.chunk(2, dim=2), values))
        near = neighbours(height, width, self.shift).to(x.device).repeat(len(x), 1, 1)[:, None]  # b·n 1 49 49
        row, column = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
        row, column = (side.flatten()[:, None] - side.flatten() + WINDOW - 1 for side in (row, column))
        bias = self.positions[:, row.to(x.device), column.to(x.device)].masked_fill(~near, float("-inf"))
        pairwise = F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)  # b·n 49 c
        x = x + unwindows(self.project(pairwise), height, width, self.shift)
        return x + self.mlp(self.norm_energy(x))


def windows(x: Float[Tensor, "b h w c"], shift: int) -> Float[Tensor, "bn m c"]:
    """Cut into windows, displaced by `shift` with wrapping; sides that are no multiple are padded with zeros."""
    x = F.pad(x, (0, 0, 0, -x.shape[2] % WINDOW, 0, -x.shape[1] % WINDOW)).roll((-shift, -shift), dims=(1, 2))
    x = x.unflatten(2, (-1, WINDOW)).unflatten(1, (-1, WINDOW))  # b nh 7 nw 7 c
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def unwindows(x: Float[Tensor, "bn m c"], height: int, width: int, shift: int) -> Float[Tensor, "b h w c"]:
    """The reverse of `windows`."""
    rows, columns = -(-height // WINDOW), -(-width // WINDOW)
    x = x.unflatten(1, (WINDOW, WINDOW)).unflatten(0, (-1, rows, columns))  # b nh nw 7 7 c
    x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return x.roll((shift, shift), dims=(1, 2))[:, :height, :width]


def neighbours(height: int, width: int, shift: int) -> Bool[Tensor, "n m m"]:
    """Which pixels of each window see each other: not those brought together by the wrapping, nor padding."""
    place = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), dim=2) + 1.0
    place = windows(place[None], shift)  # n 49 2; padding is at 0
    together = ((place[:, :, None] - place[:, None]).abs() < WINDOW).all(3)
    padding = place[:, :, 0] == 0
    return together & (padding[:, :, None] == padding[:, None])


class Level(nn.Module):
    """Two optimisations, the second in shifted windows."""

    def __init__(self, features: int, prediction: int, channels: int):
        super().__init__()
        self.features = nn.Conv2d(features, channels, 3, padding=1)
        self.prediction = nn.Conv2d(prediction, channels, 3, padding=1)
        self.crfs = nn.ModuleList(WindowCRF(channels, channels // 32, shift) for shift in (0, WINDOW // 2))

    def forward(self, features: Float[Tensor, "b c h w"], x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b e h w"]:
        """Image features and the prediction of the level above → a better prediction."""
        features, x = self.features(features).permute(0, 2, 3, 1), self.prediction(x).permute(0, 2, 3, 1)
        for crf in self.crfs:
            x = crf(features, x)
        return x.permute(0, 3, 1, 2)


class NeWCRFs(nn.Module):
    """Swin-L as the encoder, window CRFs as the decoder.

    Args:
        input_size: (height, width) of the image.
        max_depth: metres.
        encoder: a Swin transformer of timm.
    """

    encoder: Any

    def __init__(
        self,
        input_size: tuple[int, int] = (480, 640),
        max_depth: float = 10.0,
        encoder: str = "swin_large_patch4_window7_224",
    ):
        super().__init__()
        self.input_size, self.max_depth = input_size, max_depth
        self.encoder = timm.create_model(encoder, img_size=input_size, num_classes=0)
        inputs = [info["num_chs"] for info in self.encoder.feature_info]  # 192, 384, 768, 1536
        widths, above = (128, 256, 512, 1024), (64, 128, 256, 512)  # above: a quarter of the coarser level's width
        self.pooling = PyramidPooling(inputs[3], above[3])
        self.levels = nn.ModuleList(map(Level, inputs, above, widths))
        self.output = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Normalised image of the input size → metres."""
        features = self.encoder.forward_intermediates(image, intermediates_only=True)  # H/4 … H/32
        x = self.pooling(features[3])  # b 512 H/32 W/32
        for number in (3, 2, 1, 0):
            x = self.levels[number](features[number], x)  # b 1024 H/32 W/32 … b 128 H/4 W/4
            if number:
                x = F.pixel_shuffle(x, 2)  # b c/4, of twice the resolution
        depth = torch.sigmoid(self.output(x)) * self.max_depth  # b 1 H/4 W/4
        return F.interpolate(depth, size=image.shape[2:], mode="bilinear", align_corners=True)


class NeWCRFsModel(DepthModel):
    """NeWCRFs as a function from pictures to metres: at the size it was built for, with ImageNet's colours."""

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """Any size is stretched to the network's, for which its encoder's windows were laid out."""
        return self.network(imagenet(resize(images, self.network.input_size)))
