"""What describes a network of this family."""

from typing import Literal

from zdlib.config import Frozen, Positive

Normalisation = Literal["imagenet", "monodepth2"]


class Attention(Frozen):
    """Global–local attention between channels (SGDEM); it has no parameters.

    Attributes:
        levels: of the encoder, 1 (stride 4) to 4 (stride 32), whose maps it changes; the authors' are all four.
        strips: numbers of vertical strips it is computed in, 1 = the whole map; several are averaged. The authors'
            figure shows more than one, their code passes 1 and ignores it.
        scaled: divide the products of channels by √pixels. Without it, each channel nearly takes all of the one that is
            least like it.
        where: `encoder`: at the levels; `decoder`: at the decoders' input alone, as the figure has it.
        in_pose: also in the pose network, where the authors' code has it because the class is shared.
    """

    levels: tuple[int, ...] = (1, 2, 3, 4)
    strips: tuple[Positive, ...] = (1,)
    scaled: bool = False
    where: Literal["encoder", "decoder"] = "encoder"
    in_pose: bool = False


class SGDEMArchitecture(Frozen):
    """A network; the defaults are SGDepth's.

    Attributes:
        encoder: a timm network with maps at strides 2 to 32.
        pose_encoder: likewise; `cnn` is SfMLearner's seven convolutions, as monodepth2 keeps them.
        input_size: height and width that pictures are resized to; multiples of 32.
        decoder_channels: of the five levels, coarse to fine.
        classes: of the segmentation; 0 = no such decoder.
        gradient_scales: of what comes back from the depth and from the segmentation decoder to what they share.
        normalisation: of the networks' input: ImageNet's mean and deviation, or (x - 0.45) / 0.225.
        pose_factor: of the pose network's output; 0.01 in monodepth2, in SGDepth its last weights start small instead.
        pose_frames: how many poses its last layer gives, of which the first counts: 2 in monodepth2.
        attention: SGDEM's; None = SGDepth.
    """

    encoder: str = "resnet18"
    pose_encoder: str = "resnet18"
    input_size: tuple[Positive, Positive] = (192, 640)
    decoder_channels: tuple[Positive, Positive, Positive, Positive, Positive] = (256, 128, 64, 32, 16)
    classes: int = 20
    gradient_scales: tuple[float, float] = (0.9, 0.1)
    normalisation: Normalisation = "imagenet"
    pose_factor: float = 1.0
    pose_frames: Literal[1, 2] = 1
    attention: Attention | None = None
