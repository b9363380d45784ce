"""A stored table as HTML for the report: ours apart from quoted rows, long ones folded, all of it on paper.

No script: a fold is a checkbox that style sheets read, so that paper and readers without one get every row.
"""

import html
from typing import Any

import numpy as np
import pandas as pd

from zdlib.metrics.as_text import header, shown_cells

LONG = 16  # rows; a table that has more folds
SHOWN = 8  # of these; a table is never folded for less than half of its rows
OURS = "this run"  # the `source` of rows that are no quotation
_PAPER = 500.0  # points: the width of a page's text
_PRINT_SIZES = (5.6, 8.2)  # points: what is smaller cannot be read, what is larger is not wanted


def table_html(table: dict[str, Any]) -> str:
    """`<table>` of a stored table (`<name>.json` of `save_table`).

    Where it has rows of ours and quoted ones (column `source`), they are two groups. Of more than `LONG` rows the
    quoted ones, or if there are none the last ones, are folded.
    """
    frame = pd.DataFrame(table["rows"], columns=table["columns"])
    shown, best, numeric = shown_cells(frame, table["compare"], table["hide"], table.get("tied") or {})
    lines = [_row(texts, marks, shown.columns, numeric) for texts, marks in zip(shown.to_numpy(), best, strict=True)]
    head = "".join(f"<th{_side(column, numeric)}>{html.escape(header(column))}</th>" for column in shown.columns)
    style = f' style="--print:{print_size(shown):.1f}pt"'
    return f"<table{style}><thead><tr>{head}</tr></thead>{_groups(table['name'], frame, lines)}</table>"


def print_size(shown: pd.DataFrame) -> float:
    """The size of letters, in points, at which a table's columns fit the width of a page.

    Numbers never break; text does, but not within its longest word.
    """
    widths = []
    for column in shown.columns:
        texts = [*map(str, shown[column])]
        words = [len(word) for text in [*texts, header(column)] for word in text.split(" ")]
        widths.append(max(max(words, default=1), min(max(map(len, texts), default=1), 26)))
    em = 0.54 * sum(widths) + 0.9 * len(widths)  # letters, and what is left free between columns
    return float(np.clip(_PAPER / em, *_PRINT_SIZES))


def _groups(name: str, frame: pd.DataFrame, lines: list[str]) -> str:
    """The bodies of a table, with a checkbox where one is folded."""
    quoted = frame["source"].ne(OURS).to_numpy() if "source" in frame else np.zeros(len(frame), bool)
    if quoted.any() and not quoted.all():
        ours = [line for line, mark in zip(lines, quoted, strict=True) if not mark]
        others = [line for line, mark in zip(lines, quoted, strict=True) if mark]
        if len(lines) <= LONG:
            return f"<tbody>{''.join(ours)}</tbody><tbody class=quoted>{''.join(others)}</tbody>"
        return f"<tbody>{''.join(ours)}</tbody>" + _fold(
            name, others, f"{len(others)} quoted row{'s' * (len(others) > 1)}"
        )
    if len(lines) <= LONG:
        return f"<tbody>{''.join(lines)}</tbody>"
    return f"<tbody>{''.join(lines[:SHOWN])}</tbody>" + _fold(name, lines[SHOWN:], f"{len(lines) - SHOWN} more rows")


def _fold(name: str, lines: list[str], words: str) -> str:
    box = f'<input type="checkbox" id="fold-{name}"><label for="fold-{name}">{words}</label>'
    switch = f'<tbody class="switch"><tr><td colspan="99">{box}</td></tr></tbody>'
    return f'{switch}<tbody class="fold">{"".join(lines)}</tbody>'


def _row(texts: np.ndarray, marks: np.ndarray, columns: pd.Index, numeric: list[str]) -> str:
    cells = (
        f"<td{_side(column, numeric)}>{f'<b>{html.escape(text)}</b>' if mark else html.escape(text)}</td>"
        for text, mark, column in zip(texts, marks, columns, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _side(column: str, numeric: list[str]) -> str:
    return " class=n" if column in numeric else ""
