"""Segmentation scores from a confusion matrix, with the void class handled in one place.

Class 0 is "unlabelled" (void). A pixel whose true class is void is never scored. A model that was taught void as a
class (the original recipe) may still predict it on a labelled pixel: that is an error there, like any other.
"""

import math

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from zdlib.labels import CLASS_NAMES, N_CLASSES, VOID


def confusion_matrix(pred: UInt8[np.ndarray, "h w"], labels: UInt8[np.ndarray, "h w"]) -> Int64[np.ndarray, "14 14"]:
    """Pixels by true class (rows) and predicted class (columns); the void row is zero. Add them over images.

    Raises:
        ValueError: an id is not below 14.
    """
    if pred.max(initial=0) >= N_CLASSES or labels.max(initial=0) >= N_CLASSES:
        raise ValueError(f"class ids must be below {N_CLASSES}")
    pair = labels.ravel().astype(np.intp) * N_CLASSES + pred.ravel()
    matrix = np.bincount(pair, minlength=N_CLASSES**2).reshape(N_CLASSES, N_CLASSES)
    matrix[VOID] = 0
    return matrix.astype(np.int64)


def class_scores(matrix: Int64[np.ndarray, "14 14"]) -> dict[str, Float64[np.ndarray, " 14"]]:
    """Of each class: `iou`, `accuracy` (recall), and `share` of the scored pixels.

    IoU is NaN for a class that is neither present nor predicted, accuracy for one that is not present; the void
    class is NaN in both.
    """
    counts = matrix.astype(np.float64)
    counts[VOID] = 0
    hits, present, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = hits / (present + predicted - hits)
        accuracy = hits / present
        share = present / present.sum()
    iou[VOID] = math.nan
    return {"iou": iou, "accuracy": accuracy, "share": share}


def segmentation_metrics(matrix: Int64[np.ndarray, "14 14"]) -> dict[str, float]:
    """`miou`, `pixel_accuracy`, `mean_accuracy` of a (summed) confusion matrix, and `iou_<class>` of each real class.

    Means are over the classes that are present (for `miou`: present or predicted). All NaN if nothing was scored.
    """
    scores = class_scores(matrix)
    real = matrix.astype(np.float64)[1:]

    def mean(values: Float64[np.ndarray, " 14"]) -> float:
        values = values[~np.isnan(values)]
        return float(values.mean()) if values.size else math.nan

    return {
        "miou": mean(scores["iou"]),
        "pixel_accuracy": float(matrix.diagonal()[1:].sum() / real.sum()) if real.any() else math.nan,
        "mean_accuracy": mean(scores["accuracy"]),
        **{f"iou_{name}": float(scores["iou"][i]) for i, name in enumerate(CLASS_NAMES) if i != VOID},
    }
