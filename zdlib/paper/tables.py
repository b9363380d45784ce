"""Tables: how they look in a notebook, how they are stored, and the README's generated blocks.

python -m zdlib.paper.tables readme          # rewrite the blocks in README.md from results/demo and results/study
python -m zdlib.paper.tables readme --check  # exit status 1 if one is stale
"""

import argparse
import html
import re
import sys
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from zdlib.errors import ZDError
from zdlib.files import read_json, write_csv, write_json, write_text
from zdlib.paths import RunPaths, repo_root

HEADERS = {
    "delta1": "δ1",
    "delta2": "δ2",
    "delta3": "δ3",
    "abs_rel": "AbsRel",
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
_DECIMALS |= dict.fromkeys(("delta1_change", "abs_rel_change", "rmse_change"), 4)
INTERVAL_NOTE = (
    "± is half of the 95 % interval by bootstrap over scenes (images, where a data set names none); both its ends are "
    "in the stored table. It knows nothing of the randomness of training."
)

# The README's blocks: the profile that each comes from and its tables, in order.
README_BLOCKS = {
    "results": ("demo", ("nyu_depth", "nyu_against_control", "nyu_segmentation", "ibims_depth")),
    "study": ("study", ("study_summary",)),
    "speed": ("demo", ("speed_inference", "speed_training")),
}


def load_table(name: str, paths: RunPaths) -> pd.DataFrame:
    """A table that `save_table` wrote.

    Raises:
        ZDError: it is not there.
    """
    path = paths.tables / f"{name}.csv"
    if not path.is_file():
        raise ZDError(f"{path}: no such file: run the notebook that writes it (./run_all.sh --status)")
    return pd.read_csv(path)


class Table(Styler):
    """A styled table whose plain-text form is stable, so that a notebook's output can be compared."""

    def __repr__(self) -> str:
        return f"table of {len(self.index)} rows"


def save_table(
    frame: pd.DataFrame,
    name: str,
    paths: RunPaths,
    *,
    caption: str,
    compare: Sequence[str] | None = None,
    hide: Sequence[str] = (),
    interval_note: str = INTERVAL_NOTE,
) -> Table:
    """Write `results/<profile>/tables/<name>.csv` and `.json`, and give the table to show.

    Args:
        frame: one row a line of the table; metric columns by their machine names (`HEADERS`). Where `<m>_low` and
            `<m>_high` stand beside `<m>`, half their distance is shown after it, and the caption explains it.
        name: file name without suffix.
        paths: where the profile's results go.
        caption: what it shows, on which data, and where quoted rows come from.
        compare: columns whose values must be equal for two rows to be comparable; the best value of each metric among
            comparable rows is bold. Empty: all rows are. None: nothing is bold.
        hide: columns that are stored but not shown.
        interval_note: ends the caption where intervals are shown.

    Raises:
        ZDError: the folder cannot be written, or the disk is full.
    """
    frame = frame.reset_index(drop=True)
    if _intervals(frame):
        caption = f"{caption} {interval_note}"
    write_csv(paths.tables / f"{name}.csv", frame)
    rows = [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]
    content = {"name": name, "caption": caption, "columns": list(frame.columns), "rows": rows}
    shown = {"compare": None if compare is None else list(compare), "hide": list(hide)}
    write_json(paths.tables / f"{name}.json", content | shown)
    return style(frame, name, caption, compare, hide)


def style(
    frame: pd.DataFrame, name: str, caption: str, compare: Sequence[str] | None = None, hide: Sequence[str] = ()
) -> Table:
    """A table as the notebooks show it: caption above, no index, three decimals, best comparable values in bold."""
    texts, best, numeric = _shown(frame, compare, hide)
    styler: Any = Table(texts).hide(axis="index").set_caption(html.escape(caption)).set_uuid(name)
    styler = styler.format(escape="html")
    styler = styler.apply(lambda _: np.where(best, "font-weight: bold", ""), axis=None)
    aligned = {"left": [c for c in texts.columns if c not in numeric], "right": numeric}
    for side, columns in aligned.items():
        styler = styler.set_properties(subset=columns, **{"text-align": side})
    styler = styler.set_table_styles(
        [
            {"selector": "caption", "props": "caption-side: top; text-align: left; padding-bottom: 0.4em"},
            {"selector": "th", "props": "text-align: left"},
        ]
    )
    return styler.format_index(_header, axis="columns")


def best_cells(frame: pd.DataFrame, compare: Sequence[str] | None) -> np.ndarray:
    """True where a metric's value is the best of its group of comparable rows (shown as equal counts as equal).

    A group of one row has no best.
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


def _intervals(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The columns that have an interval beside them, and the columns of its ends."""
    ends = {str(column): (f"{column}_low", f"{column}_high") for column in frame.columns}
    return {column: pair for column, pair in ends.items() if set(pair) <= set(frame.columns)}


def _shown(
    frame: pd.DataFrame, compare: Sequence[str] | None, hide: Sequence[str]
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """A table's texts, which of them are bold, and the columns that hold numbers."""
    intervals = _intervals(frame)
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
    best = best_cells(frame, compare)[:, frame.columns.isin(columns)]
    return pd.DataFrame(texts, columns=columns), best, numeric


def markdown(table: dict[str, Any]) -> str:
    """A stored table (`<name>.json`) as GitHub's Markdown, best comparable values in bold, caption below."""
    frame = pd.DataFrame(table["rows"], columns=table["columns"])
    shown, best, numeric = _shown(frame, table["compare"], table["hide"])
    lines = ["| " + " | ".join(map(_header, shown.columns)) + " |"]
    lines.append("|" + "|".join("---:" if column in numeric else "---" for column in shown.columns) + "|")
    for texts, marks in zip(shown.to_numpy(), best, strict=True):
        lines.append("| " + " | ".join(f"**{t}**" if m else t for t, m in zip(texts, marks, strict=True)) + " |")
    return "\n".join(lines) + f"\n\n*{table['caption']}*\n"


def readme_block(name: str) -> str:
    """The tables of one block of the README, from the stored results."""
    profile, tables = README_BLOCKS[name]
    return "\n".join(markdown(read_json(RunPaths(profile).tables / f"{table}.json")) for table in tables)


def refreshed_readme(text: str) -> str:
    """`text` with every block between its markers replaced by the results' tables.

    Raises:
        ZDError: markers are not there exactly once, or a table is missing.
    """
    for name in README_BLOCKS:
        block = re.compile(rf"(<!-- {name}:begin[^\n]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        if len(block.findall(text)) != 1:
            raise ZDError(
                f"README.md: put <!-- {name}:begin --> and <!-- {name}:end --> into it once, each on its line"
            )
        fresh = readme_block(name)
        text = block.sub(lambda match, fresh=fresh: f"{match[1]}{fresh}{match[2]}", text)  # type: ignore[misc]
    return text


def _header(column: object) -> str:
    """A column's name as shown."""
    return HEADERS.get(str(column), str(column).replace("_", " "))


def _plain(value: Any) -> Any:
    """A value that JSON knows."""
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m zdlib.paper.tables", description="Results as text.")
    parser.add_argument("what", choices=["readme"], help="rewrite the generated blocks of README.md")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if one is stale")
    options = parser.parse_args(arguments)
    readme = repo_root() / "README.md"
    try:
        text = readme.read_text(encoding="utf-8")
        fresh = refreshed_readme(text)
        if options.check:
            if fresh != text:
                raise ZDError(f"{readme}: a generated block is stale: run python -m zdlib.paper.tables readme")
        elif fresh != text:
            write_text(readme, fresh)
    except ZDError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
