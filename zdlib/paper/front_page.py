"""The front page: three findings in numbers with their intervals, the verdict, and the one figure that shows them.

Nothing is typed here that a table holds: each finding names the table it is read from, and its words follow from
the numbers, so that another machine or another profile says what it found itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from zdlib.colours import depth_picture, error_picture
from zdlib.config import Profile, load_profile
from zdlib.paper.control_study import in_words
from zdlib.paper.figures import COLOURS, GREY, STYLE, WIDTH, error_scale, far_limit, metric_scale, new_figure
from zdlib.paper.pictures import View
from zdlib.paper.tables import load_table
from zdlib.paths import RunPaths

STUDIED = "study"
STANDARD, PUBLISHED, HELD_OUT = "nyu/standard", "nyu/published", "nyu/standard-291"
UNSEEN = "ibims/zoedepth"


@dataclass(frozen=True)
class Quantity:
    """A number with its 95 % interval."""

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def signed(self) -> str:
        """As a difference: four decimals and a sign."""
        numbers = (f"{number:+.4f}".replace("-", "−") for number in (self.value, self.low, self.high))
        return "{} [{}, {}]".format(*numbers)


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        title: in a few words.
        words: a sentence or two, Markdown.
        quantities: the numbers it rests on.
        source: the table they are from.
    """

    title: str
    words: str
    quantities: tuple[Quantity, ...]
    source: str


def findings(profile: Profile, paths: RunPaths) -> list[Finding]:
    """What this run found, in the order of the paper's question.

    Raises:
        ZDError: a table is missing.
    """
    return [_segmentation(profile, paths), _counting(profile, paths), _new_rooms(profile, paths)]


def findings_table(found: Sequence[Finding]) -> pd.DataFrame:
    """Columns `finding, quantity, value, value_low, value_high, source`."""
    rows = [(f.title, q.name, q.value, q.low, q.high, f"{f.source}.csv") for f in found for q in f.quantities]
    columns = ["finding", "quantity", "value", "value_low", "value_high", "stored in"]
    return pd.DataFrame(rows, columns=columns)


def in_prose(found: Sequence[Finding]) -> str:
    """A numbered list, Markdown."""
    return "\n".join(f"{number}. **{finding.title}.** {finding.words}" for number, finding in enumerate(found, 1))


def verdict(table: pd.DataFrame) -> str:
    """What follows for the claim that segmentation in training makes depth better.

    Args:
        table: of `findings_table`.
    """
    rows = table[["quantity", "value", "value_low", "value_high"]].itertuples(index=False)
    effect, fair, counted, *_ = (Quantity(*row) for row in rows)
    if effect.low > 0:
        claim = f"supported: δ1 gains {effect.signed()}"
    elif effect.high < 0:
        claim = f"contradicted: δ1 loses {effect.signed()}"
    else:
        claim = f"not supported: the gain in δ1 is {effect.signed()}, which contains zero"
    moved = counted.value - fair.value
    return (
        f"For this network on these data the claim that segmentation in training makes depth better is **{claim}**. "
        f"The way of counting alone moves δ1 of one set of weights by **{moved:+.3f}**."
    )


# --------------------------------------------------------------------------------------------------------- findings
def _segmentation(profile: Profile, paths: RunPaths) -> Finding:
    """From the study where the checkout has its scores, else from the one pair of this run."""
    if not (paths.tables / "study_family.csv").is_file():
        row = load_table("nyu_against_control", paths).query("metric == 'δ1'").iloc[0]
        effect = Quantity("Δ δ1, run − control, one pair of trainings", row.difference, row.low, row.high)
        words = (
            f"One pair of trainings, judged on {row.clusters if 'clusters' in row else row.scenes} scenes: "
            f"δ1 {effect.signed()}. Other seeds are not in this interval."
        )
        return Finding("What segmentation in training does to depth", words, (effect,), "nyu_against_control")
    study = _with_study(profile)
    row = load_table("study_family", paths).iloc[0]
    effect = Quantity(f"Δ δ1, {row.arm} − {row.against}", row.difference, row.difference_low, row.difference_high)
    margin, p = margin_of(profile), row["p, equivalence"]
    said = in_words({"difference": effect.value, "difference_low": effect.low, "difference_high": effect.high}, True)
    test = "equivalent" if p < 0.05 else "not shown to be equivalent"
    words = (
        f"Over {row.pairs} pairs of trainings that differ in nothing else, δ1 on {study.data.nyu.title} changes by "
        f"{effect.signed()}; {test} within ±{margin:g} (p = {p:.3f}) by two one-sided tests."
    )
    # Not "by less than the margin": the test of equivalence is one-sided twice, its 95 % interval reaches further.
    return Finding(f"Segmentation in training: {said}", words, (effect,), "study_family")


def margin_of(profile: Profile) -> float:
    """A difference of δ1 that does not matter, as the study's profile fixed it before its trainings."""
    study = _with_study(profile).study
    assert study is not None
    return study.margin


def _with_study(profile: Profile) -> Profile:
    """The profile whose study the tables are about."""
    return profile if profile.study else load_profile(STUDIED)


def _counting(profile: Profile, paths: RunPaths) -> Finding:
    """Of the published recipe where it was trained, on the fifth of the frames it never saw; else of the first run."""
    published = [run.title for run in profile.runs.values() if run.recipe == "published"]
    if not published:
        run, name = next(iter(profile.runs.values())).title, "nyu_depth"
        fair, counted = (_delta1(load_table(name, paths), protocol, run) for protocol in (STANDARD, PUBLISHED))
        words = (
            f"The same weights have δ1 {fair} as the field counts, on frames they never saw, and {counted} as the "
            "original counts: every frame, most of them trained on, filled-in depth, nothing nearer than 1 m."
        )
        return Finding(_moved(fair, counted), words, (fair, counted), name)
    run, name = published[0], "nyu_protocols"
    fair, counted = (_delta1(load_table(name, paths), protocol, run) for protocol in (HELD_OUT, PUBLISHED))
    words = (
        f"A network trained by the original's recipe has δ1 {counted} as the original counts: every frame, training "
        "frames included, filled-in depth, nothing nearer than 1 m. On the last fifth of the frames, which it never "
        f"saw, counted as the field does, the same weights have {fair}."
    )
    return Finding(_moved(fair, counted), words, (fair, counted), name)


def _moved(fair: Quantity, counted: Quantity) -> str:
    return f"The way of counting moves δ1 by {counted.value - fair.value:+.3f}"


def _new_rooms(profile: Profile, paths: RunPaths) -> Finding:
    run = next(iter(profile.runs.values())).title
    table = load_table("ibims_depth", paths)
    known, new = _delta1(load_table("nyu_depth", paths), STANDARD, run), _delta1(table, UNSEEN, run)
    scaled = _delta1(table, UNSEEN, run, "delta1_scaled")
    words = (
        f"In rooms of another kind, seen by another camera and judged up to 10 m, δ1 is {new}; on the official test "
        f"frames it is {known}. "
        f"With each picture's scale put right by its median it is {scaled}."
    )
    return Finding(
        f"Other rooms move δ1 by {new.value - known.value:+.3f}".replace("-", "−"),
        words,
        (known, new, scaled),
        "nyu_depth.csv, ibims_depth",
    )


def _delta1(table: pd.DataFrame, protocol: str, method: str, column: str = "delta1") -> Quantity:
    row = table[(table["protocol"] == protocol) & (table["method"] == method)].iloc[0]
    name = f"δ1, {protocol}" + (", median-scaled" if column != "delta1" else "")
    return Quantity(name, *(float(row[f"{column}{end}"]) for end in ("", "_low", "_high")))


# ----------------------------------------------------------------------------------------------------------- teaser
@mpl.rc_context(STYLE)
def teaser(seen: Sequence[View], path: pd.DataFrame, contrasts: pd.DataFrame, margin: float) -> Figure:
    """Picture, truth, prediction and error above; below them how counting moves δ1, and what segmentation does to it.

    Args:
        seen: two or three frames.
        path: the table `protocol_waterfall`.
        contrasts: `name, difference, difference_low, difference_high` of δ1.
        margin: a difference of δ1 that does not matter.
    """
    rows = len(seen)
    figure = new_figure(WIDTH, 1.32 * rows + 3.1)
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.32 * rows + 0.55, 2.55))
    top, bottom = parts
    _pictures(top, seen)
    left, right = bottom.subplots(1, 2, width_ratios=(1.15, 1))
    _path(left, path)
    _contrasts(right, contrasts, margin)
    return figure


def _pictures(figure: mpl.figure.SubFigure, seen: Sequence[View]) -> None:
    far = far_limit([view.sample.depth for view in seen])
    grid = figure.subplots(len(seen), 4, squeeze=False)
    for line, view in zip(grid, seen, strict=True):
        depth = view.sample.depth
        shown = (
            view.sample.image,
            depth_picture(depth, 0.0, far),
            depth_picture(view.metric, 0.0, far),
            error_picture(view.metric, depth, view.valid),
        )
        for axes, picture in zip(line, shown, strict=True):
            axes.imshow(picture, interpolation="antialiased")
            axes.set_axis_off()
    for axes, title in zip(grid[0], ("picture", "true depth", "predicted depth", "error"), strict=True):
        axes.set_title(title)
    for places, scale in ((grid[:, 1:3], metric_scale(0.0, far)), (grid[:, 3], error_scale())):
        mappable = mpl.cm.ScalarMappable(Normalize(scale.low, scale.high), scale.colours)
        bar = figure.colorbar(mappable, ax=places.ravel().tolist(), orientation="horizontal", aspect=40, pad=0.02)
        bar.set_label(scale.label, fontsize=7, labelpad=1)
        bar.ax.tick_params(labelsize=6.5, length=2, pad=1)
        bar.outline.set_visible(False)  # type: ignore[operator]


def _path(axes: Axes, path: pd.DataFrame) -> None:
    """δ1 after each change of the way of counting, downwards."""
    values = path["delta1"].to_numpy(float)
    places = np.arange(len(values))
    steps = np.diff(values)
    axes.barh(places[1:], steps, left=values[:-1], height=0.6, color=np.where(steps < 0, COLOURS[1], COLOURS[0]))
    axes.vlines(values[:-1], places[:-1], places[1:] - 0.3, color=GREY, linewidth=0.8)
    axes.scatter(values[[0, -1]], places[[0, -1]], marker="D", s=22, color=GREY, zorder=3)
    for place, value in ((places[0], values[0]), (places[-1], values[-1])):
        axes.annotate(f"{value:.3f}", (value, place), (6, 0), textcoords="offset points", va="center", weight="bold")
    axes.set_yticks(places, path["change"], fontsize=7)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.margins(x=0.28)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    axes.set_title("one network, counted in other ways")
    axes.set_xlabel("δ1")
    axes.grid(visible=False, axis="y")


def _contrasts(axes: Axes, contrasts: pd.DataFrame, margin: float) -> None:
    """Differences of δ1 with their intervals, and the band of those that do not matter."""
    places = np.arange(len(contrasts))
    axes.axvspan(-margin, margin, color="#e8e8e8", zorder=0, label=f"too small to matter (±{margin:g})")
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.hlines(places, contrasts["difference_low"], contrasts["difference_high"], color=COLOURS[0], linewidth=1.6)
    axes.scatter(contrasts["difference"], places, s=24, color=COLOURS[0], zorder=3)
    for place, name in zip(places, contrasts["name"], strict=True):
        axes.annotate(str(name), (0.02, place), (0, 9), xycoords=("axes fraction", "data"), textcoords="offset points")
    axes.set_yticks([])
    axes.set_ylim(len(contrasts) - 0.4, -0.8)
    axes.margins(x=0.12)
    axes.set_title("labels in training, many seeds")
    axes.set_xlabel("δ1, arm minus control")
    axes.legend(loc="lower left", fontsize=7)
    axes.grid(visible=False, axis="y")


def contrasts(paths: RunPaths) -> pd.DataFrame:
    """What `teaser` draws at the right: the study's family, or this run against its control.

    Raises:
        ZDError: neither table is there.
    """
    columns = ["name", "difference", "difference_low", "difference_high"]
    if (paths.tables / "study_family.csv").is_file():
        table = load_table("study_family", paths)
        return table.assign(name=table["arm"])[columns]
    table = load_table("nyu_against_control", paths).query("metric == 'δ1'")
    return table.rename(columns={"method": "name", "low": "difference_low", "high": "difference_high"})[columns]
