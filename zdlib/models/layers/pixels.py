"""Some pixels of a map: every n-th row and column of it.

What a head computes pixel by pixel, a training step need not compute at all of them: a loss over a quarter of the
pixels, others in every step, has the same expectation as that over all, for a quarter of the work.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from zdlib.geometry import resize


@dataclass(frozen=True)
class Pixels:
    """Every `step`-th row from `row` and column from `column` of maps of a size.

    Attributes:
        size: height and width of the whole maps.
        step: 1 or more.
        row, column: the first ones, below `step`.
    """

    size: tuple[int, int]
    step: int
    row: int
    column: int

    @classmethod
    def draw(cls, size: tuple[int, int], step: int) -> "Pixels":
        """Drawn from torch's global generator."""
        row, column = torch.randint(step, (2,)).tolist()
        return cls(size, step, row, column)

    def of(self, x: Shaped[Tensor, "*b h w"]) -> Shaped[Tensor, "*b h2 w2"]:
        """These pixels of a map of their size."""
        return x[..., self.row :: self.step, self.column :: self.step]

    def of_resized(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """These pixels of a map that is first resized to their size."""
        return self.of(resize(x, self.size))

    def of_convolved(self, x: Float[Tensor, "b c h w"], convolution: nn.Conv2d) -> Float[Tensor, "b c2 h2 w2"]:
        """These pixels of what a 3 × 3 convolution with a padding of 1 makes of a map of their size."""
        padded = F.pad(x, (1, 1, 1, 1))[..., self.row :, self.column :]
        return F.conv2d(padded, convolution.weight, convolution.bias, stride=self.step)

    def nearest(self, x: Shaped[Tensor, "*b h w"]) -> Shaped[Tensor, "*b h2 w2"]:
        """The pixels of a map of another size that lie nearest to these, corner on corner.

        For truth, which has edges and holes, and classes instead of values: nothing is interpolated.
        """
        rows, columns = (
            (torch.arange(first, size, self.step, device=x.device) * ((other - 1) / max(size - 1, 1))).round().long()
            for first, size, other in zip((self.row, self.column), self.size, x.shape[-2:], strict=True)
        )
        return x[..., rows[:, None], columns]
