"""Figures of notebook 16."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from zdlib.colours import DEPTH_MAP, paint
from zdlib.data.street_classes import PALETTE
from zdlib.errors import ZDError
from zdlib.paper.figures import GREY, STYLE, WIDTH, Column, Scale, new_figure, picture_grid
from zdlib.paper.label_free.judged import FARTHEST, StreetFrame, street_frame, street_store
from zdlib.paper.label_free.video_scores import PICTURED
from zdlib.paper.label_free.video_tables import seeds, steps_of_ablation, study
from zdlib.paths import RunPaths

NEAREST = 0.15  # 1/m: end of the colours of inverse depth
REMOVED: UInt8[np.ndarray, "3"] = np.array([200, 30, 30], np.uint8)


def maps(arm: str) -> Mapping[str, np.ndarray]:
    """The maps that an arm's first training left of the pictured frames.

    Raises:
        ZDError: they are not there.
    """
    path = RunPaths("video").results / "pictures" / f"{arm}_{seeds()[arm][0]}.npz"
    if not path.is_file():
        raise ZDError(f"{path}: no such file: restore it with git checkout")
    with np.load(path) as stored:
        return dict(stored)


def pictured() -> list[StreetFrame]:
    """The test frames that maps are kept of."""
    store = street_store()
    clips = store.of_split("test")
    return [street_frame(store, clips[n // store.frames], n % store.frames, n) for n in PICTURED]


def depth_pictures() -> Figure:
    """Inverse depth of each arm of the ablation, scaled to the true median; above it picture and truth."""
    arms = steps_of_ablation()
    held = {arm: maps(arm) for arm in arms}
    columns = []
    for frame in pictured():
        known = (frame.sample.depth > 0) & (frame.sample.depth < FARTHEST)
        truth = np.divide(1, frame.sample.depth, out=np.zeros_like(frame.sample.depth), where=frame.sample.depth > 0)
        shown = [_scaled(held[arm][f"frame_{frame.number}_inverse"], truth, known) for arm in arms]
        colours = [paint(m, Normalize(0, NEAREST), DEPTH_MAP.reversed(), None) for m in (truth, *shown)]
        scale = Scale(0.0, NEAREST, "inverse depth [1/m]", DEPTH_MAP.reversed())
        columns.append(Column(f"frame {frame.number}", [frame.sample.image, *colours], scale))
    return picture_grid(columns, ["picture", "truth", *(_short(arm) for arm in arms)])


def _scaled(inverse: np.ndarray, truth: Float32[np.ndarray, "h w"], known: np.ndarray) -> Float32[np.ndarray, "h w"]:
    small = torch.from_numpy(inverse.astype(np.float32))[None, None]
    full = F.interpolate(small, truth.shape, mode="bilinear", align_corners=False)[0, 0].numpy()
    scaled: Float32[np.ndarray, "h w"] = full * np.float32(np.median(truth[known]) / np.median(full[known]))
    return scaled


def _short(arm: str) -> str:
    return study().arms[arm].title.partition(" of ")[0].partition(" within ")[0]


def mask_pictures() -> Figure:
    """What a mask leaves out, if it decides to, below the true classes, what truly moves, and the network's classes.

    Of the arm that masks, or of one that segments; a line of text where neither has been trained.
    """
    arm = next((arm for arm in ("masking", "segmentation") if arm in seeds()), None)
    if arm is None:
        return _said("no arm with segmentation has been judged yet")
    held, columns = maps(arm), []
    for frame in pictured():
        labels = frame.sample.labels
        assert labels is not None
        name = f"frame_{frame.number}"
        region, classes = held[f"{name}_movable"], held[f"{name}_classes"]
        agreement = float(held[f"{name}_agreement"])
        moving = _over(frame.sample.image, frame.moving)
        removed = _over(frame.sample.image, _enlarged(region, labels.shape))
        said = "nothing movable" if np.isnan(agreement) else f"agreement {agreement:.2f}"
        coloured = PALETTE[_enlarged(classes, labels.shape)]
        columns.append(
            Column(f"frame {frame.number}: {said}", [frame.sample.image, PALETTE[labels], moving, coloured, removed])
        )
    return picture_grid(columns, ["picture", "true classes", "moves", "classes", "left out"])


@mpl.rc_context(STYLE)
def _said(text: str) -> Figure:
    figure = new_figure(WIDTH, 0.5)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)
    return figure


def _enlarged(small: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    rows = np.arange(size[0]) * small.shape[0] // size[0]
    columns = np.arange(size[1]) * small.shape[1] // size[1]
    return np.asarray(small[np.ix_(rows, columns)])


def _over(image: UInt8[np.ndarray, "h w 3"], mask: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    picture = image.copy()
    picture[mask] = (0.35 * picture[mask] + 0.65 * REMOVED).astype(np.uint8)
    return picture


@mpl.rc_context(STYLE)
def effect_bars(effects: pd.DataFrame) -> Figure:
    """Each step's difference in AbsRel with its interval, everywhere and at some places."""
    if effects.empty:
        return _said("no two arms of one step have been trained with the same seed yet")
    table = effects[effects["metric"].str.startswith("AbsRel")]
    steps, metrics = list(dict.fromkeys(table["step"])), list(dict.fromkeys(table["metric"]))
    figure = new_figure(WIDTH, 0.7 + 0.42 * len(steps))
    panels = np.atleast_1d(figure.subplots(1, len(metrics), sharey=True))
    for axes, metric in zip(panels, metrics, strict=True):
        rows = table[table["metric"] == metric].set_index("step")
        for place, step in enumerate(steps):
            if step in rows.index:
                row = rows.loc[step]
                ends = [[row["difference"] - row["low"]], [row["high"] - row["difference"]]]
                axes.errorbar([row["difference"]], [place], xerr=ends, marker="o", markersize=3, capsize=2, color="C0")
        axes.axvline(0, color=GREY, linestyle=":")
        axes.set_title(metric.removeprefix("AbsRel, "), fontsize=8)
        axes.tick_params(axis="x", labelsize=6.5)
        axes.locator_params(axis="x", nbins=3)
    panels[0].set_yticks(range(len(steps)), [step.partition(" − ")[0] for step in steps], fontsize=7)
    panels[0].set_ylim(len(steps) - 0.5, -0.5)
    figure.supxlabel("difference in AbsRel (left of 0: better)", fontsize=8)
    return figure
