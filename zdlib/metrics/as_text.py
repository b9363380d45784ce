"""Tables of metrics as text: what columns are called, how values are rounded, which of them is the best, Markdown."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

HEADERS = {
    "delta1": "δ1",
    "delta2": "δ2",
    "delta3": "δ3",
    "abs_rel": "AbsRel",
    "delta1_scaled": "δ1, median-scaled",
    "abs_rel_scaled": "AbsRel, median-scaled",
    "sq_rel": "SqRel [m]",
    "rmse": "RMSE [m]",
    "rmse_log": "RMSElog",
    "log10": "log10",
    "silog": "SILog",
    "log_bias": "mean log error",
    "p_value": "p",
    "params_m": "params [M]",
    "params": "parameters",
    "miou": "mIoU",
    "pixel_accuracy": "pixel acc.",
    "mean_accuracy": "mean acc.",
    "trained_on": "trained on [%]",
    "iou": "IoU",
    "share": "pixels [%]",
    "dde_0": "DDE 0 [%]",
    "dde_minus": "DDE − [%]",
    "dde_plus": "DDE + [%]",
    "dbe_accuracy": "DBE acc. [px]",
    "dbe_completeness": "DBE comp. [px]",
    "dbe_completeness_v09": "DBE comp. v0.9 [px]",
    "pe_flatness": "PE flat [cm]",
    "pe_flatness_m": "PE flat [m]",  # as papers quote it
    "pe_orientation": "PE ori. [°]",
    "boundary_f1": "boundary F1",
    "delta1_change": "Δ δ1",
    "abs_rel_change": "Δ AbsRel",
    "rmse_change": "Δ RMSE [m]",
}
HIGHER = {"delta1", "delta2", "delta3", "iou", "miou", "pixel_accuracy", "mean_accuracy", "dde_0", "boundary_f1"}
LOWER = {"abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog"}
LOWER |= {"dde_minus", "dde_plus", "dbe_accuracy", "dbe_completeness", "dbe_completeness_v09"}
LOWER |= {"pe_flatness", "pe_orientation"}
_DECIMALS = {"params_m": 1, "trained_on": 0, "silog": 2, "share": 1, "dde_0": 1, "dde_minus": 1, "dde_plus": 1}
_DECIMALS |= {
    "dbe_accuracy": 2,
    "dbe_completeness": 2,
    "dbe_completeness_v09": 2,
    "pe_flatness": 1,
    "pe_orientation": 1,
}
_DECIMALS |= dict.fromkeys(("delta1_change", "abs_rel_change", "rmse_change", "difference"), 4)
_DECIMALS |= dict.fromkeys(("low", "high", "joint low", "joint high", "sd", "detectable Δ of δ1"), 4)


def best_cells(
    frame: pd.DataFrame, compare: Sequence[str] | None, tied: Mapping[str, Sequence[int]] | None = None
) -> np.ndarray:
    """True where a metric's value is the best of its group of comparable rows (shown as equal counts as equal).

    A group of one row has no best. `tied` names, by metric, the positions of further rows that are marked: those
    whose paired difference to the best cannot be told from zero.
    """
    best = np.zeros(frame.shape, dtype=bool)
    if compare is None:
        return best
    groups = (
        frame.groupby(list(compare), dropna=False, sort=False).indices.values() if compare else [np.arange(len(frame))]
    )
    for position, column in enumerate(frame.columns):
        if column not in HIGHER | LOWER:
            continue
        values = frame[column].to_numpy(dtype=float).round(_DECIMALS.get(column, 3))
        for rows in groups:
            if np.count_nonzero(~np.isnan(values[rows])) > 1:
                top = np.nanmax(values[rows]) if column in HIGHER else np.nanmin(values[rows])
                best[rows, position] = values[rows] == top
        best[list((tied or {}).get(str(column), ())), position] = True
    return best


def cell(value: Any, column: Hashable) -> str:
    """One value as text: three decimals for a number, thousands separated, – for nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return f"{value:z.{_DECIMALS.get(str(column), 3)}f}"  # z: what rounds to zero has no sign
    return str(value)


def interval_ends_of(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The columns that have an interval beside them, and the columns of its ends."""
    ends = {str(column): (f"{column}_low", f"{column}_high") for column in frame.columns}
    return {column: pair for column, pair in ends.items() if set(pair) <= set(frame.columns)}


def shown_cells(
    frame: pd.DataFrame,
    compare: Sequence[str] | None,
    hide: Sequence[str],
    tied: Mapping[str, Sequence[int]] | None = None,
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """A table's texts, which of them are bold, and the columns that hold numbers."""
    intervals = interval_ends_of(frame)
    hidden = {*hide, *(end for pair in intervals.values() for end in pair)}
    columns = [str(c) for c in frame.columns if c not in hidden]
    texts = {c: [cell(value, c) for value in frame[c].tolist()] for c in columns}
    for column in intervals.keys() & texts.keys():
        half = (frame[intervals[column][1]].astype(float) - frame[intervals[column][0]].astype(float)) / 2
        texts[column] = [
            text if np.isnan(h) else f"{text}\N{NO-BREAK SPACE}±{cell(h, column).removeprefix('0')}"
            for text, h in zip(texts[column], half.tolist(), strict=True)
        ]
    numeric = [c for c in columns if pd.api.types.is_numeric_dtype(frame[c]) and frame[c].dtype != bool]
    best = best_cells(frame, compare, tied)[:, frame.columns.isin(columns)]
    return pd.DataFrame(texts, columns=columns), best, numeric


def markdown(table: dict[str, Any]) -> str:
    """A stored table (`<name>.json`) as GitHub's Markdown, best comparable values in bold, caption below."""
    frame = pd.DataFrame(table["rows"], columns=table["columns"])
    shown, best, numeric = shown_cells(frame, table["compare"], table["hide"], table.get("tied"))
    lines = ["| " + " | ".join(map(header, shown.columns)) + " |"]
    lines.append("|" + "|".join("---:" if column in numeric else "---" for column in shown.columns) + "|")
    for texts, marks in zip(shown.to_numpy(), best, strict=True):
        lines.append("| " + " | ".join(f"**{t}**" if m else t for t, m in zip(texts, marks, strict=True)) + " |")
    return "\n".join(lines) + f"\n\n*{table['caption']}*\n"


def header(column: object) -> str:
    """A column's name as shown."""
    return HEADERS.get(str(column), str(column).replace("_", " "))
