"""What Depth Anything's study says: its scores as tables, compared seed by seed, and the verdict in one sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from zdlib.config import Profile, StudyConfig
from zdlib.errors import ZDError
from zdlib.metrics.trials import holm, seeds_and_scenes
from zdlib.paper.control_study import compare_arms
from zdlib.paths import RunPaths

PROFILE = "depth_anything_study"
WALK = "HoloLens"  # what counts first: AbsRel of depths after alignment on this test
ROOM_KINDS = "room_kinds"
REFERENCES = {"meter": "METER itself", "constant": "no network (a constant)"}  # their files, and what they are called
_KEYS = ["arm", "seed", "data", "where"]


def load_frames(profile: Profile, paths: RunPaths) -> pd.DataFrame:
    """The per-frame scores of every training that has ended: `arm, seed, data, frame, scene, where` and the metrics.

    Where the grid was cut off, seeds are missing. `where` is one of `zdlib.paper.unlabelled.job.SCALES`.

    Raises:
        ZDError: fewer than two seeds of the first pair have run.
    """
    study = _study(profile)
    tables = []
    for arm, config in study.arms.items():
        for seed in config.seeds:
            path = paths.per_image / f"study_{arm}_{seed}.csv"
            if path.is_file():
                tables.append(pd.read_csv(path).rename(columns={"scale": "where"}).assign(arm=arm, seed=seed))
    frames = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm", "seed"])
    first, second = ({*frames.loc[frames["arm"] == arm, "seed"]} for arm in study.pairs[0])
    if len(first & second) < 2:
        raise ZDError(
            f"{paths.per_image}: no two seeds of {' and '.join(study.pairs[0])}: run zdlib.pipeline.unlabelled"
        )
    return frames


def load_references(paths: RunPaths) -> pd.DataFrame:
    """The scores of METER itself and of no network, as `load_frames` gives those of an arm.

    Raises:
        ZDError: one has not been judged.
    """
    tables = [_read(paths.per_image / f"{name}.csv").assign(arm=name, seed=0) for name in REFERENCES]
    return pd.concat(tables, ignore_index=True).rename(columns={"scale": "where"})


def load_room_kinds(paths: RunPaths) -> pd.DataFrame:
    """`input, seed, epoch, accuracy` of every classifier; see `zdlib.paper.unlabelled.room_kinds`.

    Raises:
        ZDError: none has been trained.
    """
    return _read(paths.per_image / f"{ROOM_KINDS}.csv")


def means(frames: pd.DataFrame) -> pd.DataFrame:
    """Means over frames: `arm, seed, data, where, metric, value`, the form that `control_study` compares."""
    table = frames.groupby(_KEYS, sort=False)[["abs_rel", "delta1"]].mean().reset_index()
    return table.melt(id_vars=_KEYS, var_name="metric", value_name="value")


def ablation(profile: Profile, scores: pd.DataFrame, where: str, metric: str, beside: pd.DataFrame) -> pd.DataFrame:
    """A row per arm, a column per test, as the paper's Table 9; ± over seeds. The last rows are `REFERENCES`.

    Args:
        profile: the study's.
        scores: of `means`.
        where: `depth`, `disparity` or `metric`.
        metric: `abs_rel` or `delta1`.
        beside: `means` of `load_references`.
    """
    chosen = scores[(scores["where"] == where) & (scores["metric"] == metric)]
    order = list(dict.fromkeys(chosen["data"]))
    rows: list[dict[str, Any]] = []
    for arm, config in _study(profile).arms.items():
        values = chosen[chosen["arm"] == arm]
        if values.empty:
            continue
        row: dict[str, Any] = {"arm": config.title, "seeds": values["seed"].nunique()}
        for data in order:
            row |= _interval(data, values.loc[values["data"] == data, "value"].to_numpy())
        rows.append(row)
    fixed = beside[(beside["where"] == where) & (beside["metric"] == metric)]
    for name, title in REFERENCES.items():
        mine = fixed[fixed["arm"] == name].set_index("data")["value"]
        if len(mine):
            rows.append({"arm": title, "seeds": 0, **{data: float(mine[data]) for data in order}})
    return pd.DataFrame(rows)


def differences(profile: Profile, scores: pd.DataFrame, where: str, metric: str = "abs_rel") -> pd.DataFrame:
    """Every pair of the study on every test, seed by seed: see `control_study.compare_arms`."""
    study = _study(profile)
    chosen = scores[(scores["where"] == where) & (scores["metric"] == metric)]
    tables = []
    for arm, against in study.pairs:
        if len(_seeds(chosen, arm) & _seeds(chosen, against)) < 2:
            continue
        table = compare_arms(chosen, against, arm).drop(columns=["where", "metric"])
        table.insert(0, "arm", study.arms[arm].title)
        table.insert(1, "against", study.arms[against].title)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def family(profile: Profile, frames: pd.DataFrame) -> pd.DataFrame:
    """The contrasts that were fixed beforehand: AbsRel after alignment on the walk's last stretch.

    Returns:
        One row per pair of the study's `family`: `arm, against, seeds, difference` with its 95 % interval over seeds,
        the sign-flip p-value after Holm's correction, and the interval with seeds and blocks of frames resampled.
    """
    study = _study(profile)
    here = frames[(frames["where"] == "depth") & (frames["data"] == WALK)]
    rows = []
    for arm, against in study.family:
        row = compare_arms(means(here).query("metric == 'abs_rel'"), against, arm).iloc[0]
        pairs = (_by_frame(here, arm) - _by_frame(here, against)).dropna(how="all")
        scenes = pairs.columns.get_level_values("scene").astype(str).tolist()
        _, low, high = seeds_and_scenes(pairs.to_numpy(), scenes, np.random.default_rng(0))
        named = {"arm": study.arms[arm].title, "against": study.arms[against].title, "seeds": row["seeds"]}
        ends = {key: row[key] for key in ("difference", "difference_low", "difference_high", "p_value")}
        rows.append({**named, **ends, "joint low": low, "joint high": high})
    table = pd.DataFrame(rows)
    table.insert(6, "p, Holm", holm(table["p_value"].tolist()))
    return table.drop(columns="p_value")


def verdict(row: Mapping[str, Any], bound: Mapping[str, Any] | None) -> str:
    """One sentence on the first contrast, and what a real teacher's labels gain beside it.

    A change is one if neither the interval over seeds nor that over seeds and frames together contains zero.

    Args:
        row: of `family`.
        bound: of `differences`, METER's labels against labels alone on the same test; None if it has not run.
    """
    low, high = row["difference_low"], row["difference_high"]
    least, most = min(low, row["joint low"]), max(high, row["joint high"])
    said = "lower" if most < 0 else "raise" if least > 0 else "do not measurably change"
    text = (
        "Pictures that a network trained on rendered scenes has labelled itself, perturbed for its student, "
        f"{said} the AbsRel on other photographs of the same building: {row['difference']:+.4f} (95 % interval "
        f"{low:+.4f} to {high:+.4f} over {row['seeds']} seeds; {row['joint low']:+.4f} to {row['joint high']:+.4f} "
        "with the test's frames resampled, too)"
    )
    if bound is None:
        return f"{text}."
    more = f"{bound['difference']:+.4f} ({bound['difference_low']:+.4f} to {bound['difference_high']:+.4f}"
    return f"{text}; with METER's labels of the photographs the change is {more} over {bound['seeds']} seeds)."


def accuracies(kinds: pd.DataFrame, epochs: Sequence[int]) -> pd.DataFrame:
    """Accuracy of each input after some epochs, and what it gains on the picture alone after the last; ± over seeds."""
    wide = kinds[kinds["seed"] > 0].pivot(index=["input", "seed"], columns="epoch", values="accuracy")
    reference = wide.loc["RGB"][epochs[-1]]
    rows = []
    for name in dict.fromkeys(kinds.loc[kinds["seed"] > 0, "input"]):
        row: dict[str, Any] = {"input": name, "seeds": len(wide.loc[name])}
        for epoch in epochs:
            row |= _interval(f"after {epoch} epochs", wide.loc[name][epoch].to_numpy())
        if name != "RGB":
            row |= _interval("gain on RGB", (wide.loc[name][epochs[-1]] - reference).to_numpy())
        rows.append(row)
    floor = kinds[kinds["seed"] == 0].iloc[0]
    rows.append({"input": floor["input"], "seeds": 0, f"after {epochs[-1]} epochs": float(floor["accuracy"])})
    return pd.DataFrame(rows)


def published(table: str) -> pd.DataFrame:
    """A quoted table, with the columns that it has.

    Args:
        table: `relative`, `nyu`, `kitti`, `metric`, `ablation`, `tolerance`, `alignment on` or `articles`.
    """
    rows = pd.read_csv(Path(__file__).with_name("published.csv"))
    return rows[rows["table"] == table].drop(columns="table").dropna(axis=1, how="all").reset_index(drop=True)


def across(table: str, metric: str = "abs_rel") -> pd.DataFrame:
    """A quoted table with a column per data set, and the mean over those that all methods have."""
    rows = published(table)
    wide = rows.pivot(index="method", columns="data", values=metric)
    wide = wide.loc[list(dict.fromkeys(rows["method"])), list(dict.fromkeys(rows["data"]))]
    wide["mean"] = wide.dropna(axis=1).mean(axis=1)
    return wide.rename_axis(columns=None).reset_index()


def _interval(name: str, values: np.ndarray, level: float = 0.95) -> dict[str, float]:
    """A mean with the ends of Student's t interval; none for a single value."""
    mean = float(values.mean())
    if len(values) < 2:
        return {name: mean, f"{name}_low": float("nan"), f"{name}_high": float("nan")}
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}


def _by_frame(frames: pd.DataFrame, arm: str) -> pd.DataFrame:
    """AbsRel of an arm's trainings: a row per seed, a column per frame."""
    return frames[frames["arm"] == arm].pivot(index="seed", columns=["frame", "scene"], values="abs_rel")


def _seeds(scores: pd.DataFrame, arm: str) -> set[int]:
    return {*scores.loc[scores["arm"] == arm, "seed"]}


def _study(profile: Profile) -> StudyConfig:
    if profile.study is None:
        raise ZDError(f"profiles/{profile.name}.yaml: has no study section: take {PROFILE}")
    return profile.study


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise ZDError(f"{path}: no such file: profiles/{PROFILE}.yaml says what makes it")
    return pd.read_csv(path)
