"""The look of every figure, how one is saved and shown, and grids of pictures.

Figures are built on `matplotlib.figure.Figure` directly (no pyplot, no global state) and saved without dates, so that
the same numbers give the same bytes. Pictures are small uint8 RGB arrays, coloured by `zdlib.colours`.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from cycler import cycler
from IPython.display import Markdown, display
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image
from scipy.spatial import cKDTree

from zdlib.colours import DEPTH_MAP, ERROR_MAP, depth_picture, far_limit  # noqa: F401  # for notebooks too
from zdlib.files import atomic_path
from zdlib.paths import RunPaths

DPI = 160
SHOWN_DPI = 110  # of a figure on a page
PNG_LIMIT = 150_000  # bytes: git keeps every figure of the committed runs
PHOTOGRAPHIC = 20_000  # colours: lines and their edges have a tenth, a photograph ten times as many
WIDTH = 7.2  # inches: a full text width; a column is half of it
COLOURS = sns.color_palette("colorblind").as_hex()
GREY = "#6b6b6b"
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#4d4d4d",
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "figure.dpi": DPI,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "pdf.fonttype": 42,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def new_figure(width: float = WIDTH, height: float = 3.0) -> Figure:
    """An empty figure, in inches, laid out by matplotlib's constrained layout."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


# ----------------------------------------------------------------------------------------------- saving and showing
def save_figure(figure: Figure, name: str, paths: RunPaths, *, caption: str = "") -> None:
    """Write `figures/<profile>/<name>.png` and `.pdf` without dates, and show the PNG with its caption.

    Raises:
        ZDError: the folder cannot be written, or the disk is full.
    """
    with mpl.rc_context(STYLE):
        png = _small_png(figure)
        with atomic_path(paths.figures / f"{name}.png") as temporary:
            temporary.write_bytes(png)
        with atomic_path(paths.figures / f"{name}.pdf") as temporary:
            figure.savefig(temporary, dpi=DPI, metadata={"CreationDate": None, "ModDate": None})
    width = int(figure.get_figwidth() * SHOWN_DPI)
    tags = {"zdlib": {"figure": name, "caption": caption, "width": width}}
    bundle = {"image/png": base64.b64encode(png).decode(), "text/plain": f"figure {name}"}
    display(bundle, raw=True, metadata={"image/png": {"width": width}, **tags})
    if caption:
        display(Markdown(caption), metadata=tags)


def _small_png(figure: Figure) -> bytes:
    """The figure as a PNG of at most `PNG_LIMIT` bytes: at `DPI`, or as far below as its photographs need."""
    dpi = DPI
    while len(png := _palette_png(figure, dpi)) > PNG_LIMIT:
        dpi = int(dpi * max(0.7, 0.98 * (PNG_LIMIT / len(png)) ** 0.5))  # bytes grow with the area, or slower
    return png


def _palette_png(figure: Figure, dpi: int) -> bytes:
    """The figure in 256 colours, which take a third of the bytes of true colour."""
    buffer, content = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
    with Image.open(buffer) as picture:
        rgb = picture.convert("RGB")
    plain = rgb.getcolors(PHOTOGRAPHIC) is not None
    indexed = rgb.quantize(256, method=Image.Quantize.MAXCOVERAGE) if plain else _quantise_photographs(rgb)
    indexed.save(content, "png", optimize=True, dpi=(dpi, dpi))
    return content.getvalue()


def _quantise_photographs(rgb: Image.Image) -> Image.Image:
    """The nearest of 256 colours for each pixel, no dither: half the error of median cut, in fewer bytes.

    k-means keeps the gradients of depth maps; from every third pixel it takes a tenth of the time. Pillow's own way to
    a given palette rounds colours to 6 bits, which turns white into grey.
    """
    sample = rgb.resize((-(-rgb.width // 3), -(-rgb.height // 3)), Image.Resampling.NEAREST)
    flat = sample.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2).getpalette() or []
    palette = np.asarray(flat, dtype=np.uint8).reshape(-1, 3)
    packed = np.asarray(rgb.convert("RGBX")).view(">u4").ravel()  # one number per colour: quicker to tell apart
    colours, places = np.unique(packed, return_inverse=True)
    channels = np.stack([colours >> 24, colours >> 16 & 255, colours >> 8 & 255], axis=1)
    nearest = cKDTree(palette.astype(float)).query(channels.astype(float))[1]
    indexed = Image.fromarray(nearest[places].astype(np.uint8).reshape(rgb.height, rgb.width), "P")
    indexed.putpalette(palette.tobytes())
    return indexed


# ------------------------------------------------------------------------------------------------------------- grids
@dataclass(frozen=True)
class Scale:
    """What a colour bar shows."""

    low: float
    high: float
    label: str
    colours: Colormap


@dataclass(frozen=True)
class Column:
    """One column of a grid of pictures.

    Attributes:
        title: shown above it.
        pictures: one (h, w, 3) uint8 picture per row; None leaves the place empty.
        scale: the colour bar under the column; neighbours with an equal one share it. None for no bar.
    """

    title: str
    pictures: Sequence[UInt8[np.ndarray, "h w 3"] | None]
    scale: Scale | None = None


def metric_scale(near: float = 0.0, far: float = 10.0) -> Scale:
    """The colour bar of `depth_picture`."""
    return Scale(near, far, "depth [m]", DEPTH_MAP)


def error_scale(limit: float = 0.5) -> Scale:
    """The colour bar of `error_picture`."""
    return Scale(0.0, limit, r"$|d-\hat{d}|\,/\,d$", ERROR_MAP)


@mpl.rc_context(STYLE)
def picture_grid(
    columns: Sequence[Column],
    rows: Sequence[str] = (),
    legend: tuple[Sequence[str], UInt8[np.ndarray, "n 3"]] | None = None,
) -> Figure:
    """Pictures in columns with titles, row names at the left, colour bars and a class legend at the foot.

    Args:
        columns: left to right, all with the same number of pictures.
        rows: one name a row, or none.
        legend: class names and their colours.
    """
    n_rows = len(columns[0].pictures)
    height, width = next(p.shape[:2] for column in columns for p in column.pictures if p is not None)
    # Everything is placed in inches: constrained layout would shrink the columns that have a colour bar.
    left, gap, head = (0.2 if rows else 0.0), 0.04, 0.22
    bar_foot = 0.42 if any(column.scale for column in columns) else 0.0
    legend_foot = 0.17 * -(-len(legend[0]) // 7) + 0.06 if legend else 0.0
    cell_w = (WIDTH - left - gap * (len(columns) - 1)) / len(columns)
    cell_h = cell_w * height / width
    total = head + n_rows * cell_h + (n_rows - 1) * gap + bar_foot + legend_foot
    figure = Figure(figsize=(WIDTH, total))
    FigureCanvasAgg(figure)

    def place(x: float, y: float, w: float, h: float) -> Axes:
        return figure.add_axes((x / WIDTH, y / total, w / WIDTH, h / total))

    for index, column in enumerate(columns):
        x = left + index * (cell_w + gap)
        for row, picture in enumerate(column.pictures):
            axes = place(x, total - head - (row + 1) * cell_h - row * gap, cell_w, cell_h)
            axes.set_axis_off()
            if picture is not None:
                axes.imshow(picture, interpolation="antialiased", aspect="auto")
            if row == 0:
                axes.set_title(column.title, fontsize=min(9.0, 1.05 * 72 * cell_w / (0.55 * max(len(column.title), 8))))
            if index == 0 and rows:
                axes.text(
                    -0.03, 0.5, rows[row], rotation=90, fontsize=6, ha="right", va="center", transform=axes.transAxes
                )
        if column.scale and (index == 0 or columns[index - 1].scale != column.scale):
            span = next((k for k, c in enumerate(columns[index:]) if c.scale != column.scale), len(columns) - index)
            bar = place(x + 0.1, legend_foot + 0.31, span * cell_w + (span - 1) * gap - 0.2, 0.07)
            _colour_bar(figure, bar, column.scale)
    if legend is not None:
        patches = [Patch(color=colour / 255.0, label=name) for name, colour in zip(*legend, strict=True)]
        figure.legend(handles=patches, loc="lower center", ncols=7, fontsize=7, handlelength=1, columnspacing=1.2)
    return figure


def _colour_bar(figure: Figure, axes: Axes, scale: Scale) -> None:
    mappable = ScalarMappable(Normalize(scale.low, scale.high), scale.colours)
    bar = figure.colorbar(mappable, cax=axes, orientation="horizontal")
    bar.set_label(scale.label, fontsize=7, labelpad=1)
    bar.ax.tick_params(labelsize=6.5, length=2, pad=1)
    bar.outline.set_visible(False)  # type: ignore[operator]
