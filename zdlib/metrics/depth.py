"""Depth metrics of one image, of groups of pixels, and the summary mRI.

Definitions are those of ZoeDepth (Bhat et al., 2023, and its public evaluation code), which follow Eigen et al.
(2014). With d the ground truth and d̂ the prediction, over the N valid pixels of one image:

    delta_n   share of max(d/d̂, d̂/d) < 1.25ⁿ            abs_rel   mean |d̂ − d| / d
    sq_rel    mean (d̂ − d)² / d                          rmse      √ mean (d̂ − d)²
    rmse_log  √ mean e², e = ln d̂ − ln d                 log10     mean |log₁₀ d̂ − log₁₀ d|
    silog     100 √(mean e² − (mean e)²)                 log_bias  mean e, signed: the error of scale

SILog has several definitions in the literature (KITTI's squared one, Eigen's with λ = ½, …): this one is ZoeDepth's.
Nothing here crops, clamps, resizes or rescales: that is a protocol's business (`zdlib.metrics.protocols`).
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Integer
from torch import Tensor

METRICS = ("delta1", "delta2", "delta3", "abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "log_bias")
HIGHER_IS_BETTER = frozenset({"delta1", "delta2", "delta3"})
THRESHOLDS = (1.25, 1.25**2, 1.25**3)  # all three are exact in float32

GROUP_COLUMNS = ("pixels", "delta1", "abs_rel", "sq_error", "log10")


def depth_metrics(
    pred: Float[np.ndarray, "h w"] | Float[Tensor, "h w"],
    gt: Float[np.ndarray, "h w"] | Float[Tensor, "h w"],
    valid: Bool[np.ndarray, "h w"] | Bool[Tensor, "h w"],
) -> dict[str, float]:
    """All of `METRICS` for one image; the inputs are never written to.

    Args:
        pred: prediction, in the ground truth's unit; positive and finite wherever `valid` (elsewhere anything).
        gt: ground truth; positive and finite wherever `valid`.
        valid: the pixels that count.

    Returns:
        Metric name → value, all NaN where no pixel is valid. `sq_rel` and `rmse` are in the unit of the depths,
        `silog` is in percent. Arithmetic is in float32 (float64 if an input is), sums in float64.

    Raises:
        TypeError: arrays and tensors are mixed.
    """
    if isinstance(pred, Tensor) and isinstance(gt, Tensor) and isinstance(valid, Tensor):
        values = batch_depth_metrics(pred[None], gt[None], valid[None])[0].tolist()
        return dict(zip(METRICS, values, strict=True))
    if isinstance(pred, Tensor) or isinstance(gt, Tensor) or isinstance(valid, Tensor):
        raise TypeError("depth_metrics: give three NumPy arrays or three tensors, not a mixture")
    return _numpy_metrics(pred, gt, valid)


def _numpy_metrics(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    # Gathering the valid pixels once through their indices is 3 times as fast as one boolean index an array, and
    # every later operation runs on contiguous memory without temporaries.
    index = np.flatnonzero(valid)
    n = index.size
    if n == 0:
        return dict.fromkeys(METRICS, math.nan)
    dtype = np.result_type(pred, gt, np.float32)
    p = pred.ravel().take(index).astype(dtype, copy=False)
    g = gt.ravel().take(index).astype(dtype, copy=False)

    def mean(values: np.ndarray) -> float:
        return float(values.sum(dtype=np.float64)) / n

    ratio, worst = p / g, g / p
    np.maximum(worst, ratio, out=worst)
    deltas = [float(np.count_nonzero(worst < threshold) / n) for threshold in THRESHOLDS]
    e = np.log(ratio, out=ratio)
    difference = np.subtract(p, g, out=p)
    relative = np.divide(difference, g, out=g)
    sq_rel = mean(np.multiply(relative, difference, out=worst))
    abs_rel = mean(np.abs(relative, out=relative))
    mse = mean(np.square(difference, out=difference))
    log10 = mean(np.abs(e, out=worst)) / math.log(10)
    # Centring first: mean e² − (mean e)² would cancel when the prediction is off by nothing but a scale.
    bias = mean(e)
    e -= dtype.type(bias)
    variance = mean(np.square(e, out=e))
    rmse_log = math.sqrt(variance + bias**2)
    values = [*deltas, abs_rel, sq_rel, math.sqrt(mse), rmse_log, log10, 100 * math.sqrt(variance), bias]
    return dict(zip(METRICS, values, strict=True))


def batch_depth_metrics(
    pred: Float[Tensor, "b h w"], gt: Float[Tensor, "b h w"], valid: Bool[Tensor, "b h w"]
) -> Float64[Tensor, "b 10"]:
    """`METRICS` of each image of a batch, on the tensors' device, without waiting for it.

    Same numbers as the NumPy path to 1e-6; rows without a valid pixel are NaN. See `depth_metrics` for the arguments.
    """
    one = torch.ones((), dtype=torch.promote_types(pred.dtype, gt.dtype), device=pred.device)
    # An invalid pixel becomes 1 against 1: no error, whatever the sum; only the counts must be corrected.
    p, g = torch.where(valid, pred, one), torch.where(valid, gt, one)
    n = valid.sum(dim=(1, 2), dtype=torch.float64)
    invalid = valid[0].numel() - n

    def mean(values: Tensor) -> Tensor:
        return values.sum(dim=(1, 2), dtype=torch.float64) / n

    ratio = p / g
    worst = torch.maximum(ratio, g / p)
    deltas = [((worst < threshold).sum(dim=(1, 2), dtype=torch.float64) - invalid) / n for threshold in THRESHOLDS]
    e = ratio.log()
    difference = p - g
    relative = difference / g
    bias = mean(e)
    centred = torch.where(valid, e - bias.to(e.dtype)[:, None, None], torch.zeros_like(one))
    variance = mean(centred.square())
    columns = [
        *deltas,
        mean(relative.abs()),
        mean(relative * difference),
        mean(difference.square()).sqrt(),
        (variance + bias.square()).sqrt(),
        mean(e.abs()) / math.log(10),
        100 * variance.sqrt(),
        bias,
    ]
    return torch.stack(columns, dim=1)


def pooled_metrics(per_image: pd.DataFrame) -> dict[str, float]:
    """Metrics over the pixels of all images together, where the usual table averages the images' metrics.

    Exact: means are weighted with the images' pixels, squared errors before their root, and SILog from the pooled
    first and second moments of e.

    Args:
        per_image: `pixels` and every metric, one row per image (`zdlib.evaluate.judge.evaluate_depth`).
    """
    counted = per_image[per_image["pixels"] > 0]
    weights = counted["pixels"] / counted["pixels"].sum()

    def mean(values: pd.Series) -> float:
        return float((values * weights).sum())

    pooled = {name: mean(counted[name]) for name in METRICS}
    # Of the images' e: the variance inside them, and that of their means.
    between = mean((counted["log_bias"] - pooled["log_bias"]) ** 2)
    pooled["silog"] = 100 * math.sqrt(mean((counted["silog"] / 100) ** 2) + between)
    pooled |= {name: math.sqrt(mean(counted[name] ** 2)) for name in ("rmse", "rmse_log")}
    return pooled


def group_sums(
    pred: Float[np.ndarray, "h w"],
    gt: Float[np.ndarray, "h w"],
    valid: Bool[np.ndarray, "h w"],
    groups: Integer[np.ndarray, "h w"],
    n_groups: int,
) -> Float64[np.ndarray, "n_groups 5"]:
    """Sums over the valid pixels of each group (a semantic class, a distance bin), to be added over images.

    Args:
        pred: prediction, as in `depth_metrics`.
        gt: ground truth.
        valid: the pixels that count.
        groups: the group of each pixel; pixels with a group outside 0 … n_groups − 1 are left out.
        n_groups: how many groups.

    Returns:
        One row a group, columns `GROUP_COLUMNS`; `group_metrics` turns them into metrics.
    """
    index = np.flatnonzero(valid & (groups >= 0) & (groups < n_groups))
    p = pred.ravel().take(index).astype(np.float64)
    g = gt.ravel().take(index).astype(np.float64)
    group = groups.ravel().take(index).astype(np.intp)
    difference, ratio = p - g, p / g
    columns = [
        None,
        (np.maximum(ratio, 1 / ratio) < THRESHOLDS[0]).astype(np.float64),
        np.abs(difference) / g,
        np.square(difference),
        np.abs(np.log10(ratio)),
    ]
    return np.stack([np.bincount(group, weights=c, minlength=n_groups) for c in columns], axis=1).astype(np.float64)


def group_metrics(sums: Float64[np.ndarray, "*batch 5"]) -> dict[str, Float64[np.ndarray, "*batch"]]:
    """Pooled `delta1`, `abs_rel`, `rmse`, `log10` and the count `pixels` of each group from (added) `group_sums`.

    A group without a pixel is NaN.
    """
    pixels = sums[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(pixels[..., None] > 0, sums / pixels[..., None], np.nan)
    return {
        "pixels": pixels.copy(),
        "delta1": means[..., 1],
        "abs_rel": means[..., 2],
        "rmse": np.sqrt(means[..., 3]),
        "log10": means[..., 4],
    }


def distance_bins(
    gt: Float[np.ndarray, "h w"], edges: Sequence[int] | Sequence[float] | Float64[np.ndarray, " edges"]
) -> Integer[np.ndarray, "h w"]:
    """The bin i of each pixel with edges[i] < gt ≤ edges[i + 1]; −1 or len(edges) − 1 outside all of them.

    The result is meant as `groups` of `group_sums`, which leaves out the pixels outside.
    """
    return np.searchsorted(np.asarray(edges, dtype=np.float64), gt, side="left") - 1
