"""Maps of one size as maps of another, and focal lengths in pixels."""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def resize(
    x: Float[Tensor, "b c h w"], size: tuple[int, ...], align_corners: bool = True
) -> Float[Tensor, "b c h2 w2"]:
    """Bilinear, without antialiasing: inside ZoeDepth's network, and from its size to that of the ground truth.

    Args:
        x: maps.
        size: height and width to give them; maps that have it are returned as they are.
        align_corners: whether the centres of corner pixels stay in place, as everywhere in ZoeDepth's family.
    """
    return x if x.shape[2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def assumed_focal(height: int, width: int) -> float:
    """Focal length in pixels of a picture that says nothing of its camera: 28 mm on a 36×24 mm film's diagonal.

    That is a phone's main camera (24 to 28 mm) and a Kinect (NYU's: 28 mm).
    """
    return film_focal(28.0, height, width)


def film_focal(millimetres: float, height: int, width: int) -> float:
    """Focal length in pixels of one in millimetres on a 36×24 mm film, by the diagonal, as EXIF means it."""
    return float(millimetres * (height**2 + width**2) ** 0.5 / (36**2 + 24**2) ** 0.5)


def view_focal(degrees: float, width: int) -> float:
    """Focal length in pixels of a horizontal field of view."""
    return float(width / 2 / math.tan(math.radians(degrees) / 2))
