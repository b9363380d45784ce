"""AdaBins (Bhat, Alhashim and Wonka, CVPR 2021, arXiv 2011.14141), from the paper's text, figures and Table 1.

The paper takes its decoder from Alhashim and Wonka ("High quality monocular depth estimation via transfer learning",
arXiv 1812.11941): a 1×1 convolution, then blocks that upsample to the next skip connection, join it, and convolve twice
to half the channels. What the papers leave open is chosen so that the parts have the sizes the paper states (encoder
28 M, decoder 44 M, mini-ViT 5.8 M): a hidden layer of 256 in the head for bin widths, and one position embedding for
each patch of the input size.
"""

from typing import Any

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.geometry import resize
from zdlib.models.depth_model import DepthModel
from zdlib.models.layers.colours import imagenet


class UpBlock(nn.Module):
    """Upsample to the skip connection, join it, convolve twice."""

    def __init__(self, inputs: int, skip: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs + skip, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"], skip: Float[Tensor, "b s h2 w2"]) -> Float[Tensor, "b c2 h2 w2"]:
        """`skip` has twice the resolution of `x`."""
        x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=True)
        x = F.leaky_relu(self.conv1(torch.cat([x, skip], dim=1)), 0.2)
        return F.leaky_relu(self.conv2(x), 0.2)


class MiniViT(nn.Module):
    """Bin widths and range-attention maps from decoded features (section 3.3, Table 1).

    Args:
        channels: C_d of the decoded features.
        patches: how many patches of 16 × 16 they have at most.
        n_bins: N.
        kernels: C, the number of attention maps.
        dim: E, of the patch embeddings.
    """

    def __init__(self, channels: int, patches: int, n_bins: int, kernels: int, dim: int = 128):
        super().__init__()
        self.kernels = kernels
        self.embed = nn.Conv2d(channels, dim, 16, stride=16)
        self.positions = nn.Parameter(torch.zeros(patches, dim))
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(dim, 4, 1024, batch_first=True) for _ in range(4))
        self.widths = nn.Sequential(nn.Linear(dim, 256), nn.ReLU(), nn.Linear(256, n_bins))
        self.pixels = nn.Conv2d(channels, dim, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b k h w"]]:
        """Widths that sum to one, and the attention maps."""
        tokens = self.embed(x).flatten(2).transpose(1, 2)  # b s E
        tokens = tokens + self.positions[: tokens.shape[1]]
        for layer in self.layers:
            tokens = layer(tokens)
        widths = F.relu(self.widths(tokens[:, 0])) + 1e-3  # b N, from the first output embedding
        kernels = tokens[:, 1 : 1 + self.kernels]  # b C E: the next ones are 1×1 kernels
        maps = (kernels @ self.pixels(x).flatten(2)).unflatten(2, x.shape[2:])  # b C h w
        return widths / widths.sum(1, keepdim=True), maps


class AdaBins(nn.Module):
    """EfficientNet-B5, a decoder to half the resolution, adaptive bins, and their mean at every pixel.

    Args:
        input_size: (height, width) of the largest image.
        n_bins: N.
        kernels: C, the number of attention maps; an image needs more patches of 32 × 32.
        min_depth: metres.
        max_depth: metres.
    """

    encoder: Any

    def __init__(
        self,
        input_size: tuple[int, int] = (480, 640),
        n_bins: int = 256,
        kernels: int = 128,
        min_depth: float = 1e-3,
        max_depth: float = 10.0,
    ):
        super().__init__()
        self.input_size, self.min_depth, self.max_depth = input_size, min_depth, max_depth
        self.encoder = timm.create_model("efficientnet_b5", num_classes=0)
        skips = [info["num_chs"] for info in self.encoder.feature_info[:-1]]  # 24, 40, 64, 176 at H/2 … H/16
        widths = [2048, 1024, 512, 256, 128]
        self.bottleneck = nn.Conv2d(2048, 2048, 1)
        self.blocks = nn.ModuleList(
            UpBlock(inputs, skip, outputs)
            for inputs, skip, outputs in zip(widths[:-1], reversed(skips), widths[1:], strict=True)
        )
        self.decoded = nn.Conv2d(128, 128, 3, padding=1)
        self.bins = MiniViT(128, (input_size[0] // 32) * (input_size[1] // 32), n_bins, kernels)
        self.output = nn.Conv2d(kernels, n_bins, 1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Normalised image, its sides multiples of 32 → metres."""
        x, levels = self.encoder.forward_intermediates(image)  # b 2048 H/32 W/32; maps at H/2 … H/32
        x = self.bottleneck(x)
        for block, skip in zip(self.blocks, reversed(levels[:-1]), strict=True):
            x = block(x, skip)  # at last b 128 H/2 W/2
        widths, maps = self.bins(self.decoded(x))  # b N; b 128 H/2 W/2
        centres = self.min_depth + (self.max_depth - self.min_depth) * (widths.cumsum(1) - widths / 2)
        probabilities = self.output(maps).softmax(1)  # b N H/2 W/2
        depth = (probabilities * centres[:, :, None, None]).sum(1, keepdim=True)  # b 1 H/2 W/2
        return F.interpolate(depth, size=image.shape[2:], mode="bilinear", align_corners=True)


class AdaBinsModel(DepthModel):
    """AdaBins as a function from pictures to metres: at the size it was built for, with ImageNet's colours."""

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """Any size is stretched to the network's, whose sides are multiples of 32."""
        return self.network(imagenet(resize(images, self.network.input_size)))
