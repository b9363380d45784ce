import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_training
import torch

import zdlib.train.run as training
from zdlib.apps.command_line import main
from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.paths import RunPaths
from zdlib.train.resume import (
    SaveClock,
    States,
    Stopped,
    StopSignals,
    first_difference,
    random_state,
    restore_random_state,
)
from zdlib.train.run import train
from zdlib.train.step import Trainer


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout whose profile tiny saves its state after every step."""
    tiny_training.make_profile(tmp_path, save_minutes=0, epochs=3)
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    monkeypatch.delenv("ZD_TRAIN", raising=False)
    return tmp_path


def outputs(folder: Path, name: str = "tiny") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in RunPaths(name).checkpoints.iterdir() if path.is_file()}


def stop_at(monkeypatch, step: int, error: type[BaseException] = RuntimeError) -> None:
    """Let the training break in its `step`-th step."""
    whole, count = Trainer.step, 0

    def broken(self, batch):
        nonlocal count
        count += 1
        if count == step:
            raise error
        return whole(self, batch)

    monkeypatch.setattr(Trainer, "step", broken)


# ----------------------------------------------------------------------------------------------------- whole trainings
@pytest.mark.slow
def test_killed_three_times_a_training_ends_as_if_it_never_had_been(folder):
    script = [sys.executable, tiny_training.__file__, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(Path(training.__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*script, "3", "1"], env=environment, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.count("status 9") == 3
    killed = outputs(folder)
    assert set(killed) == {
        f"distill{end}" for end in (".safetensors", "_steps.csv", "_validations.csv", "_training.json")
    }
    assert main(["train", "--profile", "tiny", "--run", "distill", "--fresh"]) == 0
    assert outputs(folder) == killed


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 3, 6])  # inside an epoch, at its border, in the last step
def test_broken_and_resumed_is_bitwise_equal(folder, monkeypatch, step):
    profile = load_profile("tiny")
    train(profile, "distill", RunPaths("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(RuntimeError):
            train(profile, "distill")
    torch.manual_seed(12345)  # the process that resumes is another
    train(profile, "distill")
    assert outputs(folder) == outputs(folder, "whole")
    assert not list(RunPaths("tiny").checkpoints.glob("*.unfinished"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_with_a_status_of_its_own(folder, monkeypatch, capsys, number, status):
    whole = Trainer.step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda self, batch: (os.kill(os.getpid(), number), whole(self, batch))[1])
        patch.setattr(SaveClock, "due", False)
        assert main(["train", "--profile", "tiny", "--run", "control"]) == status
    assert "control: stopped and saved at step 1; the same command continues" in capsys.readouterr().err
    assert [path.name for path in RunPaths("tiny").checkpoints.glob("*.unfinished/*.pt")] == ["state-00000001.pt"]
    assert main(["train", "--profile", "tiny", "--run", "control", "--resume"]) == 0
    resumed = outputs(folder)
    assert "continues after step 1" in capsys.readouterr().out
    assert main(["train", "--profile", "tiny", "--run", "control", "--fresh"]) == 0
    assert outputs(folder) == resumed


@pytest.mark.slow
def test_resume_refuses_another_configuration_and_names_the_first_difference(folder, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(RuntimeError):
            train(load_profile("tiny"), "distill")
    changed = load_profile("tiny", changes=["train.lr=0.002"])
    with pytest.raises(ZDError, match=r"distill\.unfinished: cannot be resumed: train\.lr is 0\.002, was 0\.001"):
        train(changed, "distill", start="resume")
    with open(folder / "nyu.mat", "ab") as file:
        file.write(b"more")
    with pytest.raises(ZDError, match=r"cannot be resumed: content of data\.train\.0\.root is"):
        train(load_profile("tiny"), "distill", start="resume")
    # What has no influence may change; and without `resume`, another's state is left behind, aloud.
    train(load_profile("tiny", changes=["train.workers=1", "train.lr=0.002"]), "distill")
    said = capsys.readouterr().out
    assert "begins; an unfinished run that differs is now in distill.abandoned: train.lr is 0.002, was 0.001" in said
    assert list(RunPaths("tiny").checkpoints.glob("distill.abandoned/state-*.pt"))


@pytest.mark.slow
def test_a_finished_run_is_reused_until_something_changes(folder, monkeypatch, capsys):
    profile = load_profile("tiny")
    first = train(profile, "control")
    before = outputs(folder)
    for path in RunPaths("tiny").checkpoints.iterdir():
        os.utime(path, (0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda *_: pytest.fail("it trained"))
        again = train(profile, "control")
    assert "control: already trained" in (said := capsys.readouterr().out)
    assert "./run_all.sh --force training" in said
    assert first.steps.equals(again.steps)
    assert first.validations.equals(again.validations)
    assert first.checkpoint.stat().st_mtime > 0, "the pipeline asks for a new date"
    assert outputs(folder) == before

    def trains(**options):
        with monkeypatch.context() as patch:
            stop_at(patch, 1)
            with pytest.raises(RuntimeError):
                train(profile, "control", **options)
        train(profile, "control")

    trains(start="fresh")
    monkeypatch.setenv("ZD_TRAIN", "fresh")
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        with pytest.raises(RuntimeError):
            train(profile, "control")
    monkeypatch.delenv("ZD_TRAIN")
    train(profile, "control")
    with open(first.checkpoint, "ab") as file:
        file.write(b"damage")
    trains()
    monkeypatch.setattr("zdlib.train.resume.packages", lambda *_: {"torch": "9.9"})
    trains()
    assert outputs(folder)["control.safetensors"] == before["control.safetensors"]


def test_an_unknown_start_is_named(folder, monkeypatch):
    monkeypatch.setenv("ZD_TRAIN", "again")
    with pytest.raises(ZDError, match="ZD_TRAIN=again: set it to auto, resume, fresh"):
        train(load_profile("tiny"), "control")


# ------------------------------------------------------------------------------------------------------------- pieces
def test_states_keep_the_last_two_and_their_best_weights(tmp_path):
    states = States(tmp_path / "run.unfinished")
    for step, best in [(1, None), (2, 2), (3, 2), (4, 4), (5, 4)]:
        states.folder.mkdir(exist_ok=True)
        if best == step:
            states.best(step).write_bytes(b"weights")
        states.save(step, {"value": torch.tensor(step)}, best)
    names = lambda: sorted(path.name for path in states.folder.iterdir())  # noqa: E731
    assert names() == ["best-00000004.safetensors", "state-00000004.pt", "state-00000005.pt"]
    states.best(9).write_bytes(b"of a lost stretch")
    (states.folder / ".state-00000009.x.pt").write_bytes(b"half")
    (states.folder / "state-00000005.pt").write_bytes(b"damaged")
    state = States(states.folder).load()
    assert state["value"] == 4
    assert names() == ["best-00000004.safetensors", "state-00000004.pt"]
    (states.folder / "state-00000004.pt").write_bytes(b"damaged too")
    with pytest.raises(ZDError, match=r"state-00000004\.pt: damaged, like all states before it"):
        States(states.folder).load()
    states.clear()
    assert States(states.folder).load() is None


def test_all_generators_continue(tmp_path):
    import random

    draw = lambda: (random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item())  # noqa: E731, NPY002
    draw()
    torch.save(random_state(), tmp_path / "state.pt")
    expected = draw(), draw()
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (draw(), draw()) == expected


def test_the_first_difference_is_short():
    assert first_difference({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) is None
    assert first_difference({"a": "1", "b": "2"}, {"a": "1", "b": "3"}) == "b is 2, was 3"
    assert first_difference({"a": "1"}, {"a": "1", "c": "0" * 64}) == "c is absent, was 000000000000"


def test_saving_takes_less_than_two_percent(monkeypatch):
    now = 0.0
    monkeypatch.setattr("zdlib.train.resume.time.monotonic", lambda: now)
    clock = SaveClock(1.0)
    waits = []
    for cost in (0.125, 10.0, 0.125):  # exact in binary
        began = now
        while not clock.due:
            now += 1.0
        waits.append(now - began)
        started, now = now, now + cost
        clock.saved(started)
    assert waits == [60, 60, 500]
    assert SaveClock(0.0).due


def test_a_second_interrupt_is_obeyed_at_once_and_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert Stopped("text", 15).status == 143
