"""Numbers as text: stored whole, shown rounded, the best bold only among rows that can be compared."""

import json

import numpy as np
import pandas as pd
import pytest

from zdlib.errors import ZDError
from zdlib.metrics import as_text
from zdlib.metrics.intervals import bootstrap_groups
from zdlib.paper import tables
from zdlib.paths import RunPaths

FRAME = pd.DataFrame(
    {
        "protocol": ["standard", "standard", "published", "standard"],
        "method": ["a", "b <i>", "c", "d"],
        "delta1": [0.90012, 0.9004, 0.99, np.nan],
        "abs_rel": [0.12345678901234, 0.2, 0.01, 0.3],
        "params": [1234567, 3, 4, 5],
    }
)


@pytest.fixture
def paths(tmp_path, monkeypatch) -> RunPaths:
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    return RunPaths("t")


def test_stored_numbers_keep_their_digits(paths):
    tables.save_table(FRAME, "x", paths, caption="Caption.", compare=["protocol"])
    back = pd.read_csv(paths.tables / "x.csv")
    pd.testing.assert_frame_equal(back, FRAME, check_exact=True)
    stored = json.loads((paths.tables / "x.json").read_text())
    assert stored["caption"] == "Caption."
    assert stored["compare"] == ["protocol"]
    assert stored["rows"][0]["abs_rel"] == 0.12345678901234
    assert stored["rows"][3]["delta1"] is None


def test_best_is_bold_among_comparable_rows_only():
    best = as_text.best_cells(FRAME, ["protocol"])
    assert best[:, 2].tolist() == [True, True, False, False]  # equal as shown; a group of one has no best
    assert best[:, 3].tolist() == [True, False, False, False]  # lower is better
    assert not best[:, [0, 1, 4]].any()
    assert as_text.best_cells(FRAME, [])[:, 2].tolist() == [False, False, True, False]
    assert not as_text.best_cells(FRAME, None).any()


def test_html_is_escaped_headed_and_always_the_same(paths):
    first = tables.save_table(FRAME, "x", paths, caption="d < 10 m", compare=["protocol"]).to_html()
    again = tables.save_table(FRAME, "x", paths, caption="d < 10 m", compare=["protocol"]).to_html()
    assert first == again
    assert "b &lt;i&gt;" in first
    assert "d &lt; 10 m" in first
    assert ">δ1</th>" in first
    assert ">1,234,567</td>" in first
    assert ">0.123</td>" in first
    assert ">–</td>" in first


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (0.12345, "abs_rel", "0.123"),
        (pd.NA, "params", "–"),
        (105.73416, "params_m", "105.7"),
        (1449, "images", "1,449"),
        (np.int64(12), "images", "12"),
        (np.float32(0.5), "delta1", "0.500"),
        (None, "rmse", "–"),
        (float("nan"), "rmse", "–"),
        (True, "measured", "yes"),
        ("text", "method", "text"),
    ],
)
def test_cell(value, column, text):
    assert as_text.cell(value, column) == text


def test_markdown_table(paths):
    tables.save_table(FRAME, "x", paths, caption="Caption.", compare=["protocol"])
    lines = as_text.markdown(json.loads((paths.tables / "x.json").read_text())).splitlines()
    assert lines[0] == "| protocol | method | δ1 | AbsRel | parameters |"
    assert lines[1] == "|---|---|---:|---:|---:|"
    assert lines[2] == "| standard | a | **0.900** | **0.123** | 1,234,567 |"
    assert lines[5] == "| standard | d | – | 0.300 | 5 |"
    assert lines[-1] == "*Caption.*"


def test_hidden_columns_are_stored_but_not_shown(paths):
    html = tables.save_table(FRAME, "x", paths, caption="C.", compare=["protocol"], hide=["protocol"]).to_html()
    assert ">published<" not in html
    assert "font-weight: bold" in html
    assert "protocol" in pd.read_csv(paths.tables / "x.csv")
    text = as_text.markdown(json.loads((paths.tables / "x.json").read_text()))
    assert text.splitlines()[2] == "| a | **0.900** | **0.123** | 1,234,567 |"


BLOCK = "<!-- {0}:begin (generated) -->\nold\n<!-- {0}:end -->\n\n"
README = f"# Title\n\n{BLOCK.format('results')}between\n{BLOCK.format('study')}rest\n"


@pytest.fixture
def blocks(monkeypatch):
    monkeypatch.setattr(tables, "README_BLOCKS", {"results": ("t", ("one", "two")), "study": ("t", ("three",))})


def test_readme_blocks_are_rewritten_and_checked(paths, tmp_path, capsys, blocks):
    for name in ("one", "two", "three"):
        tables.save_table(FRAME, name, paths, caption=f"Table {name}.", compare=["protocol"])
    readme = tmp_path / "README.md"
    readme.write_text(README)
    assert tables.main(["readme", "--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert readme.read_text() == README
    assert tables.main(["readme"]) == 0
    text = readme.read_text()
    assert text.startswith("# Title\n\n<!-- results:begin (generated) -->\n| protocol |")
    assert text.endswith("*Table three.*\n<!-- study:end -->\n\nrest\n")
    assert "old" not in text
    assert "between" in text
    assert text.count("*Table ") == 3
    assert tables.main(["readme", "--check"]) == 0


def test_readme_without_markers_or_results_is_one_line(paths, tmp_path, capsys, blocks):
    (tmp_path / "README.md").write_text("nothing here\n")
    assert tables.main(["readme"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ZDError, match="no such file"):
        tables.refreshed_readme(README)


def test_an_interval_is_shown_beside_its_value_and_explained(paths):
    frame = FRAME.assign(delta1_low=[0.89, 0.89, np.nan, np.nan], delta1_high=[0.92, 0.91, np.nan, np.nan])
    shown = tables.save_table(frame, "x", paths, caption="Caption.", compare=["protocol"]).to_html()
    assert ">0.900\N{NO-BREAK SPACE}±.015</td>" in shown
    assert ">0.990</td>" in shown
    assert "low" not in shown
    text = as_text.markdown(json.loads((paths.tables / "x.json").read_text()))
    assert "| standard | a | **0.900\N{NO-BREAK SPACE}±.015** | **0.123** | 1,234,567 |" in text
    assert f"*Caption. {tables.INTERVAL_NOTE}*" in text
    assert pd.read_csv(paths.tables / "x.csv")["delta1_high"][0] == 0.92


def test_one_scene_has_no_interval_and_zero_no_sign(paths):
    sums = np.zeros((4, 2, 5))  # columns: pixels, and sums of δ1, AbsRel, squared error, log10
    sums[:, 0] = [[10, 5 + image, 1, 1, 1] for image in range(4)]
    sums[:2, 1] = [[10, 7, 1, 1, 1], [10, 9, 1, 1, 1]]  # far: one scene alone
    ends = bootstrap_groups(sums, ["a", "a", "b", "b"], np.random.default_rng(0))
    frame = pd.DataFrame({"delta1": [0.65, 0.8], "delta1_low": ends["delta1_low"], "delta1_high": ends["delta1_high"]})
    frame = frame.assign(difference=[-0.00001, -0.001], rmse_change=[-0.00004, -0.0], pe_flatness_m=[0.095, 0.1])
    tables.save_table(frame, "x", paths, caption="Caption.")
    lines = as_text.markdown(json.loads((paths.tables / "x.json").read_text())).splitlines()
    assert lines[0] == "| δ1 | difference | Δ RMSE [m] | PE flat [m] |"
    assert lines[2].startswith("| 0.650\N{NO-BREAK SPACE}±.100 | 0.0000 | 0.0000 | ")
    assert lines[3].startswith("| 0.800 | -0.0010 | 0.0000 | ")
