"""Comparisons of trainings against statsmodels, closed forms and simulated coverage."""

import numpy as np
import pytest
from scipy import stats

from zdlib.metrics.trials import deviation_interval, equivalence, holm, seeds_and_scenes

DIFFERENCES = np.array([0.004, -0.002, 0.001, 0.003, -0.001, 0.002])


def test_equivalence_is_two_one_sided_tests():
    found = equivalence(DIFFERENCES, 0.01)
    n, mean, error = len(DIFFERENCES), DIFFERENCES.mean(), DIFFERENCES.std(ddof=1) / np.sqrt(len(DIFFERENCES))
    expected = max(stats.t.sf((mean + 0.01) / error, n - 1), stats.t.cdf((mean - 0.01) / error, n - 1))
    assert found.p_value == pytest.approx(expected)
    half = stats.t.ppf(0.95, n - 1) * error
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))
    assert found.p_value < 0.05, "the margin is wide"
    assert equivalence(DIFFERENCES, 0.001).p_value > 0.05, "the margin is smaller than the interval"


@pytest.mark.parametrize("margin", [0.0005, 0.002, 0.0035, 0.01])
def test_equivalent_where_the_interval_lies_within_the_margin(margin):
    found = equivalence(DIFFERENCES, margin)
    assert (found.p_value < 0.05) == (-margin < found.low and found.high < margin)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]


def test_deviation_interval_covers():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        deviation, low, high = deviation_interval(rng.normal(0, 3, 6))
        assert low < deviation < high
        inside += low <= 3 <= high
    assert abs(inside / 2000 - 0.95) < 0.015


def test_seeds_and_scenes_know_both_sources():
    rng = np.random.default_rng(1)
    scenes = [f"scene_{i // 3}" for i in range(60)]
    of_seed, of_scene = rng.normal(0, 1, 12), rng.normal(0, 1, 20).repeat(3)
    both = of_seed[:, None] + of_scene[None] + 0.01 * rng.normal(size=(12, 60))
    mean, low, high = seeds_and_scenes(both, scenes, rng)
    assert mean == pytest.approx(both.mean())
    expected = np.sqrt(of_seed.var() / 12 + of_scene.var() / 20)
    assert (high - low) / (2 * 1.96) == pytest.approx(expected, rel=0.15)
    one_seed = seeds_and_scenes(both[:1], scenes, rng)
    assert (one_seed[2] - one_seed[1]) / (2 * 1.96) == pytest.approx(np.sqrt(of_scene.var() / 20), rel=0.15)


def test_seeds_and_scenes_refuse_what_has_no_mean():
    with pytest.raises(ValueError, match="finite"):
        seeds_and_scenes(np.array([[0.1, np.nan]]), ["a", "b"], np.random.default_rng(0))
    with pytest.raises(ValueError, match="scene of every image"):
        seeds_and_scenes(np.zeros((2, 3)), ["a", "b"], np.random.default_rng(0))
