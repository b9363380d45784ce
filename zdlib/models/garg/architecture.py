"""What describes a network of this family."""

from typing import Literal

from zdlib.config import Frozen, Positive

Variant = Literal["article", "resnet50_half", "light", "snippet"]
LEVELS = ("L7", "L8", "L9", "L10", "L11", "L12")
VARIANTS: dict[str, Variant] = {
    "garg": "article",
    "garg_resnet50_half": "resnet50_half",
    "garg_light": "light",
    "garg_snippet": "snippet",
}
"""What `model.encoder` of a profile names."""


class GargArchitecture(Frozen):
    """A network.

    Attributes:
        variant: `article`: the table of the paper; `resnet50_half`: the encoder of the authors' later repository, a
            ResNet-50 of half the channels; `light`: EfficientNet-lite0, which may begin with ImageNet's weights (ours);
            `snippet`: the code that a student article prints, which learns nothing.
        input_size: height and width that pictures are resized to.
        width: share of the article's channels.
    """

    variant: Variant = "article"
    input_size: tuple[Positive, Positive] = (188, 620)
    width: float = 1.0

    def channels(self, count: int) -> int:
        """So many of the article's channels, at this width."""
        return max(1, round(count * self.width))
