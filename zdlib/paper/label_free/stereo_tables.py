"""Tables of notebook 15, from as many arms and seeds of the grid as git has scores of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from zdlib.config import Arm, load_profile
from zdlib.paper.label_free.common import (
    NO_TRAINING,
    difference,
    judged,
    means,
    on_streets,
    scores,
    seeds,
    study,
    titles,
)
from zdlib.paper.label_free.judged import DENSE, wet_scenes
from zdlib.paths import RunPaths

PROFILE = "stereo"
PLACES = {"px all": "px", "px both cameras see": "px, both see", "px occluded": "px, occluded"}
SUPERVISED = "ZoeD-K (light), supervised"
MEAN_MAP = "mean depth map"
EFFECTS = {"AbsRel": "abs_rel", "δ1": "delta1"}


def per_level() -> pd.DataFrame:
    """The twin of the article's Table 1: the final networks' output of every level on the test frames."""
    table = judged(PROFILE, "levels").rename(columns=PLACES)
    metrics = ["abs_rel", "delta1", *PLACES.values(), "photometric"]
    rows = means(table, ["method", "level"], metrics)
    kept = [c for c in map(str, rows) if not c.endswith(("_low", "_high")) or c.startswith("abs_rel")]
    return rows[kept]


def while_training() -> pd.DataFrame:
    """Errors of the held-out pairs at the end of each level's training: what the level had when it was the finest one.

    Of each arm's first training.
    """
    table = _of_first("validations")
    last = table[table["level"] != table.groupby("arm")["level"].shift(-1)]
    rows = last[["method", "level", "epoch", "photometric", "abs_rel", "delta1", "disparity_error"]].copy()
    rows["level"] = "L" + (rows["level"].astype(int) + 7).astype(str)
    return rows.rename(columns={"epoch": "epochs so far", "disparity_error": "px"}).reset_index(drop=True)


def test_rows(protocol: str) -> pd.DataFrame:
    """Per-frame rows of Streets-K's test, in metres: all networks, what needs no picture, and a supervised network."""
    known = pd.concat([judged(PROFILE, "images"), scores(PROFILE, "baselines").assign(seed=NO_TRAINING)])
    known = on_streets(known, protocol)
    known = known[known["scale"] == "as predicted"]
    number = {"streets/eigen": 0, "streets/dense": 1}[protocol]
    told = pd.read_csv(RunPaths("streets").results / "evaluate" / f"zoed_k_{number}.csv")
    told = told.assign(method=SUPERVISED, seed=1)
    told["scene"] = "clip " + told["scene"].str.extract(r"drive_(\d+)_", expand=False)
    columns = ["method", "seed", "protocol", "frame", "scene", "abs_rel", "delta1", "rmse"]
    return pd.concat([known[columns], told[columns]], ignore_index=True)


def against(protocol: str) -> pd.DataFrame:
    """The twin of the article's Table 2, with each row's AbsRel as a share of the mean map's."""
    rows = means(test_rows(protocol), ["protocol", "method"])
    reference = float(rows.loc[rows["method"] == MEAN_MAP, "abs_rel"].iloc[0])
    rows["AbsRel / mean map's"] = rows["abs_rel"] / reference
    return rows.sort_values("abs_rel", kind="stable", ascending=False).reset_index(drop=True)


def by_weather() -> pd.DataFrame:
    """AbsRel on dry and on wet streets (streets/dense), in metres, and its share of the mean map's there."""
    table, wet = test_rows(DENSE), wet_scenes()
    parts = {"dry": table[~table["scene"].isin(wet)], "wet": table[table["scene"].isin(wet)]}
    rows = means(table, ["method"], ())
    for name, part in parts.items():
        found = means(part.rename(columns={"abs_rel": name}), ["method"], [name])
        rows = rows.merge(found.drop(columns=["trainings", "images"]), on="method")
        rows[f"{name} / mean map's"] = rows[name] / float(rows.loc[rows["method"] == MEAN_MAP, name].iloc[0])
    return rows.sort_values("dry", kind="stable", ascending=False).reset_index(drop=True)


def roads() -> pd.DataFrame:
    """How much of dry and wet roads each arm's first training calls far, and how well the pictures bear it out there.

    Returns:
        `method, street`, `far` (% of the road's pixels), and the mean photometric error of those pixels at the
        disparity found and at the true one. Pixels of all frames alike.
    """
    table = _of_first("roads")
    street = table["scene"].isin(wet_scenes()).map({True: "wet", False: "dry"}).rename("street")
    sums = table.assign(found=table["found"] * table["far"], true=table["true"] * table["far"])
    sums = sums.groupby(["method", street], sort=False)[["pixels", "far", "found", "true"]].sum()
    rows = pd.DataFrame({"far": 100 * sums["far"] / sums["pixels"]})
    rows["error, found"], rows["error, true"] = sums["found"] / sums["far"], sums["true"] / sums["far"]
    return rows.reset_index()


def gains(protocol: str = DENSE) -> pd.DataFrame:
    """What each network gains on the mean map, and each arm on the reference that the profile names; same frames."""
    table, arms = test_rows(protocol), study(PROFILE).arms
    methods = {str(name): rows for name, rows in table.groupby("method")}
    steps = [(title, MEAN_MAP) for title in titles(PROFILE).values()]
    steps += [(arms[second].title, arms[first].title) for second, first in study(PROFILE).pairs]
    rows = []
    for second, first in steps:
        for name, metric in EFFECTS.items():
            if {second, first} <= set(methods):
                found = difference(methods[first], methods[second], metric)
                rows += [] if found is None else [{"step": f"{second} − {first}", "metric": name, **found}]
    return pd.DataFrame(rows)


def by_photometric_error(arm: str) -> pd.DataFrame:
    """How far the disparity of an arm's first training is off where the right picture explains the left one so well."""
    return _of_first("photometric", [arm]).drop(columns=["arm", "seed", "method"]).reset_index(drop=True)


def _of_first(kind: str, arms: Sequence[str] | None = None) -> pd.DataFrame:
    """`judged`, of each arm's first training alone."""
    table = judged(PROFILE, kind, arms)
    return table[table["seed"] == table.groupby("arm")["seed"].transform("min")]


def elsewhere() -> pd.DataFrame:
    """AbsRel and δ1 on data that no network saw, as predicted and median-scaled."""
    table = judged(PROFILE, "images")
    other = table[table["data"] != "Streets-K"].sort_values(["data", "scale"], kind="stable")
    return means(other, ["data", "scale", "method"], ("abs_rel", "delta1"))


def pairs() -> pd.DataFrame:
    """The acceptance test of all pairs: means, and the share that passes each demand."""
    table = scores(PROFILE, "pairs")
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
    wide = scores(PROFILE, "costs").set_index(["level", "disparity"]).unstack()
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
    """Names of the arms that have not been told any depth."""
    arms = study(PROFILE).arms
    return {arm: title for arm, title in titles(PROFILE).items() if not _is_told(arms[arm])}


def told_twin(arm: str) -> str | None:
    """Name of the arm that was told the depth, on the same kind of network and with the most similar budget."""
    arms = study(PROFILE).arms
    encoder, epochs = arms[arm].model.get("encoder"), _epochs(arms[arm])
    told = [arms[key] for key in titles(PROFILE) if _is_told(arms[key]) and arms[key].model.get("encoder") == encoder]
    return min(told, key=lambda one: abs(_epochs(one) - epochs)).title if told else None


def _epochs(arm: Arm) -> int:
    return int(arm.train.get("epochs", load_profile(PROFILE).train.epochs))


def _is_told(arm: Arm) -> bool:
    return arm.options.get("objective") == "supervised"


def shown() -> tuple[str, str]:
    """Arm and name of the networks whose pictures are shown: the least photometric error, no depth looked at."""
    table, names = judged(PROFILE, "levels"), taught_by_pairs()
    finest = table[table["arm"].isin(names) & table["level"].eq("L12")]
    arm = str(finest.groupby("arm")["photometric"].mean().idxmin())
    return arm, names[arm]


def pictured(arm: str) -> str:
    """Job of an arm whose disparities are kept: its first."""
    return f"{arm}_{seeds(PROFILE)[arm][0]}"
