"""Depth as files: metres, millimetres, and a picture to look at."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from zdlib.apps.prediction.sources import is_video
from zdlib.colours import DEPTH_MAP

FINEST = 4_096  # pixels of a side in a preview; a page of it holds fewer
INVERSE = "_inverse_depth"  # what the names of relative depth end in
TALLEST = 24.0  # inches of a preview, 8 wide


def output_files(folder: Path, source: Path, points: bool, ending: str = "") -> list[Path]:
    """What is written for a picture or a video; `ending`: of its files' stems."""
    if is_video(source):
        return [folder / f"{source.stem}_depth.mp4"]
    endings = (".npy", ".png", "_preview.png", *((".ply", ".glb") if points else ()))
    return [folder / f"{source.stem}{ending}{kind}" for kind in endings]


def depth_contents(depth: Float32[np.ndarray, "h w"], relative: bool = False) -> list[bytes]:
    """Of the first three files of a picture; `relative`: of inverse depth without unit."""
    raw = io.BytesIO()
    np.save(raw, depth)
    if relative:
        from zdlib.models.depth_anything.picture_sizes import eight_bit

        return [raw.getvalue(), _png(eight_bit(depth)), _png(preview(depth, relative))]
    millimetres = np.clip(np.round(depth * 1000), 0, 65535).astype(np.uint16)
    return [raw.getvalue(), _png(millimetres), _png(preview(depth, relative))]


def _png(picture: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "png", compress_level=4)
    return encoded.getvalue()


def plain_preview(depth: Float32[np.ndarray, "h w"], far: float) -> UInt8[np.ndarray, "h w 3"]:
    """Depth in colours, from 0 to `far` metres."""
    return (DEPTH_MAP(np.clip(depth / far, 0, 1))[..., :3] * 255).astype(np.uint8)


def preview(depth: Float32[np.ndarray, "h w"], relative: bool = False) -> UInt8[np.ndarray, "_ _ 3"]:
    """Depth in colours, with a colour bar in metres; of a large one every n-th pixel is shown."""
    # Not `paper.figures`: its look costs a second of imports, and this picture has none of it.
    depth = depth[:: -(-depth.shape[0] // FINEST), :: -(-depth.shape[1] // FINEST)]
    height, width = depth.shape
    size = 8.0, min(max(8 * height / width * 0.85, 1.0), TALLEST)
    figure = Figure(figsize=size, layout="constrained", dpi=120)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = axes.imshow(depth, cmap=DEPTH_MAP.reversed() if relative else DEPTH_MAP, interpolation="nearest")
    axes.set_axis_off()
    figure.colorbar(shown, label="relative inverse depth (larger is nearer; no unit)" if relative else "depth [m]")
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
