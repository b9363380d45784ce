"""The whole network: image → features → bins → metric depth, and in training also segmentation."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.models.encoders.timm import Encoder, build_encoder
from zdlib.models.layers.dpt import DPTDecoder
from zdlib.models.layers.pixels import Pixels
from zdlib.models.layers.unet import UNetHead
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.metric_bins import MetricBins


@dataclass
class ZoeOutput:
    """What a forward pass gives, all at network resolution.

    Attributes:
        metric_depth: in the unit the model was trained in (metres, but for the published recipe).
        rel_depth: relative inverse depth, of arbitrary scale and shift.
        segmentation: class logits; None unless the U-Net was built and ran.
        bin_centres: of the finest level; None for the naive head.
        domain_logits: the router's; None for a model of one domain.
        pixels: those that were computed; None: all.
    """

    metric_depth: Float[Tensor, "b 1 h w"]
    rel_depth: Float[Tensor, "b 1 h w"]
    segmentation: Float[Tensor, "b 14 h w"] | None = None
    bin_centres: Float[Tensor, "b k h2 w2"] | None = None
    domain_logits: Float[Tensor, "b d"] | None = None
    pixels: Pixels | None = None


LARGEST = 8  # times the network's own size that its input may have: attention costs the square of it


def network_size(
    image: tuple[int, ...], target: tuple[int, int], keep_aspect_ratio: bool, multiple: int = 32
) -> tuple[int, int]:
    """The (height, width) an image of that size is resized to: MiDaS' rule "minimal, multiple of 32".

    With the aspect ratio kept, the side that has to change less decides the scale.

    Raises:
        ZDError: with its aspect ratio kept, the image would be many times larger than the network's size.
    """
    scale_h, scale_w = target[0] / image[0], target[1] / image[1]
    if keep_aspect_ratio:
        scale_h = scale_w = scale_w if abs(1 - scale_w) < abs(1 - scale_h) else scale_h
    sides = zip((scale_h, scale_w), image, strict=True)
    height, width = (max(1, round(scale * side / multiple)) * multiple for scale, side in sides)
    if keep_aspect_ratio and height * width > LARGEST * target[0] * target[1]:
        raise ZDError(
            f"a picture of {image[0]} × {image[1]} pixels: this network would see it at {height} × {width}, and "
            f"memory allows {LARGEST} times its {target[0]} × {target[1]}: cut the picture into parts"
        )
    return height, width


class ZoeDepth(nn.Module):
    """ZoeDepth, and with `segmentation` Zoe-Distill as it is trained.

    Args:
        config: the architecture.
        segmentation: build the U-Net. It runs in training mode, or when asked for; the depth is the same without it.

    Attributes:
        frozen_statistics: whether the encoder's batch normalisation keeps its statistics in training, see `train`.
    """

    frozen_statistics: bool = True

    def __init__(self, config: Architecture, segmentation: bool = False):
        super().__init__()
        self.config = config
        self.encoder = self.build_encoder(config)
        self.decoder = DPTDecoder(self.encoder.channels, config.decoder_channels, self.encoder.third_stride)
        self.head = MetricBins(config)
        # Last, so that equal seeds give equal depth networks with and without it.
        self.unet = UNetHead(config.decoder_channels, config.segmentation_channels) if segmentation else None

    def forward(
        self,
        images: Float[Tensor, "b 3 h w"],
        segmentation: bool | None = None,
        domains: Int[Tensor, " b"] | None = None,
        stride: int = 1,
    ) -> ZoeOutput:
        """Predict from RGB images in [0, 1], of any size.

        Args:
            images: resized to the network's size and normalised here.
            segmentation: run the U-Net; None means in training mode only.
            domains: each image's, as an index into the architecture's; None leaves it to the router.
            stride: above 1, every output but `bin_centres` has only every n-th row and column, from a place drawn
                from the global generator: for losses.

        Raises:
            ZDError: `segmentation` of a model that was built without it; no `domains` where they must be labelled.
        """
        if segmentation and self.unet is None:
            raise ZDError("this model has no segmentation head: build or load it with segmentation=True")
        run_unet = self.training if segmentation is None else segmentation
        pixels = None if stride == 1 else Pixels.draw(self._network_size(images), stride)
        features = self.decoder(self.levels(images), pixels)
        depth, centres, domain_logits = self.head(features, domains)
        logits = self.unet(features) if self.unet is not None and run_unet else None
        return ZoeOutput(depth, features.rel_depth, logits, centres, domain_logits, pixels)

    def build_encoder(self, config: Architecture) -> Encoder:
        """The encoder of that description; another for a network that begins otherwise."""
        return build_encoder(config.encoder, config.encoder_weights)

    def levels(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The encoder's maps (b, c_i, H/s, W/s), s = 4, 8, 16, 32, of the images at the network's size H × W."""
        return self.encoder(self.encoder.normalise(resize(images, self._network_size(images))))

    def _network_size(self, images: Float[Tensor, "b 3 h w"]) -> tuple[int, int]:
        config, multiple = self.config, self.encoder.multiple
        return network_size(images.shape[2:], config.input_size, config.keep_aspect_ratio, multiple)

    def train(self, mode: bool = True) -> "ZoeDepth":
        """Training mode for all but the encoder's batch normalisation, which keeps its pre-trained statistics.

        ZoeDepth's configuration says `freeze_midas_bn`. SwinV2 and BEiT have none; in a convolutional encoder the
        statistics of a few frames differ from those used in evaluation by more than the metric head forgives.
        """
        super().train(mode)
        for module in self.encoder.modules() if self.frozen_statistics else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def parameter_groups(self, lr: float, encoder_lr_factor: float) -> list[dict[str, Any]]:
        """Groups for AdamW: the encoder learns at `lr / encoder_lr_factor`, decoder and heads at `lr`."""
        heads = [p for part in (self.head, self.unet) if part is not None for p in part.parameters()]
        return [
            {"name": "encoder", "params": list(self.encoder.parameters()), "lr": lr / encoder_lr_factor},
            {"name": "decoder", "params": list(self.decoder.parameters()), "lr": lr},
            {"name": "heads", "params": heads, "lr": lr},
        ]
