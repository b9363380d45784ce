"""Figures of notebook 12: how far apart bin centres lie at each level, and every bin of a row across a depth edge."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from zdlib.paper.bin_centres import LEVELS
from zdlib.paper.control_study import beside
from zdlib.paper.figures import COLOURS, GREY, STYLE, WIDTH, new_figure
from zdlib.paper.plots import metric_intervals

_LINES = ("-", "--", "-.", ":")


@mpl.rc_context(STYLE)
def differences(compared: pd.DataFrame, quantities: Mapping[str, str]) -> Figure:
    """Differences with their intervals (`zdlib.paper.plots.metric_intervals`); of a grid without a pair, those words.

    Args:
        compared: `zdlib.paper.heads.comparison.differences`.
        quantities: metric → axis label.
    """
    if compared.empty:
        figure = new_figure(WIDTH, 0.6)
        figure.text(0.5, 0.5, "no two heads share two seeds yet", ha="center", va="center", color=GREY)
        return figure
    return metric_intervals(beside(compared, "data", "arm", list(quantities)), quantities)


@mpl.rc_context(STYLE)
def level_spread(levels: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Standard deviation of a pixel's centres by level, one line per arm, a faint one per seed.

    Args:
        levels: `zdlib.paper.heads.bins.Bins.levels`.
        titles: arm → name in the legend.
    """
    figure = new_figure(WIDTH, 2.9)
    axes = figure.subplots()
    arms = [arm for arm in titles if arm in set(levels["arm"])]
    for index, arm in enumerate(arms):
        wide = levels[levels["arm"] == arm].pivot(index="level", columns="seed", values="spread").loc[list(LEVELS)]
        look = {"color": COLOURS[index % len(COLOURS)], "linestyle": _LINES[index % len(_LINES)]}
        axes.plot(range(len(LEVELS)), wide.to_numpy(), linewidth=0.6, alpha=0.4, **look)
        axes.plot(range(len(LEVELS)), wide.mean(axis=1).to_numpy(), label=titles[arm], **look)
    axes.set_xticks(range(len(LEVELS)), LEVELS)
    axes.set_xlabel("level of the head")
    axes.set_ylabel("spread of centres [m]")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside right center")
    return figure


@mpl.rc_context(STYLE)
def edge_bins(edge: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Bin centres along a row across a depth edge, a panel per arm; a dot is as large as its bin is probable.

    Args:
        edge: `zdlib.paper.heads.bins.Bins.edge`.
        titles: arm → the panel's title.
    """
    arms = [arm for arm in titles if arm in set(edge["arm"])]
    rows = -(-len(arms) // 2)
    figure = new_figure(WIDTH, 0.5 + 1.55 * rows)
    grid = np.atleast_2d(figure.subplots(rows, 2, sharex=True, sharey=True))
    for axes, arm in zip(grid.flat, arms, strict=False):
        rows_of = edge[edge["arm"] == arm]
        once = rows_of[rows_of["bin"] == 0]
        for _, one in rows_of.dropna(subset=["centre"]).groupby("bin"):
            axes.plot(one["pixel"], one["centre"], color="#c9c9c9", linewidth=0.5, zorder=1)
            axes.scatter(
                one["pixel"], one["centre"], s=22 * one["probability"], color=COLOURS[0], linewidth=0, zorder=2
            )
        seen = once["true"].where(once["true"] > 0)
        axes.step(once["pixel"], seen, where="mid", color="black", linewidth=1.2, label="true", zorder=3)
        axes.plot(once["pixel"], once["predicted"], color=COLOURS[3], linewidth=1.4, label="predicted", zorder=4)
        axes.set_title(titles[arm], fontsize=8)
    for axes in grid.flat[len(arms) :]:
        axes.set_axis_off()
    grid[0, 0].set_ylim(-0.2, max(1.1 * edge["true"].max(), edge["centre"].quantile(0.98)))
    figure.supxlabel("pixels from the edge, at the network's resolution", fontsize=8)
    figure.supylabel("depth [m]", fontsize=8)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
