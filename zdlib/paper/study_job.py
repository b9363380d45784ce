"""A job of the control study: train one arm with one seed, and keep its scores in one small file.

What is made of the scores is in `zdlib.paper.control_study`: other statistics make no training stale.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from zdlib.config import Profile
from zdlib.data.sets.ibims import IBimsReader
from zdlib.errors import ZDError
from zdlib.evaluate.ibims import evaluate_ibims
from zdlib.evaluate.judge import depth_by_class, evaluate_depth, evaluate_segmentation, summarise
from zdlib.files import write_csv
from zdlib.metrics import protocols
from zdlib.metrics.depth import group_metrics, group_sums
from zdlib.paper.trained_runs import inference, load_run, open_nyu, predict_run
from zdlib.paths import RunPaths, resolve
from zdlib.train.run import train

EDGE_PIXELS = 5  # nearer than this to an annotated occlusion edge is "at depth edges"
_DEPTH = ("delta1", "abs_rel", "rmse", "log10")
_GEOMETRY = ("dbe_accuracy", "dbe_completeness", "boundary_f1", "pe_flatness", "pe_orientation")


def run_job(profile: Profile, key: str, paths: RunPaths) -> None:
    """Train a job (or reuse its finished training) and write its scores, `study_<key>.csv`.

    Raises:
        ZDError: no such job, or unreadable data.
        Stopped: the training was interrupted, with its state saved.
    """
    known = profile.study.jobs() if profile.study else {}
    if key not in known:
        raise ZDError(f"profiles/{profile.name}.yaml: no run {key!r} in its study: choose one of {', '.join(known)}")
    alone = profile.model_copy(update={"runs": {key: known[key]}})
    train(alone, key, paths)
    write_csv(paths.per_image / f"study_{key}.csv", score_run(alone, key, paths))


def score_run(profile: Profile, key: str, paths: RunPaths) -> pd.DataFrame:
    """All that the study asks of one trained run, in long form: `data, where, metric, value`.

    On NYU's layout the official test frames under nyu/standard: all pixels, each class, and segmentation. On iBims-1's
    layout under ibims/zoedepth all pixels, those within `EDGE_PIXELS` of an annotated occlusion edge and the others,
    and iBims-1's own metrics.
    """
    rows: list[dict[str, Any]] = []

    def note(data: str, where: str, values: Mapping[str, Any], metrics: Sequence[str] = _DEPTH) -> None:
        rows.extend({"data": data, "where": where, "metric": m, "value": float(values[m])} for m in metrics)

    run = load_run(profile, key, paths)
    nyu = open_nyu(profile)
    standard = protocols.get("nyu/standard")
    test = nyu.frames(standard).tolist()
    maps = predict_run(run, nyu.readers["raw"], test, profile)
    name = profile.data.nyu.title
    note(name, "all pixels", summarise(evaluate_depth(maps, nyu.readers, test, standard)))
    by_class = depth_by_class(maps, nyu.readers, test, standard).query("pixels > 0")
    for row in by_class.to_dict("records"):
        note(name, str(row["class"]), {str(k): v for k, v in row.items()})
    if run.seg_weight > 0:
        full = load_run(profile, key, paths, segmentation=True)
        reader = nyu.readers["raw"]
        images = [reader[i].image for i in test]
        labels = list(full.model.predict_labels(images, inference(profile)))
        scores = evaluate_segmentation(dict(zip(test, labels, strict=True)), reader, test)
        note(name, "segmentation", scores.summary(), ("miou", "pixel_accuracy"))

    ibims = IBimsReader(resolve(profile.data.ibims.root))
    frames = list(range(len(ibims)))
    far = predict_run(run, ibims, frames, profile)
    name, zoedepth = profile.data.ibims.title, protocols.get("ibims/zoedepth")
    note(name, "all pixels", summarise(evaluate_depth(far, ibims, frames, zoedepth)))
    sums = np.zeros((2, 5))
    for frame in frames:
        sample = ibims[frame]
        if sample.edges is None:
            continue
        pred, valid = zoedepth.prepare(far[frame], sample)
        away = (distance_transform_edt(~sample.edges) >= EDGE_PIXELS).astype(np.int64)
        sums += group_sums(pred, sample.depth, valid, away, 2)
    near_and_far = pd.DataFrame(group_metrics(sums)).to_dict("records")
    for where, values in zip(("at depth edges", "away from them"), near_and_far, strict=True):
        note(name, where, {str(k): v for k, v in values.items()})
    note(name, "geometry", evaluate_ibims(far, ibims, frames).summary(), _GEOMETRY)
    return pd.DataFrame(rows)
