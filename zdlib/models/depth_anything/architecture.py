"""The complete description of a Depth Anything network."""

from typing import Any, Literal

from pydantic import Field, model_validator

from zdlib.config import Frozen, Positive
from zdlib.models.zoe.architecture import Architecture

Taps = tuple[int, int, int, int]
Widths = tuple[Positive, Positive, Positive, Positive]


class DepthAnythingConfig(Frozen):
    """Every choice the network depends on.

    Attributes:
        encoder: a timm name: a ViT with patches of 14 pixels, or any network with maps at strides 4, 8, 16 and 32.
        taps, channels, class_token: of a ViT alone: the blocks (from 0) that become the four levels, fine to coarse;
            the levels' channels; whether each level reads the class token too, which no released network does.
        encoder_weights: first weights of another encoder than a ViT: "none", or "packaged" (a pip package's).
        decoder_channels: of the decoder's maps.
        max_depth: metres that the output's sigmoid is multiplied by; None gives relative inverse depth (ReLU).
        shortest_side: what the shorter side of a picture is brought to, rounded to a multiple that is no smaller.
        align_corners: of the bilinear way back to the picture's size: V2's code aligns them, V1's does not.
    """

    encoder: str
    encoder_weights: Literal["none", "packaged"] = "none"
    taps: Taps | None = None
    channels: Widths | None = None
    class_token: bool = False
    decoder_channels: Positive = 256
    max_depth: float | None = Field(default=None, gt=0)
    shortest_side: Positive = 518
    align_corners: bool = True

    @model_validator(mode="after")
    def _a_vit_is_described(self) -> "DepthAnythingConfig":
        if (self.taps is None) != (self.channels is None):
            raise ValueError("taps and channels describe a ViT together: give both, or neither")
        if self.taps is not None and list(self.taps) != sorted(set(self.taps)):
            raise ValueError(f"taps are numbers of blocks in ascending order, not {self.taps}")
        return self

    @property
    def is_vit(self) -> bool:
        """Whether the encoder is a ViT."""
        return self.taps is not None


class MetricBinsConfig(Architecture):
    """ZoeDepth's metric head on Depth Anything: a ZoeDepth whose encoder is a ViT with patches of 14 pixels.

    Attributes:
        taps, channels: as in `DepthAnythingConfig`.
    """

    taps: Taps
    channels: Widths


def vit(size: Literal["small", "base", "large"], version: Literal[1, 2]) -> dict[str, Any]:
    """What describes DINOv2 of that size in the networks of a version.

    V1 taps the last four blocks. That was an oversight, its authors say; V2 taps blocks at equal distances.
    """
    decoder, channels, depth, spread = {
        "small": (64, (48, 96, 192, 384), 12, (2, 5, 8, 11)),
        "base": (128, (96, 192, 384, 768), 12, (2, 5, 8, 11)),
        "large": (256, (256, 512, 1024, 1024), 24, (4, 11, 17, 23)),
    }[size]
    taps = tuple(range(depth - 4, depth)) if version == 1 else spread
    name = f"vit_{size}_patch14_dinov2"
    return {"encoder": name, "taps": taps, "channels": channels, "decoder_channels": decoder}
