"""The pictures of notebook 11: the one real photograph that everybody has, and those that may be at hand."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import skimage
from matplotlib.figure import Figure
from PIL import Image

from zdlib.config import load_profile
from zdlib.data.registry import open_entry
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.metrics import protocols
from zdlib.models.choice import chosen_model
from zdlib.models.depth_model import DepthModel
from zdlib.paper.figures import Column, depth_picture, metric_scale, picture_grid
from zdlib.paper.photographs import PROFILE, WALK, judge, network

# Middlebury 2014, "Motorcycle", at scikit-image's size.
FOCAL, BASELINE, OFFSET = 994.978, 0.193001, 31.086  # pixels, metres, pixels
SHOWN = 5  # frames of the local grid
WIDTH = 320  # pixels of a shown picture


@cache
def motorcycle() -> Sample:
    """The photograph with its true depth, f · B / (disparity + offset); 0 where the scanner saw nothing.

    Raises:
        ZDError: this scikit-image has it not.
    """
    folder = Path(skimage.__file__).parent / "data"
    try:
        image = np.asarray(Image.open(folder / "motorcycle_left.png").convert("RGB"))
        with np.load(folder / "motorcycle_disp.npz") as file:
            disparity = np.asarray(file["arr_0"], np.float64)
    except (OSError, KeyError) as error:
        raise ZDError(f"{folder}: has no motorcycle ({error}): install scikit-image 0.26") from error
    known = np.isfinite(disparity)
    depth = np.where(known, FOCAL * BASELINE / (np.where(known, disparity, 1) + OFFSET), 0)
    intrinsics = np.array([[FOCAL, 0, image.shape[1] / 2], [0, FOCAL, image.shape[0] / 2], [0, 0, 1.0]])
    return Sample("motorcycle", image, depth.astype(np.float32), scene="middlebury", intrinsics=intrinsics)


@cache
def _light() -> DepthModel:
    return chosen_model("zoe_light")


def motorcycle_figure() -> Figure:
    """Picture, true depth, and zoe_light's."""
    return _grid([motorcycle()], 6.0)


def motorcycle_sentence() -> str:
    """How far zoe_light is off on it."""
    sample, protocol = motorcycle(), protocols.get("real-mix/indoor")
    absolute, scaled = judge(0, sample, network(_light())(sample), protocol).rows
    return (
        f"On this picture zoe_light has an AbsRel of {absolute['abs_rel']:.3f} in metres, and of "
        f"{scaled['abs_rel']:.3f} after median scaling (true over predicted median: {absolute['ratio']:.2f})."
    )


def local_grid() -> Figure | None:
    """Frames of the walk's last stretch, if they are at hand and `ZD_SHOW_REAL=1` allows it; never saved."""
    if os.environ.get("ZD_SHOW_REAL") != "1":
        return None
    entry = next(entry for entry in load_profile(PROFILE).data.tests if entry.set == WALK)
    reader = open_entry(entry)
    last = [number for number, scene in enumerate(reader.scenes) if scene == "last"]
    return _grid([reader[number] for number in last[:: max(1, len(last) // SHOWN)][:SHOWN]], 5.0)


def _grid(samples: list[Sample], far: float) -> Figure:
    predict, protocol = network(_light()), protocols.get("real-mix/indoor")
    predicted = [protocol.prepare(predict(sample), sample)[0] for sample in samples]
    scale = metric_scale(0.0, far)
    return picture_grid(
        [
            Column("photograph", [_small(sample.image) for sample in samples]),
            Column("true depth", [_small(depth_picture(sample.depth, 0.0, far)) for sample in samples], scale),
            Column("zoe_light", [_small(depth_picture(depth, 0.0, far)) for depth in predicted], scale),
        ]
    )


def _small(picture: np.ndarray) -> np.ndarray:
    height = round(picture.shape[0] * WIDTH / picture.shape[1])
    return np.asarray(Image.fromarray(picture).resize((WIDTH, height), Image.Resampling.BOX))
