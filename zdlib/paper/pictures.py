"""Pictures of what a trained run sees in a few frames, ready for a grid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from matplotlib.colors import Normalize, to_rgb
from scipy.ndimage import maximum_filter

from zdlib.colours import ERROR_MAP, depth_picture, error_picture, paint, relative_picture
from zdlib.config import Profile
from zdlib.data.classes import colourise
from zdlib.data.sample import Sample
from zdlib.data.sets.ibims import IBimsSample
from zdlib.evaluate.judge import Reader
from zdlib.metrics.ibims import depth_edges, planarity_errors
from zdlib.metrics.protocols import Protocol, resize
from zdlib.models.depth_model import Inference
from zdlib.paper.figures import Column, Scale, error_scale, metric_scale
from zdlib.paper.trained_runs import load_run, predict_run
from zdlib.paths import RunPaths

EDGES = (
    ("true edge only", "predicted edge only", "both"),
    np.array([np.round(255 * np.array(to_rgb(colour))) for colour in ("#38c6ff", "#ff8c1a", "#6fe36f")], np.uint8),
)


DIFFERENCE_MAP = mpl.colormaps["RdBu_r"]  # below zero blue
FLAT = 0.5  # share of the pixels at the lowest value: a relative depth that has more is not shown


@dataclass(frozen=True)
class View:
    """One frame as a run sees it; all maps have the ground truth's size.

    Attributes:
        sample: the frame.
        relative: the decoder's relative (inverse) depth.
        metric: the prediction as the protocol judges it, metres.
        valid: the pixels that the protocol counts.
        labels: predicted classes; None if the run has no U-Net or the frame no labels.
    """

    sample: Sample
    relative: Float32[np.ndarray, "h w"]
    metric: Float32[np.ndarray, "h w"]
    valid: Bool[np.ndarray, "h w"]
    labels: UInt8[np.ndarray, "h w"] | None

    @property
    def edges(self) -> Bool[np.ndarray, "h w"] | None:
        """True occlusion edges; None where the data set has none."""
        return self.sample.edges if isinstance(self.sample, IBimsSample) else None


def views(
    profile: Profile, key: str, paths: RunPaths, reader: Reader, frames: Sequence[int], protocol: Protocol
) -> list[View]:
    """Let a run of the profile predict some frames.

    Raises:
        ZDError: its checkpoint or a frame is missing or unreadable.
    """
    run = load_run(profile, key, paths, segmentation=profile.runs[key].segments)
    samples = [reader[frame] for frame in frames]
    images = [sample.image for sample in samples]
    maps = predict_run(run, reader, frames, profile)
    relative = run.model.relative().predict(images, Inference(flip=False))
    labels: Iterable[UInt8[np.ndarray, "_ _"] | None] = [None] * len(frames)
    if run.segments:
        labels = run.model.predict_labels(images, Inference())
    found = []
    for frame, sample, rel, classes in zip(frames, samples, relative, labels, strict=True):
        metric, valid = protocol.prepare(maps[frame], sample)
        found.append(View(sample, resize(rel, sample.depth.shape), metric, valid, classes))
    return found


def main_columns(seen: Sequence[View], far: float) -> list[Column]:
    """The original's columns: RGB, relative depth if it shows anything, ground truth, prediction.

    Metric colours reach from 0 to `far` metres.
    """
    scale = metric_scale(0.0, far)
    return [
        Column("RGB", [v.sample.image for v in seen]),
        *_relative_column(seen),
        Column("ground truth", [depth_picture(v.sample.depth, 0.0, far) for v in seen], scale),
        Column("prediction", [depth_picture(v.metric, 0.0, far) for v in seen], scale),
    ]


def _relative_column(seen: Sequence[View]) -> list[Column]:
    """The decoder's own output, or no column where it is flat: no loss asks for it where nothing was pre-trained."""
    if np.mean([np.mean(view.relative <= view.relative.min() + 1e-6) for view in seen]) > FLAT:
        return []
    return [Column("relative depth", [relative_picture(view.relative) for view in seen])]


def error_column(seen: Sequence[View], title: str = "error", limit: float = 0.5) -> Column:
    """Absolute relative error on the pixels that count."""
    pictures = [error_picture(v.metric, v.sample.depth, v.valid, limit) for v in seen]
    return Column(title, pictures, error_scale(limit))


def difference_column(first: Sequence[View], second: Sequence[View], title: str, limit: float = 0.2) -> Column:
    """Relative error of the second run minus that of the first, on the pixels that count: blue, the second is better.

    Args:
        first: some frames as one run sees them.
        second: the same frames as another one does.
        title: above the column.
        limit: end of the colour scale.
    """
    pictures = []
    for one, other in zip(first, second, strict=True):
        depth = np.where(one.valid, one.sample.depth, 1)
        change = (np.abs(other.metric - one.sample.depth) - np.abs(one.metric - one.sample.depth)) / depth
        pictures.append(paint(change.astype(np.float32), Normalize(-limit, limit), DIFFERENCE_MAP, one.valid))
    return Column(title, pictures, Scale(-limit, limit, "Δ error", DIFFERENCE_MAP))


def label_columns(seen: Sequence[View]) -> list[Column]:
    """True and predicted classes, where there are any."""
    true = [None if v.sample.labels is None else colourise(v.sample.labels) for v in seen]
    predicted = [None if v.labels is None else colourise(v.labels) for v in seen]
    return [Column("labels", true), Column("predicted", predicted)]


def edge_column(seen: Sequence[View]) -> Column:
    """Occlusion edges over the darkened image, a pixel wider than they are; colours as in `EDGES`."""
    return Column("depth edges", [None if v.edges is None else _edge_picture(v, v.edges) for v in seen])


def _edge_picture(view: View, edges: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    true, predicted = (maximum_filter(e, 3) for e in (edges, depth_edges(view.metric)))
    grey = 0.35 * view.sample.image.mean(axis=-1, keepdims=True)  # no colour but that of edges
    picture = np.repeat(grey.astype(np.uint8), 3, axis=-1)
    for colour, mask in zip(EDGES[1], (true & ~predicted, predicted & ~true, true & predicted), strict=True):
        picture[mask] = colour
    return picture


def plane_column(seen: Sequence[View], limit: float = 45.0) -> Column:
    """Annotated walls, floors and table tops, coloured by the angle between the predicted plane and the true one.

    Light grey: no plane, or one of less than 5 % of the image, which iBims-1's authors leave out.
    """
    return Column("planes", [_plane_picture(v, limit) for v in seen], Scale(0.0, limit, "angle [°]", ERROR_MAP))


def _plane_picture(view: View, limit: float) -> UInt8[np.ndarray, "h w 3"] | None:
    sample = view.sample
    if not isinstance(sample, IBimsSample) or sample.calib is None:
        return None
    angles = np.full(sample.depth.shape, np.nan, np.float32)
    for numbers, paras in sample.planes.values():
        for error in planarity_errors(view.metric, sample.depth, view.valid, numbers, paras, sample.calib.T):
            angles[numbers == error["plane"]] = error["pe_orientation"]
    return paint(np.nan_to_num(angles), Normalize(0.0, limit), ERROR_MAP, np.isfinite(angles))
