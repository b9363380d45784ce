"""A picture and its depth as a cloud of coloured points, in PLY and in GLB."""

from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from zdlib.errors import ZDError

MOST_POINTS = 500_000  # of a cloud; a larger picture gives every second pixel, every third, …
EDGE = 0.04  # relative step to a neighbour beyond which a pixel lies between two surfaces, and on neither


def require_trimesh() -> Any:
    """The library that writes the files.

    Raises:
        ZDError: it is not installed.
    """
    try:
        import trimesh
    except ImportError as error:
        raise ZDError("--points needs the extra points: pip install 'zdlib[points]'") from error
    return trimesh


def points_of(
    image: UInt8[np.ndarray, "h w 3"], depth: Float32[np.ndarray, "h w"], focal: float
) -> tuple[Float32[np.ndarray, "n 3"], UInt8[np.ndarray, "n 3"]]:
    """Points and colours, x to the right, y up, z towards the viewer (glTF's axes), metres.

    Pixels at edges of depth are left out: a smooth network gives them places in the air.

    Args:
        image: the picture; the lens looks through its middle.
        depth: metres, of its size.
        focal: pixels.
    """
    height, width = depth.shape
    step = max(1, int(np.ceil((height * width / MOST_POINTS) ** 0.5)))
    down, right = np.gradient(depth)
    flat = np.maximum(np.abs(down), np.abs(right)) < EDGE * depth
    rows, columns = np.mgrid[0:height:step, 0:width:step]
    chosen = flat[rows, columns] & (depth[rows, columns] > 0)
    rows, columns = rows[chosen], columns[chosen]
    z = depth[rows, columns]
    x, y = (columns - (width - 1) / 2) / focal * z, (rows - (height - 1) / 2) / focal * z
    return np.stack([x, -y, -z], 1).astype(np.float32), image[rows, columns]


def cloud_files(image: UInt8[np.ndarray, "h w 3"], depth: Float32[np.ndarray, "h w"], focal: float) -> dict[str, bytes]:
    """The contents of a PLY and of a GLB, by ending.

    Raises:
        ZDError: trimesh is not installed, or no pixel is left.
    """
    trimesh = require_trimesh()
    points, colours = points_of(image, depth, focal)
    if not len(points):
        raise ZDError("--points: no pixel of this depth lies on a surface: leave --points out")
    cloud = trimesh.PointCloud(points, colors=np.concatenate([colours, np.full((len(colours), 1), 255, np.uint8)], 1))
    return {f".{kind}": cloud.export(file_type=kind) for kind in ("ply", "glb")}
