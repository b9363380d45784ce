"""Predict once, judge under any protocol.

Predictions come at the network's own resolution (`zdlib.models.depth_model`), so that one per frame serves every
protocol; resizing and clamping belong to the protocol. Every table of the paper starts from the per-image frames made
here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int64, Integer, UInt8
from tqdm import tqdm

from zdlib.data.sample import Reader, Sample
from zdlib.errors import ZDError
from zdlib.labels import CLASS_NAMES, N_CLASSES
from zdlib.metrics import protocols
from zdlib.metrics.depth import METRICS, depth_metrics, distance_bins, group_metrics, group_sums
from zdlib.metrics.intervals import bootstrap_groups, bootstrap_segmentation, interval_ends
from zdlib.metrics.segmentation import confusion_matrix, segmentation_metrics

# Sizes may differ from map to map, hence no named axes.
Image = UInt8[np.ndarray, "_ _ 3"]
DepthMap = Float32[np.ndarray, "_ _"]
LabelMap = UInt8[np.ndarray, "_ _"]
DepthMaps = Sequence[DepthMap] | Mapping[int, DepthMap]  # by frame number
LabelMaps = Sequence[LabelMap] | Mapping[int, LabelMap]
FrameNumbers = Iterable[int] | Int64[np.ndarray, " frames"]


Readers = Reader | Mapping[str, Reader]  # the latter for NYU: {"raw": …, "inpainted": …}


@dataclass(frozen=True)
class Images(Sequence[Image]):
    """The images of some frames, read when they are asked for."""

    reader: Reader
    frames: Sequence[int]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, place: int) -> Image:  # type: ignore[override]  # no slices
        return self.reader[self.frames[place]].image


def evaluate_depth(
    predictions: DepthMaps,
    readers: Readers,
    frames: FrameNumbers,
    protocol: protocols.Protocol,
    trained_on: FrameNumbers = (),
) -> pd.DataFrame:
    """Depth metrics of each frame under one protocol.

    Args:
        predictions: metres at any resolution, by frame number (a list of all frames, or a dict of some).
        readers: the data set; for NYU both ground truths, `{"raw": …, "inpainted": …}`, of which the protocol chooses.
        frames: which frames, usually `protocol.select(…)`.
        protocol: what counts.
        trained_on: frames whose gradients or errors shaped the model; they are marked.

    Returns:
        One row per frame: `protocol, frame, name, scene, trained_on, pixels` and every metric. A frame without a single
        pixel that counts (a hall deeper than the protocol's range, say) keeps its row, with NaN metrics.

    Raises:
        ZDError: a prediction is missing, or no frame has a pixel that counts.
    """
    known = frozenset(int(frame) for frame in trained_on)
    rows = [
        image_row(frame, sample, pred, valid, protocol, frame in known)
        for frame, sample, pred, valid in _judged(predictions, readers, frames, protocol)
    ]
    if not any(row["pixels"] for row in rows):
        raise ZDError(f"{protocol.name}: no pixel of {len(rows)} frames counts: check the depth's unit and the masks")
    return pd.DataFrame(rows)


def image_row(
    frame: int,
    sample: Sample,
    pred: Float32[np.ndarray, "h w"],
    valid: Bool[np.ndarray, "h w"],
    protocol: protocols.Protocol,
    trained_on: bool,
) -> dict[str, Any]:
    """One row of `evaluate_depth`, from what the protocol prepared."""
    return {
        "protocol": protocol.name,
        "frame": frame,
        "name": sample.name,
        "scene": sample.scene,
        "trained_on": trained_on,
        "pixels": int(np.count_nonzero(valid)),
        **depth_metrics(pred, sample.depth, valid),
    }


def summarise(per_image: pd.DataFrame) -> dict[str, Any]:
    """The mean over images of each metric, with what it was averaged over; ready for JSON.

    Returns:
        `protocol`, `images` (those averaged), `trained_on` (how many of them shaped the model), `skipped` (names of
        frames without a pixel that counts), then the metrics.
    """
    counted = per_image[per_image["pixels"] > 0]
    return {
        "protocol": str(per_image["protocol"].iloc[0]),
        "images": len(counted),
        "trained_on": int(counted["trained_on"].sum()),
        "skipped": per_image.loc[per_image["pixels"] == 0, "name"].tolist(),
        **{name: float(counted[name].mean()) for name in METRICS},
    }


@dataclass(frozen=True)
class SegmentationScores:
    """What a segmentation scored.

    Attributes:
        per_image: one row per frame: `frame, name, scene, trained_on, pixels, pixel_accuracy, miou`.
        matrices: the confusion matrix of each of those frames.
    """

    per_image: pd.DataFrame
    matrices: Int64[np.ndarray, "n 14 14"]

    def summary(self) -> dict[str, float]:
        """Metrics of the confusion matrix summed over all images, as is usual for mIoU."""
        return segmentation_metrics(self.matrices.sum(axis=0))

    def interval_ends(self) -> dict[str, float]:
        """`<metric>_low` and `<metric>_high` of each metric: 95 %, by bootstrap over scenes."""
        scenes = self.per_image["scene"].tolist()
        return interval_ends(bootstrap_segmentation(self.matrices, scenes, np.random.default_rng(0)))


def evaluate_segmentation(
    predictions: LabelMaps, reader: Reader, frames: FrameNumbers, trained_on: FrameNumbers = ()
) -> SegmentationScores:
    """Confusion matrices of label maps; unlabelled pixels are never scored.

    Args:
        predictions: class ids at the labels' size, by frame number.
        reader: a data set with labels.
        frames: which frames.
        trained_on: frames whose gradients or errors shaped the model; they are marked.

    Raises:
        ZDError: a prediction is missing or of another size, or a frame has no labels.
    """
    known = frozenset(int(frame) for frame in trained_on)
    rows: list[dict[str, Any]] = []
    matrices = []
    for frame in map(int, frames):
        sample, pred = reader[frame], prediction_of(predictions, frame)
        if sample.labels is None:
            raise ZDError(f"{sample.name}: has no labels to compare with: evaluate segmentation on NYU's layout only")
        if pred.shape != sample.labels.shape:
            raise ZDError(f"{sample.name}: predicted labels are {pred.shape}, not {sample.labels.shape}: resize them")
        matrix = confusion_matrix(pred, sample.labels)
        scores = segmentation_metrics(matrix)
        matrices.append(matrix)
        rows.append(
            {
                "frame": frame,
                "name": sample.name,
                "scene": sample.scene,
                "trained_on": frame in known,
                "pixels": int(matrix.sum()),
                "pixel_accuracy": scores["pixel_accuracy"],
                "miou": scores["miou"],
            }
        )
    return SegmentationScores(pd.DataFrame(rows), np.array(matrices, np.int64).reshape(-1, N_CLASSES, N_CLASSES))


def depth_by_distance(
    predictions: DepthMaps,
    readers: Readers,
    frames: FrameNumbers,
    protocol: protocols.Protocol,
    edges: Sequence[int] | Sequence[float] = tuple(range(11)),
) -> pd.DataFrame:
    """Errors pooled over the pixels of each distance bin: `from_m, to_m, pixels, delta1, abs_rel, rmse, log10`.

    Of each metric the ends of its 95 % bootstrap interval over scenes follow: `delta1_low`, `delta1_high`, ….
    """
    n = len(edges) - 1
    pooled = _pooled(predictions, readers, frames, protocol, lambda sample: distance_bins(sample.depth, edges), n)
    return pd.DataFrame({"from_m": edges[:-1], "to_m": edges[1:], **pooled}).astype({"pixels": "int64"})


def depth_by_class(
    predictions: DepthMaps, readers: Readers, frames: FrameNumbers, protocol: protocols.Protocol
) -> pd.DataFrame:
    """Errors pooled over the pixels of each semantic class: `class, pixels, delta1, abs_rel, rmse, log10`.

    Of each metric the ends of its 95 % bootstrap interval over scenes follow: `delta1_low`, `delta1_high`, ….

    Raises:
        ZDError: a frame has no labels.
    """

    def labels(sample: Sample) -> UInt8[np.ndarray, "h w"]:
        if sample.labels is None:
            raise ZDError(f"{sample.name}: has no labels: errors by class need a data set in NYU's layout")
        return sample.labels

    pooled = _pooled(predictions, readers, frames, protocol, labels, N_CLASSES)
    return pd.DataFrame({"class": CLASS_NAMES, **pooled}).astype({"pixels": "int64"})


def _pooled(
    predictions: DepthMaps,
    readers: Readers,
    frames: FrameNumbers,
    protocol: protocols.Protocol,
    groups: Callable[[Sample], Integer[np.ndarray, "h w"]],
    n_groups: int,
) -> dict[str, Float64[np.ndarray, " n_groups"]]:
    sums, scenes = [], []
    for _, sample, pred, valid in _judged(predictions, readers, frames, protocol):
        sums.append(group_sums(pred, sample.depth, valid, groups(sample), n_groups))
        scenes.append(sample.scene)
    of_images = np.array(sums)
    return group_metrics(of_images.sum(axis=0)) | bootstrap_groups(of_images, scenes, np.random.default_rng(0))


def _judged(
    predictions: DepthMaps, readers: Readers, frames: FrameNumbers, protocol: protocols.Protocol
) -> Iterator[tuple[int, Sample, np.ndarray, np.ndarray]]:
    """Frame number, ground truth, prepared prediction and counting pixels of each frame."""
    reader = _choose(readers, protocol)
    for frame in tqdm(list(map(int, frames)), desc=protocol.name, unit="image", mininterval=1):
        sample = reader[frame]
        yield frame, sample, *protocol.prepare(prediction_of(predictions, frame), sample)


def _choose(readers: Readers, protocol: protocols.Protocol) -> Reader:
    if isinstance(readers, Mapping):
        return readers[protocol.depth_source]
    if protocol.depth_source != "only":
        raise TypeError(
            f'{protocol.name}: judges one of two ground truths: give readers as {{"raw": …, "inpainted": …}}'
        )
    return readers


def prediction_of(predictions: Sequence[Any] | Mapping[int, Any], frame: int) -> Any:
    """The prediction of a frame, or a `ZDError` that names it."""
    try:
        return predictions[frame]
    except (KeyError, IndexError) as error:
        raise ZDError(f"frame {frame}: was not predicted: predict every frame of the protocol first") from error
