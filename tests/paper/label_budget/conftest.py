"""Scores of profile `label_budget` whose effects are known."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from zdlib.config import Arm, load_profile
from zdlib.paper.domains.study import Study
from zdlib.paper.label_budget.effects import condition
from zdlib.paths import RunPaths

PROFILE = load_profile("label_budget")
LOST = {1.0: 0.0, 0.5: 0.03, 0.25: 0.08}  # δ1, by the share of frames
NO_IMAGENET = 0.2
Gains = Mapping[str, float]
Make = Callable[..., Study]


def depth_score(arm: Arm) -> float:
    """δ1 of an arm without what segmentation brings it."""
    given = condition(arm)
    return 0.9 - LOST[given.share] - (0 if given.pretrained else NO_IMAGENET)


def images(arm: str, seed: int, gain: float, noise: float) -> pd.DataFrame:
    """Per-image rows of two data sets, three scenes of two frames each; luck of seeds is shared by all arms."""
    shared = np.random.default_rng(seed).normal(0, 0.01)
    luck = noise * np.random.default_rng([seed, *arm.encode()]).normal()
    score = depth_score(PROFILE.study.arms[arm]) + gain + shared + luck
    rows = []
    for data, less in (("Rooms-N", 0.0), ("Rooms-I", 0.3)):
        for frame in range(6):
            delta1 = score - less + 0.01 * (frame // 2)
            row = {"data": data, "frame": frame, "scene": f"s{frame // 2}", "delta1": delta1}
            rows.append(row | {"abs_rel": (1 - delta1) / 2, "rmse": 1 - delta1, "log10": (1 - delta1) / 4})
    return pd.DataFrame(rows)


def long(table: pd.DataFrame, segments: bool) -> pd.DataFrame:
    """A job's scores in long form: means, δ1 near edges (0.1 less) and away, and metrics of edges."""
    rows = []
    for data, group in table.groupby("data", sort=False):
        delta1 = float(group["delta1"].mean())
        values = {("all pixels", metric): float(group[metric].mean()) for metric in ("delta1", "abs_rel", "rmse")}
        if data == "Rooms-N" and segments:
            values |= {("segmentation", "miou"): 0.5, ("segmentation", "pixel_accuracy"): 0.8}
        if data == "Rooms-I":
            values |= {("at depth edges", "delta1"): delta1 - 0.1, ("away from them", "delta1"): delta1 + 0.02}
            values |= {("geometry", "dbe_accuracy"): 9 - delta1, ("geometry", "dbe_completeness"): 10.0}
            values |= {("geometry", "boundary_f1"): delta1 / 100}
        rows += [{"data": data, "where": w, "metric": m, "value": v} for (w, m), v in values.items()]
    return pd.DataFrame(rows)


@pytest.fixture
def make(tmp_path, monkeypatch) -> Make:
    """Writes the scores of some arms and seeds, and gives the study of them and its paths."""
    monkeypatch.setattr(RunPaths, "results", property(lambda self: tmp_path))

    def made(gains: Gains, *, seeds: Sequence[int] = (1, 2, 3), noise: float = 3e-4, arms: Sequence[str] = ()) -> Study:
        paths = RunPaths("label_budget")
        paths.per_image.mkdir(parents=True, exist_ok=True)
        for arm in arms or PROFILE.study.arms:
            for seed in seeds:
                table = images(arm, seed, gains.get(arm, 0.0), noise)
                scores = long(table, PROFILE.study.arms[arm].seg_weight > 0)
                table.to_csv(paths.per_image / f"study_{arm}_{seed}_images.csv", index=False)
                scores.to_csv(paths.per_image / f"study_{arm}_{seed}.csv", index=False)
        return Study(PROFILE, paths)

    return made
