"""The training-only branch: decoder features → 14 class logits (Zoe-Distill's "cross-talk distillation")."""

from jaxtyping import Float
from segmentation_models_pytorch.base.heads import SegmentationHead
from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from zdlib.labels import N_CLASSES
from zdlib.models.layers.dpt import DecoderFeatures


class UNetHead(nn.Module):
    """segmentation-models-pytorch's U-Net decoder over the five decoder maps, and a 3×3 convolution.

    Its gradient reaches the decoder and the encoder; the depth never depends on it, so at inference it need not exist.

    Args:
        in_channels: of the decoder's maps.
        channels: of the five blocks, coarse to fine.

    Attributes:
        detach: keep its gradient to itself, so that it only reads what the features hold (a probe).
    """

    def __init__(self, in_channels: int, channels: tuple[int, ...]):
        super().__init__()
        self.detach = False
        # The first of the six encoder entries stands for the full-resolution map, which smp does not feed to a block.
        self.decoder = UnetDecoder([0] + [in_channels] * 5, channels, n_blocks=len(channels))
        self.classifier = SegmentationHead(channels[-1], N_CLASSES, kernel_size=3)
        initialize_decoder(self.decoder)
        initialize_head(self.classifier)

    def forward(self, features: DecoderFeatures) -> Float[Tensor, "b 14 h w"]:
        """Logits at network resolution, at the pixels that the finest maps were computed at."""
        pixels = features.pixels
        # The first entry gives the last block its size, and nothing else.
        finest = features.fine if pixels is None else features.fine.new_zeros(()).expand(1, 1, *pixels.size)
        maps = [finest, *reversed(features.fused), features.bottleneck]
        decoded = self.decoder([m.detach() for m in maps] if self.detach else maps)
        return self.classifier(decoded) if pixels is None else pixels.of_convolved(decoded, self.classifier[0])
