"""Numbers quoted from papers (`published.csv`): every row names its protocol and its source, none is ours."""

from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd

from zdlib.metrics.improvement import mean_over_metrics, mean_relative_improvement

Study = Literal[
    "results",
    "parameters",
    "head variants",
    "routers",
    "effect of the protocol",
    "geometry",
    "boundary f1",
    "one network for rooms and roads",
    "zero-shot outdoors",
    "released models",
]
# What ZoeDepth's tables compare with.
UNIVERSAL_REFERENCE, OUTDOOR_REFERENCE = "NeWCRFs-X-NK†", "NeWCRFs"


@cache
def table() -> pd.DataFrame:
    """Every quoted row. Shared: do not modify.

    Columns: `dataset`, `protocol`, `study`, `method`, metrics as in `metrics.depth` and `metrics.ibims` (depth
    errors in metres; `pe_flatness_m` in metres, `pe_orientation` in degrees, DDE in percent, DBE in pixels),
    `printed_mri`: the improvement in percent that the source prints beside its metrics (`zdlib.metrics.improvement`),
    `encoder`, `params_m` in millions, `source`. Empty where the source gives no value.
    """
    return pd.read_csv(Path(__file__).with_name("published.csv"))


def load(dataset: str, study: Study = "results") -> pd.DataFrame:
    """The rows of one data set and study, without the columns that are empty there.

    Args:
        dataset: a registry name of `zdlib.data.registry`, or `any` (parameter counts).
        study: `results` are whole models under each paper's own protocol; the others are ablations and side tables.

    Raises:
        KeyError: nothing is quoted for it.
    """
    rows = table()
    rows = rows[(rows["dataset"] == dataset) & (rows["study"] == study)]
    if rows.empty:
        raise KeyError(f"published.csv quotes nothing for {dataset}, {study}")
    return rows.dropna(axis=1, how="all").reset_index(drop=True)


def one_network() -> pd.DataFrame:
    """ZoeDepth's Table 2: AbsRel of networks trained on NYU and KITTI together, a column for each data set.

    Returns:
        One row per method: `method`, the data sets, `mRID` recomputed from these AbsRel against NeWCRFs-X-NK† and
        `mRID, printed` (both in percent), `source`.
    """
    rows = _quoted("one network for rooms and roads")
    wide = rows.pivot(index="method", columns="dataset", values="abs_rel")
    wide = wide.loc[list(rows["method"].unique()), list(rows["dataset"].unique())]
    errors = {str(method): {str(k): float(v) for k, v in row.items()} for method, row in wide.iterrows()}
    reference = errors[UNIVERSAL_REFERENCE]
    wide["mRID"] = [mean_relative_improvement("abs_rel", errors[str(method)], reference) for method in wide.index]
    return _beside_printed(wide, rows, "mRID, printed")


def zero_shot_outdoors(dataset: str) -> pd.DataFrame:
    """ZoeDepth's Table 4 for one data set that no method was trained on.

    Args:
        dataset: `vkitti2`, `ddad`, `diml_outdoor` or `diode_outdoor`.

    Returns:
        One row per method: `method, delta1, abs_rel, rmse`, `mRIθ` recomputed from these three against NeWCRFs and
        `mRIθ, printed` (both in percent), `source`.
    """
    rows = load(dataset, "zero-shot outdoors")
    metrics = rows.set_index("method")[["delta1", "abs_rel", "rmse"]]
    values = {str(method): {str(k): float(v) for k, v in row.items()} for method, row in metrics.iterrows()}
    metrics["mRIθ"] = [mean_over_metrics(values[str(m)], values[OUTDOOR_REFERENCE]) for m in metrics.index]
    return _beside_printed(metrics, rows, "mRIθ, printed")


def _quoted(study: Study) -> pd.DataFrame:
    rows = table()
    return rows[rows["study"] == study]


def _beside_printed(computed: pd.DataFrame, rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Computed columns with the source's own percentage and the source after them."""
    printed = rows.drop_duplicates("method").set_index("method")
    computed[name] = printed["printed_mri"]
    computed["source"] = printed["source"]
    return computed.rename_axis(columns=None).reset_index()
