"""Depth from neighbouring frames: monodepth2's loss, and SGDepth's, which leaves out what moves.

A target frame is predicted from its neighbours (or from the other camera) by depth and pose; every scale's disparity is
enlarged to the full size first. Sources: Godard, Mac Aodha, Firman and Brostow, "Digging into self-supervised
monocular depth estimation", ICCV 2019; Klingner et al., "Self-supervised monocular depth estimation: solving the
dynamic object problem by semantic guidance", ECCV 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from zdlib.cameras import back_project, depth_between, project, warp
from zdlib.losses.photometric import (
    Image,
    Map,
    edge_aware_smoothness,
    minimum_reprojection,
    normalised,
    photometric_error,
)

AnyMap = Float[Tensor, "b 1 _ _"]  # of some scale


@dataclass(frozen=True)
class Reprojection:
    """The choices of the loss; the defaults are monodepth2's.

    Attributes:
        ssim_weight: of the structural part; 0 = absolute differences alone.
        average: means over sources in place of minima.
        auto_mask: leave out what does not move against the camera.
        own_scale: compare each scale's images at its own size, as monodepth (v1) did.
        align_corners: read warped pixels where they are; False as today's PyTorch reads the authors' coordinates.
        smoothness_weight: of the finest scale; half of it for each next one.
        pyramid: how the image is reduced to a scale: area means, or bilinear samples as in SGDepth.
        nearest, farthest: depths of sigmoid 1 and 0.
    """

    ssim_weight: float = 0.85
    average: bool = False
    auto_mask: bool = True
    own_scale: bool = False
    align_corners: bool = True
    smoothness_weight: float = 1e-3
    pyramid: Literal["area", "bilinear"] = "area"
    nearest: float = 0.1
    farthest: float = 100.0


@dataclass(frozen=True)
class Views:
    """A target and its sources, at one size.

    Attributes:
        target: (b, 3, h, w) in [0, 1].
        sources: the same of each neighbour.
        intrinsics: of the target, in pixels; sources have the same camera.
        poses: from the target's axes to each source's.
    """

    target: Image
    sources: Sequence[Image]
    intrinsics: Float[Tensor, "b 3 3"]
    poses: Sequence[Float[Tensor, "b 4 4"]]


def warped_sources(
    depth: Map, views: Views, align_corners: bool = True
) -> list[tuple[Image, Float[Tensor, "b 2 h w"]]]:
    """Each source as the target would see it, and the positions that it was read at."""
    points = back_project(depth, torch.linalg.inv(views.intrinsics))
    warped = []
    for source, pose in zip(views.sources, views.poses, strict=True):
        pixels, _ = project(points, views.intrinsics, pose)
        warped.append((warp(source, pixels, align_corners), pixels))
    return warped


def smaller(views: Views, scale: int, mode: str = "area") -> Views:
    """Views at 2⁻ˢᶜᵃˡᵉ of the size; intrinsics as monodepth2's, in proportion."""
    size = (views.target.shape[2] >> scale, views.target.shape[3] >> scale)
    target, *sources = (F.interpolate(image, size, mode=mode) for image in (views.target, *views.sources))
    factor = views.intrinsics.new_tensor([2.0**-scale, 2.0**-scale, 1])[:, None]
    return Views(target, sources, views.intrinsics * factor, views.poses)


def scale_loss(
    disparity: AnyMap, views: Views, options: Reprojection, keep: Float[Tensor, "b 1 h w"] | None = None
) -> tuple[Map, Bool[Tensor, "b 1 h w"]]:
    """The error in each pixel of the views, of one scale's disparity, and where it teaches.

    Args:
        disparity: sigmoid output; enlarged to the views' size if it is smaller.
        views: of the full size, or of the disparity's.
        options: which form.
        keep: 0 where a pixel moves of its own and its error counts 0, else 1.
    """
    size = views.target.shape[2:]
    full = F.interpolate(disparity, size=size, mode="bilinear", align_corners=False)
    _, depth = depth_between(full, options.nearest, options.farthest)
    errors = [
        photometric_error(image, views.target, options.ssim_weight)
        for image, _ in warped_sources(depth, views, options.align_corners)
    ]
    still = [photometric_error(source, views.target, options.ssim_weight) for source in views.sources]
    least, teaches = minimum_reprojection(errors, still if options.auto_mask else (), options.average)
    return (least, teaches) if keep is None else (least * keep, teaches & (keep > 0))


def reprojection_losses(
    disparities: Sequence[AnyMap], views: Views, options: Reprojection, keep: Float[Tensor, "b 1 h w"] | None = None
) -> tuple[Float[Tensor, "b scales"], Float[Tensor, "b scales"]]:
    """Reprojection and weighted smoothness of every scale's disparity, of each image.

    Args:
        disparities: sigmoid outputs, fine to coarse, each half the size of the one before.
        views: at full size.
        options: which form.
        keep: see `scale_loss`; a mean is still one over all pixels.

    Returns:
        Both without a mean over scales; the loss is the mean over scales of their sum.
    """
    reprojection, smoothness = [], []
    for scale, disparity in enumerate(disparities):
        reduced = smaller(views, scale, options.pyramid)
        compared = reduced if options.own_scale else views
        kept = keep
        if keep is not None and options.own_scale:
            # A coarse pixel is left out if any of its pixels is: the least of them.
            kept = -F.adaptive_max_pool2d(-keep, compared.target.shape[2:])
        reprojection.append(scale_loss(disparity, compared, options, kept)[0].mean((1, 2, 3)))
        weight = options.smoothness_weight / 2**scale
        smoothness.append(weight * edge_aware_smoothness(normalised(disparity), reduced.target))
    return torch.stack(reprojection, 1), torch.stack(smoothness, 1)


# -------------------------------------------------------------------------------------------------- what moves itself
FIRST_MOVABLE, LAST_MOVABLE = 11, 99  # train ids of Cityscapes: person, rider, car, truck, bus, train, two wheels


def movable(labels: Int64[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """Whether a pixel's class can move of its own; ignored pixels (255) cannot."""
    return (labels >= FIRST_MOVABLE) & (labels <= LAST_MOVABLE)


def warped_labels(
    labels: Int64[Tensor, "b h w"], pixels: Float[Tensor, "b 2 h w"], align_corners: bool = True
) -> Int64[Tensor, "b h w"]:
    """A neighbour's label map, at the target's pixels (nearest)."""
    values = labels[:, None].to(pixels.dtype)
    return warp(values, pixels, align_corners, mode="nearest")[:, 0].long()


def moving_mask(
    target: Int64[Tensor, "b h w"], neighbours: Sequence[Int64[Tensor, "b h w"]], threshold: float
) -> tuple[Float[Tensor, "b 1 h w"], Float[Tensor, " b"]]:
    """Which pixels to keep, and how well the movable regions of the frames agree after the warp (SGDepth, sec. 3.3).

    If things that can move stand still, their regions coincide. Where the intersection over union is below the
    threshold, what any frame calls movable is left out.

    Args:
        target: labels.
        neighbours: labels, warped to the target.
        threshold: of the intersection over union.

    Returns:
        1 = keep, 0 = leave out; and the IoU of each image over all neighbours, NaN where nothing is movable.
    """
    here = movable(target)
    union, inter, whole = here, here.new_zeros(len(here)).long(), here.new_zeros(len(here)).long()
    for neighbour in neighbours:
        there = movable(neighbour)
        inter = inter + (here & there).sum((1, 2))
        whole = whole + (here | there).sum((1, 2))
        union = union | there
    agreement = inter.double() / whole.double()
    moves = (agreement < threshold)[:, None, None] & union
    return (~moves)[:, None].to(torch.float32), agreement.to(torch.float32)
