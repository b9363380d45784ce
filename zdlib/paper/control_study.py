"""The control study: trainings that differ in one thing, judged on the same images and compared seed by seed.

Each job of the grid (`zdlib.paper.study_job`) trains one arm with one seed and keeps its scores in one small file;
what is compared are the means over images of trainings, so the seeds are the sample and not the images.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.power import TTestPower

from zdlib.config import Profile, StudyConfig
from zdlib.errors import ZDError
from zdlib.metrics.intervals import sign_flip_test
from zdlib.metrics.trials import deviation_interval, equivalence, holm, seeds_and_scenes
from zdlib.paths import RunPaths


def load_scores(profile: Profile, paths: RunPaths) -> pd.DataFrame:
    """The scores of every job: `arm, seed, data, where, metric, value`.

    Raises:
        ZDError: a job has not run.
    """
    return _of_every_job(profile, paths, "")


def load_images(profile: Profile, paths: RunPaths) -> pd.DataFrame:
    """The per-image rows of every job: `arm, seed, data, frame, scene` and the depth metrics.

    Raises:
        ZDError: a job has not run.
    """
    return _of_every_job(profile, paths, "_images")


def _of_every_job(profile: Profile, paths: RunPaths, ending: str) -> pd.DataFrame:
    tables = []
    for arm, config in _study(profile).arms.items():
        for seed in config.seeds:
            path = paths.per_image / f"study_{arm}_{seed}{ending}.csv"
            if not path.is_file():
                raise ZDError(f"{path}: no such file: ./run_all.sh --profile {profile.name} runs what is missing")
            tables.append(pd.read_csv(path).assign(arm=arm, seed=seed))
    return pd.concat(tables, ignore_index=True)


def compare_arms(scores: pd.DataFrame, first: str, second: str, level: float = 0.95) -> pd.DataFrame:
    """What `second` gains on `first`: the differences of the seeds that both have.

    Returns:
        One row a `data, where, metric`, the data sets in the scores' order: `seeds`, the means `first` and `second`,
        their `difference` (second - first) with `difference_low` and `difference_high` (Student's t over seeds), its
        standard deviation `sd` over seeds, and `p_value` (`zdlib.metrics.intervals.sign_flip_test`).

    Raises:
        ZDError: fewer than two seeds in common.
    """
    keys = ["data", "where", "metric"]
    wide = scores[scores["arm"].isin([first, second])].pivot(index=[*keys, "seed"], columns="arm", values="value")
    order = list(dict.fromkeys(scores["data"]))  # pivot sorts by name
    wide = wide.dropna()
    wide = wide.sort_index(level="data", key=lambda d: d.map(order.index), sort_remaining=False, kind="stable")
    rows = []
    for key, group in wide.groupby(level=keys, sort=False):
        differences = (group[second] - group[first]).to_numpy()
        if len(differences) < 2:
            raise ZDError(f"{first} and {second} share fewer than two seeds: add seeds to the profile's study")
        sd = float(differences.std(ddof=1))
        half = stats.t.ppf((1 + level) / 2, len(differences) - 1) * sd / np.sqrt(len(differences))
        mean = float(differences.mean())
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "seeds": len(differences),
                "first": float(group[first].mean()),
                "second": float(group[second].mean()),
                "difference": mean,
                "difference_low": mean - half,
                "difference_high": mean + half,
                "sd": sd,
                "p_value": sign_flip_test(differences, np.random.default_rng(0)),
            }
        )
    return pd.DataFrame(rows)


def compare_pairs(profile: Profile, scores: pd.DataFrame) -> pd.DataFrame:
    """`compare_arms` of every pair of the study, with the arms' titles in `arm` and `against`."""
    study = _study(profile)
    tables = []
    for arm, against in study.pairs:
        table = compare_arms(scores, against, arm)
        table.insert(0, "arm", study.arms[arm].title)
        table.insert(1, "against", study.arms[against].title)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def family_contrasts(profile: Profile, scores: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """The tests that were named before the trainings: δ1 on NYU's layout, each pair of the study's `family`.

    Returns:
        One row per pair: `arm, against, pairs`, the mean `difference` with its 95 % interval over seeds
        (`difference_low`, `difference_high`), the exact sign-flip p-value after Holm's correction over the family
        (`p, Holm`), the p-value of "larger than the margin" (`p, equivalence`: below 0.05 the arms are equivalent),
        the difference's 95 % interval with seeds and scenes resampled (`joint low`, `joint high`), and the standard
        deviation of a single difference with its 95 % interval (`sd, sd_low, sd_high`).
    """
    study, data = _study(profile), profile.data.nyu.title
    of_data = images[images["data"] == data]
    rows = []
    for arm, against in study.family:
        found = compare_arms(scores, against, arm).query("data == @data and where == 'all pixels'")
        row = found.set_index("metric").loc["delta1"]
        differences = (_of_arm(of_data, arm) - _of_arm(of_data, against)).dropna(how="all")
        scenes = differences.columns.get_level_values("scene").astype(str).tolist()
        rng = np.random.default_rng(0)
        _, joint_low, joint_high = seeds_and_scenes(differences.to_numpy(), scenes, rng)
        sd, sd_low, sd_high = deviation_interval(differences.mean(axis=1).to_numpy())
        rows.append(
            {
                "arm": study.arms[arm].title,
                "against": study.arms[against].title,
                "pairs": len(differences),
                "difference": row["difference"],
                "difference_low": row["difference_low"],
                "difference_high": row["difference_high"],
                "p": row["p_value"],
                "p, equivalence": equivalence(differences.mean(axis=1).to_numpy(), study.margin).p_value,
                "joint low": joint_low,
                "joint high": joint_high,
                "sd": sd,
                "sd_low": sd_low,
                "sd_high": sd_high,
            }
        )
    table = pd.DataFrame(rows)
    table.insert(7, "p, Holm", holm(table["p"].tolist()))
    return table.drop(columns="p")


def _of_arm(images: pd.DataFrame, arm: str) -> pd.DataFrame:
    """δ1 of an arm's trainings: one row per seed, one column per image."""
    return images[images["arm"] == arm].pivot(index="seed", columns=["frame", "scene"], values="delta1")


def gradient_dose(profile: Profile, scores: pd.DataFrame) -> pd.DataFrame:
    """How strongly the segmentation losses pull at the decoder's maps, beside the depth loss.

    Returns:
        One row per arm that reported it, means over seeds: `arm, segmentation / depth [%]` (of the gradients' norms,
        the former with its weight), `cosine`.
    """
    data = profile.data.nyu.title
    found = trainings(profile, scores, data, "gradients").groupby("arm", sort=False).mean(numeric_only=True)
    return pd.DataFrame(
        {
            "arm": found.index,
            "segmentation / depth [%]": (100 * found["gradient_segmentation"] / found["gradient_depth"]).to_numpy(),
            "cosine": found["gradient_cosine"].to_numpy(),
        }
    )


def trainings(profile: Profile, scores: pd.DataFrame, data: str, where: str = "all pixels") -> pd.DataFrame:
    """One row per training: `arm` (its title), `seed`, and a column per metric."""
    chosen = scores[(scores["data"] == data) & (scores["where"] == where)]
    wide = chosen.pivot(index=["arm", "seed"], columns="metric", values="value").reset_index()
    order = {arm: number for number, arm in enumerate(_study(profile).arms)}
    wide = wide.sort_values("arm", key=lambda arms: arms.map(order), kind="stable")
    return wide.assign(arm=wide["arm"].map({arm: c.title for arm, c in _study(profile).arms.items()}))


def beside(differences: pd.DataFrame, columns: str, rows: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Differences with a column (and its interval's ends) a metric, for `zdlib.paper.plots.metric_intervals`.

    Args:
        differences: of `compare_pairs`.
        columns: what to colour by (becomes `protocol`).
        rows: what to name rows by (becomes `method`).
        metrics: which ones.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in differences[differences["metric"].isin(metrics)].to_dict("records"):
        line = found.setdefault((row[columns], row[rows]), {"protocol": row[columns], "method": row[rows]})
        line |= {f"{row['metric']}{end}": row[f"difference{end}"] for end in ("", "_low", "_high")}
    return pd.DataFrame(list(found.values()))


def in_words(row: Mapping[str, Any], higher_is_better: bool) -> str:
    """What an interval of a difference says: helps, hurts, or nothing that these seeds could tell from chance."""
    if row["difference_low"] <= 0 <= row["difference_high"]:
        return "no effect that these seeds can tell from chance"
    return "better" if (row["difference"] > 0) == higher_is_better else "worse"


def detectable_difference(sd: float, pairs: Sequence[int], power: float = 0.8, level: float = 0.95) -> pd.DataFrame:
    """The smallest true mean difference that so many pairs find with that power, for a standard deviation of pairs.

    Of the paired t-test, two-sided. Columns `pairs`, `detectable`.
    """
    solve = TTestPower().solve_power
    rows = [{"pairs": n, "detectable": sd * float(solve(nobs=n, alpha=1 - level, power=power))} for n in pairs]
    return pd.DataFrame(rows)


def _study(profile: Profile) -> StudyConfig:
    if profile.study is None:
        raise ZDError(f"profiles/{profile.name}.yaml: has no study section: copy that of profiles/study.yaml")
    return profile.study
