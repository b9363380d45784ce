import math
import subprocess
from pathlib import Path

import pytest
import tiny_training
import torch

from zdlib.config import load_profile
from zdlib.data.rooms.export import chosen_frames
from zdlib.paths import RunPaths
from zdlib.pipeline import forecast, run
from zdlib.pipeline.forecast import (
    Measured,
    count_frames,
    hours,
    measure,
    measure_apart,
    print_forecast,
    trainings_left,
)
from zdlib.pipeline.layout import Layout
from zdlib.recipes import RECIPES
from zdlib.train.resume import identity, mark_finished
from zdlib.train.step import Trainer

ROOT = Path(__file__).resolve().parents[2]
STEP = Measured(step=2.0, item=0.5, validated=0.25, peak=3 * 1024**3, available=8 * 1024**3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout with profile tiny: 6 frames train, 2 select; published 8 and 2; 2 epochs of batches of 3."""
    tiny_training.make_profile(tmp_path)
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_frames_are_counted_where_they_can_be_read(folder):
    profile = load_profile("tiny")
    assert count_frames(profile, RECIPES["corrected"]) == (6, 2, True)
    assert count_frames(profile, RECIPES["published"]) == (8, 2, True)
    (folder / "nyu.mat").write_bytes(b"")
    assert count_frames(profile, RECIPES["published"]) == (1158, 291, False)


def test_else_they_are_nyus_official_ones(monkeypatch):
    monkeypatch.delenv("ZD_DATA", raising=False)
    profile = load_profile("paper")
    assert count_frames(profile, RECIPES["corrected"]) == (715, 80, False)
    assert count_frames(profile, RECIPES["published"]) == (1158, 291, False)


def test_embedded_rooms_are_counted_before_they_are_written():
    profile = load_profile("smoke")
    train, selection, counted = count_frames(profile, RECIPES["corrected"])
    assert counted
    assert train + selection == sum(frame.split == "train" for frame in chosen_frames(profile.data.embedded))


def test_hours_are_those_of_steps_loading_and_validations(folder):
    profile = load_profile("tiny")
    run = profile.runs["distill"]
    # 2 epochs of 2 batches; 3 frames are loaded in 1.5 s; 2 validations an epoch of 2 frames.
    steps, found = hours(profile, run, STEP)
    assert steps == 4
    assert found * 3600 == pytest.approx(4 * (2 + 1.5) + 4 * 2 * 0.25)
    for workers, seconds in ((1, 2), (2, 2)):
        parallel = profile.model_copy(update={"train": profile.train.model_copy(update={"workers": workers})})
        assert hours(parallel, run, STEP)[1] * 3600 == pytest.approx(4 * seconds + 2)


def test_a_step_is_measured_and_nothing_written(folder):
    before = contents(folder)
    found = measure(load_profile("tiny"), load_profile("tiny").runs["distill"])
    assert 0 < found.step < 60
    assert 0 < found.item < 60
    assert 0 < found.validated < 60
    assert 50e6 < found.peak < found.available
    assert not found.synthetic
    assert not found.problem
    assert contents(folder) == before


def test_without_files_images_and_weights_are_made_up(folder, monkeypatch):
    monkeypatch.delenv("ZD_DATA", raising=False)
    (folder / "nyu.mat").unlink()
    profile = load_profile("tiny", changes=["model.encoder_weights=$ZD_DATA/absent.pt"])
    found = measure(profile, profile.runs["published"])
    assert found.synthetic
    assert found.step > 0


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_said(folder, monkeypatch, error):
    def fail(self, batch):
        raise error

    monkeypatch.setattr(Trainer, "step", fail)
    profile = load_profile("tiny")
    assert measure(profile, profile.runs["control"]).problem.startswith("the memory is too small for batches of 3: ")


@pytest.mark.slow
def test_a_process_of_its_own_measures(folder):
    found = measure_apart(load_profile("tiny"), "control")
    assert found.problem == ""
    assert found.step > 0


@pytest.mark.parametrize(
    ("status", "message"),
    [(-9, "the memory is too small for batches of 3: "), (1, r"no step could be measured (the last line)")],
)
def test_a_process_that_fails_is_explained(folder, monkeypatch, status, message):
    done = subprocess.CompletedProcess([], status, "", "much\nthe last line\n")
    monkeypatch.setattr(forecast.subprocess, "run", lambda *arguments, **options: done)
    assert measure_apart(load_profile("tiny"), "control").problem.startswith(message)


def test_the_forecast_has_a_line_a_training_and_a_sum(folder, monkeypatch, capsys):
    asked = []

    def answer(profile, key):
        asked.append(key)
        return STEP

    monkeypatch.setattr(forecast, "measure_apart", answer)
    profile = load_profile("tiny")
    print_forecast(profile, profile.runs)
    assert asked == ["control", "distill"]  # "published" is of the second one's kind
    out = capsys.readouterr().out
    assert "trainings left to do: 3" in out
    assert "measuring a training step like those of control: tf_efficientnet_lite0 at 64×64, batches of 3 …" in out
    rows = {line.split()[0]: line.split()[1:4] for line in out.splitlines() if line.endswith("3.0 of 8.0 GiB")}
    assert rows == {
        "distill": ["4", "2.00", "0.00"],
        "control": ["4", "2.00", "0.00"],
        "published": ["6", "2.00", "0.01"],
    }
    assert "in total 0.0 hours" in out
    assert "official" not in out


def test_what_cannot_be_measured_spoils_the_sum_alone(folder, monkeypatch, capsys):
    answers = iter([STEP, Measured(problem="the memory is too small")])
    monkeypatch.setattr(forecast, "measure_apart", lambda profile, key: next(answers))
    profile = load_profile("tiny")
    print_forecast(profile, profile.runs)
    out = capsys.readouterr().out
    assert "distill              the memory is too small\n" in out
    assert "in total" not in out


def test_finished_trainings_are_not_left_unless_forced(folder, monkeypatch):
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "03_training.ipynb").write_text("{}")
    layout = Layout("tiny")
    profile, paths = layout.profile, RunPaths("tiny")
    alone = profile.model_copy(update={"runs": {"control": profile.runs["control"]}})
    machine = {"precision": "fp32", "device": "cpu", "processes": 1}
    paths.checkpoints.mkdir(parents=True)
    mark_finished(paths.checkpoints / "control_training.json", identity(alone, "control", machine), [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    steps = [*layout.jobs, "03_training"]
    assert list(trainings_left(layout, steps, [])) == ["distill", "published"]
    assert list(trainings_left(layout, steps, layout.find_steps("training"))) == ["control", "distill", "published"]
    assert list(trainings_left(layout, ["07_plots"], [])) == []


def test_steps_that_train_nothing_have_no_forecast(capsys):
    run._forecast(Layout("smoke"), ["07_plots", "report"], [])
    assert capsys.readouterr().out == ""


def test_jobs_of_a_study_are_trainings():
    layout = Layout("study")
    assert list(forecast.trainings(layout.profile)) == list(layout.jobs.values())
    assert list(trainings_left(layout, ["train_oracle_1"], ["train_oracle_1"])) == ["oracle_1"]


def test_a_dry_run_forecasts_before_it_lists_what_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ZD_DATA", str(tmp_path))
    monkeypatch.setattr(forecast, "measure_apart", lambda profile, key: Measured(1.0, 0.1, 0.1, 1, 2, True))
    existed = RunPaths("paper").results.exists()
    assert run.main(["run", "--profile", "paper", "--dry-run"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: profiles/paper.yaml needs 4 files that are not there:\n")
    steps = {line.split()[0]: int(line.split()[1]) for line in said.out.splitlines() if line.endswith("GiB")}
    assert steps == {"distill": 15 * math.ceil(715 / 3), "control": 15 * math.ceil(715 / 3), "published": 15 * 386}
    assert "made-up images" in said.out
    assert "NYU's official ones" in said.out
    assert RunPaths("paper").results.exists() == existed
