"""The audit's arithmetic against hand-counted facts."""

import numpy as np
import pytest

from zdlib.data.sets.nyu import official_parts
from zdlib.paper import original


def test_official_split_is_complete():
    parts = official_parts()
    assert list(parts.index) == list(range(original.N_LABELLED))
    assert parts.value_counts().to_dict() == {"train": 795, "test": 654}
    assert parts[1157] == "test"
    assert list(parts[1158:1161]) == ["train"] * 3


def test_overlap_counts():
    counts = original.split_overlap().set_index("original split")
    assert counts.to_numpy().tolist() == [[658, 500, 1158], [137, 154, 291], [795, 654, 1449]]


def test_trained_share_is_four_fifths():
    assert original.trained_share() == pytest.approx(0.799, abs=5e-4)


@pytest.mark.parametrize(("on_trained", "held_out"), [(0.990, 0.941), (0.995, 0.921), (0.998, 0.909)])
def test_held_out_value_restores_the_mean(on_trained, held_out):
    reported = 0.9801563
    value = original.held_out_value(reported, on_trained)
    assert value == pytest.approx(held_out, abs=5e-4)
    assert (1158 * on_trained + 291 * value) / 1449 == pytest.approx(reported)


def test_vanishing_pixels_ignores_holes():
    depth = np.array([[0.0, 0.5, 1.0], [1.001, 2.0, 9.0]], np.float32)
    assert original.vanishing_pixels(depth) == (2, 5)


def test_rmse_of_the_published_row():
    assert original.rmse_in_metres(0.0063939) == pytest.approx(0.2022, abs=1e-4)


@pytest.mark.parametrize("ratio", [1.0, 2.5, 10.0])
def test_errors_implied_by_their_ratio_restore_the_mean(ratio):
    trained, held_out = original.implied_by_ratio(0.0478958, ratio)
    assert held_out == pytest.approx(ratio * trained)
    assert (1158 * trained + 291 * held_out) / 1449 == pytest.approx(0.0478958)


def test_implied_means_know_which_way_is_better():
    implied = original.implied_means({"delta1": 0.98, "rmse": 0.2}, {"delta1": 3.0, "rmse": 1.0})
    assert implied["rmse"] == pytest.approx(0.2)
    assert implied["delta1"] == pytest.approx(1 - 3 * 1449 * 0.02 / (1158 + 3 * 291))


def test_implied_table_ends_at_the_bound():
    table = original.implied_table(0.9801563, [0.9801563, 0.995, 1.0])
    assert table["held_out"].tolist() == pytest.approx([0.9801563, 0.9211, 0.9012], abs=1e-4)
    assert table["ratio"].tolist()[:2] == pytest.approx([1, 0.0789 / 0.005], rel=1e-2)
    assert np.isnan(table["ratio"].iloc[2])
