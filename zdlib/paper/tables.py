"""Tables: how they look in a notebook, how they are stored, and the README's generated blocks.

python -m zdlib.paper.tables readme          # rewrite the blocks in README.md from results/demo and results/study
python -m zdlib.paper.tables readme --check  # exit status 1 if one is stale
"""

import argparse
import html
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from zdlib.errors import ZDError
from zdlib.files import read_json, write_csv, write_json, write_text
from zdlib.metrics.as_text import header, interval_ends_of, markdown, shown_cells
from zdlib.paper.page.captions import Notes
from zdlib.paths import RunPaths, repo_root

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
    tied: Mapping[str, Sequence[int]] | None = None,
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
        tied: metric to positions of rows that are bold as well, because their paired difference to the best cannot be
            told from zero (`zdlib.paper.evaluations.tied_with_best`).
        interval_note: ends the caption where intervals are shown.

    Raises:
        ZDError: the folder cannot be written, or the disk is full.
    """
    frame = frame.reset_index(drop=True)
    if interval_ends_of(frame):
        caption = f"{caption} {interval_note}"
    write_csv(paths.tables / f"{name}.csv", frame)
    rows = [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]
    content = {"name": name, "caption": caption, "columns": list(frame.columns), "rows": rows}
    also_bold = {metric: [int(row) for row in rows] for metric, rows in (tied or {}).items()}
    shown = {"compare": None if compare is None else list(compare), "hide": list(hide), "tied": also_bold}
    write_json(paths.tables / f"{name}.json", content | shown)
    return style(frame, name, caption, compare, hide, also_bold)


def style(
    frame: pd.DataFrame,
    name: str,
    caption: str,
    compare: Sequence[str] | None = None,
    hide: Sequence[str] = (),
    tied: Mapping[str, Sequence[int]] | None = None,
) -> Table:
    """A table as the notebooks show it: caption above, no index, three decimals, best comparable values in bold."""
    texts, best, numeric = shown_cells(frame, compare, hide, tied)
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
    return styler.format_index(header, axis="columns")


def readme_block(name: str) -> str:
    """The tables of one block of the README, from the stored results; what two captions say is a footnote."""
    profile, names = README_BLOCKS[name]
    tables = [read_json(RunPaths(profile).tables / f"{table}.json") for table in names]
    notes = Notes.of((table["caption"] for table in tables), shared=2)
    texts = []
    for table in tables:
        caption, letters = notes.split(table["caption"])
        marks = "".join(f"[^{name}-{letter}]" for letter in letters)
        texts.append(markdown(table | {"caption": caption}).rstrip().removesuffix("*") + f"*{marks}\n")
    return "\n".join([*texts, *(f"[^{name}-{letter}]: {text}\n" for letter, text in notes.letters.items())])


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
