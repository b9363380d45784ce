"""A job of the control study: train one arm with one seed, and keep its scores in one small file.

What is made of the scores is in `zdlib.paper.control_study`: other statistics make no training stale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from zdlib.config import Profile
from zdlib.data.sets.ibims import IBimsReader
from zdlib.evaluate.ibims import evaluate_ibims
from zdlib.evaluate.judge import depth_by_class, evaluate_depth, evaluate_segmentation, summarise
from zdlib.files import write_csv
from zdlib.metrics import protocols
from zdlib.metrics.depth import group_metrics, group_sums
from zdlib.paper.trained_runs import TrainedRun, inference, load_run, open_nyu, predict_run
from zdlib.paths import RunPaths, resolve
from zdlib.train.methods.label_study import LabelledReader
from zdlib.train.run import train

EDGE_PIXELS = 5  # nearer than this to an annotated occlusion edge is "at depth edges"
_DEPTH = ("delta1", "abs_rel", "rmse", "log10")
_GRADIENTS = ("gradient_depth", "gradient_segmentation", "gradient_cosine")
_GEOMETRY = ("dbe_accuracy", "dbe_completeness", "boundary_f1", "pe_flatness", "pe_orientation")


def run_job(profile: Profile, key: str, paths: RunPaths) -> None:
    """Train a job (or reuse its finished training); write its scores, `study_<key>.csv` and `study_<key>_images.csv`.

    Raises:
        ZDError: no such job, or unreadable data.
        Stopped: the training was interrupted, with its state saved.
    """
    alone = profile.job(key)
    validations = train(alone, key, paths).validations
    scores, images = score_run(alone, key, paths, validations)
    write_csv(paths.per_image / f"study_{key}_images.csv", images)
    write_csv(paths.per_image / f"study_{key}.csv", scores)


@dataclass(frozen=True)
class Scores:
    """What one trained run scored.

    Attributes:
        rows: in long form: `data, where, metric, value`, means over images or pooled over pixels.
        images: per-image tables of all pixels: `data, frame, scene` and the depth metrics.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    images: list[pd.DataFrame] = field(default_factory=list)

    def note(self, data: str, where: str, values: Mapping[Any, Any], metrics: Sequence[str] = _DEPTH) -> None:
        """Add some metrics of a place."""
        self.rows.extend({"data": data, "where": where, "metric": m, "value": float(values[m])} for m in metrics)

    def note_images(self, data: str, per_image: pd.DataFrame) -> None:
        """Add a per-image table, and its means as `all pixels`."""
        self.note(data, "all pixels", summarise(per_image))
        counted = per_image[per_image["pixels"] > 0]
        self.images.append(counted[["frame", "scene", *_DEPTH]].assign(data=data))


def score_run(
    profile: Profile, key: str, paths: RunPaths, validations: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All that the study asks of one trained run, and the per-image rows behind its means (see `Scores`).

    On NYU's layout the official test frames under nyu/standard: all pixels, each class, and segmentation. On iBims-1's
    layout under ibims/zoedepth all pixels, those within `EDGE_PIXELS` of an annotated occlusion edge and the others,
    and iBims-1's own metrics; but not of a network that is given labels, which iBims-1 has not. Where the training
    reported its losses' gradients, their means over validations.
    """
    scores = Scores()
    run = load_run(profile, key, paths)
    _score_nyu(scores, profile, run, paths)
    if not profile.model.label_input:
        _score_ibims(scores, profile, run)
    if validations is not None and set(_GRADIENTS) <= set(validations):
        scores.note(profile.data.nyu.title, "gradients", validations[list(_GRADIENTS)].mean().to_dict(), _GRADIENTS)
    images = pd.concat(scores.images, ignore_index=True)
    return pd.DataFrame(scores.rows), images[["data", "frame", "scene", *_DEPTH]]


def _score_nyu(scores: Scores, profile: Profile, run: TrainedRun, paths: RunPaths) -> None:
    nyu, standard, name = open_nyu(profile), protocols.get("nyu/standard"), profile.data.nyu.title
    test, reader = nyu.frames(standard).tolist(), nyu.readers["raw"]
    shown = LabelledReader(reader) if profile.model.label_input else reader
    maps = predict_run(run, shown, test, profile)
    scores.note_images(name, evaluate_depth(maps, nyu.readers, test, standard))
    for row in depth_by_class(maps, nyu.readers, test, standard).query("pixels > 0").to_dict("records"):
        scores.note(name, str(row["class"]), row)
    if run.segments:
        full = load_run(profile, run.key, paths, segmentation=True)
        labels = list(full.model.predict_labels([reader[i].image for i in test], inference(profile)))
        segmentation = evaluate_segmentation(dict(zip(test, labels, strict=True)), reader, test)
        scores.note(name, "segmentation", segmentation.summary(), ("miou", "pixel_accuracy"))


def _score_ibims(scores: Scores, profile: Profile, run: TrainedRun) -> None:
    ibims, zoedepth = IBimsReader(resolve(profile.data.ibims.root)), protocols.get("ibims/zoedepth")
    name, frames = profile.data.ibims.title, list(range(len(ibims)))
    maps = predict_run(run, ibims, frames, profile)
    scores.note_images(name, evaluate_depth(maps, ibims, frames, zoedepth))
    sums = np.zeros((2, 5))
    for frame in frames:
        sample = ibims[frame]
        if sample.edges is None:
            continue
        pred, valid = zoedepth.prepare(maps[frame], sample)
        away = (distance_transform_edt(~sample.edges) >= EDGE_PIXELS).astype(np.int64)
        sums += group_sums(pred, sample.depth, valid, away, 2)
    near_and_far = pd.DataFrame(group_metrics(sums)).to_dict("records")
    for where, values in zip(("at depth edges", "away from them"), near_and_far, strict=True):
        scores.note(name, where, values)
    scores.note(name, "geometry", evaluate_ibims(maps, ibims, frames).summary(), _GEOMETRY)
