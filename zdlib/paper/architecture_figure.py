"""The paper's two figures, drawn from a built model: every box carries its traced shape and parameters."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from zdlib.models.inspection import Trace
from zdlib.paper.figures import GREY, STYLE, WIDTH, new_figure

_FILL = {
    "input": "#f2f2f2",
    "encoder": "#d6e6f4",
    "decoder": "#c4dcd3",
    "head": "#fbe3c0",
    "unet": "#ecd9ea",
    "loss": "#f6d5cf",
    "target": "#f2f2f2",
}
Row = float | int  # rows may lie between two
_WIDE, _HIGH = 1.24, 0.54  # of a box, inches
_STEP_X, _STEP_Y = 1.43, 0.86


@dataclass(frozen=True)
class _Box:
    """A box at a place of the grid: column to the right, row downwards."""

    kind: str
    column: int
    row: Row
    title: str
    shape: tuple[int, ...] | None = None
    params: int | None = None
    note: str = ""

    @property
    def centre(self) -> tuple[float, float]:
        """In inches; y grows upwards."""
        return self.column * _STEP_X, -self.row * _STEP_Y

    def side(self, where: str) -> tuple[float, float]:
        """The middle of one side."""
        x, y = self.centre
        dx, dy = {"left": (-1, 0), "right": (1, 0), "top": (0, 1), "bottom": (0, -1)}[where]
        return x + dx * _WIDE / 2, y + dy * _HIGH / 2


@dataclass(frozen=True)
class _Parts:
    """The boxes of figure 1; lists from fine to coarse, the U-Net's from coarse to fine."""

    image: _Box
    stages: list[_Box]
    reduce: list[_Box]
    fuse: list[_Box]
    fine: _Box
    relative: _Box
    seed: _Box
    attract: list[_Box]
    mixture: _Box
    metric: _Box
    blocks: list[_Box]
    labels: _Box

    def boxes(self) -> Iterator[_Box]:
        """All of them, in the order of drawing."""
        for field in fields(self):
            part = getattr(self, field.name)
            yield from part if isinstance(part, list) else [part]


@mpl.rc_context(STYLE)
def draw_model(trace: Trace) -> Figure:
    """Figure 1: image → encoder → decoder → metric bins, with the U-Net that exists in training only.

    One row a resolution, from full at the top to 1/32 at the bottom; shapes are channels × height × width.

    Raises:
        ValueError: the model was traced without its U-Net, or its head has no attractors.
    """
    counts = trace.parameters
    if "unet" not in counts or "head.refiners.3" not in counts:
        raise ValueError("draw_model: needs a model with a U-Net and four attractor levels")
    parts = _parts(trace)
    figure, axes = _canvas(-1.88, 5.5, columns=5)
    total = {path: f"{counts[path]:,}" for path in ("encoder", "decoder", "head", "unet")}
    _panel(axes, 0, 0, 5, f"encoder\n{total['encoder']}", "encoder")
    _panel(axes, 1, -1, 5, f"DPT decoder\n{total['decoder']}", "decoder", columns=2)
    _panel(axes, 3, -1, 5, f"metric bins head\n{total['head']}", "head")
    _panel(axes, 4, -1, 5, f"U-Net, training only\n{total['unet']}", "unet", dashed=True)
    for box in parts.boxes():
        _draw(axes, box)
    _connect(axes, parts)
    return figure


def _parts(trace: Trace) -> _Parts:
    shapes, counts = trace.shapes, trace.parameters
    image = _Box("input", 0, 0, "image", trace.image, note="RGB, scaled to [−1, 1]")
    stages = [
        _Box("encoder", 0, 2 + i, f"encoder stage {i + 1}", shapes[f"encoder[{i}]"], trace.stages[i]) for i in range(4)
    ]
    reduce = [
        _Box("decoder", 1, 2 + i, "3×3 conv", shapes[f"decoder.reduce.{i}"], counts[f"decoder.reduce.{i}"])
        for i in range(4)
    ]
    fuse = [
        _Box("decoder", 2, 1 + i, f"fusion {i + 1}", shapes[f"decoder.fuse.{i}"], counts[f"decoder.fuse.{i}"])
        for i in range(4)
    ]
    output = counts["decoder.out_half"] + counts["decoder.out_fine"]
    fine = _Box("decoder", 2, 0, "output convs", shapes["decoder.out_fine"], output)
    relative = _Box(
        "decoder", 2, -1, "relative depth", shapes["decoder.out_depth"], counts["decoder.out_depth"], "1×1 conv, ReLU"
    )
    seed_parts = ("head.conv", "head.seed_bins", "head.seed_projector")
    seed = _Box("head", 3, 5, "seed bins", shapes["head.seed_bins"], sum(counts[p] for p in seed_parts))
    attract = [
        _Box(
            "head", 3, 1 + i, _attractors(shapes[f"head.refiners.{3 - i}"][0]),
            (shapes["head.seed_bins"][0], *shapes[f"head.refiners.{3 - i}"][1:]),
            counts[f"head.projectors.{3 - i}"] + counts[f"head.refiners.{3 - i}"],
        )
        for i in range(4)
    ]  # fmt: skip
    mixture = _Box("head", 3, 0, "log-binomial", (shapes["head.seed_bins"][0], *trace.image[1:]), counts["head.output"])
    metric = _Box("head", 3, -1, "metric depth", shapes["head[0]"], note="Σ pₖ · cₖ")
    blocks = [
        _Box(
            "unet",
            4,
            4 - i,
            f"U-Net block {i + 1}",
            shapes[f"unet.decoder.blocks.{i}"],
            counts[f"unet.decoder.blocks.{i}"],
        )
        for i in range(5)
    ]
    labels = _Box("unet", 4, -1, "class logits", shapes["unet.classifier"], counts["unet.classifier"], "3×3 conv")
    return _Parts(image, stages, reduce, fuse, fine, relative, seed, attract, mixture, metric, blocks, labels)


def _connect(axes: Axes, parts: _Parts) -> None:
    """The arrows of figure 1."""
    for above, below in zip((parts.image, *parts.stages), parts.stages, strict=False):
        _arrow(axes, above.side("bottom"), below.side("top"))
    for level in range(4):
        _arrow(axes, parts.stages[level].side("right"), parts.reduce[level].side("left"))
    for level in range(3):  # skip connections go up one row: a map of 1/s joins the fusion that doubles it
        _arrow(axes, parts.reduce[level].side("right"), _lower_left(parts.fuse[level]))
    _arrow(axes, parts.reduce[3].side("right"), parts.fuse[3].side("bottom"), bend=0.25)
    for above, below in zip((parts.relative, parts.fine, *parts.fuse), (parts.fine, *parts.fuse), strict=False):
        _arrow(axes, below.side("top"), above.side("bottom"))
    for above, below in zip(
        (parts.metric, parts.mixture, *parts.attract), (parts.mixture, *parts.attract, parts.seed), strict=False
    ):
        _arrow(axes, below.side("top"), above.side("bottom"))
    for above, below in zip((parts.labels, *parts.blocks[::-1]), parts.blocks[::-1], strict=False):
        _arrow(axes, below.side("top"), above.side("bottom"), "unet")
    for level in range(4):
        _arrow(axes, parts.fuse[level].side("right"), parts.attract[level].side("left"))
        _over(axes, parts.fuse[level], parts.blocks[3 - level])
    _arrow(axes, parts.reduce[3].side("right"), parts.seed.side("left"))
    _arrow(axes, parts.fine.side("right"), parts.mixture.side("left"))
    _arrow(axes, parts.relative.side("right"), _upper_left(parts.mixture), bend=-0.1)
    _under(axes, parts.reduce[3], parts.blocks[0])


@mpl.rc_context(STYLE)
def draw_losses(trace: Trace, seg_weight: float) -> Figure:
    """Figure 2: the two paths of training, their losses, and where each gradient goes (dashed).

    Raises:
        ValueError: the model was traced without its U-Net.
    """
    shapes, counts = trace.shapes, trace.parameters
    if "unet" not in counts:
        raise ValueError("draw_losses: needs a model with a U-Net")
    image = _Box("input", 0, 0, "image", trace.image)
    core = _Box(
        "encoder",
        1,
        0,
        "encoder + decoder",
        shapes["decoder.fuse.0"],
        counts["encoder"] + counts["decoder"],
        "5 maps, 1/32 … 1/2",
    )
    head = _Box("head", 2, 0, "metric bins head", shapes["head[0]"], counts["head"])
    silog = _Box("loss", 3, 0, "SILog loss", note="weight 1")
    depth = _Box("target", 4, 0, "measured depth", (1, *trace.image[1:]))
    unet = _Box("unet", 2, 1.25, "U-Net", shapes["unet"], counts["unet"])
    dice = _Box("loss", 3, 1.25, "Dice + focal loss", note=f"weight {seg_weight:g}")
    labels = _Box("target", 4, 1.25, "label map", trace.image[1:])

    figure, axes = _canvas(-0.92, 1.85, columns=5)
    _panel(axes, 0, -0.18, 0, "depth network", "decoder", columns=5)
    _panel(axes, 2, 1.25, 1.25, "cross-talk distillation: exists in training only", "unet", columns=3, dashed=True)
    for box in (image, core, head, silog, depth, unet, dice, labels):
        _draw(axes, box)
    for source, target in ((image, core), (core, head), (head, silog), (unet, dice)):
        _arrow(axes, source.side("right"), target.side("left"))
    for source, target in ((depth, silog), (labels, dice)):
        _arrow(axes, source.side("left"), target.side("right"))
    _arrow(axes, core.side("bottom"), unet.side("left"), bend=0.25)
    for source, target, bend in ((silog, head, 0.35), (head, core, 0.35)):
        _arrow(axes, source.side("top"), target.side("top"), "gradient", bend)
    _arrow(axes, dice.side("bottom"), unet.side("bottom"), "gradient", -0.3)
    x, y = unet.side("bottom")
    _arrow(axes, (x - 0.35, y), (core.side("bottom")[0] - 0.3, core.side("bottom")[1]), "gradient", -0.45)
    axes.text(0, -1.25 * _STEP_Y, "dashed: gradients", color="#b3412f", fontsize=7.5, ha="center", va="center")
    return figure


# -------------------------------------------------------------------------------------------------------------- pieces
def _canvas(top: Row, bottom: Row, columns: int) -> tuple[Figure, Axes]:
    """A figure whose data coordinates are inches, rows `top` to `bottom` of the grid."""
    height = (bottom - top) * _STEP_Y
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    middle = (columns - 1) * _STEP_X / 2
    axes.set_xlim(middle - WIDTH / 2, middle + WIDTH / 2)
    axes.set_ylim(-bottom * _STEP_Y, -top * _STEP_Y)
    axes.set_axis_off()
    return figure, axes


def _draw(axes: Axes, box: _Box) -> None:
    x, y = box.centre
    style = "round,pad=0,rounding_size=0.05"
    corner = (x - _WIDE / 2, y - _HIGH / 2)
    axes.add_patch(
        FancyBboxPatch(corner, _WIDE, _HIGH, style, facecolor=_FILL[box.kind], edgecolor=GREY, lw=0.7, zorder=3)
    )
    lines = [box.note] if box.note else []
    if box.shape:
        lines.append(" × ".join(str(n) for n in box.shape))
    if box.params:
        lines.append(f"{box.params:,} par.")
    axes.text(x, y + _HIGH / 2 - 0.105, box.title, fontsize=7, weight="bold", ha="center", va="center", zorder=4)
    for number, line in enumerate(lines):
        axes.text(x, y + _HIGH / 2 - 0.24 - 0.115 * number, line, fontsize=6.2, ha="center", va="center", zorder=4)


def _panel(
    axes: Axes, column: int, top: Row, bottom: Row, title: str, kind: str, columns: int = 1, dashed: bool = False
) -> None:
    """A frame around the boxes of one part, named above."""
    left = column * _STEP_X - _STEP_X / 2 + 0.04
    width, height = columns * _STEP_X - 0.08, (bottom - top) * _STEP_Y + _HIGH + 0.2
    y = -bottom * _STEP_Y - _HIGH / 2 - 0.1
    axes.add_patch(
        FancyBboxPatch(
            (left, y), width, height, "round,pad=0,rounding_size=0.08", facecolor=_FILL[kind], alpha=0.28,
            edgecolor=GREY, lw=0.9, linestyle="--" if dashed else "-", zorder=0,
        )
    )  # fmt: skip
    axes.text(left + width / 2, y + height + 0.05, title, fontsize=7.5, ha="center", va="bottom", linespacing=1.25)


_INK = {"flow": GREY, "unet": "#7d4a78", "gradient": "#b3412f"}


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], kind: str = "flow", bend: float = 0.0
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=7, lw=0.9, color=_INK[kind], shrinkA=0, shrinkB=0, zorder=2,
            linestyle="--" if kind == "gradient" else "-", connectionstyle=f"arc3,rad={bend}",
        )
    )  # fmt: skip


def _lane(axes: Axes, points: list[tuple[float, float]]) -> None:
    """A line with corners, arrow at its end."""
    xs, ys = zip(*points[:-1], strict=True)
    axes.plot(xs, ys, color=_INK["unet"], lw=0.9, zorder=1, solid_capstyle="round")
    _arrow(axes, points[-2], points[-1], "unet")


def _over(axes: Axes, source: _Box, target: _Box) -> None:
    """From a decoder box to the U-Net, through the gap above the row's boxes."""
    x, y = source.side("right")
    end_x, end_y = target.side("left")
    lane = source.centre[1] + _HIGH / 2 + 0.09
    y += 0.14
    _lane(axes, [(x, y), (x + 0.07, y), (x + 0.07, lane), (end_x - 0.1, lane), (end_x - 0.1, end_y), (end_x, end_y)])


def _under(axes: Axes, source: _Box, target: _Box) -> None:
    """From the bottleneck to the U-Net's first block, through the gap above the bottom row's boxes."""
    x, y = source.side("right")
    lane = source.centre[1] + _HIGH / 2 + 0.09
    end_x, end_y = target.side("bottom")
    y += 0.14
    _lane(axes, [(x, y), (x + 0.07, y), (x + 0.07, lane), (end_x, lane), (end_x, end_y)])


def _attractors(count: int) -> str:
    return "1 attractor" if count == 1 else f"{count} attractors"


def _lower_left(box: _Box) -> tuple[float, float]:
    x, y = box.side("left")
    return x, y - 0.14


def _upper_left(box: _Box) -> tuple[float, float]:
    x, y = box.side("left")
    return x, y + 0.14
