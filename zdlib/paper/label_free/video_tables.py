"""Tables of notebook 16, from as many arms and seeds of the grid as git has scores of."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import StudyConfig, load_profile
from zdlib.errors import ZDError
from zdlib.metrics.trials import seeds_and_scenes
from zdlib.paper.label_free.common import scores, scores_file
from zdlib.paper.label_free.judged import DENSE
from zdlib.paper.label_free.video_scores import miou

PROFILE = "video"
DIAGNOSES = ("full_size", "large_poses")  # arms that show what learning needs, and are no step of the ablation
WEIGHTS = ("masking", "consistency", "consistency_10", "consistency_100")  # none, and each ten times the one before
ASIDE = (*DIAGNOSES, *WEIGHTS[2:])
STRAIGHT = "straight ahead, no turn"
POSES = ("turn_error", "direction_error")
EFFECTS: dict[str, tuple[str, str | None, str]] = {
    "AbsRel": ("images", None, "abs_rel"),
    "δ1": ("images", None, "delta1"),
}
EFFECTS |= {
    f"AbsRel, {place}": ("places", place, "abs_rel") for place in ("moving", "movable, at rest", "at class boundaries")
}
HIGHER_IS_BETTER = ("δ1",)


def study() -> StudyConfig:
    """The grid."""
    grid = load_profile(PROFILE).study
    if grid is None:
        raise ZDError(f"profiles/{PROFILE}.yaml: has no study: name its arms")
    return grid


def seeds() -> dict[str, list[int]]:
    """Of each arm, in the profile's order, the seeds that have been trained and judged; arms without any are left out.

    Raises:
        ZDError: none has.
    """
    there = {
        arm: [seed for seed in config.seeds if scores_file(PROFILE, f"{arm}_{seed}_images").is_file()]
        for arm, config in study().arms.items()
    }
    there = {arm: numbers for arm, numbers in there.items() if numbers}
    if not there:
        raise ZDError(f"results/{PROFILE}/per_image: holds no scores: python -m zdlib.paper.label_free.jobs {PROFILE}")
    return there


def steps_of_ablation() -> list[str]:
    """Arms of the ablation that there are scores of."""
    return [arm for arm in seeds() if arm not in ASIDE]


def judged(kind: str, arms: Sequence[str] | None = None) -> pd.DataFrame:
    """A kind of table of every job, with columns `arm`, `seed` and `method`."""
    tables = [
        scores(PROFILE, f"{arm}_{seed}_{kind}").assign(arm=arm, seed=seed, method=study().arms[arm].title)
        for arm, numbers in seeds().items()
        if arms is None or arm in arms
        for seed in numbers
        if scores_file(PROFILE, f"{arm}_{seed}_{kind}").is_file()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


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
    """AbsRel of every training of the ablation's arms on the test frames (`seed 1` …), beside the constant's."""
    ours = judged("images", steps_of_ablation()).query("data == 'Streets-K' and protocol == @DENSE")
    rows = ours.groupby(["method", "seed"], sort=False)["abs_rel"].mean().unstack()
    rows.columns = [f"seed {number}" for number in rows.columns]
    floors = scores(PROFILE, "baselines").query("data == 'Streets-K' and protocol == @DENSE")
    rows["constant"] = floors.groupby("method")["abs_rel"].mean()["constant depth"]
    return rows.reset_index()


def consistency_weights() -> pd.DataFrame:
    """The first training of each weight of the consistency loss on the test frames, and that loss at its end."""
    rows = []
    for arm in WEIGHTS:
        numbers = seeds().get(arm)
        if numbers is None:
            continue
        images = judged("images", [arm]).query("data == 'Streets-K' and protocol == @DENSE and seed == @numbers[0]")
        row = {"weight": study().arms[arm].options.get("consistency_weight", 0.0), "method": study().arms[arm].title}
        pixels = judged("confusion", [arm]).query("seed == @numbers[0]")
        rows.append(row | mean_row(images, ("abs_rel", "delta1")) | {"miou": miou(pixels)})
    return pd.DataFrame(rows)


def ablation(protocol: str = DENSE) -> pd.DataFrame:
    """Every arm and what needs no picture, median-scaled, with each AbsRel as a share of the mean map's."""
    ours = judged("images").query("data == 'Streets-K' and protocol == @protocol")
    floors = scores(PROFILE, "baselines")
    floors = floors[floors["protocol"].eq(protocol) & floors["data"].eq("Streets-K")].assign(seed=0)
    rows = []
    for title, group in [*floors.groupby("method", sort=False), *ours.groupby("method", sort=False)]:
        trainings = 0 if title in set(floors["method"]) else group["seed"].nunique()
        named = {"method": title, "trainings": trainings, "images": group["frame"].nunique()}
        rows.append(named | mean_row(group, ("abs_rel", "delta1", "rmse")))
    table = pd.DataFrame(rows)
    reference = float(table.loc[table["method"] == "mean depth map", "abs_rel"].iloc[0])
    table["AbsRel / mean map's"] = table["abs_rel"] / reference
    return table


def effects() -> pd.DataFrame:
    """What each step changes: differences on the same frames and seeds, with intervals, and a verdict."""
    tables = {"images": judged("images"), "places": judged("places")}
    tables["images"] = tables["images"].query("data == 'Streets-K' and protocol == @DENSE")
    arms, rows = seeds(), []
    for second, first in study().pairs:
        common = sorted(set(arms.get(first, ())) & set(arms.get(second, ())))
        if not common:
            continue
        named = {"step": f"{_title(second)} − {_title(first)}", "trainings": len(common)}
        for name, (kind, place, metric) in EFFECTS.items():
            table = tables[kind] if place is None else tables[kind].query("place == @place")
            pairs = [table[table["arm"].eq(arm) & table["seed"].isin(common)] for arm in (first, second)]
            rows.append({**named, "metric": name, **_difference(pairs[0], pairs[1], metric, name)})
    ends = ["first", "second", "difference", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=["step", "trainings", "metric", *ends])


def _difference(first: pd.DataFrame, second: pd.DataFrame, metric: str, name: str) -> dict[str, Any]:
    keys = ["frame", "scene", "seed"]
    both = first[[*keys, metric]].merge(second[[*keys, metric]], on=keys, suffixes=("_1", "_2"))
    both["difference"] = both[f"{metric}_2"] - both[f"{metric}_1"]
    mean = crossed_mean(both, "difference")
    assert mean is not None
    value, low, high = mean
    gained = value > 0 if name in HIGHER_IS_BETTER else value < 0
    clear = low > 0 or high < 0
    verdict = ("better" if gained else "worse") if clear else "no effect found"
    ends = {"difference": value, "low": low, "high": high}
    return {"first": both[f"{metric}_1"].mean(), "second": both[f"{metric}_2"].mean(), **ends, "verdict": verdict}


def _title(arm: str) -> str:
    return study().arms[arm].title


def places(chosen: Callable[[str], bool] = lambda place: not place.startswith("class ")) -> pd.DataFrame:
    """AbsRel by place, a column per method; the frame is scaled as a whole. Classes: see `classes`."""
    floors = scores(PROFILE, "baselines")
    floors = floors[floors["place"].notna()] if "place" in floors else floors.iloc[:0]
    table = pd.concat([floors.assign(seed=0), judged("places", steps_of_ablation())], ignore_index=True)
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
    straight = first.assign(**{name: first[f"straight_{name}"] for name in POSES}, method=STRAIGHT)
    rows = []
    for title, group in [(STRAIGHT, straight), *table.groupby("method", sort=False)]:
        trainings = 0 if title == STRAIGHT else group["seed"].nunique()
        rows.append(
            {"method": title, "trainings": trainings, "clips": group["scene"].nunique(), **mean_row(group, POSES)}
        )
    return pd.DataFrame(rows)


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
    table, rows = judged("images").query("data != 'Streets-K'"), []
    for (data, title), group in table.groupby(["data", "method"], sort=False):
        named = {
            "data": data,
            "method": title,
            "trainings": group["seed"].nunique(),
            "images": group["frame"].nunique(),
        }
        rows.append(named | mean_row(group, ("abs_rel", "delta1")))
    return pd.DataFrame(rows).sort_values("data", kind="stable").reset_index(drop=True)
