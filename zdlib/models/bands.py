"""Full-resolution layers in bands of rows, at inference: no tensor of many channels ever has all the pixels.

Every layer from the last upsampling to the depth looks at one pixel, or at its 3 × 3 neighbours. Band by band the
many-channel tensors stay in the processor's cache, which saves more time than the overlap of a row costs.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LARGE = 2**22  # values of one image's map above which it is cut; smaller ones are faster whole
_BAND = 2**19  # values in a band


def resize(x: Float[Tensor, "b c h w"], size: tuple[int, ...]) -> Float[Tensor, "b c h2 w2"]:
    """Bilinear, corners aligned, no antialiasing: the interpolation of the whole network."""
    return x if x.shape[2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def bands(batch: int, channels: int, size: tuple[int, ...]) -> list[tuple[int, int]]:
    """(first, last + 1) rows of each band of a map; one band if gradients are recorded or the map is small."""
    height, width = size
    if torch.is_grad_enabled() or channels * height * width <= LARGE:
        return [(0, height)]
    rows = max(8, _BAND // (batch * channels * width))
    return [(row, min(row + rows, height)) for row in range(0, height, rows)]


def resize_rows(
    x: Float[Tensor, "b c h w"], size: tuple[int, ...], rows: tuple[int, int]
) -> Float[Tensor, "b c rows w2"]:
    """Some of the rows of `resize(x, size)`."""
    first, stop = rows
    if stop - first == size[0]:
        return resize(x, size)
    step = torch.tensor((x.shape[2] - 1) / max(size[0] - 1, 1), dtype=x.dtype if x.dtype == torch.double else None)
    place = torch.arange(first, stop, dtype=step.dtype) * step
    low = place.long().clamp(max=x.shape[2] - 1)
    weight = (place - low).to(x)[:, None]
    low = low.to(x.device)
    high = (low + 1).clamp(max=x.shape[2] - 1)
    between = torch.lerp(x[:, :, low], x[:, :, high], weight)  # b c rows w
    return F.interpolate(between, size=(stop - first, size[1]), mode="bilinear", align_corners=True)


def resized_convolution(
    convolution: torch.nn.Conv2d, x: Float[Tensor, "b c h w"], size: tuple[int, ...]
) -> Float[Tensor, "b c2 h2 w2"]:
    """relu(convolution(resize(x, size))) of a 3 × 3 convolution with a padding of 1."""
    parts = bands(len(x), x.shape[1], size)
    if len(parts) == 1:
        return F.relu(convolution(resize(x, size)))
    results = []
    for first, stop in parts:
        above, below = max(first - 1, 0), min(stop + 1, size[0])
        rows = resize_rows(x, size, (above, below))
        if above == first or below == stop:  # zeros beyond the image
            rows = F.pad(rows, (0, 0, above - first + 1, stop + 1 - below))
        results.append(F.relu(F.conv2d(rows, convolution.weight, convolution.bias, padding=(0, 1))))
    return torch.cat(results, dim=2)
