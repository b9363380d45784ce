"""The tables and figures of the benchmark."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from zdlib.paper.figures import COLOURS, GREY, STYLE, WIDTH, new_figure

_NAMES = {
    "seconds": "seconds (median)",
    "ratio": "time, ratio",
    "peak_mib": "memory [MiB]",
    "memory_ratio": "memory, ratio",
    "images_s": "images/s",
    "gflops": "GFLOP/s",
}


def for_table(found: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Some columns of a result under the names of a table, sizes in whole MiB, differences as powers of ten."""
    table = found[list(columns)].copy()
    for name in {"peak_mib", "gflops"} & set(columns):
        table[name] = table[name].round().astype(int)
    table["difference"] = table["difference"].map("{:.0e}".format)
    return table.rename(columns=_NAMES)


@mpl.rc_context(STYLE)
def stage_bars(found: pd.DataFrame) -> Figure:
    """Seconds of each stage, stacked by kind of operation; one bar per contestant (`zdlib.bench.stages.breakdown`)."""
    stages, contestants = found["stage"].unique().tolist(), found["contestant"].unique().tolist()
    kinds = found.groupby("kind")["seconds"].sum().sort_values(ascending=False).index.tolist()
    figure = new_figure(WIDTH, 0.34 * len(stages) * len(contestants) + 1.1)
    axes = figure.subplots()
    names = []
    for place, (stage, contestant) in enumerate((s, c) for s in stages for c in contestants):
        rows = found[(found["stage"] == stage) & (found["contestant"] == contestant)].set_index("kind")["seconds"]
        left = 0.0
        for colour, kind in zip(COLOURS, kinds, strict=False):
            seconds = float(rows.get(kind, 0.0))
            axes.barh(place, seconds, left=left, height=0.7, color=colour, label=kind if place == 0 else None)
            left += seconds
        axes.annotate(f"{left:.2f} s", (left, place), (3, 0), textcoords="offset points", va="center", fontsize=8)
        names.append(f"{stage}, {contestant}")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("seconds of one forward pass")
    axes.grid(False, axis="y")
    axes.margins(x=0.12)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


@mpl.rc_context(STYLE)
def savings(found: pd.DataFrame) -> Figure:
    """Time and memory as the savings are added one by one (rows of the group `savings`, in order)."""
    figure = new_figure(WIDTH, 0.32 * len(found) + 0.8)
    grid = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(found))
    for axes, column, label in zip(
        grid, ("seconds", "peak_mib"), ("seconds per image", "peak memory [MiB]"), strict=True
    ):
        values = found[column].to_numpy(float)
        before = np.concatenate([[values[0]], values[:-1]])
        axes.barh(places, values, height=0.62, color=COLOURS[0])
        axes.barh(places, np.maximum(before - values, 0), left=values, height=0.62, color="#dddddd")
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:.3g}" if value < 100 else f"{value:.0f}",
                (value, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_xlabel(label)
        axes.grid(False, axis="y")
        axes.margins(x=0.12)
    grid[0].set_yticks(places, found["contestant"])
    grid[0].set_ylim(len(found) - 0.5, -0.5)
    return figure


@mpl.rc_context(STYLE)
def curves(found: pd.DataFrame) -> Figure:
    """Time and memory against input size, batch, images and threads (group `curves`), one line per contestant."""
    figure = new_figure(WIDTH, 4.4)
    grid = figure.subplots(2, 4, sharex="col")
    axis = {"size": "input side [px]", "batch": "images a batch", "images": "images in a row", "threads": "threads"}
    for column, (kind, label) in enumerate(axis.items()):
        rows = found[found["case"].str.startswith(kind)]
        for colour, (contestant, line) in zip(COLOURS, rows.groupby("contestant", sort=False), strict=False):
            x = line["case"].str.split().str[-1].astype(int)
            grid[0, column].fill_between(x, line["fastest"], line["slowest"], color=colour, alpha=0.2, linewidth=0)
            grid[0, column].plot(x, line["seconds"], marker="o", markersize=3.5, color=colour, label=contestant)
            grid[1, column].plot(x, line["peak_mib"], marker="o", markersize=3.5, color=colour)
        grid[1, column].set_xlabel(label)
        grid[1, column].set_xticks(sorted(set(x)))
        for row in (0, 1):
            grid[row, column].set_ylim(bottom=0)
    grid[0, 0].set_ylabel("seconds")
    grid[1, 0].set_ylabel("peak memory [MiB]")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


@mpl.rc_context(STYLE)
def ratios(found: pd.DataFrame) -> Figure:
    """Each contestant's time and memory as a share of the first one's, with the range over rounds."""
    rows = found[found["contestant"] != found.groupby("case")["contestant"].transform("first")].reset_index(drop=True)
    figure = new_figure(WIDTH, 0.32 * len(rows) + 0.9)
    axes = figure.subplots()
    places = np.arange(len(rows))
    axes.axvline(1, color=GREY, linewidth=0.8)
    axes.hlines(places, rows["ratio_low"], rows["ratio_high"], color=COLOURS[0], linewidth=1.4)
    axes.scatter(rows["ratio"], places, s=22, color=COLOURS[0], label="time", zorder=3)
    axes.scatter(rows["memory_ratio"], places, s=22, marker="D", color=COLOURS[1], label="memory", zorder=3)
    axes.set_yticks(places, rows["case"] + ": " + rows["contestant"])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(1.1, 1.02 * float(rows[["ratio_high", "memory_ratio"]].to_numpy().max())))
    axes.set_xlabel("share of the first contestant's")
    axes.grid(False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
