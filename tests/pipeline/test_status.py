"""Why a step is stale, in words; and the pipeline's small vocabulary."""

import pytest

from zdlib.errors import ZDError
from zdlib.pipeline.layout import Layout, duration, rule_of
from zdlib.pipeline.status import Task, explain_change


def test_changes_are_told_by_kind() -> None:
    old = [
        "file zdlib/a.py 11",
        "file zdlib/b.py 22",
        "value train.lr 0.001",
        "package torch 2.12.0",
        "file zdlib/d.py 44",
    ]
    new = ["file zdlib/a.py 12", "file zdlib/c.py 33", "value train.lr 0.002", "package torch 2.13.0", "value x.y z w"]
    new += ["file zdlib/d.py 44"]
    assert explain_change(old, new) == [
        "zdlib/a.py changed",
        "zdlib/b.py is used no more",
        "zdlib/c.py is used now",
        "package torch: 2.12.0 → 2.13.0",
        "train.lr: 0.001 → 0.002",
        "x.y: nothing → z w",
    ]


def test_a_summary_stays_on_one_line() -> None:
    assert Task("x", ()).summary == "up to date"
    assert Task("x", ("a", "b", "c")).summary == "a; b; c"
    assert Task("x", ("a", "b", "c", "d", "e")).summary == "a; b; c; and 2 more"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185.0, "3 min 5 s"), (7830.0, "2 h 10 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_rule_is_a_step_without_its_number() -> None:
    assert rule_of("03_training") == "training"
    assert rule_of("report") == "report"


def test_the_layout_names_files_relative_to_the_root() -> None:
    layout = Layout("smoke")
    assert layout.table("a") == ["results/smoke/tables/a.csv", "results/smoke/tables/a.json"]
    assert layout.figure("a") == ["figures/smoke/a.png", "figures/smoke/a.pdf"]
    assert "results/smoke/checkpoints/r.safetensors" in layout.checkpoint("r")
    assert layout.materialised == [*layout.data, "results/smoke/data/streets/written.json"]
    assert layout.finished("report") == ".snakemake/zd/smoke/report.done"
    with pytest.raises(ZDError, match=r"99_x: no such step: choose one of 01_data_prep, "):
        layout.source("99_x")


def test_dependencies_name_the_values_of_the_step_s_sections_only() -> None:
    strings = Layout("smoke").depends("03_training")
    values = {string.split(" ")[1] for string in strings if string.startswith("value ")}
    assert {"train.epochs", "runs.control.seg_weight"} <= values
    assert {name.split(".")[0] for name in values} == {"data", "model", "train", "runs"}
    assert any(string.startswith("file zdlib/train/run.py ") for string in strings)
    assert any(string.startswith("package torch ") for string in strings)


def test_a_job_of_the_study_depends_on_no_table_statistic_or_quoted_number() -> None:
    files = {
        string.split(" ")[1] for string in Layout("study").depends("train_distill_1") if string.startswith("file ")
    }
    of_the_paper = {name for name in files if name.startswith("zdlib/paper/")}
    assert of_the_paper == {"zdlib/paper/study_job.py", "zdlib/paper/trained_runs.py"}
    assert "zdlib/losses/zoe_distill.py" in files
    statistics = {string.split(" ")[1] for string in Layout("study").depends("09_control_study")}
    assert "zdlib/paper/control_study.py" in statistics
    assert "zdlib/train/run.py" not in statistics
