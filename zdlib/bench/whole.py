"""Whole evaluations on the demo's rooms: the model's share of their time, and what bfloat16 does to their metrics."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from zdlib.bench.run import enliven
from zdlib.config import load_profile
from zdlib.data.sample import Reader
from zdlib.data.sets.nyu import NYUReader
from zdlib.errors import ZDError
from zdlib.evaluate.depth_model import Precision
from zdlib.evaluate.judge import Images, evaluate_depth, predict, summarise
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics
from zdlib.models.checkpoints import load_checkpoint
from zdlib.models.factory import create_model
from zdlib.models.zoe.network import ZoeDepth
from zdlib.paper.evaluations import load_run, open_nyu, predict_run
from zdlib.paths import RunPaths, resolve

DRIFT_METRICS = ("delta1", "abs_rel", "rmse", "log10")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
ERROR = 0.15  # of ln depth, of the ground truth that is invented for an untrained network


def check_demo() -> None:
    """See that the files are there which the two tables of this module are made from.

    Raises:
        ZDError: the demo has not run here.
    """
    profile, paths = load_profile("demo"), RunPaths("demo")
    for path in (resolve(profile.data.nyu_mat), *(paths.checkpoints / f"{key}.safetensors" for key in profile.runs)):
        if not path.is_file():
            raise ZDError(f"{path}: no such file: run ./run_all.sh first, or choose other tables with --group")


def evaluation(threads: int) -> pd.DataFrame:
    """`evaluation_share` of the demo's network and of a large one: one row each, `model` first."""
    torch.set_num_threads(threads)
    reader = NYUReader(resolve(load_profile("demo").data.nyu_mat), depth="raw")
    light, _ = load_checkpoint(RunPaths("demo").checkpoints / "distill.safetensors")
    models = {"Zoe-Distill of the demo": light, "ZoeD SwinV2-T": create_model("zoe_swin2_t")}
    rows = [{"model": name, **evaluation_share(model.eval(), reader)} for name, model in models.items()]
    return pd.DataFrame(rows)


def evaluation_share(model: ZoeDepth, reader: NYUReader, count: int = 100, batch_size: int = 4) -> dict[str, Any]:
    """Evaluate frames end to end (read, predict with the mirrored image, score) and see what the model's share is.

    Returns:
        `images`, `seconds`, `model_seconds`, `share`.
    """
    frames = list(range(min(count, len(reader))))
    marks: list[float] = []
    hooks = [
        model.register_forward_pre_hook(lambda *_: marks.append(-time.perf_counter())),
        model.register_forward_hook(lambda *_: marks.append(time.perf_counter())),
    ]
    try:
        predict(model, Images(reader, frames[:batch_size]), 1.0, batch_size=batch_size)  # warm
        marks.clear()
        started = time.perf_counter()
        maps = predict(model, Images(reader, frames), 1.0, batch_size=batch_size)
        evaluate_depth(dict(zip(frames, maps, strict=True)), {"raw": reader}, frames, protocols.get("nyu/standard"))
        seconds = time.perf_counter() - started
    finally:
        for hook in hooks:
            hook.remove()
    return {"images": len(frames), "seconds": seconds, "model_seconds": sum(marks), "share": sum(marks) / seconds}


def drift(threads: int) -> pd.DataFrame:
    """NYU's metrics in float32 and in bfloat16: of the demo's networks on Rooms-N, and of ZoeD SwinV2-B.

    There are no trained weights of the latter. It gets random ones, and a ground truth invented around its float32
    depth; what its rows say is how far bfloat16 moves metrics of that size, nothing of the model.

    Returns:
        `method, precision, images`, then `DRIFT_METRICS`; the rows of a method follow each other, float32 first.
    """
    torch.set_num_threads(threads)
    profile, paths, standard = load_profile("demo"), RunPaths("demo"), protocols.get("nyu/standard")
    nyu = open_nyu(profile)
    test = nyu.frames(standard).tolist()
    rows: list[dict[str, Any]] = []
    for key, run in profile.runs.items():
        trained = load_run(profile, key, paths)
        for precision in PRECISIONS:
            asked = profile.evaluate.model_copy(update={"precision": precision})
            maps = predict_run(trained, nyu.readers["raw"], test, profile.model_copy(update={"evaluate": asked}))
            scores = summarise(evaluate_depth(maps, nyu.readers, test, standard))
            rows.append({"method": run.title, "precision": precision, "images": len(test), **_chosen(scores)})
    torch.manual_seed(0)
    model = create_model("zoe_swin2_b")
    enliven(model)
    return pd.DataFrame(rows + untrained_drift("ZoeD SwinV2-B, random weights", model.eval(), nyu.readers["raw"]))


def untrained_drift(title: str, model: ZoeDepth, reader: Reader, count: int = 16) -> list[dict[str, Any]]:
    """Rows of `drift` for a network without trained weights."""
    frames = np.linspace(0, len(reader) - 1, count).astype(int).tolist()
    maps = {precision: predict(model, Images(reader, frames), 1.0, 2, precision=precision) for precision in PRECISIONS}
    generator = np.random.default_rng(0)
    truth = [map_ * np.exp(ERROR * generator.standard_normal(map_.shape)).astype(map_.dtype) for map_ in maps["fp32"]]
    rows = []
    for precision, found in maps.items():
        scores = [depth_metrics(map_, true, np.isfinite(true)) for map_, true in zip(found, truth, strict=True)]
        means = pd.DataFrame(scores).mean().to_dict()
        rows.append({"method": title, "precision": precision, "images": len(frames), **_chosen(means)})
    return rows


def _chosen(scores: Mapping[Any, Any]) -> dict[str, float]:
    return {name: float(scores[name]) for name in DRIFT_METRICS}
