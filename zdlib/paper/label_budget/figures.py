"""Figures of notebook 17: when does segmentation help, and how large is that beside other losses?"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zdlib.paper.domains.study import Study
from zdlib.paper.figures import COLOURS, GREY, STYLE, WIDTH, new_figure
from zdlib.paper.label_budget.effects import Condition, Contrast, Effect, costs, effect, segmentation
from zdlib.paper.plots import MARKERS

QUANTITIES = {"delta1": "Δ δ1", "abs_rel": "Δ AbsRel"}
BETTER = {
    "delta1": ("above 0 is better", "right of 0 is better"),
    "abs_rel": ("below 0 is better", "left of 0 is better"),
}
KINDS = {"segmentation": "segmentation", "fewer frames": "fewer frames", "no ImageNet": "no ImageNet weights"}
_APART = 0.13  # between the marks of one budget


@mpl.rc_context(STYLE)
def when_it_helps(study: Study, data: Sequence[str]) -> Figure:
    """The difference that segmentation makes by share of frames, a row of panels per data set, a column per metric.

    A mark per contrast: colour and shape tell ImageNet weights and w. Small dots are single seeds, a thick line the
    95 % interval with seeds and scenes resampled, a thin one Student's over seeds; both from three seeds on. The band
    is the margin of δ1.

    Args:
        study: the trainings.
        data: titles of data sets.
    """
    contrasts = segmentation(study)
    if not contrasts:
        return _nothing()
    shares = sorted({c.condition.share for c in contrasts})
    ordered = sorted(contrasts, key=lambda c: (c.condition.weight, not c.condition.pretrained))
    series = list(dict.fromkeys(_series(c.condition) for c in ordered))
    figure = new_figure(WIDTH, 0.7 + 2.1 * len(data))
    grid = np.atleast_2d(figure.subplots(len(data), len(QUANTITIES), sharex=True))
    for (row, name), (column, metric) in ((r, c) for r in enumerate(data) for c in enumerate(QUANTITIES)):
        axes = grid[row, column]
        axes.axhline(0, color=GREY, linewidth=0.8)
        if metric == "delta1":
            axes.axhspan(-study.config.margin, study.config.margin, color="#eeeeee", zorder=0)
        for number, label in enumerate(series):
            of_series = [c for c in contrasts if _series(c.condition) == label]
            places = [shares.index(c.condition.share) + _APART * (number - (len(series) - 1) / 2) for c in of_series]
            effects = [effect(study, c.signs, name, metric) for c in of_series]
            for place, one in zip(places, effects, strict=True):
                _mark(axes, place, one, number, upright=True, label=label)
        axes.set_title(f"{name}: {BETTER[metric][0]}", fontsize=8)
        axes.set_ylabel(QUANTITIES[metric])
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xticks(range(len(shares)), [f"{100 * share:.0f} %" for share in shares])
        axes.set_xlim(-0.5, len(shares) - 0.5)
        axes.grid(False, axis="x")
    figure.supxlabel("training scenes (as many steps with each share)", fontsize=9)
    _legend(figure, grid)
    return figure


@mpl.rc_context(STYLE)
def beside_other_losses(study: Study, data: str) -> Figure:
    """Effects of segmentation above those of fewer frames and of missing ImageNet weights, a panel per metric.

    Marks as in `when_it_helps`.

    Args:
        study: the trainings.
        data: title of the data set.
    """
    contrasts = [*segmentation(study), *costs(study)]
    if not contrasts:
        return _nothing()
    figure = new_figure(WIDTH, 0.8 + 0.21 * len(contrasts))
    grid = np.atleast_2d(figure.subplots(1, len(QUANTITIES), sharey=True))
    for axes, metric in zip(grid[0], QUANTITIES, strict=True):
        axes.axvline(0, color=GREY, linewidth=0.8)
        if metric == "delta1":
            axes.axvspan(-study.config.margin, study.config.margin, color="#eeeeee", zorder=0)
        for place, contrast in enumerate(contrasts):
            one = effect(study, contrast.signs, data, metric)
            number = list(KINDS).index(contrast.kind)
            _mark(axes, float(place), one, number, upright=False, label=KINDS[contrast.kind])
        axes.set_xlabel(f"{QUANTITIES[metric]} ({BETTER[metric][1]})")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(False, axis="y")
    grid[0, 0].set_yticks(range(len(contrasts)), [_row(contrast) for contrast in contrasts])
    grid[0, 0].set_ylim(len(contrasts) - 0.5, -0.5)
    _legend(figure, grid)
    return figure


def _nothing() -> Figure:
    figure = new_figure(WIDTH, 0.6)
    figure.text(0.5, 0.5, "no pair of arms has scores of one seed yet", ha="center", va="center", color=GREY)
    return figure


def _row(contrast: Contrast) -> str:
    before = {"segmentation": "with − without, ", "no ImageNet": "random − ImageNet weights, "}
    return f"{before.get(contrast.kind, '')}{contrast.name}"


def _series(given: Condition) -> str:
    weights = "ImageNet weights" if given.pretrained else "no ImageNet weights"
    return f"{weights}, w = {given.weight:g}"


def _mark(axes: Axes, place: float, one: Effect | None, number: int, *, upright: bool, label: str) -> None:
    """A contrast: its seeds, its intervals, its mean; upright or lying."""
    assert one is not None
    look: dict[str, Any] = {"color": COLOURS[number], "solid_capstyle": "butt"}
    for ends, width in (((one.low, one.high), 1.0), ((one.joint_low, one.joint_high), 3.2)):
        there = (place, place)
        axes.plot(*((there, ends) if upright else (ends, there)), linewidth=width, zorder=2, **look)
    seeds = list(one.per_seed.values()) if one.seeds > 1 else []  # a single one is the mean
    aside = [place + 0.04 if upright else place] * len(seeds)
    axes.scatter(*((aside, seeds) if upright else (seeds, aside)), s=5, color=GREY, alpha=0.9, linewidth=0, zorder=4)
    centre = (place, one.mean) if upright else (one.mean, place)
    face: dict[str, Any] = {"facecolor": COLOURS[number], "edgecolor": "white", "linewidth": 0.6}
    axes.scatter(*centre, s=26, marker=MARKERS[number], zorder=3, label=label, **face)


def _legend(figure: Figure, grid: np.ndarray) -> None:
    handles, labels = grid[0, 0].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside upper center", ncols=max(1, len(once)))
