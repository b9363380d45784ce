"""Improvements by hand; ZoeDepth's printed percentages follow from its printed metrics."""

import pytest

from zdlib.metrics.improvement import mean_over_metrics, mean_relative_improvement, relative_improvement


@pytest.mark.parametrize(
    ("metric", "value", "reference", "percent"),
    [
        ("abs_rel", 0.09, 0.1, 10.0),
        ("abs_rel", 0.11, 0.1, -10.0),
        ("delta1", 0.9, 0.8, 12.5),
        ("rmse", 2.0, 4.0, 50.0),
        ("rmse", 0.4, 0.5, 20.0),
    ],
)
def test_positive_is_better(metric, value, reference, percent):
    assert relative_improvement(metric, value, reference) == pytest.approx(percent)


def test_means_over_data_sets_and_over_metrics():
    assert mean_relative_improvement("abs_rel", {"a": 0.9, "b": 1.5}, {"b": 2.0, "a": 1.0}) == pytest.approx(17.5)
    values, references = {"delta1": 0.9, "abs_rel": 0.2}, {"delta1": 0.75, "abs_rel": 0.1}
    assert mean_over_metrics(values, references) == pytest.approx((20 - 100) / 2)
