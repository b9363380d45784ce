"""Where the time of a forward pass goes, by stage and kind of operation."""

import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from zdlib.bench.cases import Case
from zdlib.bench.contestants import images
from zdlib.bench.reference import PlainZoeDepth
from zdlib.bench.run import enliven
from zdlib.models.factory import create_model
from zdlib.models.memory import keep_freed_memory

STAGES = ("encoder", "decoder", "metric bins")
# The first word found in an operation's name decides; order matters.
KINDS = {
    "convolutions": ("conv",),
    "attention": ("attention", "bmm"),
    "interpolation": ("upsample",),  # _bilinear2d, before "linear"
    "matrix products": ("linear", "mm"),
    "softmax, log, power": ("softmax", "log", "pow", "exp", "sigmoid"),
    "copies": ("copy", "cat", "clone", "roll", "index", "fill", "zero_", "pad", "gather", "to_mkldnn", "reorder"),
}
OTHER = "other element-wise"


def breakdown(case: Case, rounds: int = 5, threads: int = 2) -> pd.DataFrame:
    """Seconds of each stage and kind of operation, of the model and of its un-optimised twin.

    Returns:
        One row per contestant, stage and kind: `contestant, stage, kind, seconds` (median over rounds).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(0)
        model = create_model(case.model, input_size=case.size, keep_aspect_ratio=False).eval()
        enliven(model)
        plain = _profiled(PlainZoeDepth(model).eval(), images(case), rounds)
        keep_freed_memory()
        ours = _profiled(PlainZoeDepth(model, ["encoder", "decoder", "head"]).eval(), images(case), rounds)
    finally:
        torch.set_num_threads(before)
    return pd.concat([plain.assign(contestant="plain"), ours.assign(contestant="zdlib")], ignore_index=True)


def _profiled(twin: PlainZoeDepth, x: Tensor, rounds: int) -> pd.DataFrame:
    found: dict[tuple[str, str], list[float]] = {}
    with torch.inference_mode():
        for number in range(rounds + 1):
            results: Any = 2 * x - 1
            calls: tuple[Callable[[Any], Any], ...] = (twin.encode, twin.decode, twin.measure)
            for stage, call in zip(STAGES, calls, strict=True):
                with profile(activities=[ProfilerActivity.CPU]) as record:
                    results = call(results)
                sums: dict[str, float] = {}
                for event in record.key_averages():
                    kind = _kind(event.key)
                    sums[kind] = sums.get(kind, 0.0) + event.self_cpu_time_total / 1e6
                for kind, seconds in sums.items() if number else ():  # the first round warms up
                    found.setdefault((stage, kind), []).append(seconds)
    return pd.DataFrame(
        [{"stage": s, "kind": k, "seconds": statistics.median(seconds)} for (s, k), seconds in found.items()]
    )


def _kind(operation: str) -> str:
    name = operation.lower()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), OTHER)
