"""What both notebooks of networks without depth labels need: scores in git, their means with intervals, quoted rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.metrics.intervals import bootstrap_mean, compare
from zdlib.paper.label_free.judged import METRICS
from zdlib.paths import RunPaths


def titles(profile: str) -> dict[str, str]:
    """Names in tables of a grid's jobs that have been trained and judged, by key."""
    study = load_profile(profile).study
    jobs = {} if study is None else study.jobs()
    return {key: run.title for key, run in jobs.items() if scores_file(profile, f"{key}_images").is_file()}


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


def of_all(profile: str, kind: str) -> pd.DataFrame:
    """A kind of table of every job that has one, with columns `key` and `method`."""
    tables = [
        scores(profile, f"{key}_{kind}").assign(key=key, method=title)
        for key, title in titles(profile).items()
        if scores_file(profile, f"{key}_{kind}").is_file()
    ]
    if not tables:
        raise ZDError(f"results/{profile}/per_image: holds no {kind}: python -m zdlib.paper.label_free.jobs {profile}")
    return pd.concat(tables, ignore_index=True)


def means(table: pd.DataFrame, by: Sequence[str], metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Means over frames that have a value, with 95 % intervals by bootstrap over scenes; one row per group."""
    rows = []
    for key, group in table.groupby(list(by), sort=False):
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        row["images"] = group["frame"].nunique()
        for metric in metrics:
            there = group[np.isfinite(group[metric])]
            if there.empty:
                continue
            interval = bootstrap_mean(there[metric].to_numpy(float), there["scene"].tolist(), np.random.default_rng(0))
            row |= {metric: interval.value, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        rows.append(row)
    return pd.DataFrame(rows)


def gain(table: pd.DataFrame, first: str, second: str, metrics: Sequence[str] = ("abs_rel", "delta1")) -> pd.DataFrame:
    """What one method gains on another, frame by frame (`zdlib.metrics.intervals.compare`)."""
    both = [
        table[table["method"] == method]
        .assign(name="", pixels=1)
        .sort_values("frame", kind="stable")
        .reset_index(drop=True)
        for method in (first, second)
    ]
    gained = compare(both[0], both[1], np.random.default_rng(0), metrics)
    gained.insert(0, "second − first", f"{second} − {first}")
    return gained.drop(columns="significant")


def quoted(study: str) -> pd.DataFrame:
    """Published rows of a study (`garg` or `video`), each with its source; none of them is ours."""
    rows = pd.read_csv(Path(__file__).with_name("quoted.csv"))
    columns = ["method", "training", "size", "cap_m", "scaling", *rows.columns[6:]]
    chosen = rows[rows["study"] == study][columns].fillna({"size": "–"})
    return chosen.rename(columns={"cap_m": "up to [m]"}).reset_index(drop=True)
