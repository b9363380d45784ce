"""The charts of the paper: each takes plain frames and arrays and gives a matplotlib figure."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from zdlib.data.sets.nyu import CONTIGUOUS_TRAIN, NYU_FRAMES, official_parts
from zdlib.paper.figures import COLOURS, GREY, STYLE, WIDTH, new_figure
from zdlib.paper.original import held_out_value

BLUE, ORANGE, GREEN = COLOURS[:3]
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")


# --------------------------------------------------------------------------------------------------------------- data
@mpl.rc_context(STYLE)
def split_strip() -> Figure:
    """NYU's 1449 frames in file order: the official parts above, the original's contiguous ones below."""
    parts = official_parts().to_numpy()
    figure = new_figure(WIDTH, 1.35)
    axes = figure.subplots()
    official = parts == "test"
    trained = np.arange(NYU_FRAMES) < CONTIGUOUS_TRAIN
    colours = {
        "train": mpl.colors.to_rgb("#b9cfe4"),
        "test": mpl.colors.to_rgb(BLUE),
        "leak": mpl.colors.to_rgb(ORANGE),
    }
    top = np.where(official[:, None], colours["test"], colours["train"])
    bottom = np.where(trained[:, None], colours["train"], colours["test"])
    bottom[trained & official] = colours["leak"]
    axes.imshow(np.stack([top, bottom]), aspect="auto", interpolation="nearest", extent=(0, NYU_FRAMES, 0, 2))
    axes.axhline(1, color="white", linewidth=3)
    axes.set_yticks([1.5, 0.5], ["official", "original"])
    axes.set_xticks([0, 300, 600, 900, CONTIGUOUS_TRAIN, NYU_FRAMES])
    axes.set_xlabel("frame of nyu_depth_v2_labeled.mat")
    axes.grid(False)
    axes.tick_params(axis="y", length=0)
    patches = [
        Patch(color=colours["train"], label="training"),
        Patch(color=colours["test"], label="test / held out"),
        Patch(color=colours["leak"], label="official test frames that the original trained on"),
    ]
    figure.legend(handles=patches, loc="outside upper center", ncols=3)
    return figure


@mpl.rc_context(STYLE)
def held_out_lines(reported: Mapping[str, float], trained: Mapping[str, Float64[np.ndarray, " n"]]) -> Figure:
    """What a mean over all frames implies for the held-out ones, for each assumed mean on the trained frames.

    Args:
        reported: metric name to the mean the original reports over all 1449 frames.
        trained: metric name to the assumed means on the 1158 trained frames.
    """
    figure = new_figure(WIDTH, 2.3)
    for axes, (metric, value) in zip(np.atleast_1d(figure.subplots(1, len(reported))), reported.items(), strict=True):
        assumed = trained[metric]
        axes.plot(assumed, [held_out_value(value, t) for t in assumed], color=BLUE)
        axes.axhline(value, color=ORANGE, linestyle="--", label=f"reported over all frames: {value:.3f}")
        axes.set_xlabel(f"assumed {metric} on the {CONTIGUOUS_TRAIN} trained frames")
        axes.set_ylabel(f"implied on the {NYU_FRAMES - CONTIGUOUS_TRAIN}")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.legend(loc="best")
    return figure


@mpl.rc_context(STYLE)
def depth_histogram(counts: Int64[np.ndarray, " bins"], edges: Float[np.ndarray, " edges"], title: str = "") -> Figure:
    """Share of measured pixels by depth; what the original's unit removes (up to 1 m) is marked."""
    figure = new_figure(WIDTH, 2.3)
    axes = figure.subplots()
    share = 100 * counts / max(int(counts.sum()), 1)
    near = edges[1:] <= 1.0 + 1e-6
    axes.bar(edges[:-1][~near], share[~near], np.diff(edges)[~near], align="edge", color=BLUE, label="kept by both")
    axes.bar(
        edges[:-1][near], share[near], np.diff(edges)[near], align="edge", color=ORANGE,
        label="d ≤ 1 m: removed by the published unit",
    )  # fmt: skip
    axes.set_xlabel("depth [m]")
    axes.set_ylabel("measured pixels [%]")
    axes.set_title(title)
    axes.legend()
    return figure


@mpl.rc_context(STYLE)
def class_shares(
    shares: Mapping[str, Float64[np.ndarray, " classes"]], names: Sequence[str], palette: UInt8[np.ndarray, "classes 3"]
) -> Figure:
    """Share of pixels of each class (%), one panel a part of the data, in the palette of the label pictures."""
    figure = new_figure(WIDTH, 2.7)
    panels = np.atleast_1d(figure.subplots(1, len(shares), sharey=True))
    places = np.arange(len(names))[::-1]
    for axes, (part, share) in zip(panels, shares.items(), strict=True):
        axes.barh(places, 100 * share, color=palette / 255.0, edgecolor=GREY, linewidth=0.4)
        for place, value in zip(places, 100 * share, strict=True):
            axes.text(value + 0.4, place, f"{value:.1f}", va="center", fontsize=6.5, color=GREY)
        axes.set_yticks(places, list(names))
        axes.set_xlabel("pixels [%]")
        axes.set_title(part)
        axes.grid(False, axis="y")
        axes.set_xlim(right=100 * max(s.max() for s in shares.values()) * 1.15)
    return figure


# -------------------------------------------------------------------------------------------------------------- model
@mpl.rc_context(STYLE)
def attractor_curves(alpha: float = 300.0, gamma: float = 2.0) -> Figure:
    """How far one inverse attractor pulls a bin centre, with depth in metres and with depth in kilometres.

    Δ = dx / (1 + α |dx|^γ), ZoeDepth eq. 2 with the values that run (α = 300, γ = 2).
    """
    figure = new_figure(WIDTH, 2.4)
    metres = np.linspace(0, 5, 501)
    for axes, (unit, scale) in zip(figure.subplots(1, 2), (("metres", 1.0), ("kilometres", 1e-3)), strict=True):
        dx = metres * scale
        pulled = dx / (1 + alpha * dx**gamma) / scale
        axes.plot(metres, metres, color=GREY, linestyle=":", label="full pull (centre lands on the attractor)")
        axes.plot(metres, pulled, color=BLUE, label="inverse attractor")
        axes.set_title(f"depth in {unit}")
        axes.set_xlabel("distance from centre to attractor [m]")
        axes.set_ylabel("shift of the centre [m]")
        axes.legend(loc="upper right" if unit == "metres" else "upper left")
        if unit == "metres":
            axes.set_ylim(0, 0.05)
    return figure


# ----------------------------------------------------------------------------------------------------------- training
@mpl.rc_context(STYLE)
def panels(
    series: Mapping[str, pd.DataFrame],
    x: str,
    quantities: Mapping[str, str],
    x_label: str,
    log: Sequence[str] = (),
    marks: Mapping[str, tuple[float, str]] | None = None,
) -> Figure:
    """One panel for each quantity (column to axis label), one line for each named frame that has it.

    Args:
        series: the frames by name.
        x: their column that runs along the axis.
        quantities: column to axis label. One that jumps from step to step is drawn pale, its running mean over it.
        x_label: of the axis.
        log: quantities on a logarithmic axis.
        marks: a level to mark in a quantity's panel, with its name.
    """
    columns = min(3, len(quantities))
    rows = -(-len(quantities) // columns)
    figure = new_figure(WIDTH, 2.0 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (column, label) in zip(grid, quantities.items(), strict=False):
        for index, (name, frame) in enumerate(series.items()):
            present = frame.dropna(subset=[column]) if column in frame else frame.iloc[:0]
            if len(present):
                style = {"color": COLOURS[index], "marker": MARKERS[index] if len(present) <= 30 else None, "ms": 3}
                values = present[column]
                if jumpy := _jumps(values.to_numpy(float)):
                    axes.plot(present[x], values, color=COLOURS[index], linewidth=0.4, alpha=0.45)
                    values = values.rolling(1 + len(values) // 40, center=True, min_periods=1).median()
                axes.plot(present[x], values, LINES[index], label=name, linewidth=1.2 if jumpy else 1.5, **style)
        if column in (marks or {}):
            level, words = (marks or {})[column]
            axes.axhline(level, color=GREY, linestyle=":", linewidth=1.2)
            axes.annotate(words, (0.98, level), (0, 3), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                          ha="right", fontsize=7, color=GREY)  # fmt: skip
        axes.set_xlabel(x_label)
        axes.set_ylabel(label)
        if column in log:
            axes.set_yscale("log")
    for axes in grid[len(quantities) :]:
        axes.set_visible(False)
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
    return figure


def _jumps(values: np.ndarray) -> bool:
    """Whether a series says little from one point to the next: most of its movement is undone at once."""
    steps = np.diff(values)
    return len(values) > 200 and float(np.abs(steps).sum()) > 20 * float(np.ptp(values))


# ------------------------------------------------------------------------------------------------------------ results
@mpl.rc_context(STYLE)
def delta_against_parameters(
    published: pd.DataFrame, ours: pd.DataFrame, published_title: str, ours_title: str
) -> Figure:
    """δ1 against parameters: quoted rows and our rows in two panels, because they are about different images.

    Args:
        published: `method`, `params_m`, `delta1`, `kind` (rows of one kind share a marker); rows without both numbers
            are left out.
        ours: `method`, `params_m`, `delta1`, and its interval (`delta1_low`, `delta1_high`) if there is one.
        published_title: what images the quoted rows are about.
        ours_title: what images our rows are about.
    """
    figure = new_figure(WIDTH, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    known = published.dropna(subset=["params_m", "delta1"])
    for index, (kind, rows) in enumerate(known.groupby("kind", sort=False)):
        hollow = {"facecolors": "none", "edgecolors": COLOURS[index]} if index else {"color": COLOURS[index]}
        left.scatter(
            rows["params_m"], rows["delta1"], s=32, marker=MARKERS[index], label=str(kind), linewidths=1.4, **hollow
        )
    _name_points(left, known)
    left.set_title(published_title)
    left.legend(loc="lower right")
    places = np.arange(len(ours))
    if "delta1_low" in ours:
        right.vlines(places, ours["delta1_low"], ours["delta1_high"], color=GREEN, linewidth=1.4)
    right.scatter(places, ours["delta1"], s=36, marker="D", color=GREEN, zorder=3)
    names = [fill(str(row.method), 14) + f"\n{row.params_m:.1f} M" for row in ours.itertuples()]
    right.set_xticks(places, names, fontsize=7)
    right.set_xlim(-0.6, len(ours) - 0.4)
    right.set_title(ours_title)
    _at_least_as_high(right, left)
    left.set_xlabel("parameters [millions]")
    for axes in (left, right):
        axes.set_ylabel("δ1")
    left.set_xlim(0, 1.34 * known["params_m"].max())  # room for names to the right of their points
    return figure


def _at_least_as_high(axes: Axes, other: Axes) -> None:
    """Let an axis span no less than another one does: a difference looks as large in either."""
    (low, high), (bottom, top) = axes.get_ylim(), other.get_ylim()
    missing = max(0.0, (top - bottom) - (high - low)) / 2
    axes.set_ylim(low - missing, high + missing)


def _name_points(axes: Axes, rows: pd.DataFrame) -> None:
    """Names to the right of their points, or below where another point is in the way."""
    x, y = (rows[column] / (rows[column].max() - rows[column].min() or 1) for column in ("params_m", "delta1"))
    for i, row in enumerate(rows.itertuples()):
        right, above = x - x.iloc[i], (y - y.iloc[i]).abs()
        free = not ((right > 0) & (right < 0.2) & (above < 0.045)).any()
        axes.annotate(
            str(row.method), (row.params_m, row.delta1), (6, 0) if free else (0, -10), textcoords="offset points",
            ha="left" if free else "center", va="center", fontsize=7,
        )  # fmt: skip


@mpl.rc_context(STYLE)
def error_by_distance(errors: Mapping[str, pd.DataFrame], quantities: Mapping[str, str]) -> Figure:
    """Error against true distance, one panel per quantity; grey bars give each bin's share of the pixels.

    Args:
        errors: run's title to a frame with `from_m`, `to_m`, `pixels` and the quantities; of a quantity with `…_low`
            and `…_high` the interval is shaded.
        quantities: column to axis label.
    """
    figure = new_figure(WIDTH, 2.6)
    for axes, (column, label) in zip(
        np.atleast_1d(figure.subplots(1, len(quantities))), quantities.items(), strict=True
    ):
        first = next(iter(errors.values()))
        behind = axes.twinx()
        behind.bar(
            first["from_m"], 100 * first["pixels"] / first["pixels"].sum(), first["to_m"] - first["from_m"],
            align="edge", color="#ededed", edgecolor="white",
        )  # fmt: skip
        behind.set_ylabel("pixels [%]", color=GREY)
        behind.tick_params(colors=GREY, length=0)
        behind.spines["right"].set_visible(False)
        behind.grid(False)
        axes.set_zorder(behind.get_zorder() + 1)
        axes.patch.set_visible(False)
        for index, (name, frame) in enumerate(errors.items()):
            seen = frame[frame["pixels"] > 0]
            middle = (seen["from_m"] + seen["to_m"]) / 2
            axes.plot(
                middle, seen[column], LINES[index], color=COLOURS[index], marker=MARKERS[index], ms=3.5, label=name
            )
            if f"{column}_low" in seen:
                ends = seen[f"{column}_low"], seen[f"{column}_high"]
                axes.fill_between(middle, *ends, color=COLOURS[index], alpha=0.15, linewidth=0)
        axes.set_xlabel("true distance [m]")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


@mpl.rc_context(STYLE)
def by_class(values: Mapping[str, pd.DataFrame], quantities: Mapping[str, str]) -> Figure:
    """Dots for each class and run, one panel per quantity; the classes in the first quantity's order.

    Args:
        values: run's title to a frame with `class` and the quantities; a run without a quantity's column is left out
            of its panel.
        quantities: column to axis label.
    """
    figure = new_figure(WIDTH, 3.0)
    grid = np.atleast_1d(figure.subplots(1, len(quantities), sharey=True))
    first = next(iter(values.values()))
    order = list(first.sort_values(next(iter(quantities)), ascending=False)["class"])
    places = np.arange(len(order))
    for axes, (column, label) in zip(grid, quantities.items(), strict=True):
        present = {name: frame.set_index("class").loc[order] for name, frame in values.items() if column in frame}
        table = np.stack([frame[column].to_numpy(float) for frame in present.values()])
        axes.hlines(places, np.nanmin(table, axis=0), np.nanmax(table, axis=0), color="#bdbdbd", linewidth=1.2)
        for index, (name, frame) in enumerate(present.items()):
            axes.scatter(frame[column], places, s=26, marker=MARKERS[index], color=COLOURS[index], label=name, zorder=3)
        axes.set_yticks(places, order)
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=max(len(labels), 1))
    return figure


@mpl.rc_context(STYLE)
def metric_intervals(rows: pd.DataFrame, quantities: Mapping[str, str]) -> Figure:
    """Means with their intervals, one panel per quantity, a row per method, a colour per protocol.

    Where an end is negative they are differences (no metric drawn here is), and a thin line in each panel marks zero.

    Args:
        rows: `protocol`, `method`, and each quantity with its `…_low` and `…_high`.
        quantities: column to axis label.
    """
    methods, names = rows["method"].unique().tolist(), rows["protocol"].unique().tolist()
    figure = new_figure(WIDTH, 0.7 + 0.13 * len(methods) * (len(names) + 1))
    grid = np.atleast_1d(figure.subplots(1, len(quantities), sharey=True))
    differences = (rows[[f"{column}_low" for column in quantities]] < 0).any(axis=None)
    for axes, (column, label) in zip(grid, quantities.items(), strict=True):
        if differences:
            axes.axvline(0, color=GREY, linewidth=0.8)
        for index, name in enumerate(names):
            seen = rows[rows["protocol"] == name]
            places = seen["method"].map(methods.index) + (index - (len(names) - 1) / 2) / (len(names) + 1)
            axes.hlines(places, seen[f"{column}_low"], seen[f"{column}_high"], color=COLOURS[index], linewidth=1.4)
            axes.scatter(seen[column], places, s=18, marker=MARKERS[index], color=COLOURS[index], label=name, zorder=3)
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(False, axis="y")
    grid[0].set_yticks(range(len(methods)), methods)
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names))
    return figure


@mpl.rc_context(STYLE)
def seed_dots(trainings: pd.DataFrame, quantities: Mapping[str, str]) -> Figure:
    """A dot per training, a row per arm, a vertical bar at the arm's mean; one panel per quantity.

    Args:
        trainings: `arm`, `seed` and the quantities.
        quantities: column to axis label.
    """
    arms = trainings["arm"].unique().tolist()
    figure = new_figure(WIDTH, 0.6 + 0.28 * len(arms))
    for axes, (column, label) in zip(
        np.atleast_1d(figure.subplots(1, len(quantities), sharey=True)), quantities.items(), strict=True
    ):
        for index, arm in enumerate(arms):
            values = trainings.loc[trainings["arm"] == arm, column].to_numpy()
            axes.vlines(values.mean(), index - 0.3, index + 0.3, color=COLOURS[index], linewidth=1.6)
            axes.scatter(values, np.full(len(values), index), s=16, color=COLOURS[index], alpha=0.8, zorder=3)
        axes.set_xlabel(label)
        axes.set_yticks(range(len(arms)), arms)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(False, axis="y")
    return figure


@mpl.rc_context(STYLE)
def metric_spread(values: Mapping[str, Float[np.ndarray, " images"]], label: str) -> Figure:
    """Empirical distribution of a per-image metric, one line per run: the tail is the hard images."""
    figure = new_figure(WIDTH / 2, 2.5)
    axes = figure.subplots()
    for index, (name, per_image) in enumerate(values.items()):
        ordered = np.sort(per_image)
        axes.plot(
            ordered, 100 * np.arange(1, len(ordered) + 1) / len(ordered), LINES[index], color=COLOURS[index], label=name
        )
    axes.set_xlabel(label)
    axes.set_ylabel("images at or below [%]")
    axes.legend(loc="lower right")
    return figure
