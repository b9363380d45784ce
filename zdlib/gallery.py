"""Pictures of what a trained run sees in a few frames, ready for a grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from zdlib.config import Profile
from zdlib.data.classes import colourise
from zdlib.data.sample import Sample
from zdlib.evaluate import Reader, predict_labels, predict_relative
from zdlib.figures import (
    Column,
    depth_picture,
    error_picture,
    error_scale,
    metric_scale,
    relative_picture,
)
from zdlib.paths import RunPaths
from zdlib.protocols import Protocol, resize
from zdlib.study import load_run, predict_run


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


def views(
    profile: Profile, key: str, paths: RunPaths, reader: Reader, frames: Sequence[int], protocol: Protocol
) -> list[View]:
    """Let a run of the profile predict some frames.

    Raises:
        ZDError: its checkpoint or a frame is missing or unreadable.
    """
    run = load_run(profile, key, paths, segmentation=profile.runs[key].seg_weight > 0)
    samples = [reader[frame] for frame in frames]
    images = [sample.image for sample in samples]
    maps = predict_run(run, reader, frames, profile)
    relative = predict_relative(run.model, images)
    labels: Sequence[UInt8[np.ndarray, "_ _"] | None] = [None] * len(frames)
    if run.seg_weight > 0:
        labels = predict_labels(run.model, images, run.recipe.void)
    found = []
    for frame, sample, rel, classes in zip(frames, samples, relative, labels, strict=True):
        metric, valid = protocol.prepare(maps[frame], sample)
        found.append(View(sample, resize(rel, sample.depth.shape), metric, valid, classes))
    return found


def main_columns(seen: Sequence[View], far: float) -> list[Column]:
    """The original's four columns: RGB, relative depth, ground truth, prediction; metric colours from 0 to `far` m."""
    scale = metric_scale(0.0, far)
    return [
        Column("RGB", [v.sample.image for v in seen]),
        Column("relative depth", [relative_picture(v.relative) for v in seen]),
        Column("ground truth", [depth_picture(v.sample.depth, 0.0, far) for v in seen], scale),
        Column("prediction", [depth_picture(v.metric, 0.0, far) for v in seen], scale),
    ]


def error_column(seen: Sequence[View], title: str = "error", limit: float = 0.5) -> Column:
    """Absolute relative error on the pixels that count."""
    pictures = [error_picture(v.metric, v.sample.depth, v.valid, limit) for v in seen]
    return Column(title, pictures, error_scale(limit))


def label_columns(seen: Sequence[View]) -> list[Column]:
    """True and predicted classes, where there are any."""
    true = [None if v.sample.labels is None else colourise(v.sample.labels) for v in seen]
    predicted = [None if v.labels is None else colourise(v.labels) for v in seen]
    return [Column("labels", true), Column("predicted", predicted)]
