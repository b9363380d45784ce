"""Picture → disparity at up to six resolutions, each started as the one before, enlarged.

Source: Garg, Vijay Kumar, Carneiro and Reid, ECCV 2016, fig. 2 and sec. 3. For 188 × 620 pixels:

    C1 11×11/4, pool, norm → C2 5×5 → pool, norm → C3 C4 C5 3×3 → pool → C6 5×5 → C7 1×1 = L7        5 ×  19
    L8 = L7 enlarged + 1×1 of C5                                                                       11 ×  38
    L9 = L8 enlarged + 1×1 of C2                                                                       22 ×  76
    L10, L11, L12: transposed convolutions, started as bilinear enlargement                  44 × 152 … 176 × 608

Each output is disparity in pixels of its own grid, so values double with each enlargement. Everything after C6 is
linear. C7 and the 1×1 convolutions of the skips start at zero: the first disparity is 0 everywhere, and a new level
starts as the one before.

Where the paper is silent or contradicts itself: the zero start is C7's (with C6 = 0, as it is printed, the ReLU after
it is off and nothing before it learns); F1 and F2 take the outputs of C5 and C2 (the printed "L5, L3" are stages); C6
is padded by 2, because 5 × 19 is what 5 × 19 pooled pixels need; C7's 5 × 19 is resized to the skip's 11 × 38, not
doubled.
"""

from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.models.resnet import Bottleneck, ResNet
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.models.encoders.timm import packaged_weights
from zdlib.models.garg.architecture import LEVELS, GargArchitecture

LIGHT = "tf_efficientnet_lite0"

Disparity = Float[Tensor, "b 1 _ _"]


def enlarge(disparity: Disparity, size: tuple[int, int]) -> Disparity:
    """Bilinear (half-pixel centres), and the values in pixels of the new grid."""
    factor = size[1] / disparity.shape[3]
    return factor * F.interpolate(disparity, size=size, mode="bilinear", align_corners=False)


class Doubling(nn.Module):
    """A transposed convolution that starts as bilinear enlargement by two with doubled values.

    Zero padding dims the outermost row and column to about half, as in the authors' layers; training may mend that.
    """

    def __init__(self, learnt: bool = True):
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1)
        row = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.up.weight.copy_(torch.outer(row, row)[None, None])
            cast(Tensor, self.up.bias).zero_()
        self.requires_grad_(learnt)

    def forward(self, disparity: Disparity) -> Disparity:
        """Twice as high and wide; values in pixels of the new grid."""
        return 2 * self.up(disparity)


class Stem(nn.Module):
    """Convolutions and pools of the article: the features of C2, C5 and C6, for a normalised picture."""

    def __init__(self, config: GargArchitecture):
        super().__init__()
        c1, c2, c3, c6 = (config.channels(count) for count in (96, 256, 384, 2048))
        self.c1 = nn.Conv2d(3, c1, 11, stride=4)
        self.c2 = nn.Conv2d(c1, c2, 5, padding=2)
        self.c3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.c4 = nn.Conv2d(c3, c3, 3, padding=1)
        self.c5 = nn.Conv2d(c3, c2, 3, padding=1)
        self.c6 = nn.Conv2d(c2, c6, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)  # as Caffe's, which rounds up
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
        self.channels = (c2, c2, c6)
        for module in (self.c1, self.c2, self.c3, self.c4, self.c5, self.c6):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, module.bias))

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
        """Fine to coarse."""
        fine = self.c2(self.norm(self.pool(self.c1(x).relu()))).relu()
        middle = self.norm(self.pool(fine))
        for convolution in (self.c3, self.c4, self.c5):
            middle = convolution(middle).relu()
        return fine, middle, self.c6(self.pool(middle)).relu()


class HalfResNet(nn.Module):
    """A ResNet-50 of half the channels, from its own random weights; features at 1/8, 1/16 and 1/32.

    The authors' later variant is described as this and no closer; which features its decoder takes is our choice, by
    analogy to the article.
    """

    def __init__(self, config: GargArchitecture):
        super().__init__()
        stages = tuple(config.channels(count) for count in (32, 64, 128, 256))
        kind: Any = Bottleneck  # timm's own annotation asks for an instance
        self.resnet: Any = ResNet(kind, (3, 4, 6, 3), num_classes=0, channels=stages)
        self.channels = (4 * stages[1], 4 * stages[2], 4 * stages[3])

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
        """Fine to coarse."""
        net = self.resnet
        x = net.maxpool(net.act1(net.bn1(net.conv1(x))))
        fine = net.layer2(net.layer1(x))
        middle = net.layer3(fine)
        return fine, middle, net.layer4(middle)


class LightStem(nn.Module):
    """EfficientNet-lite0, features at 1/8, 1/16 and 1/32: the encoder of this project's other light networks.

    Ours, so that what stereo teaches can be compared with what depth teaches at equal encoder and first weights.
    """

    def __init__(self, config: GargArchitecture):
        super().__init__()
        if config.width != 1:
            raise ZDError(f"width {config.width}: garg_light has one width: leave it out")
        model: Any = timm.create_model(LIGHT, features_only=True, out_indices=(2, 3, 4))
        self.model, self.channels = model, tuple(model.feature_info.channels())

    def train(self, mode: bool = True) -> "LightStem":
        """As every module's, but for the normalisation: its statistics stay the first weights'.

        Batches are small and rates high; statistics that lag behind the weights predict depths that are off by twice.
        """
        super().train(mode)
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
        """Fine to coarse."""
        fine, middle, coarse = self.model(2 * x)  # its weights want [-1, 1]
        return fine, middle, coarse

    def use_packaged_weights(self) -> None:
        """ImageNet's, from a pip package."""
        self.model.load_state_dict(packaged_weights(LIGHT, self.model.state_dict()))


STEMS: dict[str, type[Stem | HalfResNet | LightStem]] = {
    "article": Stem,
    "resnet50_half": HalfResNet,
    "light": LightStem,
}


class GargNet(nn.Module):
    """See the module.

    Args:
        config: variant, size and width.

    Attributes:
        metres: f·B / width of the pairs that taught it, metres; 0 = not known yet. A disparity of so many widths is a
            depth of `metres` divided by it.
        level: number of the finest level that training has come to.
    """

    metres: Tensor
    level: Tensor

    def __init__(self, config: GargArchitecture):
        super().__init__()
        self.config = config
        self.stem = STEMS[config.variant](config)
        fine, middle, coarse = self.stem.channels
        self.c7 = nn.Conv2d(coarse, 1, 1)
        self.skips = nn.ModuleList([nn.Conv2d(middle, 1, 1), nn.Conv2d(fine, 1, 1)])
        # The authors' later layers are fixed; the article's learn.
        self.doublings = nn.ModuleList([Doubling(learnt=config.variant != "resnet50_half") for _ in range(3)])
        self.register_buffer("metres", torch.zeros(()))
        self.register_buffer("level", torch.tensor(len(LEVELS) - 1))
        for module in (self.c7, *self.skips):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)

    def forward(self, image: Float[Tensor, "b 3 h w"], level: int | None = None) -> list[Tensor]:
        """Disparities from L7 to a level, coarse to fine, each in pixels of its own grid.

        Args:
            image: in [0, 1], of the network's input size.
            level: number of the finest one wanted, 0 = L7; in training mode it is remembered. None: the remembered one.
        """
        level = _remember(self, level)
        fine, middle, coarse = self.stem(image - 0.5)
        disparities = [self.c7(coarse)]
        for number, skip, features in zip((1, 2), self.skips, (middle, fine), strict=True):
            if level >= number:
                size = (features.shape[2], features.shape[3])
                disparities.append(enlarge(disparities[-1], size) + skip(features))
        for doubling in self.doublings[: max(0, level - 2)]:
            disparities.append(doubling(disparities[-1]))
        return disparities


class SnippetNet(nn.Module):
    """The code that a student article prints for the paper's network: a record of what goes wrong, not to be used.

    A ReLU after C7 and each later layer, the pool behind an unpadded C6, floors for ceilings, no skips and no doubled
    values: with C7 at zero *every* gradient is zero, forever; sizes are not those of its own comments (188 × 620 gives
    64 × 512, not 176 × 608).
    """

    metres: Tensor
    level: Tensor

    def __init__(self, config: GargArchitecture):
        super().__init__()
        self.config = config
        stem = Stem(config)
        stem.c6 = nn.Conv2d(stem.channels[1], stem.channels[2], 5)
        stem.pool = nn.MaxPool2d(3, stride=2)
        self.stem = stem
        self.c7 = nn.Conv2d(stem.channels[2], 1, 1)
        self.ups = nn.ModuleList([nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1) for _ in range(5)])
        self.register_buffer("metres", torch.zeros(()))
        self.register_buffer("level", torch.tensor(len(LEVELS) - 1))
        for parameter in self.c7.parameters():
            nn.init.zeros_(parameter)

    def forward(self, image: Float[Tensor, "b 3 h w"], level: int | None = None) -> list[Tensor]:
        """As `GargNet`, in the snippet's order."""
        level = _remember(self, level)
        s = self.stem
        x = s.pool(s.norm(s.c1(image - 0.5).relu()))
        x = s.pool(s.norm(s.c2(x).relu()))
        for convolution in (s.c3, s.c4, s.c5, s.c6):
            x = convolution(x).relu()
        disparities = [self.c7(s.pool(x)).relu()]
        for up in self.ups[:level]:
            disparities.append(up(disparities[-1]).relu())
        return disparities


Network = GargNet | SnippetNet


def _remember(network: Network, level: int | None) -> int:
    """The level to go to; a training's is kept with the weights."""
    if level is None:
        return int(network.level)
    if network.training:
        network.level.fill_(level)
    return level


def network_of(config: GargArchitecture) -> Network:
    """The network that a description names, with random weights."""
    return SnippetNet(config) if config.variant == "snippet" else GargNet(config)


def level_sizes(config: GargArchitecture) -> list[tuple[int, int]]:
    """Height and width of every level's output, coarse to fine; nothing is computed."""
    with torch.device("meta"):
        outputs = network_of(config)(torch.zeros(1, 3, *config.input_size), level=len(LEVELS) - 1)
    return [(output.shape[2], output.shape[3]) for output in outputs]
