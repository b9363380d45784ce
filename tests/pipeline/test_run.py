"""The real Snakefile on a small checkout: what runs, what is stale and why, and what a failure leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_paper as tiny
import yaml

from zdlib.pipeline import run
from zdlib.pipeline.layout import Layout
from zdlib.pipeline.step import BEGUN, Ending

DOWNSTREAM_OF_3 = ["03_training", "07_plots", "report"]
DOWNSTREAM_OF_TRAINING = [
    "train_distill",
    "predict_distill",
    "03_training",
    "04_nyu_eval",
    "05_ibims_eval",
    "07_plots",
    "08_protocol_audit",
    "report",
]
TABLE = "results/tiny/tables/selected_checkpoints.csv"  # an output of 03_training


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout (in a folder with a space in its name) whose results are all there."""
    folder = tiny.make_checkout(tmp_path_factory.mktemp("tiny") / "the paper")
    # A library file that one notebook alone uses, through another one.
    (folder / "zdlib" / "inner.py").write_text("VALUE = 1\n")
    (folder / "zdlib" / "outer.py").write_text("from zdlib.inner import VALUE\n")
    tiny.write_step(folder, "03_training", tiny.outputs(folder)["03_training"], "from zdlib import outer")
    done = tiny.pipeline(folder, "run")
    assert "12 of 12 steps to run" in done.stdout
    assert "[12/12] report done" in done.stdout
    return folder


@pytest.fixture
def checkout(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(finished, tmp_path / "the paper"))


@pytest.fixture
def restored(finished: Path) -> Iterator[Path]:
    """The finished checkout itself, for looking only; checked to be unchanged afterwards."""
    yield finished
    assert stale(finished) == {}


def stale(folder: Path) -> dict[str, str]:
    """Stale steps and what --status says of them."""
    lines = tiny.pipeline(folder, "status").stdout.splitlines()[:-1]
    rows = [line.split("] ", 1)[1].split(None, 1) for line in lines]
    return {step: text.removeprefix("stale: ") for step, text in rows if text.startswith("stale: ")}


def make_fail(folder: Path, code: str) -> None:
    """Let notebook 03 write new results, and then run `code`."""
    path = folder / "notebooks" / "03_training.ipynb"
    path.write_text(path.read_text().replace("'03_training')", "'new')"))
    content = json.loads(path.read_text())
    content["cells"][-1]["source"] = code
    path.write_text(json.dumps(content))


@pytest.mark.slow
def test_a_run_leaves_results_and_provenance(restored: Path) -> None:
    results = restored / "results" / "tiny"
    assert (results / "report.html").read_text().startswith("<!doctype html>")
    record = json.loads((results / "provenance" / "03_training.json").read_text())
    assert record["profile"]["train"]["epochs"] == 1
    assert "results/tiny/data/rooms_n.mat" in record["inputs"]
    assert set(record["outputs"]) >= {TABLE, "results/tiny/notebooks/03_training.ipynb"}
    assert record["seconds"] > 0
    assert record["peak_memory_mib"] > 10
    assert {"commit", "dirty", "hardware", "depends"} <= record.keys()


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(restored: Path) -> None:
    started = time.monotonic()
    done = tiny.pipeline(restored, "run")
    assert "nothing to do, all 12 steps are up to date" in done.stdout
    assert time.monotonic() - started < 15


def edit_notebook(folder: Path) -> None:
    path = folder / "notebooks" / "06_parameter_table.ipynb"
    path.write_text(path.read_text().replace("# 06_parameter_table", "# Parameters"))


def edit_library(folder: Path) -> None:
    (folder / "zdlib" / "inner.py").write_text("VALUE = 2\n")


def edit_value(folder: Path) -> None:
    tiny.write_profile(folder, train={"epochs": 2})


def edit_data(folder: Path) -> None:
    (folder / "data" / "rooms" / "rooms_n.h5").write_bytes(b"other rooms")


def delete_output(folder: Path) -> None:
    (folder / TABLE).unlink()


ALL_BUT_2_AND_6 = ["01_data_prep", *DOWNSTREAM_OF_TRAINING]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "first_reason", "steps"),
    [
        (edit_notebook, "notebooks/06_parameter_table.ipynb changed", ["06_parameter_table", "07_plots", "report"]),
        (edit_library, "zdlib/inner.py changed", DOWNSTREAM_OF_3),
        (edit_value, "train.epochs: 1 → 2", DOWNSTREAM_OF_TRAINING),
        (edit_data, "data/rooms/rooms_n.h5 changed", ALL_BUT_2_AND_6),
        (delete_output, f"{TABLE} is missing", DOWNSTREAM_OF_3),
    ],
)
def test_a_change_makes_stale_exactly_what_depends_on_it(checkout, change, first_reason, steps) -> None:
    change(checkout)
    found = stale(checkout)
    assert list(found) == steps
    assert found[steps[0]] == first_reason
    assert all(text.startswith("follows ") for text in list(found.values())[1:])


@pytest.mark.slow
def test_dates_and_outputs_of_a_notebook_change_nothing(checkout: Path) -> None:
    for path in [*checkout.glob("notebooks/*"), *checkout.glob("zdlib/*.py"), *checkout.glob("data/rooms/*")]:
        os.utime(path)
    path = checkout / "notebooks" / "03_training.ipynb"
    content = json.loads(path.read_text())
    content["cells"][-1] |= {"execution_count": 7, "outputs": []}
    path.write_text(json.dumps(content, indent=2))
    assert stale(checkout) == {}


@pytest.mark.slow
def test_only_what_is_stale_runs(checkout: Path) -> None:
    edit_notebook(checkout)
    assert "[8/12] 06_parameter_table" not in tiny.pipeline(checkout, "run", "--dry-run").stdout
    done = tiny.pipeline(checkout, "run")
    assert [line for line in done.stdout.splitlines() if line.endswith(" …")] == [
        "[8/12] 06_parameter_table …",
        "[9/12] 07_plots …",
        "[12/12] report …",
    ]
    assert stale(checkout) == {}


@pytest.mark.slow
def test_force_names_a_step_by_number_or_name(checkout: Path) -> None:
    done = tiny.pipeline(checkout, "run", "--dry-run", "--force", "06")
    assert "06_parameter_table   asked for with --force" in done.stdout
    unknown = tiny.pipeline(checkout, "run", "--force", "99", check=False)
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("error: 99: no such step: choose one of 01_data_prep, ")


@pytest.mark.slow
@pytest.mark.parametrize(("forced", "start"), [(["train_distill"], "fresh"), (["07_plots"], None)])
def test_a_forced_training_is_not_answered_by_a_finished_one(tmp_path, monkeypatch, forced, start) -> None:
    class Recorder(subprocess.Popen):
        pid = 0

        def __init__(self, command: list[str], env: dict[str, str], **options: object):
            assert env.get("ZD_TRAIN") == start

        def wait(self) -> int:
            return 0

    monkeypatch.delenv("ZD_TRAIN", raising=False)
    monkeypatch.setattr(run.subprocess, "Popen", Recorder)
    monkeypatch.setattr(run, "_log", lambda layout: tmp_path / "log")
    with open(tmp_path / "lock", "a+") as lock:
        assert run._snakemake(Layout("smoke"), 1, forced, lock) == 0


@pytest.mark.slow
def test_a_failing_cell_is_told_and_leaves_the_previous_results(checkout: Path) -> None:
    before = {path: (checkout / path).read_bytes() for path in tiny.outputs(checkout)["03_training"]}
    make_fail(checkout, "def f():\n    raise ValueError('the sea is dry')\nf()")
    done = tiny.pipeline(checkout, "run", check=False)
    assert done.returncode == 1
    assert "[5/12] 03_training failed: 03_training.ipynb, cell 4: ValueError: the sea is dry" in done.stdout
    assert "----> 2     raise ValueError('the sea is dry')" in done.stdout
    assert "[9/12]" not in done.stdout
    assert "Snakemake" not in done.stdout + done.stderr
    assert {path: (checkout / path).read_bytes() for path in before} == before
    found = stale(checkout)
    assert list(found) == DOWNSTREAM_OF_3
    assert found["03_training"].startswith("failed last time")


@pytest.mark.slow
def test_a_declared_output_must_be_written(checkout: Path) -> None:
    path = checkout / "notebooks" / "03_training.ipynb"
    path.write_text(path.read_text().replace("tables/selected_checkpoints.csv", "tables/other.csv"))
    done = tiny.pipeline(checkout, "run", check=False)
    assert done.returncode == 1
    assert f"03_training: left an old {TABLE} as it was" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_an_interrupt_leaves_nothing_half_written(checkout: Path, number: signal.Signals) -> None:
    before = {path: (checkout / path).read_bytes() for path in tiny.outputs(checkout)["03_training"]}
    code = (
        "import os, time\nfrom pathlib import Path\nfrom zdlib.files import atomic_path\n"
        "with atomic_path('results/tiny/tables/half.csv') as temporary:\n"
        "    temporary.write_text('half a line')\n"
        "    Path('kernel').write_text(str(os.getpid()))\n"
        "    time.sleep(300)"
    )
    make_fail(checkout, code)
    command = [sys.executable, "-m", "zdlib.pipeline", "run", "--profile", "tiny"]
    with subprocess.Popen(command, cwd=checkout, env=tiny.surroundings(checkout), stdout=subprocess.PIPE) as process:
        wait_for(lambda: (checkout / "kernel").is_file() and (checkout / "kernel").read_text())
        second = tiny.pipeline(checkout, "run", check=False)
        assert second.returncode == 2
        assert f"another run is under way here (process {process.pid})" in second.stderr
        if number == signal.SIGKILL:
            kill_everything(process.pid)
        else:
            process.send_signal(number)
        said = process.communicate(timeout=60)[0].decode()
    kernel = int((checkout / "kernel").read_text())
    wait_for(lambda: not alive(kernel))
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert "[5/12] 03_training interrupted" in said
        assert not list((checkout / "results").rglob(".*"))
    assert not (checkout / "results/tiny/tables/half.csv").exists()
    assert list(stale(checkout)) == DOWNSTREAM_OF_3

    # The next run tidies up what a kill left before it begins; here it has nothing else to do than fail.
    make_fail(checkout, "raise ValueError")
    assert tiny.pipeline(checkout, "run", check=False).returncode == 1
    assert {path: (checkout / path).read_bytes() for path in before} == before
    assert not list((checkout / "results").rglob(".*"))


@pytest.mark.slow
def test_what_an_interrupted_training_had_before_does_not_replace_a_newer_one(checkout: Path, monkeypatch) -> None:
    monkeypatch.setenv("ZD_ROOT", str(checkout))
    layout = Layout("tiny")
    weights = "results/tiny/checkpoints/distill.safetensors"
    for step, path in (("train_distill", weights), ("03_training", TABLE)):
        (checkout / run.BACKUPS / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / run.BACKUPS / path).write_text("before")
        (checkout / path).write_text("after")
        Ending(BEGUN, (path,)).write(layout, step)
    run._tidy(layout)
    assert (checkout / weights).read_text() == "after"
    assert (checkout / TABLE).read_text() == "before"


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill_everything(pid: int) -> None:
    """Kill a process and all its descendants outright, as a power cut or the kernel's memory killer would."""
    rows = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split("\n")
    children: dict[int, list[int]] = {}
    for child, parent in (map(int, row.split()) for row in rows if row.strip()):
        children.setdefault(parent, []).append(child)
    family, queue = [], [pid]
    while queue:
        family.append(current := queue.pop())
        queue += children.get(current, [])
    for member in family:
        os.kill(member, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["results", "figures"])
def test_an_unwritable_output_folder_is_one_line(checkout: Path, place: str) -> None:
    shutil.rmtree(checkout / place, ignore_errors=True)
    (checkout / place).write_text("a file where a folder should be")
    done = tiny.pipeline(checkout, "run", check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {checkout / place}: cannot hold results (")


@pytest.mark.slow
def test_an_unknown_profile_key_is_one_line(checkout: Path) -> None:
    tiny.write_profile(checkout, train={"epoch": 2})
    done = tiny.pipeline(checkout, "run", check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "tiny.yaml: unknown key train.epoch: did you mean epochs?" in done.stderr


@pytest.mark.slow
def test_a_notebook_without_rule_is_told(checkout: Path) -> None:
    tiny.write_notebook(checkout / "notebooks" / "09_more.ipynb")
    done = tiny.pipeline(checkout, "status", check=False)
    assert done.returncode == 2
    assert "Snakefile: no rule more for notebooks/09_more.ipynb: add it" in done.stderr


STUDY = {
    "arms": {"distill": {"title": "a", "seeds": [1, 2]}, "control": {"title": "b", "seeds": [1, 2], "seg_weight": 0.0}},
    "pairs": [["distill", "control"]],
}


@pytest.mark.slow
def test_a_study_has_a_step_for_each_training(checkout: Path) -> None:
    tiny.write_notebook(checkout / "notebooks" / "09_control_study.ipynb")
    content = yaml.safe_load((checkout / "profiles" / "tiny.yaml").read_text())
    del content["runs"]
    write = (checkout / "profiles" / "tiny.yaml").write_text
    write(yaml.safe_dump(content | {"study": STUDY}, sort_keys=False))
    steps = ["train_distill_1", "train_distill_2", "train_control_1", "train_control_2", "09_control_study", "report"]
    assert list(stale(checkout)) == steps
    fewer = {**STUDY, "arms": {**STUDY["arms"], "control": {**STUDY["arms"]["control"], "seeds": [1]}}}
    write(yaml.safe_dump(content | {"study": fewer}, sort_keys=False))
    assert list(stale(checkout)) == [step for step in steps if step != "train_control_2"]


@pytest.mark.slow
def test_steps_side_by_side(checkout: Path) -> None:
    """Lines of steps that run at the same time are told apart."""
    done = tiny.pipeline(checkout, "run", "--jobs", "2", "--force", "02", "--force", "06")
    assert "02_architecture: 02_architecture ran" in done.stdout
    assert "06_parameter_table: 06_parameter_table ran" in done.stdout
    assert stale(checkout) == {}
