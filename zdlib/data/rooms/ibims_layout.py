"""Rooms-I's images in iBims-1's two layouts (described in `zdlib.data.sets.ibims`).

Files are written plainly: the caller owns the folder and gives it its name when all is there.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from PIL import Image

from zdlib.data.formats import mat
from zdlib.data.rooms.store import FIX, StoredImage
from zdlib.data.sets.ibims import DEPTH_UNIT
from zdlib.errors import ZDError


def write_mat(folder: Path, name: str, image: StoredImage) -> None:
    """Write one image as `NAME.mat`.

    Raises:
        ZDError: the image lacks a mask, the edges or the planes.
    """
    data = {"rgb": image.image, "depth": image.depth, "calib": _stored_calib(image)}
    data |= _masks(name, image)
    for plane, (numbers, parameters) in (image.planes or {}).items():
        data |= {f"mask_{plane}": numbers, f"mask_{plane}_paras": parameters}
    (folder / f"{name}.mat").write_bytes(mat.mat5_bytes({"data": data}))


def write_raw(folder: Path, name: str, image: StoredImage) -> None:
    """Write one image as PNG and text files in the folders of the raw distribution.

    Raises:
        ZDError: the image lacks a mask, the edges or the planes, or is deeper than the 50 m that 16 bits stand for.
    """
    if image.depth.max() > 65535 * DEPTH_UNIT:
        raise ZDError(f"{folder}: {name} is {image.depth.max():g} m deep: this layout ends at 50 m")
    units = np.rint(image.depth.astype(np.float64) / DEPTH_UNIT).astype(np.uint16)
    pictures = {"rgb": image.image, "depth": units}
    pictures |= {key: mask > 0 for key, mask in _masks(name, image).items()}
    pictures |= {f"mask_{plane}": numbers for plane, (numbers, _) in (image.planes or {}).items()}
    for key, picture in pictures.items():
        Image.fromarray(picture).save(_made(folder / key) / f"{name}.png", compress_level=1)
    for plane, (_, parameters) in (image.planes or {}).items():
        (_made(folder / f"mask_{plane}_paras") / f"{name}.txt").write_text(_rows(parameters))
    calib = _stored_calib(image)
    (_made(folder / "calib") / f"{name}.txt").write_text(_rows(calib[[0, 1, 2, 2], [0, 1, 0, 1]][None]))


def _masks(name: str, image: StoredImage) -> dict[str, np.ndarray]:
    masks = {"mask_invalid": image.mask_invalid, "mask_transp": image.mask_transp, "edges": image.edges}
    present = {key: mask for key, mask in masks.items() if mask is not None}
    if len(present) < len(masks) or image.planes is None:
        raise ZDError(f"{name}: the store has no masks, edges or planes for it, so it is not Rooms-I: {FIX}")
    return present


def _stored_calib(image: StoredImage) -> Float64[np.ndarray, "3 3"]:
    """iBims-1 stores the matrix transposed, for pixels that count from 1."""
    calib = image.intrinsics.T.copy()
    calib[2, :2] += 1
    return calib


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _rows(numbers: Float64[np.ndarray, "n p"]) -> str:
    return "".join(",".join(map(repr, row)) + "\n" for row in numbers.tolist())
