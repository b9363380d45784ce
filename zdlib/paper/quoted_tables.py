"""ZoeDepth's tables as this project shows them: its numbers, beside what follows from them and beside our own rows."""

from pathlib import Path

import pandas as pd

from zdlib.config import Profile
from zdlib.data.registry import data_set
from zdlib.metrics import protocols
from zdlib.metrics.improvement import mean_over_metrics, mean_relative_improvement
from zdlib.paper import published
from zdlib.paper.tables import load_table
from zdlib.paths import RunPaths

OUTDOORS = ("vkitti2", "ddad", "diml_outdoor", "diode_outdoor")
_METRICS = ["delta1", "abs_rel", "rmse"]  # those of mRIθ


def data_sets() -> pd.DataFrame:
    """ZoeDepth's Table 7, and what the protocol of the same data set has here.

    Returns:
        One row per data set: `data set, domain, type, seen in training, train, eval, min [m], max [m], crop` as quoted,
        and `here`: name, range and crop of our protocol.
    """
    rows = pd.read_csv(Path(__file__).with_name("published_data_sets.csv"), dtype={"eval": int})
    rows["here"] = [_described(key) for key in rows["dataset"]]
    names = {"title": "data set", "seen": "seen in training", "min_m": "min [m]", "max_m": "max [m]"}
    return rows.drop(columns="dataset").rename(columns=names)


def _described(key: str) -> str:
    protocol = protocols.get(data_set(key).protocol)
    crop = {"eigen": "Eigen", "garg": "Garg", "eigen_kitti": "Eigen's KITTI", "none": "no crop"}[protocol.crop]
    return f"{protocol.name}: {protocol.min_depth:g}–{protocol.max_depth:g} m, {crop}{'‡' * protocol.kitti_benchmark}"


def outdoors() -> pd.DataFrame:
    """ZoeDepth's Table 4: `data set, method, δ1, AbsRel, RMSE`, mRIθ as printed and as recomputed."""
    names = {key: data_set(key).title.partition(",")[0] for key in OUTDOORS}
    tables = [published.zero_shot_outdoors(key).assign(**{"data set": names[key]}) for key in OUTDOORS]
    table = pd.concat(tables, ignore_index=True)
    return table[["data set", *table.columns.drop("data set")]]


def released_models() -> pd.DataFrame:
    """AbsRel of ZoeDepth's released models: `method, encoder`, a column per data set, `source`."""
    rows = published.table().query("study == 'released models'")
    wide = rows.pivot(index="method", columns="dataset", values="abs_rel")
    wide = wide.loc[list(rows["method"].unique()), list(rows["dataset"].unique())]
    about = rows.drop_duplicates("method").set_index("method")
    wide.insert(0, "encoder", about["encoder"])
    wide["source"] = about["source"]
    return wide.rename_axis(columns=None).reset_index()


def our_improvements(profile: Profile, paths: RunPaths) -> pd.DataFrame:
    """ZoeDepth's percentages for our own runs on the data sets of the profile, against the control of their recipe.

    Returns:
        One row per run: `method`, AbsRel on each data set, `mRIθ` (δ1, AbsRel, RMSE) on each, `mRID` over both;
        the control's row has zeros. Empty without a control.

    Raises:
        ZDError: the tables of notebooks 04 and 05 are missing.
    """
    control = next((run for run in profile.runs.values() if run.is_control), None)
    if control is None:
        return pd.DataFrame()
    methods = [run.title for run in profile.runs.values() if run.recipe == control.recipe]
    names = {
        profile.data.nyu.title: ("nyu_depth", "nyu/standard"),
        profile.data.ibims.title: ("ibims_depth", "ibims/zoedepth"),
    }
    values = {name: _our_metrics(load_table(table, paths), protocol) for name, (table, protocol) in names.items()}
    rows = []
    for method in methods:
        errors = {name: of_method[method]["abs_rel"] for name, of_method in values.items()}
        against = {name: of_method[control.title]["abs_rel"] for name, of_method in values.items()}
        row: dict[str, object] = {"method": method} | {f"AbsRel, {name}": error for name, error in errors.items()}
        for name, of_method in values.items():
            row[f"mRIθ, {name} [%]"] = mean_over_metrics(of_method[method], of_method[control.title])
        row["mRID [%]"] = mean_relative_improvement("abs_rel", errors, against)
        rows.append(row)
    return pd.DataFrame(rows)


def _our_metrics(table: pd.DataFrame, protocol: str) -> dict[str, dict[str, float]]:
    """{method: {metric: value}} of this run's rows under one protocol."""
    ours = table[(table["protocol"] == protocol) & (table["source"] == "this run")]
    return {str(row["method"]): {metric: float(row[metric]) for metric in _METRICS} for row in ours.to_dict("records")}
