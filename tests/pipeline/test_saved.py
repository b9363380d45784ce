"""Names of tables and figures come from the notebooks' own calls."""

from pathlib import Path

import pytest
import tiny_paper as tiny

from zdlib.errors import ZDError
from zdlib.paths import repo_root
from zdlib.pipeline.layout import Layout
from zdlib.pipeline.saved import Saved, saved


def test_names_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "01.ipynb"
    tiny.write_notebook(
        path,
        "shown = save_table(frame, 'b', paths, caption='x')\nsave_figure(plots.draw('no'), \"c\", paths)",
        "x = (save_table(rows, 'a', paths), other('d', 'e'))\nprint('save_table(1, \\'f\\')')",
    )
    assert saved(path) == Saved(("b", "a"), ("c",))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "save_table(frame, name, paths)",
            r"01\.ipynb: save_table in 'save_table\(frame, name, paths\)': .*plain string",
        ),
        ("save_figure(figure)", r"01\.ipynb: save_figure in 'save_figure\(figure\)': .*second in the call"),
        ("save_table(a, 'x')\nsave_table(b, 'x')", r"01\.ipynb: save_table is called twice for 'x': rename one"),
        ("save_table(", r"01\.ipynb: not valid Python"),
    ],
)
def test_a_name_that_cannot_be_read_is_one_line(tmp_path: Path, code: str, message: str) -> None:
    path = tmp_path / "01.ipynb"
    tiny.write_notebook(path, code)
    with pytest.raises(ZDError, match=message) as caught:
        saved(path)
    assert "\n" not in str(caught.value)


def test_the_layout_knows_the_files() -> None:
    layout = Layout("smoke")
    shown = layout.shown("02_architecture")
    assert shown[0] == "results/smoke/notebooks/02_architecture.ipynb"
    assert {"results/smoke/tables/gradient_reach.csv", "results/smoke/tables/gradient_reach.json"} <= set(shown)
    assert {"figures/smoke/cross_talk.png", "figures/smoke/cross_talk.pdf"} <= set(shown)
    assert layout.shown("report") == []
    every = {path.stem: saved(path) for path in (repo_root() / "notebooks").glob("*.ipynb")}
    assert sum(len(names.tables) for names in every.values()) > 40
    assert sum(len(names.figures) for names in every.values()) > 30
