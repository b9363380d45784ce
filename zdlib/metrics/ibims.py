"""iBims-1's own metrics: planes, edges and distances, and Depth Pro's boundary score.

Definitions: Koch et al., "Evaluation of CNN-based Single-Image Depth Estimation Methods" (ECCV workshops 2018), in the
form of the authors' evaluation code, whose slips are not repeated here: no input is written to, ground truth and
prediction are masked together, thresholds below one metre work, one plane is as good as several, and a constant
prediction has no edges rather than a division by zero. Boundary F1: Bochkovskii et al., "Depth Pro" (2024), with
invalid pixels left out rather than taken for edges.

All functions take one image: prediction and ground truth in metres at the same size, and `valid`, the pixels that count
(protocol `ibims/koch`).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, UInt8
from scipy.ndimage import distance_transform_edt
from skimage.feature import canny

from zdlib.errors import ZDError
from zdlib.metrics.depth import distance_bins, group_metrics, group_sums

DISTANCE_EDGES = tuple(range(21))  # metres
MAX_EDGE_DISTANCE = 10.0  # pixels
MIN_PLANE_SHARE = 0.05  # of the image
BOUNDARY_THRESHOLDS = np.linspace(1.05, 1.25, 10)

DepthMap = Float[np.ndarray, "h w"]
PixelMask = Bool[np.ndarray, "h w"]


def directed_depth_error(pred: DepthMap, gt: DepthMap, valid: PixelMask, plane: float = 3.0) -> dict[str, float]:
    """DDE about a plane parallel to the image, in percent of the valid pixels.

    Args:
        pred: prediction, metres.
        gt: ground truth, metres.
        valid: the pixels that count.
        plane: distance of the plane, metres; a pixel on it is near.

    Returns:
        `dde_0` on the right side of the plane, `dde_minus` predicted near though far, `dde_plus` predicted far though
        near; NaN without valid pixels.
    """
    near_pred, near_gt = pred[valid] <= plane, gt[valid] <= plane
    n = near_gt.size
    if n == 0:
        return dict.fromkeys(("dde_0", "dde_minus", "dde_plus"), float("nan"))
    return {
        "dde_0": float(100 * np.count_nonzero(near_pred == near_gt) / n),
        "dde_minus": float(100 * np.count_nonzero(near_pred & ~near_gt) / n),
        "dde_plus": float(100 * np.count_nonzero(~near_pred & near_gt) / n),
    }


def depth_edges(pred: DepthMap) -> PixelMask:
    """Canny edges (σ = √2, thresholds 0.15 and 0.3) of a depth map scaled to [0, 1] over the image.

    Pixels that are not positive and finite take the value of the nearest one that is, so that holes make no edges.
    """
    known = np.isfinite(pred) & (pred > 0)
    if not known.any():
        return np.zeros(pred.shape, np.bool_)
    if not known.all():
        nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
        pred = pred[tuple(nearest)]
    low, high = pred.min(), pred.max()
    if low == high:
        return np.zeros(pred.shape, np.bool_)
    return canny((pred - low) / (high - low), sigma=np.sqrt(2), low_threshold=0.15, high_threshold=0.3)


def depth_boundary_error(pred: DepthMap, edges: PixelMask) -> dict[str, float]:
    """DBE in pixels, from the distance maps D of the true and the predicted edge sets E.

    Args:
        pred: prediction, metres.
        edges: true occlusion edges.

    Returns:
        `dbe_accuracy`: mean D_gt over the predicted edges nearer than 10 px to a true one. `dbe_completeness`: mean of
        min(D, 10) over both edge sets (the data set's version 1). `dbe_completeness_v09`: mean D_pred over the true
        edges, not truncated (version 0.9; Depth Pro's table is of this kind). All 10 if no predicted edge is nearer
        than 10 px to a true one; all NaN if there is no true edge.
    """
    names = ("dbe_accuracy", "dbe_completeness", "dbe_completeness_v09")
    if not edges.any():
        return dict.fromkeys(names, float("nan"))
    predicted = depth_edges(pred)
    to_true = distance_transform_edt(~edges)[predicted]
    near = to_true[to_true < MAX_EDGE_DISTANCE]
    if near.size == 0:
        return dict.fromkeys(names, MAX_EDGE_DISTANCE)
    to_predicted = distance_transform_edt(~predicted)[edges]
    both = np.concatenate([to_true, to_predicted])
    values = near.mean(), np.minimum(both, MAX_EDGE_DISTANCE).mean(), to_predicted.mean()
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def planarity_errors(
    pred: DepthMap,
    gt: DepthMap,
    valid: PixelMask,
    planes: UInt8[np.ndarray, "h w"],
    paras: Float64[np.ndarray, "..."],
    intrinsics: Float64[np.ndarray, "3 3"],
) -> list[dict[str, int | float]]:
    """PE of each annotated plane that covers at least 5 % of the image.

    The prediction is scaled by the ratio of medians on the plane, projected into space, and fitted with a plane.

    Args:
        pred: prediction, metres.
        gt: ground truth, metres.
        valid: the pixels that count.
        planes: 0, or the 1-based number of the plane a pixel lies on.
        paras: one row a plane, columns 4..6 its normal (X right, Y forward, Z up); a single row may be 1-d.
        intrinsics: upright pinhole matrix for pixels counted from 1 (the data set stores it transposed).

    Returns:
        For each plane `plane` (its number), `pixels`, `pe_flatness` (standard deviation of the distances to the fitted
        plane, cm), `pe_orientation` (angle between the normals, degrees).

    Raises:
        ZDError: a plane's number has no row in `paras`.
    """
    paras = np.atleast_2d(paras)
    numbers, counts = np.unique(planes[planes > 0], return_counts=True)
    errors: list[dict[str, int | float]] = []
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        on_plane = (planes == number) & valid
        pixels = int(np.count_nonzero(on_plane))
        if count < MIN_PLANE_SHARE * planes.size or pixels < 3:
            continue
        if number > len(paras):
            raise ZDError(f"plane {number}: has no parameters, only {len(paras)} rows: check the plane masks and paras")
        depth = pred[on_plane].astype(np.float64)
        points = _project(depth * (np.median(gt[on_plane]) / np.median(depth)), on_plane, intrinsics)
        points -= points.mean(axis=0)
        # The eigenvector of the smallest eigenvalue of the scatter is PCA's last axis.
        normal = np.linalg.eigh(points.T @ points)[1][:, 0]
        true_normal = paras[number - 1, 4:7] / np.linalg.norm(paras[number - 1, 4:7])
        errors.append(
            {
                "plane": number,
                "pixels": pixels,
                "pe_flatness": 100 * float((points @ normal).std()),
                "pe_orientation": float(np.degrees(np.arccos(min(1.0, abs(float(normal @ true_normal)))))),
            }
        )
    return errors


def distance_errors(
    pred: DepthMap,
    gt: DepthMap,
    valid: PixelMask,
    edges: Sequence[int] | Sequence[float] = DISTANCE_EDGES,
) -> dict[str, Float64[np.ndarray, " bins"]]:
    """`abs_rel`, `log10`, `rmse`, `delta1` and `pixels` of each distance bin of the ground truth; NaN where empty.

    Bins are closed on the right; the authors count a pixel exactly on an edge in both bins.
    """
    n = len(edges) - 1
    return group_metrics(group_sums(pred, gt, valid, distance_bins(gt, edges), n))


def boundary_f1(
    pred: DepthMap,
    gt: DepthMap,
    valid: PixelMask,
    thresholds: Float64[np.ndarray, " t"] = BOUNDARY_THRESHOLDS,
) -> float:
    """Depth Pro's scale-invariant boundary F1, over pairs of neighbours that are both valid.

    A pixel occludes its neighbour where the neighbour is more than t times as far. For each t, precision and recall are
    averaged over the four directions of the neighbour (0 for a direction without boundaries), and the F1 values are
    averaged with weights t / Σt. An image without a true boundary scores 0, as in the authors' code.
    """
    counts = np.zeros((len(thresholds), 4, 3))  # hits, predicted, true
    log_pred, log_gt = (np.log(np.where(valid, depth, 1)) for depth in (pred, gt))
    for axis in (0, 1):
        pair = np.logical_and(*_neighbours(valid, axis))
        steps_pred, steps_gt = (np.subtract(*_neighbours(log, axis))[pair] for log in (log_pred, log_gt))
        for i, limit in enumerate(np.log(thresholds)):
            for sign in (0, 1):
                p, g = (steps < -limit if sign else steps > limit for steps in (steps_pred, steps_gt))
                counts[i, 2 * axis + sign] = np.count_nonzero(p & g), np.count_nonzero(p), np.count_nonzero(g)
    hits = counts[..., 0]
    precision, recall = (np.mean(hits / np.maximum(counts[..., k], 1), axis=1) for k in (1, 2))
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return float(np.average(f1, weights=thresholds))


def _project(
    depth: Float64[np.ndarray, " n"], where: PixelMask, intrinsics: Float64[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "n 3"]:
    """Points of the pixels `where`: X right, Y forward, Z up; pixels count from 1."""
    rows, columns = np.nonzero(where)
    (fx, _, cx), (_, fy, cy) = intrinsics[:2]
    return np.stack([(columns + 1 - cx) * depth / fx, depth, -(rows + 1 - cy) * depth / fy], axis=1)


def _neighbours(
    values: Float[np.ndarray, "h w"] | Bool[np.ndarray, "h w"] | Integer[np.ndarray, "h w"], axis: int
) -> tuple[np.ndarray, np.ndarray]:
    return (values[1:], values[:-1]) if axis == 0 else (values[:, 1:], values[:, :-1])
