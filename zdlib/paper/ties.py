"""Which rows of a table are as good as the best: bold marks them too, because nobody can tell them apart."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import Profile
from zdlib.metrics.depth import HIGHER_IS_BETTER
from zdlib.metrics.intervals import bootstrap_mean
from zdlib.paper.evaluations import load_per_image
from zdlib.paths import RunPaths

BASELINES: Mapping[str, str] = MappingProxyType(
    {"constant depth": "constant_depth", "mean depth map": "mean_depth_map"}
)


def tied_with_best(
    profile: Profile, paths: RunPaths, table: pd.DataFrame, compare: Sequence[str], metrics: Sequence[str]
) -> dict[str, list[int]]:
    """Our rows whose difference to the best comparable row has a 95 % interval that contains zero, by metric.

    The difference is paired (the same images), its interval by bootstrap over scenes. Quoted rows have no images here:
    they are neither compared nor a best that others are compared with.

    Args:
        profile: whose runs the rows are.
        paths: where their per-image metrics lie.
        table: columns `protocol, method` and the metrics, numbered from 0.
        compare: as `save_table` takes it.
        metrics: which columns.

    Raises:
        ZDError: per-image metrics are missing.
    """
    keys = {**BASELINES} | {run.title: key for key, run in profile.runs.items()}
    tied: dict[str, list[int]] = {metric: [] for metric in metrics}
    for _, group in table.groupby(list(compare), dropna=False, sort=False):
        ours = group[group["method"].isin(list(keys))]
        named = zip(ours.index.tolist(), ours["protocol"], ours["method"], strict=True)
        images = {int(i): load_per_image(paths, protocol, keys[method]) for i, protocol, method in named}
        for metric in metrics:
            values = group[metric].dropna().astype(float)
            if len(values) < 2:
                continue
            best = values.idxmax() if metric in HIGHER_IS_BETTER else values.idxmin()
            if best in images:
                tied[metric] += [i for i in images if i != best and _alike(images[best], images[i], metric)]
    return tied


def _alike(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> bool:
    """Whether two models' means over the same images cannot be told apart."""
    both: Any = ((first["pixels"] > 0) & (second["pixels"] > 0)).to_numpy()
    differences = (second[metric] - first[metric]).to_numpy(np.float64)[both]
    interval = bootstrap_mean(differences, first.loc[both, "scene"].tolist(), np.random.default_rng(0))
    return interval.low <= 0 <= interval.high
