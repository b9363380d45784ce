"""The figures of the protocol audit."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from zdlib.data.sets.nyu import CONTIGUOUS_TRAIN, NYU_FRAMES
from zdlib.metrics.as_text import HEADERS
from zdlib.metrics.depth import HIGHER_IS_BETTER
from zdlib.paper.figures import COLOURS, GREY, STYLE, WIDTH, new_figure
from zdlib.paper.original import implied_by_ratio

BETTER, WORSE, MARK = COLOURS[0], COLOURS[1], COLOURS[2]


@mpl.rc_context(STYLE)
def waterfall(path: pd.DataFrame, metrics: Sequence[str], start: str, end: str) -> Figure:
    """A path (`zdlib.paper.protocol_audit.path_table`) as floating bars, one panel per metric; time runs downwards.

    Args:
        path: its rows, the first being the start.
        metrics: which columns.
        start: name of the first way of counting.
        end: name of the last one.
    """
    places = np.arange(len(path) + 1.0)
    figure = new_figure(WIDTH, 0.36 * len(places) + 1.0)
    grid = np.atleast_1d(figure.subplots(1, len(metrics), sharey=True))
    for axes, metric in zip(grid, metrics, strict=True):
        values = path[metric].to_numpy(float)
        steps = np.diff(values)
        axes.barh(places[1:-1], steps, left=values[:-1], height=0.62, color=_colours(steps, metric))
        # A thin line hands the value on from each bar to the next.
        axes.vlines(values, places[:-1] + 0.31, places[1:] - 0.31, color=GREY, linewidth=0.8)
        axes.scatter(values[[0, -1]], places[[0, -1]], marker="D", s=22, color=GREY, zorder=3)
        _give_room(axes, values)
        for place, value in ((places[0], values[0]), (places[-1], values[-1])):
            _beside(axes, value, place, f"{value:.3f}", weight="bold")
        for place, before, after in zip(places[1:-1], values[:-1], values[1:], strict=True):
            _beside(axes, max(before, after), place, f"{after - before:+.4f}".replace("-", "−"))
        axes.set_xlabel(HEADERS[metric])
        axes.grid(visible=False, axis="y")
    grid[0].set_yticks(places, [start, *_labels(path), end])
    grid[0].set_ylim(places[-1] + 0.6, -0.6)
    patches = [Patch(color=BETTER, label="makes the number look better"), Patch(color=WORSE, label="worse")]
    figure.legend(handles=patches, loc="outside upper center", ncols=2)
    return figure


@mpl.rc_context(STYLE)
def excursions(table: pd.DataFrame, metrics: Sequence[str], start: str) -> Figure:
    """Single changes (`protocol_audit.excursion_table`) as dots with their intervals, one panel per metric."""
    places = np.arange(len(table))
    figure = new_figure(WIDTH, 0.3 * len(table) + 0.95)
    grid = np.atleast_1d(figure.subplots(1, len(metrics), sharey=True))
    for axes, metric in zip(grid, metrics, strict=True):
        change, low, high = (table[f"{metric}_change{end}"].to_numpy(float) for end in ("", "_low", "_high"))
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.hlines(places, low, high, color=GREY, linewidth=1.2)
        axes.scatter(change, places, s=22, color=_colours(change, metric), zorder=3)
        axes.set_xlabel(f"change of {HEADERS[metric]}")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3, prune="both"))  # labels of neighbours never meet
        axes.margins(x=0.12)
        axes.grid(visible=False, axis="y")
    grid[0].set_yticks(places, [fill(str(change), 26) for change in table["change"]], fontsize=7.5)
    grid[0].set_ylim(len(table) - 0.4, -0.6)
    handles = [Patch(color=BETTER, label=f"better than {start}"), Patch(color=WORSE, label="worse")]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


@mpl.rc_context(STYLE)
def implied_by_overfitting(
    reported: Mapping[str, float],
    quoted: Mapping[str, float],
    quoted_name: str,
    measured: Mapping[str, float],
    measured_name: str,
    largest: float = 8.0,
    spread: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """What a mean over all 1449 frames says about the 291 held-out ones, against how much larger their error is.

    Args:
        reported: metric to the mean over all frames.
        quoted: metric to another model's held-out value, for orientation.
        quoted_name: what that is.
        measured: metric to a ratio of errors that was measured (NaN draws nothing).
        measured_name: on what.
        largest: end of the axis.
        spread: metric to the interval of the measured ratio; it is shaded, and with it what it implies.
    """
    ratios = np.linspace(1, np.nanmax([largest, *(1.1 * ratio for ratio in measured.values())]), 200)
    figure = new_figure(WIDTH, 2.8)
    grid = np.atleast_1d(figure.subplots(1, len(reported)))
    held_out_name, trained_name = (
        f"the {NYU_FRAMES - CONTIGUOUS_TRAIN} held-out frames",
        f"the {CONTIGUOUS_TRAIN} trained frames",
    )
    for axes, (metric, value) in zip(grid, reported.items(), strict=True):
        higher = metric in HIGHER_IS_BETTER
        errors = np.array([implied_by_ratio(1 - value if higher else value, ratio) for ratio in ratios])
        trained, held_out = (1 - errors if higher else errors).T
        axes.plot(ratios, held_out, color=BETTER, label=held_out_name)
        axes.plot(ratios, trained, "--", color=BETTER, label=trained_name)
        axes.axhline(value, color=WORSE, linewidth=1.0, label=f"reported over all {NYU_FRAMES}")
        axes.axhline(quoted[metric], color=GREY, linestyle=":", label=quoted_name)
        axes.axvline(measured[metric], color=MARK, linestyle="-.", label=measured_name)
        if spread and np.isfinite(spread[metric]).all():
            inside = (ratios >= spread[metric][0]) & (ratios <= spread[metric][1])
            axes.axvspan(*spread[metric], color=MARK, alpha=0.12, linewidth=0, label="its 95 % interval")
            axes.plot(ratios[inside], held_out[inside], color=MARK, linewidth=3, alpha=0.7, label="implied by that")
        axes.set_xlabel("error: held-out / trained")
        axes.set_ylabel(HEADERS[metric])
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _colours(change: np.ndarray, metric: str) -> np.ndarray:
    helps = change if metric in HIGHER_IS_BETTER else -change
    return np.select([helps > 0, helps < 0], [BETTER, WORSE], GREY)


def _labels(path: pd.DataFrame) -> list[str]:
    """The changes, with the images in a second line where they are others than before."""
    labels = []
    for before, row in zip(path.itertuples(), path.iloc[1:].itertuples(), strict=False):
        same = (before.images, before.trained_on) == (row.images, row.trained_on)
        labels.append(str(row.change) + ("" if same else f"\n{row.images} images, {row.trained_on:.0f} % trained on"))
    return labels


def _give_room(axes: Axes, values: np.ndarray) -> None:
    """Place for the numbers beside the bars."""
    span = max(float(np.ptp(values)), 1e-6)
    axes.set_xlim(float(values.min()) - 0.12 * span, float(values.max()) + 0.5 * span)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3))


def _beside(axes: Axes, x: float, y: float, text: str, weight: str = "normal") -> None:
    axes.annotate(text, (x, y), (4, 0), textcoords="offset points", va="center", fontsize=7.5, weight=weight)
