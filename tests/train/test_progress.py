"""The live view shows what the logs say, once, and changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_training
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import zdlib
import zdlib.train.run as training
from zdlib.config import load_profile
from zdlib.paths import RunPaths
from zdlib.train.progress import Live, picture_row
from zdlib.train.resume import SaveClock, identity
from zdlib.train.run import train
from zdlib.train.step import Trainer


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    tiny_training.make_profile(tmp_path)
    return load_profile("tiny")


def events(run: str = "distill", name: str = "tiny") -> EventAccumulator:
    return EventAccumulator(str(RunPaths(name).checkpoints / f"{run}_tensorboard")).Reload()


def scalars(found: EventAccumulator, tag: str) -> pd.Series:
    return pd.Series({event.step: event.value for event in found.Scalars(tag)})


def test_it_shows_the_logs_and_pictures_of_the_first_selection_frames(profile, capsys):
    result = train(profile, "distill")
    found = events()
    for group, log in (("loss", result.steps), ("optimiser", result.steps), ("validation", result.validations)):
        tags = [tag for tag in found.Tags()["scalars"] if tag.startswith(f"{group}/")]
        assert tags
        for tag in tags:
            shown = scalars(found, tag)
            assert shown.index.tolist() == log["step"].tolist()
            np.testing.assert_allclose(shown, log[tag.partition("/")[2]], rtol=1e-6)
    assert {"loss/dice", "loss/focal", "optimiser/lr", "optimiser/grad_norm"} <= set(found.Tags()["scalars"])
    assert found.Tags()["images"] == ["selection/frame 0", "selection/frame 1"]
    pictures = found.Images("selection/frame 0")
    assert [picture.step for picture in pictures] == result.validations["step"].tolist()
    assert (pictures[0].height, pictures[0].width) == (48, 3 * 64)
    bar = capsys.readouterr().err
    assert "distill, epoch 2/2: 100%" in bar
    for name in ("total=", "silog=", "dice=", "focal=", "δ1=", "image/s"):
        assert name in bar.splitlines()[-1]


@pytest.mark.slow
def test_without_it_weights_and_logs_are_the_same(profile, monkeypatch):
    class Nothing(Live):
        def __init__(self, *_, **__): ...
        def __exit__(self, *_): ...

    for name in ("epoch", "step", "watch", "validation", "flush"):
        monkeypatch.setattr(Nothing, name, lambda *_: None)
    train(profile, "distill", RunPaths("with"))
    monkeypatch.setattr(training, "Live", Nothing)
    train(profile, "distill", RunPaths("without"))
    one, other = (
        {path.name: path.read_bytes() for path in RunPaths(name).checkpoints.iterdir() if path.is_file()}
        for name in ("with", "without")
    )
    assert one == other
    assert not (RunPaths("without").checkpoints / "distill_tensorboard").exists()


def generators() -> tuple:
    # Python's own is left out: the checks of types that tests run with draw from it.
    return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


def test_no_random_number_is_drawn(tmp_path):
    before = generators()
    with live(tmp_path / "files") as shown:
        use(shown)
    assert generators() == before


@pytest.mark.slow
def test_a_resumed_run_shows_every_step_once(profile, monkeypatch):
    whole, count = Trainer.step, 0

    def broken(self, batch):
        nonlocal count
        count += 1
        if count == 4:
            raise RuntimeError
        return whole(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SaveClock, "due", property(lambda self: count == 2))  # step 3 is shown, and lost
        patch.setattr(Trainer, "step", broken)
        with pytest.raises(RuntimeError):
            train(profile, "distill")
    assert scalars(events(), "loss/total").index.tolist() == [1, 2, 3]
    result = train(profile, "distill")
    shown = [event.step for event in events().Scalars("loss/total")]
    assert shown == result.steps["step"].tolist() == [1, 2, 3, 4]
    assert [event.step for event in events().Images("selection/frame 0")] == result.validations["step"].tolist()
    train(profile, "distill", start="fresh")
    assert [event.step for event in events().Scalars("loss/total")] == shown
    assert len(list((RunPaths("tiny").checkpoints / "distill_tensorboard").iterdir())) == 1


def live(folder: Path, first: bool = True) -> Live:
    return Live(folder, "run", epochs=1, images=4, done=0, step=0, delta1=None, first=first)


def use(shown: Live) -> None:
    shown.epoch(1)
    shown.step({"step": 1, "epoch": 1, "lr": 0.1, "total": 2.0, "silog": 2.0, "grad_norm": 1.0}, 4)
    depth = np.full((4, 6), 2, np.float32)
    shown.watch(0, torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(0)), depth, depth, depth > 1)
    shown.validation({"step": 1, "epoch": 1, "delta1": 0.5})
    shown.flush()


def test_other_processes_show_and_write_nothing(tmp_path, capsys):
    with live(tmp_path / "files", first=False) as shown:
        use(shown)
    assert not (tmp_path / "files").exists()
    assert not capsys.readouterr().err


def test_depths_of_a_row_share_a_scale():
    image = torch.zeros(3, 500, 20)
    target = np.full((500, 20), 3, np.float32)
    target[250:] = 6
    valid = target > 0
    valid[:, :10] = False
    row = picture_row(image, target, np.full_like(target, 6), valid)
    assert row.shape == (167, 3 * 7, 3)
    true, found = row[:, 7:14], row[:, 14:]
    assert (row[:, :7] == 0).all()
    assert (true[100:, 4:] == found[100:, 4:]).all()
    assert (true[:50, 4:] != found[:50, 4:]).any()
    assert (true[:, :3] == 225).all()


def test_it_has_no_part_in_what_identifies_a_run(profile):
    names = identity(profile, "distill", {})
    assert "source zdlib/train/run.py" in names
    assert not {"source zdlib/train/progress.py", "source zdlib/colours.py", "package tensorboard"} & set(names)


@pytest.mark.slow
def test_tensorboard_is_imported_when_a_training_begins_and_without_a_warning():
    code = (
        "import sys, zdlib.train.run, zdlib.train.progress\n"
        "assert 'tensorboard' not in sys.modules\n"
        "from torch.utils.tensorboard import SummaryWriter"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(zdlib.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
