"""The audit's figures show the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from zdlib.paper import audit_plots

METRICS = ("delta1", "rmse")


def path():
    return pd.DataFrame(
        {
            "change": ["start", "floor", "frames"],
            "images": [4, 4, 10],
            "trained_on": [0.0, 0.0, 60.0],
            "delta1": [0.8, 0.7, 0.9],
            "rmse": [0.5, 0.5, 0.4],
        }
    )


def test_waterfall_bars_reach_from_value_to_value():
    figure = audit_plots.waterfall(path(), METRICS, "x/start", "x/end")
    left, right = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in left.patches]
    np.testing.assert_allclose(bars, [(0.8, -0.1), (0.7, 0.2)])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.0, -0.1])
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == ["x/start", "floor", "frames\n10 images, 60 % trained on", "x/end"]
    assert [text.get_text() for text in left.texts] == ["0.800", "0.900", "−0.1000", "+0.2000"]


def test_colours_say_whether_the_number_looks_better():
    figure = audit_plots.waterfall(path(), METRICS, "x/start", "x/end")
    colours = [[bar.get_facecolor() for bar in axes.patches] for axes in figure.axes]
    assert colours[0][0] != colours[0][1]  # δ1 falls, then rises
    assert colours[1][1] == colours[0][1]  # RMSE falls: better, as δ1 rising
    assert colours[1][0] not in (colours[0][0], colours[0][1])  # nothing happens


def test_excursions():
    table = path().rename(columns={m: f"{m}_change" for m in METRICS})
    for metric in METRICS:
        table[f"{metric}_change_low"], table[f"{metric}_change_high"] = table[f"{metric}_change"] - 0.1, np.nan
    left, _ = audit_plots.excursions(table, METRICS, "x/start").axes
    np.testing.assert_allclose(left.collections[-1].get_offsets()[:, 0], [0.8, 0.7, 0.9])
    assert [label.get_text() for label in left.get_yticklabels()] == ["start", "floor", "frames"]


@pytest.mark.parametrize("ratio", [1.5, float("nan"), 20.0])
def test_implied_by_overfitting(ratio):
    figure = audit_plots.implied_by_overfitting(
        {"delta1": 0.98, "rmse": 0.2}, {"delta1": 0.927, "rmse": 0.3}, "quoted", {"delta1": ratio, "rmse": 1.2}, "ours"
    )
    held_out, trained, *_ = figure.axes[0].lines
    assert held_out.get_ydata()[0] == trained.get_ydata()[0] == pytest.approx(0.98)  # ratio 1: no difference
    assert held_out.get_ydata()[-1] < 0.98 < trained.get_ydata()[-1]
    assert held_out.get_xdata()[-1] >= 8
    errors = 1 - held_out.get_ydata(), 1 - trained.get_ydata()
    np.testing.assert_allclose((1158 * errors[1] + 291 * errors[0]) / 1449, 0.02, rtol=1e-9)


def test_the_interval_of_a_measured_ratio_is_shaded_with_what_it_implies():
    reported, ratio = {"abs_rel": 0.05}, {"abs_rel": 1.6}
    plain, shaded = (
        audit_plots.implied_by_overfitting(reported, {"abs_rel": 0.09}, "q", ratio, "m", spread=spread).axes[0]
        for spread in (None, {"abs_rel": (1.4, 1.8)})
    )
    assert len(shaded.get_lines()) == len(plain.get_lines()) + 1
    implied = shaded.get_lines()[-1].get_xdata()
    assert 1.4 <= implied.min() <= implied.max() <= 1.8
    assert len(shaded.patches) == len(plain.patches) + 1
