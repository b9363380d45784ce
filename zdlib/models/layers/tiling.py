"""Layers from half resolution on in bands of rows, at inference: no tensor of many channels has all the pixels.

The metric head's finest level and whatever follows the last upsampling look at one pixel, or at its 3 × 3 neighbours.
Band by band their tensors stay in the processor's cache, which saves more time than the overlap of a row costs.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zdlib.geometry import resize

LARGE = 2**22  # values of one image's map above which it is cut; smaller ones are faster whole
_BAND = 2**19  # values in a band


def bands(x: Float[Tensor, "b _ _ _"], channels: int, size: tuple[int, ...]) -> list[tuple[int, int]]:
    """(first, last + 1) rows of each band of a map of that size and number of channels, to be made from `x`.

    One band if the map is small, if gradients are recorded, on a GPU (which is fastest on whole maps), and in compiled
    code (where the operations are fused instead).
    """
    height, width = size
    whole = torch.is_grad_enabled() or x.device.type != "cpu" or torch.compiler.is_compiling()
    if whole or channels * height * width <= LARGE:
        return [(0, height)]
    rows = max(8, _BAND // (len(x) * channels * width))
    return [(row, min(row + rows, height)) for row in range(0, height, rows)]


def resize_rows(
    x: Float[Tensor, "b c h w"], size: tuple[int, ...], rows: tuple[int, int]
) -> Float[Tensor, "b c rows w2"]:
    """Some of the rows of `resize(x, size)`."""
    first, stop = rows
    if stop - first == size[0]:
        return resize(x, size)
    precision = torch.promote_types(x.dtype, torch.float32)
    place = torch.arange(first, stop, dtype=precision, device=x.device) * ((x.shape[2] - 1) / max(size[0] - 1, 1))
    low = place.long().clamp(max=x.shape[2] - 1)
    weight = (place - low).to(x.dtype)[:, None, None]
    high = (low + 1).clamp(max=x.shape[2] - 1)
    # Channels last: interpolation along x is five times faster there, and so are the convolutions that follow.
    last = x.permute(0, 2, 3, 1)
    between = torch.lerp(last.index_select(1, low), last.index_select(1, high), weight)  # b rows w c
    return F.interpolate(between.permute(0, 3, 1, 2), size=(stop - first, size[1]), mode="bilinear", align_corners=True)


def ready_for_bands(x: Float[Tensor, "b c h w"], parts: list[tuple[int, int]]) -> Float[Tensor, "b c h w"]:
    """The map in the layout that `resize_rows` reads rows from; otherwise each band would convert the whole map."""
    return x if len(parts) == 1 else x.contiguous(memory_format=torch.channels_last)


def crop(x: Float[Tensor, "b c h w"], rows: tuple[int, int]) -> Float[Tensor, "b c rows w"]:
    """Some rows of a map."""
    return x if rows == (0, x.shape[2]) else x[:, :, rows[0] : rows[1]]


def in_bands(
    parts: list[tuple[int, int]], compute: Callable[[tuple[int, int]], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """The maps that `compute` gives for every band, put together.

    Each band is written into its place: a list of bands would be in memory a second time while it is concatenated.
    """
    if len(parts) == 1:
        return compute(parts[0])
    whole: list[Tensor] = []
    for first, stop in parts:
        found = compute((first, stop))
        if not whole:
            whole = [_empty_map(band, parts[-1][1]) for band in found]
        for map_, band in zip(whole, found, strict=True):
            map_[:, :, first:stop] = band
    return tuple(whole)


def _empty_map(band: Float[Tensor, "b c rows w"], height: int) -> Float[Tensor, "b c h w"]:
    shape = len(band), band.shape[1], height, band.shape[3]
    return torch.empty(shape, dtype=band.dtype, device=band.device, memory_format=torch.channels_last)


def resized_convolution(
    convolution: torch.nn.Conv2d, x: Float[Tensor, "b c h w"], size: tuple[int, ...]
) -> Float[Tensor, "b c2 h2 w2"]:
    """relu(convolution(resize(x, size))) of a 3 × 3 convolution with a padding of 1."""
    parts = bands(x, x.shape[1], size)
    if len(parts) == 1:
        return F.relu(convolution(resize(x, size)))
    x = ready_for_bands(x, parts)

    def band(rows: tuple[int, int]) -> tuple[Tensor]:
        above, below = max(rows[0] - 1, 0), min(rows[1] + 1, size[0])
        y = resize_rows(x, size, (above, below))
        if above == rows[0] or below == rows[1]:  # zeros beyond the image
            y = F.pad(y, (0, 0, above - rows[0] + 1, rows[1] + 1 - below))
        return (F.relu(F.conv2d(y, convolution.weight, convolution.bias, padding=(0, 1))),)

    return in_bands(parts, band)[0]
