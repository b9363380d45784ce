"""iBims-1's own metrics over a data set."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from zdlib.data.sets.ibims import IBimsReader, IBimsSample
from zdlib.evaluate.judge import DepthMap, DepthMaps, FrameNumbers, prediction_of
from zdlib.metrics import protocols
from zdlib.metrics.ibims import (
    DISTANCE_EDGES,
    boundary_f1,
    depth_boundary_error,
    directed_depth_error,
    distance_errors,
    planarity_errors,
)
from zdlib.metrics.intervals import bootstrap_mean, interval_ends
from zdlib.metrics.protocols import Protocol

_PLANE_COLUMNS = ("frame", "name", "kind", "plane", "pixels", "pe_flatness", "pe_orientation")


@dataclass(frozen=True)
class IBimsScores:
    """iBims-1's own metrics of one model.

    Attributes:
        per_image: one row per frame: `frame, name, scene, pixels`, DDE in percent, DBE in pixels, `boundary_f1`; NaN
            where a frame lacks the annotation.
        planes: one row an annotated plane: `frame, name, kind, plane, pixels, pe_flatness` (cm), `pe_orientation` (°).
        by_distance: one row a distance bin: `from_m, to_m, images`, and the mean over these images of each image's
            `abs_rel`, `log10`, `rmse`, `delta1`.
    """

    per_image: pd.DataFrame
    planes: pd.DataFrame
    by_distance: pd.DataFrame

    def summary(self) -> dict[str, float]:
        """Means over the images that have a value; PE over all planes of all images, as the authors average it."""
        return {name: float(values.mean()) for name, values in self._values().items()}

    def interval_ends(self) -> dict[str, float]:
        """`<metric>_low` and `<metric>_high` of each metric of `summary`: 95 %, by bootstrap over images."""
        rng = np.random.default_rng(0)
        intervals = {
            name: bootstrap_mean(values.to_numpy(np.float64), values.index.tolist(), rng)
            for name, values in self._values().items()
            if len(values)
        }
        return interval_ends(intervals)

    def _values(self) -> dict[str, pd.Series]:
        """The numbers behind each metric that are there, by image name."""
        images, planes = self.per_image.set_index("name"), self.planes.set_index("name")
        names = [c for c in images.columns if c.startswith(("dde_", "dbe_", "boundary_"))]
        values = {name: images[name] for name in names}
        values |= {name: planes[name] for name in ("pe_flatness", "pe_orientation")}
        return {name: series.dropna() for name, series in values.items()}


def evaluate_ibims(
    predictions: DepthMaps,
    reader: IBimsReader | Sequence[IBimsSample],
    frames: FrameNumbers,
    protocol: Protocol | None = None,
    workers: int = 1,
) -> IBimsScores:
    """All of iBims-1's own metrics.

    Args:
        predictions: metres at any resolution, by frame number.
        reader: the data set.
        frames: which frames.
        protocol: what counts; None is `ibims/koch`, the authors'.
        workers: processes; the result does not depend on it.

    Raises:
        ZDError: a prediction is missing, or an annotation is broken.
    """
    numbers = [int(frame) for frame in frames]
    score = partial(_score, reader, protocol or protocols.get("ibims/koch"))
    tasks = ((number, prediction_of(predictions, number)) for number in numbers)
    results = list(tqdm(_mapped(score, tasks, workers), desc="ibims geometry", total=len(numbers), unit="image"))
    distance = {
        key: np.array([d[key] for _, _, d in results]) for key in ("pixels", "abs_rel", "log10", "rmse", "delta1")
    }
    images = (distance.pop("pixels") > 0).sum(axis=0)
    # An empty bin of one image is NaN and must not count; an empty bin of all images stays NaN.
    sums = {key: np.nansum(values, axis=0) for key, values in distance.items()}
    means = {key: np.divide(s, images, out=np.full(s.shape, np.nan), where=images > 0) for key, s in sums.items()}
    return IBimsScores(
        per_image=pd.DataFrame([row for row, _, _ in results]),
        planes=pd.DataFrame([plane for _, planes, _ in results for plane in planes], columns=list(_PLANE_COLUMNS)),
        by_distance=pd.DataFrame(
            {"from_m": DISTANCE_EDGES[:-1], "to_m": DISTANCE_EDGES[1:], "images": images, **means}
        ),
    )


_Result = tuple[dict[str, Any], list[dict[str, Any]], dict[str, np.ndarray]]


def _score(reader: IBimsReader | Sequence[IBimsSample], protocol: Protocol, task: tuple[int, DepthMap]) -> _Result:
    frame, raw = task
    sample = reader[frame]
    pred, valid = protocol.prepare(raw, sample)
    row = {"frame": frame, "name": sample.name, "scene": sample.scene, "pixels": int(np.count_nonzero(valid))}
    row |= directed_depth_error(pred, sample.depth, valid)
    row |= depth_boundary_error(pred, np.zeros(pred.shape, np.bool_) if sample.edges is None else sample.edges)
    row["boundary_f1"] = boundary_f1(pred, sample.depth, valid)
    planes = []
    if sample.calib is not None:
        for kind, (numbers, paras) in sample.planes.items():
            errors = planarity_errors(pred, sample.depth, valid, numbers, paras, sample.calib.T)
            planes += [{"frame": frame, "name": sample.name, "kind": kind, **error} for error in errors]
    return row, planes, distance_errors(pred, sample.depth, valid)


def _mapped(score: Any, tasks: Iterable[tuple[int, DepthMap]], workers: int) -> Iterator[_Result]:
    if workers <= 1:
        yield from map(score, tasks)
        return
    # Spawned, not forked: the parent may hold threads and accelerator handles that do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(score, tasks)
