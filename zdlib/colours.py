"""Numbers to colours: depth, errors and relative depth as small uint8 RGB pictures."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from matplotlib.colors import Colormap, Normalize

INVALID = (225, 225, 225)  # pixels without a value; inferno has no grey
DEPTH_MAP = mpl.colormaps["inferno"]
ERROR_MAP = mpl.colormaps["viridis"]


def depth_picture(
    depth: Float32[np.ndarray, "h w"],
    near: float = 0.0,
    far: float = 10.0,
    valid: Bool[np.ndarray, "h w"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Metric depth in inferno from `near` to `far` metres; pixels without a value (or not `valid`) in light grey."""
    return paint(depth, Normalize(near, far), DEPTH_MAP, (depth > 0) if valid is None else valid)


def relative_picture(relative: Float32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Relative (inverse-like) depth, stretched to its own range; near is dark, far is bright, as for metric depth."""
    return paint(relative, Normalize(float(relative.min()), float(relative.max()) + 1e-12), DEPTH_MAP.reversed(), None)


def error_picture(
    prediction: Float32[np.ndarray, "h w"],
    depth: Float32[np.ndarray, "h w"],
    valid: Bool[np.ndarray, "h w"],
    limit: float = 0.5,
) -> UInt8[np.ndarray, "h w 3"]:
    """Absolute relative error |d − d̂|/d from 0 to `limit`; pixels outside `valid` in light grey."""
    relative = np.abs(prediction - depth) / np.where(valid, depth, 1)
    return paint(relative.astype(np.float32), Normalize(0, limit), ERROR_MAP, valid)


def paint(
    values: np.ndarray, norm: Normalize, colours: Colormap, valid: np.ndarray | None
) -> UInt8[np.ndarray, "h w 3"]:
    """Numbers as colours; pixels outside `valid` in light grey."""
    picture = np.round(colours(norm(values))[..., :3] * 255).astype(np.uint8)
    if valid is not None:
        picture[~valid] = INVALID
    return picture


def far_limit(depths: Sequence[Float32[np.ndarray, "_ _"]]) -> float:
    """End of a colour scale that shows these maps: their 99th percentile, rounded up to whole metres."""
    measured = np.concatenate([depth[depth > 0] for depth in depths])
    return float(np.ceil(np.percentile(measured, 99)))
