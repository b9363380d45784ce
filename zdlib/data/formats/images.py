"""Reading image files, with defects as one line."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from zdlib.errors import ZDError


def read_picture(path: Path, fix: str, mode: str | None = None) -> np.ndarray:
    """The pixels of an image file, as stored or converted to Pillow's `mode`.

    Args:
        path: the file.
        fix: what to do when it is missing or damaged; ends the error's line.
        mode: `RGB` for (h, w, 3) uint8; None keeps the file's own axes and dtype (bool, uint8, uint16).

    Raises:
        ZDError: missing, damaged, or no image.
    """
    try:
        with open(path, "rb") as file, Image.open(file) as picture:
            return np.array(picture if mode is None else picture.convert(mode))
    except (OSError, SyntaxError) as error:  # Pillow calls a damaged PNG a syntax error
        raise ZDError(f"{path}: not a readable image ({error}): {fix}") from error


def read_units(path: Path, fix: str) -> UInt16[np.ndarray, "h w"]:
    """The numbers of a grey 16-bit PNG.

    Args:
        path: the file.
        fix: what to do when it is missing, damaged or of another kind; ends the error's line.

    Raises:
        ZDError: missing, damaged, or of another kind.
    """
    units = read_picture(path, fix)
    if units.dtype != np.uint16 or units.ndim != 2:
        raise ZDError(f"{path}: {units.dtype} with {units.ndim} axes, expected a grey 16-bit PNG: {fix}")
    return units
