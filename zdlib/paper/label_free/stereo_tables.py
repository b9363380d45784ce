"""Tables of notebook 15, from scores in git."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import load_profile
from zdlib.paper.label_free.common import gain, means, of_all, scores, titles
from zdlib.paper.label_free.judged import DENSE
from zdlib.paths import RunPaths

PLACES = {"px all": "px", "px both cameras see": "px, both see", "px occluded": "px, occluded"}
SUPERVISED = "ZoeD-K (light), supervised"
MEAN_MAP = "mean depth map"


def per_level() -> pd.DataFrame:
    """The twin of the article's Table 1: the final networks' output of every level on the test frames."""
    table = of_all("stereo", "levels").rename(columns=PLACES)
    metrics = ["abs_rel", "delta1", *PLACES.values(), "photometric"]
    rows = means(table, ["method", "level"], metrics)
    kept = [c for c in map(str, rows) if not c.endswith(("_low", "_high")) or c.startswith("abs_rel")]
    return rows[kept]


def while_training() -> pd.DataFrame:
    """Errors of the held-out pairs at the end of each level's training: what the level had when it was the finest."""
    table = of_all("stereo", "validations")
    last = table[table["level"] != table.groupby("key")["level"].shift(-1)]
    rows = last[["method", "level", "epoch", "photometric", "abs_rel", "delta1", "disparity_error"]].copy()
    rows["level"] = "L" + (rows["level"].astype(int) + 7).astype(str)
    return rows.rename(columns={"epoch": "epochs so far", "disparity_error": "px"}).reset_index(drop=True)


def test_rows(protocol: str) -> pd.DataFrame:
    """Per-frame rows of Streets-K's test, in metres: all networks, what needs no picture, and a supervised network."""
    ours = of_all("stereo", "images").drop(columns="key")
    known = pd.concat([ours, scores("stereo", "baselines")], ignore_index=True)
    known = known[known["protocol"].eq(protocol) & known["scale"].eq("as predicted") & known["data"].eq("Streets-K")]
    number = {"streets/eigen": 0, "streets/dense": 1}[protocol]
    told = pd.read_csv(RunPaths("streets").results / "evaluate" / f"zoed_k_{number}.csv").assign(method=SUPERVISED)
    told["scene"] = "clip " + told["scene"].str.extract(r"drive_(\d+)_", expand=False)
    columns = ["method", "protocol", "frame", "scene", "abs_rel", "delta1", "rmse"]
    return pd.concat([known[columns], told[columns]], ignore_index=True)


def against(protocol: str) -> pd.DataFrame:
    """The twin of the article's Table 2, with each row's AbsRel as a share of the mean map's."""
    rows = means(test_rows(protocol), ["protocol", "method"])
    reference = float(rows.loc[rows["method"] == MEAN_MAP, "abs_rel"].iloc[0])
    rows["AbsRel / mean map's"] = rows["abs_rel"] / reference
    return rows.sort_values("abs_rel", kind="stable", ascending=False).reset_index(drop=True)


def gains(protocol: str = DENSE) -> pd.DataFrame:
    """What each network gains on the mean map, and each arm on the reference that the profile names; same frames."""
    table, study = test_rows(protocol), load_profile("stereo").study
    there = set(table["method"])
    names = [[title, MEAN_MAP] for title in titles("stereo").values()]
    names += [] if study is None else [[study.arms[key].title for key in pair] for pair in study.pairs]
    return pd.concat([gain(table, first, arm) for arm, first in names if {arm, first} <= there], ignore_index=True)


def by_photometric_error(method: str) -> pd.DataFrame:
    """How far the disparity is off where the right picture explains the left one so well, by place."""
    table = of_all("stereo", "photometric")
    return table[table["method"] == method].drop(columns=["key", "method"]).reset_index(drop=True)


def elsewhere() -> pd.DataFrame:
    """AbsRel and δ1 on data that no network saw, as predicted and median-scaled."""
    table = of_all("stereo", "images")
    other = table[table["data"] != "Streets-K"].sort_values(["data", "scale"], kind="stable")
    return means(other, ["data", "scale", "method"], ("abs_rel", "delta1"))


def pairs() -> pd.DataFrame:
    """The acceptance test of all pairs: means, and the share that passes each demand."""
    table = scores("stereo", "pairs")
    others = table[["x0.9", "x0.95", "x1.05", "x1.1"]].min(axis=1)
    rows = []
    for part, group in [*table.groupby("part", sort=False), ("all", table)]:
        best = (group["x1"] < others[group.index]).mean()
        row = {"part": part, "pairs": len(group), "identity": group["identity"].mean()}
        row |= {f"× {k}": group[f"x{k}"].mean() for k in ("0.9", "0.95", "1", "1.05", "1.1")}
        row |= {"L1 at 1": group["l1"].mean(), "occluded [%]": 100 * group["occluded"].mean()}
        row |= {"least at 1 [%]": 100 * best, "≤ 0.08 [%]": 100 * (group["x1"] <= 0.08).mean()}
        rows.append(row | {"identity ≥ 3 × [%]": 100 * (group["identity"] >= 3 * group["x1"]).mean()})
    return pd.DataFrame(rows)


def costs(weights: tuple[float, ...] = (0.01, 0.001)) -> pd.DataFrame:
    """Loss of the true disparity and of the mean map, for two smoothness weights, by level."""
    wide = scores("stereo", "costs").set_index(["level", "disparity"]).unstack()
    rows = pd.DataFrame({"level": wide.index})
    for name in ("true disparity", "mean map"):
        rows[f"photometric, {name}"] = wide["photometric", name].to_numpy()
        rows[f"smoothness, {name}"] = wide["smoothness", name].to_numpy()
    for weight in weights:
        ratio = [
            (wide["photometric", name] + weight * wide["smoothness", name]).to_numpy()
            for name in ("true disparity", "mean map")
        ]
        rows[f"truth / mean map, γ = {weight:g}"] = ratio[0] / ratio[1]
    order = np.argsort([int(level[1:]) for level in rows["level"]])
    return rows.iloc[order].reset_index(drop=True)


def taught_by_pairs() -> dict[str, str]:
    """Names of the networks that have not been told any depth, by key."""
    study = load_profile("stereo").study
    jobs = {} if study is None else study.jobs()
    told = {key for key, run in jobs.items() if _is_told(run.options)}
    return {key: title for key, title in titles("stereo").items() if key not in told}


def told_twins() -> dict[str, str]:
    """For each network that pairs taught: the name of that which was told the depth, on the same kind of network."""
    study = load_profile("stereo").study
    arms = {} if study is None else study.arms
    told = {str(arm.model.get("encoder")): arm.title for arm in arms.values() if _is_told(arm.options)}
    keys = {key: arms[key.rpartition("_")[0]] for key in taught_by_pairs()}
    return {key: told[encoder] for key, arm in keys.items() if (encoder := str(arm.model.get("encoder"))) in told}


def _is_told(options: Mapping[str, Any]) -> bool:
    return options.get("objective") == "supervised"


def shown() -> tuple[str, str]:
    """Key and name of the network whose pictures are shown: the least photometric error, no depth looked at."""
    table, names = of_all("stereo", "levels"), taught_by_pairs()
    finest = table[table["key"].isin(names) & table["level"].eq("L12")]
    key = str(finest.groupby("key")["photometric"].mean().idxmin())
    return key, names[key]
