"""Tables of notebook 16, from as many arms and seeds of the grid as git has scores of."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from zdlib.config import StudyConfig
from zdlib.paper.label_free import common
from zdlib.paper.label_free.common import NO_TRAINING, difference, mean_row, means, on_streets, scores
from zdlib.paper.label_free.judged import DENSE
from zdlib.paper.label_free.video_scores import miou

PROFILE = "video"
STEPS = ("depth_only", "segmentation", "masking", "consistency", "patches", "attention")  # the ablation
DIAGNOSES = ("full_size", "large_poses")  # arms that show what learning needs
# Weights of the consistency loss, by its begin; before them none of it.
FROM_THE_MIDDLE = ("consistency", "consistency_10")
FROM_THE_FIRST = ("consistency_early", "consistency_10_early", "consistency_100_early")
WEIGHTS = ("masking", *FROM_THE_MIDDLE, *FROM_THE_FIRST)
STRAIGHT = "straight ahead, no turn"
POSES = ("turn_error", "direction_error")
EFFECTS: dict[str, tuple[str, str | None, str]] = {
    "AbsRel": ("images", None, "abs_rel"),
    "δ1": ("images", None, "delta1"),
}
EFFECTS |= {
    f"AbsRel, {place}": ("places", place, "abs_rel") for place in ("moving", "movable, at rest", "at class boundaries")
}


def study() -> StudyConfig:
    """The grid."""
    return common.study(PROFILE)


def seeds() -> dict[str, list[int]]:
    """Of each arm, in the profile's order, the seeds that there are scores of."""
    return common.seeds(PROFILE)


def steps_of_ablation() -> list[str]:
    """Arms of the ablation that there are scores of."""
    return [arm for arm in seeds() if arm in STEPS]


def judged(kind: str, arms: Sequence[str] | None = None) -> pd.DataFrame:
    """A kind of table of every job, with columns `arm`, `seed` and `method`."""
    return common.judged(PROFILE, kind, arms)


# --------------------------------------------------------------------------------------------------------- the tables
def signal() -> pd.DataFrame:
    """What the loss says of depths that are no network's, at true motion: means over the test clips that move."""
    table = scores(PROFILE, "signal")
    moving = table[table["metres"] > 0.2]
    columns = ["error", "unmasked", "teaches", "no_warp", "consistency"]
    rows = moving.groupby(["size", "depth"], sort=False)[columns].mean().reset_index()
    names = {"error": "error, auto-mask", "unmasked": "error, no mask", "teaches": "share", "no_warp": "error, no warp"}
    rows["teaches"] *= 100
    return rows.rename(columns=names).assign(clips=moving["scene"].nunique())


def learning(arms: Sequence[str] = ("depth_only", *DIAGNOSES)) -> pd.DataFrame:
    """Held-out clips as the training went, of the first seed: after the first epoch, a quarter, half, and all of it."""
    rows = []
    for arm, numbers in seeds().items():
        if arm not in arms:
            continue
        log = scores(PROFILE, f"{arm}_{numbers[0]}_validations")
        last = int(log["epoch"].max())
        chosen = log[log["epoch"].isin({1, max(1, last // 4), max(1, last // 2), last})]
        columns = ["epoch", "step", "reprojection", "abs_rel", "delta1", *(p for p in POSES if p in log)]
        rows.append(chosen[columns].assign(method=study().arms[arm].title))
    table = pd.concat(rows, ignore_index=True)
    return table[["method", *(c for c in table if c != "method")]]


def by_training() -> pd.DataFrame:
    """AbsRel of every training on the test frames (`seed 1` …) of arms with several, beside the constant's."""
    several = [arm for arm, numbers in seeds().items() if arm in STEPS or len(numbers) > 1]
    ours = on_streets(judged("images", several))
    rows = ours.groupby(["method", "seed"], sort=False)["abs_rel"].mean().unstack()
    rows.columns = [f"seed {number}" for number in rows.columns]
    rows["constant"] = on_streets(scores(PROFILE, "baselines")).groupby("method")["abs_rel"].mean()["constant depth"]
    return rows.reset_index()


def consistency_weights() -> pd.DataFrame:
    """What each weight and begin of the consistency loss gives, on the test frames, in the first training of each."""
    rows = []
    for arm in WEIGHTS:
        numbers = seeds().get(arm)
        if numbers is None:
            continue
        images = on_streets(judged("images", [arm])).query("seed == @numbers[0]")
        options = study().arms[arm].options
        weight, begin = options.get("consistency_weight", 0.0), options.get("consistency_from", 0.0)
        row = {"weight": weight, "from": f"{begin:.0%} of the epochs" if weight else "–", "method": _title(arm)}
        pixels = judged("confusion", [arm]).query("seed == @numbers[0]")
        rows.append(row | mean_row(images, ("abs_rel", "delta1")) | {"miou": miou(pixels)})
    return pd.DataFrame(rows)


def ablation(protocol: str = DENSE) -> pd.DataFrame:
    """Every arm and what needs no picture, median-scaled, with each AbsRel as a share of the mean map's."""
    floors = scores(PROFILE, "baselines").assign(seed=NO_TRAINING)
    table = means(on_streets(pd.concat([floors, judged("images")]), protocol), ["method"])
    reference = float(table.loc[table["method"] == "mean depth map", "abs_rel"].iloc[0])
    table["AbsRel / mean map's"] = table["abs_rel"] / reference
    return table


def effects() -> pd.DataFrame:
    """What each step changes: differences on the same frames and seeds, with intervals, and a verdict."""
    tables = {"images": on_streets(judged("images")), "places": judged("places")}
    rows = []
    for second, first in study().pairs:
        for name, (kind, place, metric) in EFFECTS.items():
            table = tables[kind] if place is None else tables[kind].query("place == @place")
            pair = [table[table["arm"] == arm] for arm in (first, second)]
            found = None if pair[0].empty or pair[1].empty else difference(pair[0], pair[1], metric)
            rows += [] if found is None else [{"step": f"{_title(second)} − {_title(first)}", "metric": name, **found}]
    ends = ["first", "second", "difference", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=["step", "metric", "trainings", *ends])


def of_ablation(effects: pd.DataFrame) -> pd.DataFrame:
    """The rows of `effects` that are steps of the ablation."""
    titles = {_title(arm) for arm in steps_of_ablation()}
    return effects[[str(step).partition(" − ")[0] in titles for step in effects["step"]]]


def _title(arm: str) -> str:
    return study().arms[arm].title


def places(chosen: Callable[[str], bool] = lambda place: not place.startswith("class ")) -> pd.DataFrame:
    """AbsRel by place, a column per method; the frame is scaled as a whole. Classes: see `classes`."""
    floors = scores(PROFILE, "baselines")
    floors = floors[floors["place"].notna()] if "place" in floors else floors.iloc[:0]
    table = pd.concat([floors.assign(seed=NO_TRAINING), judged("places", steps_of_ablation())], ignore_index=True)
    table = table[table["place"].map(chosen)]
    order, methods = list(dict.fromkeys(table["place"])), list(dict.fromkeys(table["method"]))
    wide = table.groupby(["place", "method"])["abs_rel"].mean().unstack().loc[order, methods]
    frames = table.groupby("place")["frame"].nunique().loc[order]
    wide.insert(0, "images", frames)
    return wide.reset_index().rename_axis(columns=None)


def classes() -> pd.DataFrame:
    """`places` of the classes."""
    table = places(lambda place: place.startswith("class "))
    table["place"] = table["place"].str.removeprefix("class ")
    return table.rename(columns={"place": "class"})


def poses() -> pd.DataFrame:
    """Errors of the motion between neighbouring frames on the test clips, beside those of going straight ahead."""
    table = judged("poses").assign(frame=lambda t: t["scene"])
    first = table[table["arm"].eq(table["arm"].iloc[0]) & table["seed"].eq(table["seed"].iloc[0])]
    straight = first.assign(**{name: first[f"straight_{name}"] for name in POSES}, method=STRAIGHT, seed=NO_TRAINING)
    rows = means(pd.concat([straight, table]), ["method"], POSES)
    return rows.rename(columns={"images": "clips"})


def segmentation() -> pd.DataFrame:
    """Mean intersection over union on the test frames: mean and extremes over seeds."""
    table, rows = judged("confusion"), []
    if table.empty:
        return pd.DataFrame(columns=["method", "trainings", "miou"])
    for title, group in table.groupby("method", sort=False):
        values = [miou(one) for _, one in group.groupby("seed")]
        ends = {"least": min(values), "most": max(values)}
        rows.append({"method": title, "trainings": len(values), "miou": float(np.mean(values)), **ends})
    return pd.DataFrame(rows)


def elsewhere() -> pd.DataFrame:
    """AbsRel and δ1 on data that no network saw, median-scaled."""
    other = judged("images").query("data != 'Streets-K'")
    return means(other.sort_values("data", kind="stable"), ["data", "method"], ("abs_rel", "delta1"))
