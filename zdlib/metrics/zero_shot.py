"""How relative inverse depth is judged on a data set that it has never seen, both ways that papers do it.

Each image gets a scale and a shift by least squares against its inverse ground truth. Then metrics are taken of
disparities (what Depth Anything's author says its Table 2 is), or of depths, with what is farther than a cap set to it
(what the code of the same group does). The script of that table was never published; the two differ by a fifth.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from zdlib.metrics.depth import depth_metrics
from zdlib.metrics.relative import fit_scale_and_shift

NEAREST = 1e-3  # metres that a measurement has at least
LEAST_DISPARITY = 1e-3  # 1/m that an aligned disparity has at least, before its ratio to the truth is taken


def zero_shot_metrics(
    prediction: Float[np.ndarray, "h w"],
    depth: Float[np.ndarray, "h w"],
    cap: float,
    space: Literal["disparity", "depth"] = "depth",
    mask: Bool[np.ndarray, "h w"] | None = None,
) -> dict[str, float]:
    """An image's depth metrics (`zdlib.metrics.depth`) after alignment.

    Args:
        prediction: relative inverse depth at the truth's size.
        depth: metres; pixels between `NEAREST` and the cap count.
        cap: metres; the papers': 10 for NYU, 80 for KITTI, 72 for Sintel and ETH3D.
        space: what is compared: disparities (errors such as `rmse` are then in 1/m), or metres.
        mask: pixels that may count; None: all.
    """
    valid = (depth > NEAREST) & (depth < cap)
    if mask is not None:
        valid &= mask
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=valid)
    scale, shift = fit_scale_and_shift(prediction, inverse, valid)
    aligned = scale * prediction.astype(np.float64) + shift
    if space == "disparity":
        return depth_metrics(np.maximum(aligned, LEAST_DISPARITY), inverse, valid)
    return depth_metrics(1 / np.maximum(aligned, 1 / cap), depth.astype(np.float64), valid)
