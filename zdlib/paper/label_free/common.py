"""What both notebooks of networks without depth labels need: scores by arm and seed, their means, and quoted rows.

Means and differences have intervals over seeds and clips.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import StudyConfig, load_profile
from zdlib.errors import ZDError
from zdlib.metrics.trials import seeds_and_scenes
from zdlib.paper.label_free.judged import DENSE, METRICS
from zdlib.paths import RunPaths

NO_TRAINING = 0  # the seed of rows that no training made
HIGHER_IS_BETTER = ("delta1",)
NO_EFFECT = "no effect found"


# ------------------------------------------------------------------------------------------------------ scores in git
def study(profile: str) -> StudyConfig:
    """A profile's grid.

    Raises:
        ZDError: it has none.
    """
    grid = load_profile(profile).study
    if grid is None:
        raise ZDError(f"profiles/{profile}.yaml: has no study: name its arms")
    return grid


def seeds(profile: str) -> dict[str, list[int]]:
    """Of each arm, in the profile's order, the seeds that have been trained and judged; arms without any are left out.

    Raises:
        ZDError: none has.
    """
    there = {
        arm: [seed for seed in config.seeds if scores_file(profile, f"{arm}_{seed}_images").is_file()]
        for arm, config in study(profile).arms.items()
    }
    there = {arm: numbers for arm, numbers in there.items() if numbers}
    if not there:
        raise ZDError(f"results/{profile}/per_image: holds no scores: python -m zdlib.paper.label_free.jobs {profile}")
    return there


def titles(profile: str) -> dict[str, str]:
    """Names in tables of the arms that have been trained and judged."""
    arms = study(profile).arms
    return {arm: arms[arm].title for arm in seeds(profile)}


def scores_file(profile: str, name: str) -> Path:
    """Where a table of scores is kept."""
    return RunPaths(profile).per_image / f"{name}.csv"


def scores(profile: str, name: str) -> pd.DataFrame:
    """One of them.

    Raises:
        ZDError: it is not there.
    """
    path = scores_file(profile, name)
    if not path.is_file():
        raise ZDError(f"{path}: no such file: python -m zdlib.paper.label_free.jobs {profile} makes it")
    return pd.read_csv(path)


def judged(profile: str, kind: str, arms: Sequence[str] | None = None) -> pd.DataFrame:
    """A kind of table of every job that has one, with columns `arm`, `seed` and `method`."""
    named = study(profile).arms
    tables = [
        scores(profile, f"{arm}_{seed}_{kind}").assign(arm=arm, seed=seed, method=named[arm].title)
        for arm, numbers in seeds(profile).items()
        if arms is None or arm in arms
        for seed in numbers
        if scores_file(profile, f"{arm}_{seed}_{kind}").is_file()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def on_streets(table: pd.DataFrame, protocol: str = DENSE) -> pd.DataFrame:
    """The rows of Streets-K's test frames under a protocol."""
    return table[table["data"].eq("Streets-K") & table["protocol"].eq(protocol)]


# ---------------------------------------------------------------------------------------------------------- intervals
def crossed_mean(table: pd.DataFrame, metric: str) -> tuple[float, float, float] | None:
    """Mean over seeds and frames with the ends of `seeds_and_scenes`, over the frames where every seed has a value.

    Of one seed, scenes alone are drawn: then the interval knows nothing of the randomness of training. None without
    such a frame.
    """
    wide = table.pivot(index=["frame", "scene"], columns="seed", values=metric).dropna()
    if wide.empty:
        return None
    scenes = list(wide.index.get_level_values("scene"))
    return seeds_and_scenes(wide.to_numpy(np.float64).T, scenes, np.random.default_rng(0))


def mean_row(table: pd.DataFrame, metrics: Sequence[str]) -> dict[str, float]:
    """Means with their intervals, as tables keep them."""
    row: dict[str, float] = {}
    for metric in metrics:
        mean = crossed_mean(table, metric)
        if mean is not None:
            row |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), mean, strict=True))
    return row


def means(table: pd.DataFrame, by: Sequence[str], metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Means with intervals, one row per group: `by`, `trainings` (0 = needs none), `images`, and the metrics."""
    rows = []
    for key, group in table.groupby(list(by), sort=False):
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        row |= {"trainings": len(set(group["seed"]) - {NO_TRAINING}), "images": group["frame"].nunique()}
        rows.append(row | mean_row(group, metrics))
    return pd.DataFrame(rows)


def difference(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> dict[str, Any] | None:
    """What the second rows have more than the first, on the same frames and seeds, with the ends of its interval.

    Rows that no training made are compared with every seed of the others.

    Returns:
        `trainings` (pairs of them), `first`, `second`, `difference`, `low`, `high` and `verdict`; None where the two
        have no seed or frame in common.
    """
    keys = ["frame", "scene"] if set(first["seed"]) == {NO_TRAINING} else ["frame", "scene", "seed"]
    both = first[[*keys, metric]].merge(second[[*dict.fromkeys([*keys, "seed"]), metric]], on=keys)
    both["difference"] = both[f"{metric}_y"] - both[f"{metric}_x"]
    mean = crossed_mean(both, "difference")
    if mean is None:
        return None
    row: dict[str, Any] = {"trainings": both["seed"].nunique()}
    row |= {"first": both[f"{metric}_x"].mean(), "second": both[f"{metric}_y"].mean()}
    row |= dict(zip(("difference", "low", "high"), mean, strict=True))
    return row | {"verdict": verdict(row, metric in HIGHER_IS_BETTER)}


def verdict(row: Mapping[str, Any], higher_is_better: bool) -> str:
    """Whether an interval leaves out zero, and on which side."""
    if row["low"] <= 0 <= row["high"]:
        return NO_EFFECT
    return "better" if (row["low"] > 0) == higher_is_better else "worse"


# ------------------------------------------------------------------------------------------------------------- quoted
def quoted(study: str) -> pd.DataFrame:
    """Published rows of a study (`garg` or `video`), each with its source; none of them is ours."""
    rows = pd.read_csv(Path(__file__).with_name("quoted.csv"))
    columns = ["method", "training", "size", "cap_m", "scaling", *rows.columns[6:]]
    chosen = rows[rows["study"] == study][columns].fillna({"size": "–"})
    return chosen.rename(columns={"cap_m": "up to [m]"}).reset_index(drop=True)
