"""Picture → disparities at four scales and classes; two pictures → pose.

Sources: Klingner et al., "Self-supervised monocular depth estimation: solving the dynamic object problem by semantic
guidance", ECCV 2020 (SGDepth), and SGDEM, a changed copy of its code:

    encoder, strides 2 … 32 ─ step 0 ─┬─ depth decoder, steps 1 … 9 ─ sigmoid at 1/8 … 1/1
           (attention: SGDEM)          └─ segmentation decoder, steps 1 … 9 ─ logits at 1/1

Both decoders send their gradients back scaled, 0.9 and 0.1. monodepth2's network (Godard et al., ICCV 2019) is the same
without the segmentation decoder.
"""

from dataclasses import dataclass
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.models.encoders.timm import packaged_weights
from zdlib.models.sgdem.architecture import Attention, SGDEMArchitecture
from zdlib.models.sgdem.attention import strip_attention

STEPS = 10
SCALES = 4
NORMALISATION = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "monodepth2": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
}
FIRST_BIAS = 5.0  # of the depth heads: everything is near at first
POSE_START = 0.01  # factor of the last pose layer's first weights


class _ScaledGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradients[0], None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """The same values, whose gradient comes back multiplied."""
    return cast(Tensor, _ScaledGradient.apply(x, factor))


class Pyramid(nn.Module):
    """A timm network's maps at strides 2, 4, 8, 16 and 32, with attention at some of them.

    Args:
        name: of the network.
        images: how many pictures it sees at once.
        attention: None = none.
    """

    model: Any

    def __init__(self, name: str, images: int = 1, attention: Attention | None = None):
        super().__init__()
        try:
            self.model = timm.create_model(name, features_only=True, in_chans=3 * images)
        except Exception as error:  # timm's own exceptions are of many kinds
            raise ZDError(f"{name}: timm gives no feature maps for it ({error}): choose another encoder") from error
        levels: Any = self.model.feature_info
        if levels.reduction()[-5:] != [2, 4, 8, 16, 32]:
            raise ZDError(f"{name}: its maps are not at strides 2 to 32: choose another encoder")
        self.channels = tuple(levels.channels()[-5:])
        self.attention = attention if attention is not None and attention.where == "encoder" else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """Normalised picture(s) → maps, fine to coarse."""
        maps = list(self.model(x))[-5:]
        if self.attention is None:
            return maps
        # What the next stage sees is the map as it was: attention is for the decoders.
        chosen, strips, scaled = self.attention.levels, self.attention.strips, self.attention.scaled
        return [strip_attention(m, strips, scaled) if level in chosen else m for level, m in enumerate(maps)]


class Step(nn.Module):
    """Reflecting pad, 3×3 convolution, ELU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Same size."""
        return F.elu(self.conv(x))


def step_channels(config: SGDEMArchitecture, encoder: tuple[int, ...]) -> list[tuple[int, int]]:
    """Inputs and outputs of the decoder's ten steps; odd ones also take an encoder map, the last one none."""
    sizes, last = [], encoder[-1]
    for number in range(STEPS):
        outputs = config.decoder_channels[number // 2]
        skip = encoder[3 - number // 2] if number % 2 and number < STEPS - 1 else 0
        sizes.append((last + skip, outputs))
        last = outputs
    return sizes


class Decoder(nn.Module):
    """Steps 1 to 9 of a task and its heads, after the shared step 0.

    Args:
        sizes: channels of all ten steps.
        outputs: of a head.
        scales: how many heads, at 1/1, 1/2, …
    """

    def __init__(self, sizes: list[tuple[int, int]], outputs: int, scales: int):
        super().__init__()
        self.steps = nn.ModuleList([Step(*size) for size in sizes[1:]])
        self.heads = nn.ModuleList(
            [
                nn.Conv2d(sizes[STEPS - 1 - 2 * scale][1], outputs, 3, padding=1, padding_mode="reflect")
                for scale in range(scales)
            ]
        )

    def forward(self, x: Tensor, maps: list[Tensor]) -> list[Tensor]:
        """Output of step 0 and the encoder's maps → what the heads give, fine to coarse."""
        outputs = []
        for number, step in enumerate(self.steps, start=1):
            if number % 2:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
                if number < STEPS - 1:
                    x = torch.cat([x, maps[3 - number // 2]], dim=1)
            x = step(x)
            scale = (STEPS - 1 - number) // 2
            if number % 2 and scale < len(self.heads):
                outputs.append(self.heads[scale](x))
        return outputs[::-1]


class PoseNet(nn.Module):
    """Two pictures → turn and shift between them.

    Args:
        config: its encoder, factor and outputs.
    """

    def __init__(self, config: SGDEMArchitecture):
        super().__init__()
        self.factor = config.pose_factor
        attention = config.attention if config.attention and config.attention.in_pose else None
        if config.pose_encoder == "cnn":
            widths, kernels = (6, 16, 32, 64, 128, 256, 256, 256), (7, 5, 3, 3, 3, 3, 3)
            pairs = zip(widths[:-1], widths[1:], kernels, strict=True)
            layers = [(nn.Conv2d(a, b, k, stride=2, padding=k // 2), nn.ReLU()) for a, b, k in pairs]
            self.encoder: nn.Module = nn.Sequential(*(module for layer in layers for module in layer))
            self.head: nn.Module = nn.Conv2d(256, 6, 1)
            return
        pyramid = Pyramid(config.pose_encoder, 2, attention)
        self.encoder = pyramid
        self.head = nn.Sequential(
            nn.Conv2d(pyramid.channels[-1], 256, 1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 6 * config.pose_frames, 1),
        )
        if config.pose_factor == 1:
            with torch.no_grad():
                cast(nn.Conv2d, self.head[-1]).weight.mul_(POSE_START)

    def begin_small(self, factor: float) -> None:
        """Multiply the last layer's weights and bias: the first poses are that much nearer to no motion."""
        last = self.head[-1] if isinstance(self.head, nn.Sequential) else self.head
        with torch.no_grad():
            for parameter in last.parameters():
                parameter.mul_(factor)

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
        """Normalised pictures in the order of time → axis-angle and translation of the first pose."""
        features = self.encoder(pictures)
        x = features[-1] if isinstance(features, list) else features
        pose = self.factor * self.head(x).mean((2, 3))
        return pose[:, :3], pose[:, 3:6]


@dataclass(frozen=True)
class Outputs:
    """What the network gives.

    Attributes:
        disparities: sigmoids of the first pictures, fine to coarse; 1 is the nearest.
        logits: of the last pictures; None = none were asked for.
    """

    disparities: list[Float[Tensor, "d 1 _ _"]]
    logits: Float[Tensor, "s classes h w"] | None


class SGDEM(nn.Module):
    """See the module.

    Args:
        config: encoder, decoders, pose, attention.
        weights: of the encoders: "none", or "packaged" where a pip package has them.
    """

    def __init__(self, config: SGDEMArchitecture, weights: str = "none"):
        super().__init__()
        self.config = config
        self.encoder = Pyramid(config.encoder, attention=config.attention)
        sizes = step_channels(config, self.encoder.channels)
        self.shared = Step(*sizes[0])
        self.depth = Decoder(sizes, 1, SCALES)
        self.segmentation = Decoder(sizes, config.classes, 1) if config.classes else None
        self.pose = PoseNet(config)
        self.begin_at(FIRST_BIAS)
        mean, deviation = NORMALISATION[config.normalisation]
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)
        if weights == "packaged":
            self._use_packaged()
        elif weights != "none":
            raise ZDError(f"encoder_weights {weights}: this family begins with none or packaged ones")

    def forward(self, images: Float[Tensor, "b 3 h w"], segmented: int = 0) -> Outputs:
        """Depth of all pictures but the last, classes of so many last ones; one pass through what is shared.

        Args:
            images: in [0, 1].
            segmented: how many of them are pictures with labels. -1: depth and classes of all.
        """
        maps = self.encoder(self.normalise(images))
        last = self._to_decoders(maps[-1])
        x = self.shared(last)
        count = len(images)
        both = segmented < 0
        first, later = (
            (slice(None), slice(None)) if both else (slice(count - segmented), slice(count - segmented, None))
        )
        disparities = []
        if both or segmented < count:
            scaled = self._scaled(x, maps, first, self.config.gradient_scales[0])
            disparities = [torch.sigmoid(output) for output in self.depth(*scaled)]
        logits = None
        if segmented and self.segmentation is not None:
            logits = self.segmentation(*self._scaled(x, maps, later, self.config.gradient_scales[1]))[0]
        return Outputs(disparities, logits)

    def begin_at(self, bias: float) -> None:
        """Set the bias of the depth heads, before their sigmoid."""
        for head in self.depth.heads:
            nn.init.constant_(cast(Tensor, head.bias), bias)

    def motion(
        self, earlier: Float[Tensor, "b 3 h w"], later: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
        """Axis-angle and translation between two pictures, the earlier one first."""
        return self.pose(torch.cat([self.normalise(earlier), self.normalise(later)], dim=1))

    def normalise(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """As the encoders want their input."""
        return (images - cast(Tensor, self.mean)) / cast(Tensor, self.deviation)

    def _to_decoders(self, coarsest: Tensor) -> Tensor:
        attention = self.config.attention
        if attention is None or attention.where != "decoder":
            return coarsest
        return strip_attention(coarsest, attention.strips, attention.scaled)

    def _scaled(self, x: Tensor, maps: list[Tensor], which: slice, factor: float) -> tuple[Tensor, list[Tensor]]:
        return scale_gradient(x[which], factor), [scale_gradient(level[which], factor) for level in maps]

    def _use_packaged(self) -> None:
        """ImageNet weights; the pose network's first layer has them once for each picture, halved."""
        self.encoder.model.load_state_dict(packaged_weights(self.config.encoder, self.encoder.model.state_dict()))
        pose = self.pose.encoder
        if not isinstance(pose, Pyramid):
            return
        target = pose.model.state_dict()
        state = packaged_weights(self.config.pose_encoder, target)
        for key, value in state.items():
            if value.shape != target[key].shape:
                state[key] = torch.cat([value, value], dim=1) / 2
        pose.model.load_state_dict(state)
