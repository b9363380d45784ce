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
from zdlib.evaluate.judge import Images, evaluate_depth, summarise
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics
from zdlib.models.depth_model import DepthModel, Inference, Precision
from zdlib.models.factory import create_model, load_depth_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.paper.trained_runs import load_run, open_nyu, predict_run
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
    for path in (resolve(profile.data.nyu.root), *(paths.checkpoints / f"{key}.safetensors" for key in profile.runs)):
        if not path.is_file():
            raise ZDError(f"{path}: no such file: run ./run_all.sh first, or choose other tables with --group")


def evaluation(threads: int) -> pd.DataFrame:
    """`evaluation_share` of the demo's network and of a large one: one row each, `model` first."""
    torch.set_num_threads(threads)
    reader = NYUReader(resolve(load_profile("demo").data.nyu.root), depth="raw")
    light = load_depth_model(RunPaths("demo").checkpoints / "distill.safetensors")
    models = {"Zoe-Distill of the demo": light, "ZoeD SwinV2-T": ZoeDepthModel(create_model("zoe_swin2_t"))}
    return pd.DataFrame([{"model": name, **evaluation_share(model, reader)} for name, model in models.items()])


def evaluation_share(model: DepthModel, reader: NYUReader, count: int = 100, batch_size: int = 4) -> dict[str, Any]:
    """Evaluate frames end to end (read, predict with the mirrored image, score) and see what the model's share is.

    Returns:
        `images`, `seconds`, `model_seconds`, `share`.
    """
    frames, usual = list(range(min(count, len(reader)))), Inference(batch_size)
    marks: list[float] = []
    hooks = [
        model.network.register_forward_pre_hook(lambda *_: marks.append(-time.perf_counter())),
        model.network.register_forward_hook(lambda *_: marks.append(time.perf_counter())),
    ]
    try:
        list(model.predict(Images(reader, frames[:batch_size]), usual))  # warm
        marks.clear()
        started = time.perf_counter()
        maps = model.predict(Images(reader, frames), usual)
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
    large = ZoeDepthModel(model)
    return pd.DataFrame(rows + untrained_drift("ZoeD SwinV2-B, random weights", large, nyu.readers["raw"]))


def untrained_drift(title: str, model: DepthModel, reader: Reader, count: int = 16) -> list[dict[str, Any]]:
    """Rows of `drift` for a network without trained weights."""
    frames = np.linspace(0, len(reader) - 1, count).astype(int).tolist()
    pictures = Images(reader, frames)
    maps = {p: list(model.predict(pictures, Inference(batch_size=2, precision=p))) for p in PRECISIONS}
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
