"""Numbers quoted from papers (`published.csv`): every row names its protocol and its source, none is ours."""

from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd

Study = Literal[
    "results", "parameters", "head variants", "routers", "effect of the protocol", "geometry", "boundary f1"
]


@cache
def table() -> pd.DataFrame:
    """Every quoted row. Shared: do not modify.

    Columns: `dataset`, `protocol`, `study`, `method`, metrics as in `metrics.depth` and `metrics.ibims` (depth
    errors in metres; `pe_flatness_m` in metres, `pe_orientation` in degrees, DDE in percent, DBE in pixels),
    `params_m` in millions, `source`. Empty where the source gives no value.
    """
    return pd.read_csv(Path(__file__).with_name("published.csv"))


def load(dataset: str, study: Study = "results") -> pd.DataFrame:
    """The rows of one data set and study, without the columns that are empty there.

    Args:
        dataset: `nyu`, `ibims`, `kitti`, or `any` (parameter counts).
        study: `results` are whole models under each paper's own protocol; the others are ablations and side tables.

    Raises:
        KeyError: nothing is quoted for it.
    """
    rows = table()
    rows = rows[(rows["dataset"] == dataset) & (rows["study"] == study)]
    if rows.empty:
        raise KeyError(f"published.csv quotes nothing for {dataset}, {study}")
    return rows.dropna(axis=1, how="all").reset_index(drop=True)
