"""What relative inverse depth is worth: metric depth, with the best scale and shift that the truth can give.

The convention is MiDaS' (Ranftl et al., TPAMI 2022): each image has a scale and a shift of its own, fitted by
least squares to its *inverse* ground truth; the inverse of what is then further away than `far` is set to 1 /
`far`, because there a small error of disparity is an unbounded one of depth (and a disparity below zero no
depth at all). Nothing caps the near side, and a fit with a negative scale is judged like any other.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32


def fit_scale_and_shift(
    prediction: Float[np.ndarray, "h w"], target: Float[np.ndarray, "h w"], valid: Bool[np.ndarray, "h w"]
) -> tuple[float, float]:
    """Scale and shift with the least Σ (scale · prediction + shift − target)² over valid pixels, in float64.

    A prediction that is constant there gets the scale 0 and the target's mean for its shift; without a valid
    pixel the two are 0.

    Args:
        prediction: relative inverse depth; finite where valid.
        target: inverse depth; finite where valid.
        valid: the pixels to fit.
    """
    p, t = prediction[valid].astype(np.float64), target[valid].astype(np.float64)
    if p.size == 0:
        return 0.0, 0.0
    centred = p - p.mean()
    variation = float(centred @ centred)
    # What the rounding of a constant leaves is no variation.
    constant = variation <= p.size * (np.finfo(prediction.dtype).eps * float(np.abs(p).max())) ** 2
    scale = 0.0 if constant else float(centred @ (t - t.mean())) / variation
    return scale, float(t.mean() - scale * p.mean())


def aligned_depth(
    prediction: Float[np.ndarray, "h w"],
    depth: Float[np.ndarray, "h w"],
    valid: Bool[np.ndarray, "h w"],
    far: float,
) -> Float32[np.ndarray, "h w"]:
    """Depth of all pixels of an image: its relative inverse depth with the scale and shift that fit best.

    Args:
        prediction: relative inverse depth.
        depth: ground truth; positive where valid.
        valid: the pixels to fit; those that are judged.
        far: the cap, in the ground truth's unit: no depth is larger.

    Returns:
        Depths in the ground truth's unit, in (0, far].
    """
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=valid)
    scale, shift = fit_scale_and_shift(prediction, inverse, valid)
    return (1 / np.maximum(scale * prediction.astype(np.float64) + shift, 1 / far)).astype(np.float32)
