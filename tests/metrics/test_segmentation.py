import math

import numpy as np
import pytest

from zdlib.labels import CLASS_NAMES
from zdlib.metrics.segmentation import class_scores, confusion_matrix, segmentation_metrics


def grid(*values):
    return np.array([values], np.uint8)


def test_by_hand():
    labels = grid(1, 1, 1, 1, 12, 12, 0, 0)
    pred = grid(1, 1, 12, 0, 12, 1, 1, 5)
    matrix = confusion_matrix(pred, labels)
    assert matrix[1, 1] == 2
    assert (matrix[1, 12], matrix[1, 0], matrix[12, 1], matrix[12, 12]) == (1, 1, 1, 1)
    assert matrix.sum() == 6  # the two void pixels are not there
    metrics = segmentation_metrics(matrix)
    assert metrics["iou_bed"] == pytest.approx(2 / 5)  # 2 hits, 2 missed, 1 false
    assert metrics["iou_wall"] == pytest.approx(1 / 3)
    assert metrics["miou"] == pytest.approx((2 / 5 + 1 / 3) / 2)
    assert metrics["pixel_accuracy"] == pytest.approx(3 / 6)
    assert metrics["mean_accuracy"] == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert math.isnan(metrics["iou_sofa"])


def test_void_prediction_is_an_error_but_no_class():
    metrics = segmentation_metrics(confusion_matrix(grid(0, 1), grid(1, 1)))
    assert metrics["miou"] == 0.5
    assert "iou_unlabelled" not in metrics


def test_predicted_but_absent_class_counts_as_zero():
    metrics = segmentation_metrics(confusion_matrix(grid(1, 2), grid(1, 1)))
    assert metrics["iou_books"] == 0
    assert metrics["miou"] == 0.25
    assert metrics["mean_accuracy"] == 0.5


def test_nothing_labelled_is_nan():
    metrics = segmentation_metrics(confusion_matrix(grid(1, 2), grid(0, 0)))
    assert all(math.isnan(value) for value in metrics.values())


def test_perfect_and_additive():
    labels = np.random.default_rng(0).integers(0, 14, (40, 50)).astype(np.uint8)
    halves = confusion_matrix(labels[:20], labels[:20]) + confusion_matrix(labels[20:], labels[20:])
    np.testing.assert_array_equal(halves, confusion_matrix(labels, labels))
    metrics = segmentation_metrics(halves)
    assert metrics["miou"] == metrics["pixel_accuracy"] == metrics["mean_accuracy"] == 1
    assert len(metrics) == 3 + len(CLASS_NAMES) - 1
    assert class_scores(halves)["share"].sum() == pytest.approx(1)


def test_unknown_id_is_refused():
    with pytest.raises(ValueError, match="below 14"):
        confusion_matrix(grid(14), grid(1))
