import itertools
import math

import numpy as np
import pandas as pd
import pytest

from zdlib.errors import ZDError
from zdlib.metrics.depth import METRICS
from zdlib.metrics.intervals import (
    bootstrap_groups,
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_segmentation,
    compare,
    interval_table,
    paired_difference,
    sign_flip_test,
)
from zdlib.metrics.segmentation import segmentation_metrics


def rng(seed=0):
    return np.random.default_rng(seed)


def test_interval_of_independent_images_is_the_normal_one():
    values = rng(1).normal(5, 2, 400)
    interval = bootstrap_mean(values, None, rng())
    half = 1.96 * values.std() / math.sqrt(400)
    assert interval.value == values.mean()
    assert interval.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert (interval.images, interval.clusters) == (400, 400)


def test_images_of_one_scene_count_once():
    scenes = rng(2).normal(0, 1, 50)
    clusters = [f"scene {i}" for i in range(50) for _ in range(8)]
    repeated = np.repeat(scenes, 8)
    naive, honest = bootstrap_mean(repeated, None, rng()), bootstrap_mean(repeated, clusters, rng())
    alone = bootstrap_mean(scenes, None, rng())
    assert honest.clusters == 50
    assert honest.high - honest.low == pytest.approx(alone.high - alone.low, rel=1e-9)
    assert honest.high - honest.low == pytest.approx(math.sqrt(8) * (naive.high - naive.low), rel=0.15)


def test_coverage():
    inside = 0
    for trial in range(200):
        draws = rng(1000 + trial)
        scenes = draws.normal(0, 1, 30)
        values = np.repeat(scenes, 3) + draws.normal(0, 0.5, 90)
        interval = bootstrap_mean(values, [str(i) for i in range(30) for _ in range(3)], draws)
        inside += interval.low <= 0 <= interval.high
    assert 0.88 <= inside / 200 <= 0.99


def test_unnamed_scenes_are_scenes_of_their_own():
    values = np.arange(6.0)
    assert bootstrap_mean(values, ["", "", "", "a", "a", "b"], rng()).clusters == 5


def test_one_cluster_has_no_interval():
    interval = bootstrap_mean(np.arange(4.0), ["a"] * 4, rng())
    assert interval.value == 1.5
    assert math.isnan(interval.low)
    assert math.isnan(paired_difference(np.zeros(4), np.arange(4.0), ["a"] * 4, rng()).p_value)


@pytest.mark.parametrize("values", [np.array([]), np.array([1.0, np.nan])])
def test_values_must_be_finite(values):
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean(values, None, rng())


def test_clusters_must_fit():
    with pytest.raises(ValueError, match="2 clusters for 3 images"):
        bootstrap_mean(np.arange(3.0), ["a", "b"], rng())


def test_same_seed_same_interval():
    values = rng(3).normal(size=40)
    assert bootstrap_mean(values, None, rng(7)) == bootstrap_mean(values, None, rng(7))
    assert bootstrap_mean(values, None, rng(7)) != bootstrap_mean(values, None, rng(8))


def test_exact_permutation_by_hand():
    # Four images, all better by one: 2 of the 16 sign patterns are as extreme.
    difference = paired_difference(np.zeros(4), np.ones(4), None, rng())
    assert difference.p_value == 2 / 16
    assert not difference.significant
    assert paired_difference(np.zeros(6), np.ones(6), None, rng()).p_value == 2 / 64
    assert paired_difference(np.zeros(6), np.ones(6), None, rng()).significant
    # Two scenes of three images are two observations, not six.
    assert paired_difference(np.zeros(6), np.ones(6), ["a", "a", "a", "b", "b", "b"], rng()).p_value == 2 / 4


def test_difference_sees_what_noise_between_images_hides():
    hard = rng(4).normal(0, 3, 60)
    better = paired_difference(hard, hard - 0.1 + rng(5).normal(0, 0.1, 60), None, rng())
    assert better.significant
    assert better.interval.high < 0
    nothing = paired_difference(hard, hard + rng(6).normal(0, 0.1, 60), None, rng())
    assert not nothing.significant
    assert nothing.interval.low < 0 < nothing.interval.high


def test_false_alarms_are_rare():
    alarms = 0
    for trial in range(100):
        draws = rng(2000 + trial)
        noise = np.repeat(draws.normal(size=20), 2)
        alarms += paired_difference(np.zeros(40), noise, [str(i // 2) for i in range(40)], draws).significant
    assert alarms <= 11


def test_equal_models_do_not_differ():
    values = rng(0).normal(size=20)
    difference = paired_difference(values, values.copy(), None, rng())
    assert difference.p_value == 1
    assert difference.interval.low == difference.interval.high == 0


def confusions(n=12):
    draws = rng(9)
    matrices = draws.integers(0, 50, (n, 14, 14))
    matrices[:, 0] = 0
    matrices[:, 13] = matrices[:, :, 13] = 0
    return matrices.astype(np.int64)


@pytest.mark.slow
def test_segmentation_intervals():
    matrices = confusions()
    intervals = bootstrap_segmentation(matrices, [f"s{i // 2}" for i in range(12)], rng())
    expected = segmentation_metrics(matrices.sum(axis=0))
    assert {name: interval.value for name, interval in intervals.items()} == pytest.approx(expected, nan_ok=True)
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "iou_bed"):
        interval = intervals[name]
        assert interval.low < interval.value < interval.high
        assert (interval.images, interval.clusters) == (12, 6)
    assert math.isnan(intervals["iou_window"].low)


def table(seed=0, gain=0.0):
    draws = rng(seed)
    rows = pd.DataFrame({"protocol": "nyu/standard", "frame": range(20), "pixels": 100})
    rows["name"] = [f"nyu_{i:04d}" for i in range(20)]
    rows["scene"] = [f"s{i // 2}" for i in range(20)]
    for metric in METRICS:
        rows[metric] = draws.uniform(0.1, 0.5, 20) - gain
    rows.loc[4, "pixels"] = 0
    rows.loc[4, list(METRICS)] = np.nan
    return rows


def test_groups_of_pixels_have_the_interval_of_their_mean():
    """With one pixel an image in a group, pooling over pixels is averaging over images."""
    values = rng().uniform(0, 1, 40)
    sums = np.zeros((40, 4, 5))  # columns: pixels, and sums of δ1, AbsRel, squared error, log10
    sums[:, 0, 0], sums[:, 0, 2] = 1, values
    sums[:8, 1, 0], sums[:8, 1, 2] = 7, 7 * 0.25  # two scenes
    sums[:4, 3, 0], sums[:4, 3, 2] = 7, 7 * rng().uniform(0, 1, 4)  # one scene
    scenes = [f"scene {i // 4}" for i in range(40)]
    ends = bootstrap_groups(sums, scenes, rng())
    expected = bootstrap_mean(values, scenes, rng())
    assert ends["abs_rel_low"][0] == pytest.approx(expected.low)
    assert ends["abs_rel_high"][0] == pytest.approx(expected.high)
    assert ends["abs_rel_low"][1] == ends["abs_rel_high"][1] == pytest.approx(0.25)
    assert all(math.isnan(column[empty]) for column in ends.values() for empty in (2, 3))


def test_interval_table_leaves_out_empty_images():
    intervals = interval_table(table(), rng()).set_index("metric")
    assert list(intervals.index) == list(METRICS)
    assert intervals.loc["rmse", "value"] == pytest.approx(table()["rmse"].mean())
    assert (intervals["images"] == 19).all()
    assert (intervals["clusters"] == 10).all()
    assert (intervals["low"] < intervals["value"]).all()


def test_compare():
    result = compare(table(), table(gain=0.05), rng(), columns=("abs_rel", "rmse")).set_index("metric")
    assert result["difference"].tolist() == pytest.approx([-0.05, -0.05])
    assert result["significant"].all()
    assert (result["images"] == 19).all()
    noise = compare(table(0), table(1), rng(), columns=("abs_rel",))
    assert not noise["significant"].any()


@pytest.mark.parametrize("column", ["protocol", "frame", "name"])
def test_other_frames_are_not_compared(column):
    other = table()
    other[column] = other[column].iloc[::-1].to_numpy() if column != "protocol" else "nyu/published"
    with pytest.raises(ZDError, match=f"differ in {column}"):
        compare(table(), other, rng())


def test_sign_flips_by_hand():
    assert sign_flip_test(np.array([1.0, 2.0, 3.0]), rng()) == 2 / 8
    assert sign_flip_test(np.array([1.0, -1.0]), rng()) == 1
    values = np.array([0.3, -0.1, 0.4, 0.25])
    sums = [abs(np.dot(signs, values)) for signs in itertools.product((1, -1), repeat=4)]
    assert sign_flip_test(values, rng()) == np.mean(np.array(sums) >= abs(values.sum()) - 1e-12)
    assert sign_flip_test(np.zeros(6), rng()) == 1


def test_sign_flips_are_drawn_where_there_are_many():
    values = np.random.default_rng(3).normal(0.3, 1.0, 14)  # 16,384 patterns
    sums = [abs(np.dot(signs, values)) for signs in itertools.product((1, -1), repeat=14)]
    exact = np.mean(np.array(sums) >= abs(values.sum()) - 1e-12)
    assert sign_flip_test(values, rng()) == pytest.approx(exact, abs=0.02)
    assert sign_flip_test(values, rng()) == sign_flip_test(values, rng()) != sign_flip_test(values, rng(1))


def test_the_ratio_of_two_means():
    rng = np.random.default_rng(0)
    first, second = rng.uniform(2, 4, 400), rng.uniform(1, 2, 300)
    found = bootstrap_ratio(first, second, (None, None), rng)
    assert found.value == pytest.approx(first.mean() / second.mean())
    # The delta method's standard error, for means of independent samples.
    spread = found.value * np.sqrt(first.var() / first.mean() ** 2 / 400 + second.var() / second.mean() ** 2 / 300)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(spread, rel=0.1)
    assert (found.images, found.clusters) == (700, 700)


def test_one_scene_has_no_interval_of_a_ratio():
    found = bootstrap_ratio(
        np.array([1.0, 2.0]), np.array([1.0, 1.5]), (["a", "a"], ["b", "c"]), np.random.default_rng(0)
    )
    assert found.value == pytest.approx(1.2)
    assert np.isnan(found.low)
