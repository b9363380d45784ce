"""Depth Anything: image → tokens → four maps → relative inverse depth, or metres (Yang et al., CVPR and NeurIPS 2024).

Both versions are one network; they differ in the blocks of the encoder that the decoder sees. Other encoders than
DINOv2 take its place with their four maps: those that train in an hour on two cores.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.models.depth_anything.architecture import DepthAnythingConfig, MetricBinsConfig
from zdlib.models.encoders.dinov2 import DINOv2Encoder
from zdlib.models.encoders.timm import Encoder, build_encoder
from zdlib.models.layers.dpt import DPTDecoder
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.network import ZoeDepth


class DepthAnythingOutput(NamedTuple):
    """What a forward pass gives.

    Attributes:
        depth: (b, 1, h, w) at the input's size: relative inverse depth (≥ 0, larger is nearer, of arbitrary scale and
            shift), or metres where the description has a largest depth.
        features: (b, n, c) the encoder's last patch tokens, row by row: what feature alignment compares.
    """

    depth: Float[Tensor, "b 1 h w"]
    features: Float[Tensor, "b n c"]


class DepthAnything(nn.Module):
    """V1, V2, V2 metric.

    Args:
        config: the architecture.
    """

    def __init__(self, config: DepthAnythingConfig):
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        activation = F.relu if config.max_depth is None else torch.sigmoid
        self.decoder = DPTDecoder(self.encoder.channels, config.decoder_channels, self.encoder.third_stride, activation)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> DepthAnythingOutput:
        """Predict from RGB images in [0, 1] whose sides are multiples of `encoder.multiple`.

        Raises:
            ZDError: they are not.
        """
        height, width = images.shape[2:]
        if height % self.encoder.multiple or width % self.encoder.multiple:
            raise ZDError(f"an image of {height} × {width} pixels: resize it to multiples of {self.encoder.multiple}")
        levels, features = encode(self.encoder, self.encoder.normalise(images))
        depth = self.decoder(levels).rel_depth
        return DepthAnythingOutput(depth if self.config.max_depth is None else depth * self.config.max_depth, features)

    def train(self, mode: bool = True) -> "DepthAnything":
        """Training mode for all but the encoder's batch normalisation, which keeps its statistics; a ViT has none."""
        super().train(mode)
        for module in self.encoder.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def parameter_groups(self, lr: float, encoder_lr_factor: float) -> list[dict[str, Any]]:
        """Groups for AdamW: what was trained before learns at `lr / encoder_lr_factor`, the decoder at `lr`.

        Of a ViT that is the transformer; the maps that its tokens become are made in the decoder's head.
        """
        head = getattr(self.encoder, "reassemble", None)
        new = [*([] if head is None else head.parameters()), *self.decoder.parameters()]
        return [
            {"name": "encoder", "params": list(self.encoder.model.parameters()), "lr": lr / encoder_lr_factor},
            {"name": "decoder", "params": new, "lr": lr},
        ]


class ZoeDepthAnything(ZoeDepth):
    """ZoeDepth's metric bins on Depth Anything, as the authors' `metric_depth` trains them (N, K and NK).

    Args:
        config: the architecture.
        segmentation: as in `ZoeDepth`.
    """

    config: MetricBinsConfig

    def __init__(self, config: MetricBinsConfig, segmentation: bool = False):
        super().__init__(config, segmentation)

    def build_encoder(self, config: Architecture) -> Encoder:
        """DINOv2."""
        assert isinstance(config, MetricBinsConfig)
        return DINOv2Encoder(config.encoder, config.taps, config.channels)


def encode(encoder: Encoder, images: Float[Tensor, "b 3 h w"]) -> tuple[list[Tensor], Float[Tensor, "b n c"]]:
    """An encoder's four levels, and its last features: patch tokens of a ViT, the coarsest map's pixels of others.

    Args:
        encoder: of either kind.
        images: normalised, of a size that it takes.
    """
    if isinstance(encoder, DINOv2Encoder):
        tokens = encoder.tokens(images)
        grid = images.shape[2] // encoder.multiple, images.shape[3] // encoder.multiple
        return encoder.levels(tokens, grid), tokens[-1][:, 1:]
    levels = encoder(images)
    return levels, levels[-1].flatten(2).transpose(1, 2)


def _encoder(config: DepthAnythingConfig) -> Encoder:
    if config.taps is not None and config.channels is not None:
        return DINOv2Encoder(config.encoder, config.taps, config.channels, config.class_token)
    return build_encoder(config.encoder, config.encoder_weights)
