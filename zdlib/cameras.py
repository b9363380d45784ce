"""Pinhole cameras, in torch: pixels, points, poses, and one picture seen from the place of another.

Conventions, the same everywhere in this library:

* A pixel's centre has integer coordinates (x to the right, y down); the first pixel's is (0, 0). Intrinsics are in this
  frame, so the middle of a picture is ((w - 1) / 2, (h - 1) / 2).
* Camera axes: x right, y down, z forward. Depth is planar: the z coordinate, in metres where the scale is known.
* A pose `T` is 4×4 and takes points of the target's camera to the source's: `source = T @ target`.
* Of a rectified pair, `disparity` is x_left - x_right ≥ 0, in pixels of the picture it belongs to.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from zdlib.errors import ZDError

Padding = Literal["border", "zeros"]
Interpolation = Literal["bilinear", "nearest"]
LEAST_Z = 1e-7  # added to z before the division, as in monodepth2


# ----------------------------------------------------------------------------------------------------------- pixels
def pixel_grid(height: int, width: int, like: Tensor) -> Float[Tensor, "2 h w"]:
    """Columns and rows of every pixel centre, in the type and on the device of `like`."""
    rows = torch.arange(height, dtype=like.dtype, device=like.device)
    columns = torch.arange(width, dtype=like.dtype, device=like.device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y])


def back_project(
    depth: Float[Tensor, "b 1 h w"], inverse_intrinsics: Float[Tensor, "b 3 3"]
) -> Float[Tensor, "b 3 h w"]:
    """The point that each pixel sees, in the camera's axes.

    Args:
        depth: planar.
        inverse_intrinsics: of that camera.
    """
    height, width = depth.shape[2:]
    x, y = pixel_grid(height, width, depth)
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    rays: Tensor = (inverse_intrinsics @ pixels).unflatten(2, (height, width))
    return rays * depth


def project(
    points: Float[Tensor, "b 3 h w"], intrinsics: Float[Tensor, "b 3 3"], pose: Float[Tensor, "b 4 4"]
) -> tuple[Float[Tensor, "b 2 h w"], Float[Tensor, "b 1 h w"]]:
    """Where a camera sees points.

    Args:
        points: in the target camera's axes.
        intrinsics: of the source camera.
        pose: from the target's axes to the source's.

    Returns:
        Pixel coordinates (x, y) in the source picture, and depth there. Points behind the camera are projected too: ask
        the depth.
    """
    height, width = points.shape[2:]
    flat = points.flatten(2)
    seen = (intrinsics @ pose[:, :3]) @ torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1)
    z = seen[:, 2:]
    return (seen[:, :2] / (z + LEAST_Z)).unflatten(2, (height, width)), z.unflatten(2, (height, width))


def inside(pixels: Float[Tensor, "b 2 h w"], height: int, width: int) -> Bool[Tensor, "b 1 h w"]:
    """Where a sampled position has all of its neighbours in a picture of that size: warps are valid there."""
    x, y = pixels[:, :1], pixels[:, 1:]
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def warp(
    picture: Float[Tensor, "b c h w"],
    pixels: Float[Tensor, "b 2 h2 w2"],
    align_corners: bool = True,
    padding: Padding = "border",
    mode: Interpolation = "bilinear",
) -> Float[Tensor, "b c h2 w2"]:
    """A picture read at other positions (inverse warp), with gradients to both.

    Args:
        picture: the source.
        pixels: (x, y) in the source, for each pixel of the target.
        align_corners: True reads at these very positions. False reads at (x·w/(w-1) - ½, y·h/(h-1) - ½): what
            monodepth2's and SGDepth's coordinates mean to the sampler of PyTorch 1.3 and later, half a pixel off at
            the borders. It is there to repeat their numbers.
        padding: what lies outside: the nearest pixel, or 0.
        mode: between pixels.

    Raises:
        ZDError: a position is not finite. Where border padding meets NaN, the backward pass of PyTorch's sampler reads
            memory that is not its own on a CPU, and the process dies without a word.
    """
    if not torch.isfinite(pixels).all():
        raise ZDError(
            "warp: a position is NaN or infinite, so depth or pose is: lower train.lr, or inspect the step's frames"
        )
    height, width = picture.shape[2:]
    # Of a picture one pixel wide, every position is that pixel's.
    ends = pixels.new_tensor([max(width - 1, 1), max(height - 1, 1)]).reshape(1, 2, 1, 1)
    grid = ((pixels / ends - 0.5) * 2).permute(0, 2, 3, 1)  # in the authors' order: float32 rounds alike
    return F.grid_sample(picture, grid, mode=mode, padding_mode=padding, align_corners=align_corners)


# ------------------------------------------------------------------------------------------------ disparity and depth
def depth_between(
    output: Float[Tensor, "*shape"], nearest: float = 0.1, farthest: float = 100.0
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Inverse depth and depth of a network's sigmoid output, 1 the nearest and 0 the farthest (monodepth2, sec. 3)."""
    low, high = 1 / farthest, 1 / nearest
    inverse = low + (high - low) * output
    return inverse, 1 / inverse


def depth_from_disparity(
    disparity: Float[Tensor, "*shape"],
    focal_times_baseline: float,
    widths: tuple[int, int] = (1, 1),
    least: float = 0.0,
) -> Float[Tensor, "*shape"]:
    """Depth in metres of a rectified pair's disparity: f·B / d.

    Args:
        disparity: pixels of a picture of the second width.
        focal_times_baseline: pixels of the first width times metres.
        widths: of the picture that the focal length belongs to, and of the disparity's.
        least: disparities (of the second width) below it count as that; 0 lets a disparity of 0 be infinitely far.
    """
    full, predicted = widths
    return focal_times_baseline / (disparity.clamp(min=least) * (full / predicted))


# ------------------------------------------------------------------------------------------------------------- poses
def rotation(axis_angle: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """The matrix of a turn about an axis by its length in radians (Rodrigues), with a gradient at no turn too."""
    angle = torch.linalg.vector_norm(axis_angle, dim=1)[:, None, None]
    x, y, z = (axis_angle / (angle[:, 0] + 1e-7)).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).unflatten(1, (3, 3))
    axis = torch.stack([x, y, z], dim=1)
    outer = axis[:, :, None] * axis[:, None]
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    # The axis of no turn has length 0, hence cos·I + (1 - cos)·outer and not I + (1 - cos)·cross².
    return angle.cos() * identity + (1 - angle.cos()) * outer + angle.sin() * cross


def pose_matrix(
    axis_angle: Float[Tensor, "b 3"], translation: Float[Tensor, "b 3"], invert: bool = False
) -> Float[Tensor, "b 4 4"]:
    """Turn, then shift: `R @ p + t`.

    Args:
        axis_angle: axis times angle in radians.
        translation: in the unit of depth.
        invert: the pose the other way, `Rᵀ @ (p - t)`: what a network that saw the frames in the order of time says of
            the frame before.
    """
    turn = rotation(axis_angle)
    shift = translation[:, :, None]
    if invert:
        turn = turn.transpose(1, 2)
        shift = -turn @ shift
    last = torch.tensor([0.0, 0, 0, 1], dtype=turn.dtype, device=turn.device).expand(len(turn), 1, 4)
    return torch.cat([torch.cat([turn, shift], dim=2), last], dim=1)


def pose_vectors(pose: Float[Tensor, "b 4 4"]) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
    """Axis-angle and translation of a pose: the inverse of `pose_matrix`, for turns below 180°; no gradients.

    Raises:
        ZDError: its upper left part is no rotation.
    """
    turn = pose[:, :3, :3].double()
    identity = torch.eye(3, dtype=turn.dtype, device=turn.device)
    if not torch.allclose(turn @ turn.transpose(1, 2), identity.expand_as(turn), atol=1e-4):
        raise ZDError("pose: its upper left 3×3 is no rotation: check the file that it comes from")
    skew = torch.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], 1)
    sine = torch.linalg.vector_norm(skew, dim=1) / 2
    cosine = (turn.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    angle = torch.atan2(sine, cosine)
    # sin(x)/x → 1: a turn too small to have an axis is half its skew part.
    factor = torch.where(sine > 1e-9, angle / sine.clamp(min=1e-9), torch.ones_like(angle)) / 2
    return (skew * factor[:, None]).to(pose.dtype), pose[:, :3, 3]
