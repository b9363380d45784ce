"""The charts show the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from zdlib.paper import original, plots

QUANTITIES = {"abs_rel": "AbsRel", "rmse": "RMSE [m]"}


def test_split_strip_colours_the_overlap():
    (axes,) = plots.split_strip().axes
    strip = np.asarray(axes.images[0].get_array())
    assert strip.shape == (2, original.N_LABELLED, 3)
    _, counts = np.unique(strip[1], axis=0, return_counts=True)
    assert sorted(counts) == [291, 500, 658]


def test_held_out_lines_are_the_arithmetic():
    trained = np.array([0.98, 0.99])
    (axes,) = plots.held_out_lines({"δ1": 0.9801563}, {"δ1": trained}).axes
    line, level = axes.get_lines()
    np.testing.assert_allclose(line.get_ydata(), [original.held_out_value(0.9801563, t) for t in trained])
    assert set(level.get_ydata()) == {0.9801563}


def test_depth_histogram_splits_at_one_metre():
    edges = np.linspace(0, 4, 9)
    (axes,) = plots.depth_histogram(np.array([0, 1, 1, 2, 3, 2, 1, 0]), edges).axes
    kept, removed = axes.containers
    assert len(removed) == 2
    assert sum(bar.get_height() for bar in [*kept, *removed]) == pytest.approx(100)
    assert max(bar.get_x() for bar in removed) < 1.0


def test_class_shares_draws_a_bar_a_class():
    shares = {"training": np.array([0.1, 0.6, 0.3]), "test": np.array([0.2, 0.5, 0.3])}
    figure = plots.class_shares(shares, ["a", "b", "c"], np.eye(3, dtype=np.uint8))
    assert [axes.get_title() for axes in figure.axes] == ["training", "test"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([10, 60, 30])


def test_attractor_curves_depend_on_the_unit():
    metres, kilometres = plots.attractor_curves().axes
    x, y = metres.get_lines()[1].get_data()
    assert y[x == 1][0] == pytest.approx(1 / 301)
    x, y = kilometres.get_lines()[1].get_data()
    assert y[x == 3][0] == pytest.approx(3, abs=0.01)  # all of the way: the bins lose their place


def test_panels_leave_out_what_a_run_does_not_have():
    frame = pd.DataFrame({"step": [1, 2, 3], "silog": [3.0, 2.0, 1.0], "dice": [0.5, 0.4, 0.3]})
    series = {"distill": frame, "control": frame.drop(columns="dice")}
    figure = plots.panels(series, "step", {"silog": "SILog", "dice": "Dice"}, "step", log=["silog"])
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert [len(axes.get_lines()) for axes in visible] == [2, 1]
    assert visible[0].get_yscale() == "log"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["distill", "control"]


def test_delta_against_parameters_keeps_published_and_own_apart():
    published = pd.DataFrame(
        {
            "method": ["a", "b", "c"],
            "params_m": [40.0, None, 100.0],
            "delta1": [0.9, 0.95, 0.98],
            "kind": ["s", "s", "p"],
        }
    )
    ours = pd.DataFrame({"method": ["z"], "params_m": [4.0], "delta1": [0.87]})
    left, right = plots.delta_against_parameters(published, ours, "NYU", "Rooms").axes
    assert [t.get_text() for t in left.texts] == ["a", "c"]
    assert [t.get_text() for t in right.get_xticklabels()] == ["z\n4.0 M"]
    heights = [high - low for low, high in (axes.get_ylim() for axes in (left, right))]
    assert heights[1] >= heights[0], "a small difference must not look large"
    assert (left.get_title(), right.get_title()) == ("NYU", "Rooms")


def test_a_series_that_jumps_is_drawn_pale_with_its_median_over_it_and_a_level_is_marked():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"step": range(400), "lr": np.linspace(1, 0, 400), "norm": 5 + rng.normal(0, 1, 400)})
    quantities = {"lr": "rate", "norm": "norm"}
    smooth, jumpy = plots.panels({"run": frame}, "step", quantities, "step", marks={"norm": (0.1, "clip")}).axes
    assert len(smooth.get_lines()) == 1
    pale, line, level = jumpy.get_lines()
    assert np.std(line.get_ydata()) < np.std(pale.get_ydata()) / 2
    assert list(level.get_ydata()) == [0.1, 0.1]
    assert jumpy.texts[0].get_text() == "clip"


def test_error_by_distance_leaves_out_empty_bins():
    frame = pd.DataFrame(
        {"from_m": [0, 1, 2], "to_m": [1, 2, 3], "pixels": [10.0, 30.0, 0.0], "abs_rel": [0.2, 0.1, np.nan]}
    )
    figure = plots.error_by_distance({"run": frame}, {"abs_rel": "AbsRel"})
    errors, share = figure.axes
    assert errors.get_lines()[0].get_xdata().tolist() == [0.5, 1.5]
    assert [bar.get_height() for bar in share.patches] == [25, 75, 0]


def test_by_class_orders_by_the_first_quantity():
    frame = pd.DataFrame({"class": ["bed", "wall", "sofa"], "abs_rel": [0.1, 0.3, 0.2], "iou": [0.5, 0.9, 0.1]})
    figure = plots.by_class({"a": frame, "b": frame.drop(columns="iou")}, {"abs_rel": "AbsRel", "iou": "IoU"})
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["wall", "sofa", "bed"]
    assert len([c for c in right.collections if c.get_label() in "ab"]) == 1


def test_metric_spread_reaches_all_images():
    (axes,) = plots.metric_spread({"run": np.array([0.3, 0.1, 0.2])}, "AbsRel").axes
    x, y = axes.get_lines()[0].get_data()
    assert x.tolist() == [0.1, 0.2, 0.3]
    assert y[-1] == 100


def test_metric_intervals_draw_every_mean_and_its_ends():
    rows = pd.DataFrame(
        {"protocol": ["p", "p", "q", "q"], "method": ["a", "b", "a", "b"], "rmse": [1.0, 2.0, 3.0, 4.0]}
    )
    rows["rmse_low"], rows["rmse_high"] = rows["rmse"] - 0.5, rows["rmse"] + 0.25
    (axes,) = plots.metric_intervals(rows, {"rmse": "RMSE [m]"}).axes
    lines, points = axes.collections[::2], axes.collections[1::2]
    assert [tuple(path[:, 0]) for line in lines for path in line.get_segments()] == [
        (0.5, 1.25), (1.5, 2.25), (2.5, 3.25), (3.5, 4.25),
    ]  # fmt: skip
    assert [x for group in points for x, _ in group.get_offsets()] == [1, 2, 3, 4]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]


def test_metric_intervals_of_differences_mark_zero():
    rows = pd.DataFrame({"protocol": ["p"], "method": ["a"], "rmse": [0.1], "delta1": [0.2]})
    for column in ("rmse", "delta1"):
        rows[f"{column}_low"], rows[f"{column}_high"] = rows[column] - 0.15, rows[column] + 0.15
    both = {"rmse": "Δ RMSE [m]", "delta1": "Δ δ1"}
    for axes in plots.metric_intervals(rows, both).axes:
        (line,) = axes.get_lines()
        assert list(line.get_xdata()) == [0, 0]
    assert not plots.metric_intervals(rows, {"delta1": "δ1"}).axes[0].get_lines()


def test_seed_dots_show_every_training_and_the_mean():
    rows = pd.DataFrame({"arm": ["a", "a", "b"], "seed": [1, 2, 1], "rmse": [1.0, 3.0, 5.0]})
    (axes,) = plots.seed_dots(rows, {"rmse": "RMSE [m]"}).axes
    bars, dots = axes.collections[::2], axes.collections[1::2]
    assert [bar.get_segments()[0][0, 0] for bar in bars] == [2, 5]
    assert [x for group in dots for x, _ in group.get_offsets()] == [1, 3, 5]
