"""Tables of the report: every row is in it, quoted ones apart, and it fits the width of a page."""

import re

import pandas as pd

from zdlib.metrics.as_text import shown_cells
from zdlib.paper.page.folded import LONG, print_size, table_html


def stored(rows: int, sources: list[str] | None = None) -> dict[str, object]:
    content = [{"method": f"m<{i}>", "delta1": 0.5 + i / 100} for i in range(rows)]
    for row, source in zip(content, sources or [], strict=False):
        row["source"] = source
    columns = ["method", "delta1", *(["source"] if sources else [])]
    return {"name": "t", "columns": columns, "rows": content, "compare": [], "hide": ["source"], "tied": {}}


def methods(text: str) -> list[str]:
    return re.findall(r"<td>m&lt;(\d+)&gt;</td>", text)


def test_a_short_table_is_plain() -> None:
    text = table_html(stored(3))
    assert methods(text) == ["0", "1", "2"]
    assert "checkbox" not in text
    assert "<td class=n><b>0.520</b></td>" in text


def test_a_long_table_folds_and_keeps_every_row() -> None:
    text = table_html(stored(LONG + 4))
    assert methods(text) == [str(i) for i in range(LONG + 4)]
    seen, folded = text.split('<tbody class="fold">')
    assert len(methods(seen)) == 8
    assert f"{len(methods(folded))} more rows" in text


def test_quoted_rows_stand_apart_and_fold_where_there_are_many() -> None:
    mixed = ["this run", "A paper", "this run"]
    assert methods(table_html(stored(3, mixed)).split("<tbody class=quoted>")[1]) == ["1"]
    text = table_html(stored(LONG + 2, ["A paper", *["this run"] * (LONG + 1)]))
    assert methods(text.split('<tbody class="fold">')[1]) == ["0"]
    assert "1 quoted rows" not in text
    assert "1 quoted row<" in text


def test_tied_rows_are_bold_too() -> None:
    table = stored(3) | {"tied": {"delta1": [1]}}
    assert re.findall(r"<b>([\d.]+)</b>", table_html(table)) == ["0.510", "0.520"]


def test_letters_shrink_with_the_columns() -> None:
    narrow = pd.DataFrame({"a": [1.0]})
    wide = pd.DataFrame({f"column {i}": ["0.123 ±.004"] for i in range(12)})
    sizes = [print_size(shown_cells(frame, None, [])[0]) for frame in (narrow, wide)]
    assert sizes[0] > sizes[1]
