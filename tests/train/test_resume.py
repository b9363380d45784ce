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
    kills = os.environ.get("ZD_KILLS", "3")  # more by this option
    tiny_training.make_profile(folder, save_minutes=0, epochs=12)
    script = [sys.executable, tiny_training.__file__, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(Path(training.__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*script, kills, "1"], env=environment, capture_output=True, text=True, check=True, timeout=600 * int(kills)
    )
    assert done.stdout.count("status 9") == int(kills)
    assert "a bit turned in state-" in done.stdout
    assert "distill: 1 damaged, the state before is used: " in done.stdout
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


# ---------------------------------------------------------------------------------- damage, company and full disks
def stopped_at(folder: Path, monkeypatch, step: int) -> Path:
    """Train up to a step, and give the folder of states."""
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(RuntimeError):
            train(load_profile("tiny"), "distill")
    return RunPaths("tiny").checkpoints / "distill.unfinished"


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["bit", "cut", "folder", "foreign", "pipe", "best weights"])
def test_a_damaged_state_is_passed_over_and_named(folder, monkeypatch, capsys, damage):
    profile = load_profile("tiny")
    train(profile, "distill", RunPaths("whole"))
    states = stopped_at(folder, monkeypatch, 4)
    *_, last = sorted(states.glob("state-*.pt"))
    content = bytearray(last.read_bytes())
    if damage == "best weights":
        best = max(states.glob("best-*.safetensors"))
        if best.name == min(states.glob("best-*.safetensors")).name:
            pytest.skip("both states have the same")
        last = best
        content = bytearray(last.read_bytes())
    last.unlink()
    if damage == "folder":
        last.mkdir()
    elif damage == "pipe":
        os.mkfifo(last)
    elif damage == "foreign":
        torch.save({"model": {}}, last)
    else:
        content[len(content) // 2] ^= 16
        last.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    capsys.readouterr()
    train(profile, "distill")
    said = capsys.readouterr().out
    assert "distill: 1 damaged, the state before is used: " in said
    assert last.name in said
    assert "continues after step 2" in said
    assert outputs(folder) == outputs(folder, "whole")


@pytest.mark.slow
def test_no_sound_state_is_one_line(folder, monkeypatch, capsys):
    for path in stopped_at(folder, monkeypatch, 4).glob("state-*.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    assert main(["train", "--profile", "tiny", "--run", "distill"]) == 1
    error = capsys.readouterr().err
    assert "damaged, like all states before it: train afresh" in error
    assert error.count("Traceback") == 0


@pytest.mark.slow
@pytest.mark.parametrize("content", ["[]", "{", '{"outputs": 1}', "null", "[" * 99999])
def test_a_foreign_record_of_a_finished_run_is_none(folder, monkeypatch, content):
    record = RunPaths("tiny").checkpoints / "distill_training.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        with pytest.raises(RuntimeError):
            train(load_profile("tiny"), "distill")


@pytest.mark.slow
def test_a_second_training_of_a_folder_is_refused_by_the_first_one_s_number(folder, monkeypatch, capsys):
    whole, second = Trainer.step, []

    def step(self, batch):
        if not second:
            child = os.fork()
            if not child:
                sys.stderr = open(folder / "said", "w")  # noqa: SIM115
                status = main(["train", "--profile", "tiny", "--run", "distill"])
                sys.stderr.flush()
                os._exit(status)
            second.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return whole(self, batch)

    monkeypatch.setattr(Trainer, "step", step)
    train(load_profile("tiny"), "distill")
    assert second == [1]
    said = (folder / "said").read_text()
    assert f"run distill is trained here by process {os.getpid()} already: wait for its end, or stop it" in said
    assert said.count("\n") == 1
    assert not list(RunPaths("tiny").checkpoints.glob("*.lock"))
    # Another run of the profile is another matter; and the lock of one that was killed is taken over.
    (RunPaths("tiny").checkpoints / "control.lock").write_text("1\n")
    train(load_profile("tiny"), "control")


FULL = OSError(28, "No space left on device")


@pytest.mark.slow
@pytest.mark.parametrize("writer", ["state", "best weights", "view", "log"])
def test_a_full_disk_ends_in_one_line_and_resumes(folder, monkeypatch, capsys, writer):
    from safetensors import SafetensorError
    from tensorboard.summary.writer.record_writer import RecordWriter

    def fails(error, after):
        count = 0

        def write(*arguments, **options):
            nonlocal count
            count += 1
            if count > after:
                raise error

        return write

    train(load_profile("tiny"), "distill", RunPaths("whole"))
    capsys.readouterr()
    with monkeypatch.context() as patch:
        if writer == "state":
            whole, states = torch.save, []

            def save(content, path, **options):
                states.append(path)
                if len(states) > 2:
                    raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")
                whole(content, path, **options)

            patch.setattr(torch, "save", save)
        elif writer == "best weights":
            patch.setattr("zdlib.models.checkpoints.save_file", fails(SafetensorError("Error while serializing"), 0))
        elif writer == "view":
            patch.setattr(RecordWriter, "write", fails(FULL, 3))
        else:
            patch.setattr(training, "write_csv", fails(ZDError("x.csv: cannot be written (No space left)"), 0))
        assert main(["train", "--profile", "tiny", "--run", "distill"]) == 1
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert "cannot be written" in said.splitlines()[-1]
        assert said.splitlines()[-1].startswith("zdlib: ")
    assert main(["train", "--profile", "tiny", "--run", "distill", "--resume"]) == 0
    assert outputs(folder) == outputs(folder, "whole")


def test_a_file_in_the_place_of_the_results_is_one_line(folder, capsys):
    (folder / "results").mkdir()
    (folder / "results" / "taken").write_text("a file")
    assert main(["train", "--profile", "tiny", "--run", "distill", "--out", "taken"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "results/taken/checkpoints/distill.lock: cannot be written" in error


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_it_starts_is_answered_like_any_other(folder, monkeypatch, capsys, number, status):
    monkeypatch.setattr(training, "set_up", lambda *_: os.kill(os.getpid(), number))
    default = {signal.SIGINT: signal.default_int_handler}.get(number, signal.SIG_DFL)
    before = signal.signal(number, default)  # whatever this process was started by
    try:
        assert main(["train", "--profile", "tiny", "--run", "control"]) == status
    finally:
        signal.signal(number, before)
    error = capsys.readouterr().err
    assert error == "zdlib: interrupted; files already written are complete\n"
    assert not list(RunPaths("tiny").checkpoints.iterdir())
