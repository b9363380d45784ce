"""Figures of notebook 15."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from zdlib.colours import DEPTH_MAP, ERROR_MAP, paint
from zdlib.errors import ZDError
from zdlib.models.garg.architecture import LEVELS
from zdlib.paper.figures import GREY, STYLE, WIDTH, Column, Scale, new_figure, picture_grid
from zdlib.paper.label_free.judged import PICTURES, QUARTERS, StreetFrame, street_frames
from zdlib.paper.label_free.stereo_scores import disparity_errors
from zdlib.paths import RunPaths

NEAR, WORST = 25.0, 5.0  # pixels: ends of the scales of disparity and of its error
HIDDEN: UInt8[np.ndarray, "3"] = np.array([200, 30, 30], np.uint8)
PLACES = {"both cameras see": "-", "occluded": "--"}


def level_pictures(key: str) -> Figure:
    """Disparity and its error at every level, on two test frames; above them both pictures, the truth and occlusions.

    Raises:
        ZDError: the job's disparities are not there.
    """
    path = RunPaths("stereo").results / "pictures" / f"{key}.npz"
    if not path.is_file():
        raise ZDError(f"{path}: no such file: restore it with git checkout")
    frames = [frame for frame in street_frames() if frame.number in PICTURES]
    columns = []
    with np.load(path) as stored:
        for frame in frames:
            maps = [stored[f"frame_{frame.number}_level_{level}"] for level in range(len(LEVELS))]
            columns += _columns(frame, [m.astype(np.float32) / np.float32(QUARTERS) for m in maps])
    return picture_grid(columns, ["pictures", "truth", *LEVELS])


def _columns(frame: StreetFrame, maps: list[Float32[np.ndarray, "_ _"]]) -> list[Column]:
    width, known = frame.disparity.shape[1], frame.disparity > 0
    disparity, error = Normalize(0, NEAR), Normalize(0, WORST)
    occluded = np.full((*known.shape, 3), 235, np.uint8)
    occluded[frame.occluded] = HIDDEN
    shown = [paint(np.kron(m, _ones(m, frame)), disparity, DEPTH_MAP.reversed(), None) for m in maps]
    errors = [paint(disparity_errors(m / np.float32(width), frame)[0], error, ERROR_MAP, known) for m in maps]
    truth = paint(frame.disparity, disparity, DEPTH_MAP.reversed(), known)
    return [
        Column(
            "left, disparity",
            [frame.sample.image, truth, *shown],
            Scale(0, NEAR, "disparity [px]", DEPTH_MAP.reversed()),
        ),
        Column("right, error", [frame.right, occluded, *errors], Scale(0, WORST, "error [px]", ERROR_MAP)),
    ]


def _ones(small: Float32[np.ndarray, "_ _"], frame: StreetFrame) -> Float32[np.ndarray, "_ _"]:
    """A block as large as a coarse cell is in the picture, so that cells are seen as they are."""
    factor = max(1, round(frame.disparity.shape[1] / small.shape[1]))
    return np.ones((factor, factor), np.float32)


@mpl.rc_context(STYLE)
def by_level(rows: pd.DataFrame, reference: float, title: str = "mean depth map") -> Figure:
    """AbsRel of each level's output with its interval, a line per network of six levels; and what needs no picture."""
    figure = new_figure(height=2.9)
    axes = figure.subplots()
    whole = [(method, group) for method, group in rows.groupby("method", sort=False) if len(group) == len(LEVELS)]
    for place, (method, group) in enumerate(whole):
        beside = 0.08 * (place - (len(whole) - 1) / 2)  # so that no interval hides another
        x = [LEVELS.index(level) + beside for level in group["level"]]
        ends = np.abs(group[["abs_rel_low", "abs_rel_high"]].to_numpy().T - group["abs_rel"].to_numpy())
        axes.errorbar(x, group["abs_rel"], ends, marker="o", markersize=3, capsize=2, label=method)
    axes.axhline(reference, color=GREY, linestyle=":", label=title)
    axes.set_xticks(range(len(LEVELS)), LEVELS)
    axes.set_ylabel("AbsRel")
    axes.set_ylim(0, None)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@mpl.rc_context(STYLE)
def photometric_bins(bins: pd.DataFrame) -> Figure:
    """The disparity's error by how badly the right picture explains a pixel, and how many pixels that is."""
    figure = new_figure(WIDTH, 2.6)
    left, right = figure.subplots(1, 2)
    total = bins.loc[bins["place"] == "all", "pixels"].sum()
    for place, line in PLACES.items():
        rows = bins[(bins["place"] == place) & (bins["pixels"] > 0)]
        middle = range(len(rows))
        left.plot(middle, rows["disparity_error"], line, marker="o", markersize=3, label=place)
        right.plot(middle, 100 * rows["pixels"] / total, line, marker="o", markersize=3, label=place)
        names = [f"{low:g}–{high:g}" for low, high in zip(rows["from"], rows["to"], strict=True)]
        for axes in (left, right):
            axes.set_xticks(middle, names, rotation=35, ha="right")
            axes.set_xlabel("photometric error")
    left.set_ylabel("error of the disparity [px]")
    right.set_ylabel("pixels [%]")
    for axes in (left, right):
        axes.set_ylim(0, None)
    left.legend()
    return figure
