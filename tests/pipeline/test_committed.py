"""Committed results are compared with code, profile and files beside them; what is carried over says so."""

import json
import subprocess
from pathlib import Path

import pytest
import tiny_paper as tiny

from zdlib.errors import ZDError
from zdlib.files import read_json, sha256, write_json
from zdlib.pipeline.committed import carry, check, print_check
from zdlib.pipeline.layout import Layout
from zdlib.pipeline.run import main

CODE = {
    "zdlib/__init__.py": "",
    "zdlib/a.py": "import numpy\nfrom zdlib import b\n",
    "zdlib/b.py": "VALUE = 1\n",
    "zdlib/paper/report.py": "import zdlib.b\n",
    "zdlib/paper/predicted.py": "",
    # What a profile names, and no import does.
    "zdlib/data/sets/ibims.py": "",
    "zdlib/data/sets/nyu.py": "",
    "zdlib/train/methods/zoe_distill.py": "",
    "zdlib/train/run.py": "",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed checkout of two notebooks and the report, each with its record and one output."""
    for name, content in CODE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "profiles").mkdir()
    tiny.write_profile(tmp_path)
    tiny.write_notebook(tmp_path / "notebooks/01_data_prep.ipynb", "import zdlib.a")
    tiny.write_notebook(tmp_path / "notebooks/03_training.ipynb")
    (tmp_path / ".gitignore").write_text(".snakemake\n")
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    layout = Layout("tiny")
    assert layout.steps == ["01_data_prep", "train_distill", "predict_distill", "03_training", "report"]
    for step in layout.steps:
        table = layout.root / f"results/tiny/tables/{step}.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(step)
        outputs = {table.relative_to(tmp_path).as_posix(): sha256(table), "results/tiny/not_in_git.mat": "0" * 64}
        record = {"step": step, "commit": "1" * 40, "seconds": 12.5, "depends": layout.depends(step)}
        write_json(layout.provenance(step), record | {"inputs": {}, "outputs": outputs})
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "x")
    return git(folder, "rev-parse", "HEAD")


def reasons() -> dict[str, tuple[str, ...]]:
    """The stale steps and why."""
    return {task.step: task.reasons for task in check(Layout("tiny")) if task.reasons}


def test_results_of_today_s_code_are_current(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reasons() == {}
    (checkout / "zdlib/b.py").write_text('"""What it is for."""\n\nVALUE = 1  # a number\n')
    assert reasons() == {}
    assert print_check(["tiny"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "tiny: all 5 steps are current",
        "  01_data_prep             current",
    ]


def test_what_has_changed_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "zdlib/b.py").write_text("VALUE = 2\n")
    tiny.write_profile(checkout, train={"epochs": 2})
    assert reasons() == {
        "01_data_prep": ("zdlib/b.py changed",),
        "train_distill": ("train.epochs: 1 → 2",),
        "03_training": ("train.epochs: 1 → 2",),
        "report": ("zdlib/b.py changed",),
    }
    assert main(["committed", "--profile", "tiny"]) == 1
    said = capsys.readouterr().out
    assert "tiny: 4 of 5 steps are stale" in said
    assert "  03_training              stale: train.epochs: 1 → 2\n" in said


def test_a_reader_counts_where_the_data_are_read(checkout: Path) -> None:
    (checkout / "zdlib/data/sets/nyu.py").write_text("UNIT = 2\n")
    assert reasons() == dict.fromkeys(
        ("01_data_prep", "train_distill", "predict_distill", "03_training"), ("zdlib/data/sets/nyu.py changed",)
    )


def test_a_changed_file_and_a_missing_record_are_named(checkout: Path) -> None:
    (checkout / "results/tiny/tables/03_training.csv").write_text("better numbers")
    Layout("tiny").provenance("report").unlink()
    assert reasons() == {
        "03_training": ("results/tiny/tables/03_training.csv is not the one it wrote",),
        "report": ("results/tiny/provenance/report.json is missing",),
    }


def test_a_record_of_another_scheme_or_version_is_stale(checkout: Path) -> None:
    path = Layout("tiny").provenance("01_data_prep")
    record = read_json(path)
    depends = [s for s in record["depends"] if not s.startswith("file zdlib/b.py ")]
    numpy = next(s for s in depends if s.startswith("package numpy "))
    hash_of_bytes = sha256(checkout / "zdlib/b.py")[:16]
    write_json(path, record | {"depends": [*depends, f"file zdlib/b.py {hash_of_bytes}"]})
    assert reasons() == {"01_data_prep": ("zdlib/b.py changed",)}
    write_json(path, record | {"depends": [s + "+build" if s == numpy else s for s in record["depends"]]})
    assert reasons() == {}
    write_json(path, record | {"depends": [s + "9" if s == numpy else s for s in record["depends"]]})
    assert list(reasons()) == ["01_data_prep"]


def test_a_carried_result_says_so_and_keeps_what_it_was_computed_by(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {step: read_json(Layout("tiny").provenance(step)) for step in ("01_data_prep", "03_training")}
    (checkout / "zdlib/b.py").write_text("VALUE = 0 + 1\n")
    head = commit(checkout)
    why = ["--reason", "the same value", "--shown-by", "python -m zdlib.b"]
    assert main(["carry", "0*", "--profile", "tiny", *why]) == 0
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "01_data_prep: carried over; what has changed since it was computed: 1",
        "03_training: current, nothing to carry over",
    ]
    assert list(reasons()) == ["report"]
    record = read_json(Layout("tiny").provenance("01_data_prep"))
    note = {"commit": head, "reason": "the same value", "shown_by": "python -m zdlib.b"}
    assert record["carried"] == [note]
    others = {key: value for key, value in record.items() if key not in {"depends", "carried"}}
    assert others == {key: value for key, value in before["01_data_prep"].items() if key != "depends"}
    assert read_json(Layout("tiny").provenance("03_training")) == before["03_training"]
    # Once more: both times are on record.
    (checkout / "zdlib/b.py").write_text("VALUE = 1 + 0\n")
    later = commit(checkout)
    carry(Layout("tiny"), ["01"], "again", "the same")
    notes = read_json(Layout("tiny").provenance("01_data_prep"))["carried"]
    assert [entry["commit"] for entry in notes] == [head, later]


def test_a_result_that_differs_from_its_record_cannot_be_carried(checkout: Path) -> None:
    (checkout / "zdlib/b.py").write_text("VALUE = 0 + 1\n")
    (checkout / "results/tiny/tables/01_data_prep.csv").write_text("better numbers")
    commit(checkout)
    with pytest.raises(
        ZDError, match=r"01_data_prep\.json: cannot be carried over: .*csv is not the one it wrote: run"
    ):
        carry(Layout("tiny"), ["01"], "no reason", "nothing")
    assert "carried" not in json.loads(Layout("tiny").provenance("01_data_prep").read_text())


def test_only_committed_sources_are_carried_to(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "zdlib/b.py").write_text("VALUE = 0 + 1\n")
    assert main(["carry", "01", "--profile", "tiny", "--reason", "a", "--shown-by", "b"]) == 2
    assert "the sources are not those of a commit: commit them, then carry" in capsys.readouterr().err
    commit(checkout)
    with pytest.raises(ZDError, match="05: no such step"):
        carry(Layout("tiny"), ["05"], "a", "b")


# ------------------------------------------------------------------------------------------ the repository's own
CURRENT = ("demo", "study", "heads")


@pytest.mark.parametrize("profile", CURRENT)
def test_the_results_in_git_follow_from_the_code_beside_them(profile: str) -> None:
    """Run `python -m zdlib.pipeline committed` for the same in a table."""
    stale = [f"{task.step}: {'; '.join(task.reasons)}" for task in check(Layout(profile)) if task.reasons]
    assert not stale, "\n".join([f"results/{profile} is stale: run the steps again, or carry them over", *stale])
