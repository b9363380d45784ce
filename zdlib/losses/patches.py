"""Patch distillation (SGDEM): a teacher looks at windows with much detail, at several scales; the result is a target.

Sources: SGDEM's repository; the windows are those of Miangoleh et al., "Boosting monocular depth estimation models to
high resolution via content-adaptive multi-resolution merging", CVPR 2021. Nothing here has a gradient but `patch_loss`.

What is ours: edges are those of the 8-bit grey image (the authors' come from negative floats cast to bytes, and their
code ends where there is none); a window without edges counts as far from any; the structural part of the loss is a
mean.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from zdlib.losses.photometric import Map, ssim_loss

GREY = np.array([0.2989, 0.5870, 0.1140])
SIZE, STRIDE, GROWTH = 128, 48, 64
SCALES = (1.5, 1.0, 0.5)  # high, middle, low: of a window when the teacher looks at it
LEAST_SEEN = 64  # pixels of a side: the network's coarsest map must have two to be padded by reflection
NEAR, FAR = 0.1, 2.0  # of the mean area per edge pixel, as distances to an edge
WEIGHTS = ((0.30, 0.70, 0.0), (0.25, 0.70, 0.05), (0.15, 0.70, 0.15))  # high, middle, low: near, between, far
EDGE = 32  # of the Laplacian of 8-bit grey
MARGIN, BLUR = 0.15, 16
SELF, OTHER = 0.6, 0.4  # shares of the two teachers
STRENGTH, HALF, LEAST = 0.6, 0.5, 0.01
SSIM_SHARE = 0.2

Teacher = Callable[[Float[Tensor, "1 3 h w"]], Float[Tensor, "1 1 _ _"]]


class Window(NamedTuple):
    """A square of a picture: its first row and column, and its side."""

    row: int
    column: int
    side: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.row, self.row + self.side), slice(self.column, self.column + self.side)


def windows(
    image: Float[np.ndarray, "3 h w"], side: int = SIZE, stride: int = STRIDE, growth: int = GROWTH
) -> list[Window]:
    """Squares whose mean gradient is at least the whole image's, as large as that holds; the largest first.

    Gradients are |∂x| + |∂y| (Sobel) of the grey image, 0 where below the mean of the positive ones.

    Args:
        image: on any scale.
        side: of the grid's squares.
        stride: between them.
        growth: what a side grows by at once.
    """
    grey = np.tensordot(GREY, image.astype(np.float64), 1)
    magnitude = sum(np.abs(ndimage.sobel(grey, axis, mode="mirror")) for axis in (0, 1))
    assert isinstance(magnitude, np.ndarray)
    if not magnitude.any():
        return []
    magnitude[magnitude < magnitude[magnitude > 0].mean()] = 0
    sums = np.pad(magnitude.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = grey.shape
    whole = magnitude.mean()

    def mean(window: Window) -> float:
        top, left = window.row, window.column
        bottom, right = top + window.side, left + window.side
        return float((sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]) / window.side**2)

    chosen = []
    for column in range(0, width - side, stride):
        for row in range(0, height - side, stride):
            window = Window(row, column, side)
            if mean(window) < whole:
                continue
            larger = Window(row - growth // 2, column - growth // 2, side + growth)
            while (
                min(larger.row, larger.column) >= 0
                and larger.row + larger.side <= height
                and larger.column + larger.side <= width
                and mean(larger) >= whole
            ):
                window = larger
                larger = Window(window.row - growth // 2, window.column - growth // 2, window.side + growth)
            chosen.append(window)
    return sorted(chosen, key=lambda window: -window.side)


def border_mask(height: int, width: int) -> Float[np.ndarray, "h w"]:
    """1 inside, softly 0 towards the border: a box with margins of 15 %, blurred with σ = height / 16."""
    mask = np.zeros((height, width))
    rows, columns = int(MARGIN * height), int(MARGIN * width)
    mask[rows : height - rows, columns : width - columns] = 1
    mask = ndimage.gaussian_filter(mask, int(height / BLUR), mode="mirror", truncate=2.0)
    result: Float[np.ndarray, "h w"] = (mask - mask.min()) / (mask.max() - mask.min())
    return result


def edges(image: Float[np.ndarray, "3 h w"]) -> Bool[np.ndarray, "h w"]:
    """Where the Laplacian of the 8-bit grey image is large.

    Args:
        image: in [0, 1].
    """
    grey = np.rint(255 * np.tensordot(GREY / GREY.sum(), image.astype(np.float64), 1).clip(0, 1))
    result: Bool[np.ndarray, "h w"] = np.abs(ndimage.laplace(grey, mode="mirror")) > EDGE
    return result


def detail_weights(edge: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "3 h w"]:
    """What the high, middle and low scale count in each pixel, by the distance to the nearest edge.

    Near is a tenth, far is twice the number of pixels per edge pixel.
    """
    count = int(edge.sum())
    table = np.array(WEIGHTS)
    if not count:
        return np.broadcast_to(table[2][:, None, None], (3, *edge.shape)).copy()
    distance = ndimage.distance_transform_edt(~edge)
    per_edge = edge.size / count
    kind = np.where(distance < NEAR * per_edge, 0, np.where(distance <= FAR * per_edge, 1, 2))
    weights: Float[np.ndarray, "3 h w"] = np.moveaxis(table[kind], -1, 0)
    return weights


def fitted(source: Float[np.ndarray, "*s"], target: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Scale and shift of the source that are nearest to the target by least squares, applied.

    Of a source without variation (a window of nothing but sky) that is the target's mean.
    """
    if not np.ptp(source):
        return np.full(source.shape, target.mean(dtype=np.float64))
    slope, offset = np.polyfit(source.ravel().astype(np.float64), target.ravel().astype(np.float64), 1)
    return slope * source + offset


def window_depth(teacher: Teacher, image: Float[Tensor, "3 h w"], window: Window) -> Float[np.ndarray, "s s"]:
    """The teacher's disparity of a window: three scales, mixed by `detail_weights`.

    Args:
        teacher: of pictures whose sides are multiples of 32.
        image: in [0, 1].
        window: of it.
    """
    rows, columns = window.slices
    patch = image[None, :, rows, columns]
    found = []
    for scale in SCALES:
        side = max(LEAST_SEEN, 32 * round(window.side * scale / 32))
        seen = F.interpolate(patch, (side, side), mode="bilinear", align_corners=False)
        disparity = F.interpolate(teacher(seen), (window.side, window.side), mode="bilinear", align_corners=False)
        found.append(disparity[0, 0].double().cpu().numpy())
    weights = detail_weights(edges(patch[0].cpu().numpy()))
    return np.asarray((weights * np.stack(found)).sum(0))


def fused(
    base: Float[np.ndarray, "h w"], pieces: list[tuple[Window, Float[np.ndarray, "_ _"], float]]
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """A disparity into which windows' ones are pasted, and where.

    Each piece is fitted to the base, pieces of one window are averaged by their weights; they are pasted from last to
    first, softly where something lies already; the whole is fitted again, and counts 0.3 inside, less at the border.

    Args:
        base: of the student.
        pieces: windows with a teacher's disparity and its weight.
    """
    pasted, taken = np.zeros_like(base, dtype=np.float64), np.zeros(base.shape, bool)
    by_window: dict[Window, list[tuple[np.ndarray, float]]] = {}
    for window, disparity, weight in pieces:
        by_window.setdefault(window, []).append((fitted(disparity, base[window.slices]), weight))
    for window, found in reversed(by_window.items()):
        new = sum(weight * piece for piece, weight in found) / sum(weight for _, weight in found)
        here = taken[window.slices]
        soft = border_mask(window.side, window.side)
        share = np.where(here, soft, 1.0)
        pasted[window.slices] = share * new + (1 - share) * pasted[window.slices]
        taken[window.slices] = True
    if not taken.any():
        return base.copy(), taken
    pasted[taken] = fitted(pasted[taken], base[taken])
    rows, columns = np.nonzero(taken.any(1))[0], np.nonzero(taken.any(0))[0]
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    strength = np.zeros_like(pasted)
    strength[box] = HALF * border_mask(*strength[box].shape) + LEAST
    strength = STRENGTH * strength * taken
    return base * (1 - strength) + strength * pasted, taken


def patch_loss(disparity: Map, target: Map, union: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, ""]:
    """2 · (0.8 · mean squared difference + 0.2 · mean structural difference over the union of the windows).

    Args:
        disparity: of the student.
        target: from `fused`; no gradient reaches it.
        union: where it differs; images without any count in the first mean alone.
    """
    target = target.detach()
    structure = (ssim_loss(disparity, target) * union).sum() / union.sum().clamp(min=1)
    return 2 * ((1 - SSIM_SHARE) * F.mse_loss(disparity, target) + SSIM_SHARE * structure)


def published_patch_loss(disparity: Map, target: Map, counts: list[int], side: int = SIZE) -> Float[Tensor, ""]:
    """The authors': a *sum* of structural differences over all pixels, divided by windows · images · 128.

    Args:
        disparity: of the student.
        target: of the teacher.
        counts: windows of each image.
        side: of a window.
    """
    structure = ssim_loss(disparity, target).sum() / (sum(counts) * len(disparity) * side)
    return 2 * ((1 - SSIM_SHARE) * F.mse_loss(disparity, target) + SSIM_SHARE * structure)
