"""Figures of notebook 17 draw what was put in, and draw no interval that there is not."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from zdlib.paper.label_budget import figures

SHARES = ["25 %", "50 %", "100 %"]


def marks(axes):
    """Centres of the marks that are in the legend: one per contrast."""
    shown = [c for c in axes.collections if isinstance(c, PathCollection) and not c.get_label().startswith("_")]
    return np.concatenate([c.get_offsets() for c in shown])


def intervals(axes):
    """Lines of finite length that are no line at zero."""
    ends = [np.array(line.get_xydata(), float) for line in axes.lines]
    at_zero = [line for line in ends if set(map(tuple, line)) in ({(0, 0), (0, 1)}, {(0, 0), (1, 0)})]
    return [line for line in ends if np.isfinite(line).all() and not any(line is zero for zero in at_zero)]


def test_marks_lie_at_their_share_and_their_difference(make):
    study = make({"distill_25": 0.02, "bare_distill_100": 0.04})
    figure = figures.when_it_helps(study, ["Rooms-N", "Rooms-I"])
    assert len(figure.axes) == 4
    depth, error = figure.axes[:2]
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == SHARES
    points = marks(depth)
    assert len(points) == 7
    first = points[np.argmin(points[:, 0])]
    assert round(first[0]) == 0
    assert first[1] == pytest.approx(0.02, abs=1e-3)
    assert points[:, 1].max() == pytest.approx(0.04, abs=1e-3)
    assert marks(error)[:, 1].min() == pytest.approx(-0.02, abs=1e-3)
    assert len(intervals(depth)) == 14  # Student's and the joint one of seven contrasts
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ImageNet weights, w = 0.1", "no ImageNet weights, w = 0.1", "ImageNet weights, w = 1"]


def test_costs_lie_on_the_same_scale(make):
    figure = figures.beside_other_losses(make({"distill_25": 0.02}), "Rooms-N")
    depth = figure.axes[0]
    rows = [label.get_text() for label in depth.get_yticklabels()]
    assert rows[0] == "with − without, 25 %"
    assert rows[-1] == "random − ImageNet weights, 100 %"
    points = marks(depth)
    assert len(points) == len(rows) == 14
    by_row = dict(zip(rows, points[np.argsort(points[:, 1])][:, 0], strict=True))
    assert by_row["25 % instead of 100 %"] == pytest.approx(-0.08, abs=2e-3)
    assert by_row["random − ImageNet weights, 100 %"] == pytest.approx(-0.2, abs=2e-3)


@pytest.mark.parametrize("seeds", [[1], [1, 2]])
def test_few_seeds_have_no_interval(make, seeds):
    study = make({"distill_25": 0.02}, seeds=seeds)
    for figure in (figures.when_it_helps(study, ["Rooms-N"]), figures.beside_other_losses(study, "Rooms-N")):
        assert len(marks(figure.axes[0])) in (7, 14)
        assert [line for axes in figure.axes for line in intervals(axes)] == []


def test_a_grid_without_a_pair_is_told_in_words(make):
    study = make({}, seeds=[1], arms=["distill_25"])
    for figure in (figures.when_it_helps(study, ["Rooms-N"]), figures.beside_other_losses(study, "Rooms-N")):
        assert figure.axes == []
        assert figure.texts[0].get_text() == "no pair of arms has scores of one seed yet"
