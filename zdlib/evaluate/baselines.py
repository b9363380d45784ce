"""What can be predicted without looking at the image: the floor under every table."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import distance_transform_edt

from zdlib.data.sample import Reader, Sample
from zdlib.errors import ZDError
from zdlib.evaluate.judge import FrameNumbers

CONSTANT = "constant depth"
MEAN_MAP = "mean depth map"
MEAN_INVERSE_MAP = "mean inverse depth map"

_MILLIMETRES = 100_000  # histogram of the median: 1 mm bins up to 100 m


def baseline_maps(reader: Reader, train_frames: FrameNumbers) -> dict[str, Float32[np.ndarray, "h w"]]:
    """Two depth maps from training ground truth alone; use `dict.fromkeys(frames, map)` as predictions.

    Args:
        reader: frames of one size; depth 0 is no measurement.
        train_frames: the frames to learn from.

    Returns:
        `CONSTANT`: the median over all measured training pixels (to 1 mm), everywhere. `MEAN_MAP`: at each position
        the mean of the training frames that measured it; a position that none measured takes the nearest one's.

    Raises:
        ZDError: frames of different sizes, or not one measurement.
    """
    histogram = np.zeros(_MILLIMETRES + 1, np.int64)
    total = count = None
    for frame in train_frames:
        sample = reader[int(frame)]
        if total is None or count is None:
            total, count = np.zeros(sample.depth.shape), np.zeros(sample.depth.shape)
        if sample.depth.shape != total.shape:
            raise ZDError(f"{sample.name}: is {sample.depth.shape}, others {total.shape}: baselines need one size")
        measured = sample.depth > 0
        total += sample.depth
        count += measured
        millimetres = np.minimum(np.rint(sample.depth[measured] * 1000), _MILLIMETRES).astype(np.intp)
        histogram += np.bincount(millimetres, minlength=_MILLIMETRES + 1)
    if total is None or count is None or not count.any():
        raise ZDError("baselines: the training frames hold no depth at all: check the split and the data set")
    cumulative = histogram.cumsum()
    median = np.searchsorted(cumulative, cumulative[-1] / 2) / 1000
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    nearest = distance_transform_edt(count == 0, return_distances=False, return_indices=True)
    return {
        CONSTANT: np.full(total.shape, median, np.float32),
        MEAN_MAP: mean[tuple(nearest)].astype(np.float32),
    }


def baselines_up_to(
    farthest: float, reader: Reader, train_frames: FrameNumbers
) -> dict[str, Float32[np.ndarray, "h w"]]:
    """As `baseline_maps`, where depth has a long tail: learnt from depths below `farthest` metres.

    Returns:
        `CONSTANT`, `MEAN_MAP`, and `MEAN_INVERSE_MAP`: at each position the inverse of the mean inverse depth, which no
        far pixel dominates; the stronger of the two under AbsRel.

    Raises:
        ZDError: as `baseline_maps`.
    """
    near = _Changed(reader, lambda depth: np.where(depth < farthest, depth, np.float32(0)))
    inverse = _Changed(near, lambda depth: np.divide(1, depth, out=np.zeros_like(depth), where=depth > 0))
    return {
        **baseline_maps(near, train_frames),
        MEAN_INVERSE_MAP: 1 / baseline_maps(inverse, train_frames)[MEAN_MAP],
    }


@dataclass(frozen=True)
class _Changed:
    """A reader whose depth is a function of another's."""

    reader: Reader
    change: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int, /) -> Sample:
        sample = self.reader[index]
        return replace(sample, depth=self.change(sample.depth))
