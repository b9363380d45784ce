"""Reading image files, with defects as one line: the only place that decodes pictures from outside."""

import io
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import UInt16
from PIL import Image, UnidentifiedImageError

from zdlib.errors import ZDError
from zdlib.gates.opening import PIXELS, Limit, explained, open_regular

# No other decoder of Pillow ever sees a byte (one of them starts a program, Ghostscript).
FORMATS = ("PNG", "JPEG", "WEBP")
Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and checked before anything is decoded
_GREY_16 = ("I;16", "I;16B", "I;16L", "I")


def read_picture(path: Path, fix: str, mode: str | None = None, limit: Limit = PIXELS) -> np.ndarray:
    """The pixels of an image file, as stored or converted to Pillow's `mode`.

    Args:
        path: the file: PNG, JPEG or WebP, whatever its name says.
        fix: what to do when it is missing or damaged; ends the error's line.
        mode: `RGB` for (h, w, 3) uint8, to which 16-bit grey is scaled; None keeps the file's own axes and dtype
            (bool, uint8, uint16).
        limit: of its pixels.

    Raises:
        ZDError: missing, no regular file, damaged, no such image, or too large.
    """
    with open_regular(path, fix) as file:
        return decode_picture(file, path, fix, mode, limit)


def decode_picture(
    file: IO[bytes] | bytes, source: object, fix: str, mode: str | None = None, limit: Limit = PIXELS
) -> np.ndarray:
    """As `read_picture`, of an open file or of its content; `source` names it in messages."""
    with explained(source, "not a readable image", fix):
        try:
            opened = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise ValueError("no sound PNG, JPEG or WebP") from error
        with opened as picture:
            limit.check(picture.width * picture.height, source)
            if mode == "RGB" and picture.mode in _GREY_16:
                grey = np.rint(np.asarray(picture, np.float64) / 257).clip(0, 255).astype(np.uint8)  # 65535 is white
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.array(picture if mode is None else picture.convert(mode))


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
