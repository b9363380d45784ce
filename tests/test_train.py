import math

import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch

import zdlib.train as training
from tests import rgbd
from zdlib.config import Profile
from zdlib.data import classes
from zdlib.errors import ZDError
from zdlib.models.checkpoints import load_checkpoint
from zdlib.paths import RunPaths
from zdlib.train import train


@pytest.fixture(scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def profile(tmp_path):
    """Ten frames of five scenes in NYU's layout, and a network small enough for a test."""
    scenes = [f"bedroom_{i // 2:04d}" for i in range(10)]
    frames = [rgbd.scene(48, 64, seed=i) for i in range(10)]
    rgbd.write_nyu_mat(tmp_path / "nyu.mat", frames, classes.raw_names(), scenes=scenes)
    scipy.io.savemat(
        tmp_path / "splits.mat", {"trainNdxs": np.arange(1, 9)[:, None], "testNdxs": np.arange(9, 11)[:, None]}
    )
    return Profile.model_validate(
        {
            "name": "tiny",
            "data": {
                "nyu_name": "boxes",
                "nyu_mat": str(tmp_path / "nyu.mat"),
                "nyu_splits": str(tmp_path / "splits.mat"),
                "ibims_name": "none",
                "ibims_root": str(tmp_path),
            },
            "model": {
                "encoder": "tf_efficientnet_lite0",
                "encoder_weights": "none",
                "input_size": [64, 64],
                "decoder_channels": 16,
                "n_bins": 8,
                "bin_embedding_dim": 8,
                "segmentation_channels": [16, 16, 8, 8, 8],
            },
            "train": {
                "epochs": 2,
                "batch_size": 3,
                "lr": 1e-3,
                "workers": 0,
                "validation_fraction": 0.25,
                "validations_per_epoch": 2,
            },
            "runs": {
                "distill": {"title": "distilled"},
                "control": {"title": "control", "seg_weight": 0.0},
                "published": {"title": "as published", "recipe": "published"},
            },
        }
    )


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setattr(RunPaths, "results", property(lambda self: tmp_path / self.profile))
    return RunPaths("tiny")


pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_run_writes_checkpoint_and_logs(profile, paths):
    result = train(profile, "distill", paths)
    assert sorted(p.name for p in paths.checkpoints.iterdir()) == [
        "distill.safetensors",
        "distill_steps.csv",
        "distill_validations.csv",
    ]
    steps = pd.read_csv(paths.checkpoints / "distill_steps.csv")
    assert list(steps) == ["step", "epoch", "lr", "total", "silog", "dice", "focal", "grad_norm"]
    assert steps["step"].tolist() == [1, 2, 3, 4]  # 6 frames in batches of 3, twice
    np.testing.assert_allclose(steps["total"], steps["silog"] + 0.1 * (steps["dice"] + steps["focal"]), rtol=1e-5)
    assert result.validations["best"].sum() == 1
    assert result.validations.loc[result.validations["best"], "abs_rel"].item() == result.validations["abs_rel"].min()
    model, info = load_checkpoint(result.checkpoint)
    assert model.unet is None
    assert info["train_frames"] == [0, 1, 2, 3, 6, 7]
    assert info["selection_frames"] == [4, 5]


def test_learning_rate_is_constant_and_then_falls(profile, paths):
    profile = profile.model_copy(update={"train": profile.train.model_copy(update={"epochs": 5})})
    lr = train(profile, "control", paths).steps["lr"].to_numpy()
    assert len(lr) == 10
    np.testing.assert_allclose(lr[:7], 1e-3)
    assert (np.diff(lr[6:]) < 0).all()
    assert lr[-1] == pytest.approx(1e-7, rel=1e-3)


def test_two_runs_are_bitwise_equal_and_another_seed_is_not(profile, paths):
    def weights(name):
        return load_checkpoint(train(profile, name, paths).checkpoint, segmentation=True)[0].state_dict()

    first, second = weights("distill"), weights("distill")
    assert all(torch.equal(first[key], second[key]) for key in first)
    reseeded = profile.runs["distill"].model_copy(update={"seed": 7})
    profile.runs["distill"] = reseeded
    assert not all(torch.equal(first[key], value) for key, value in weights("distill").items())


def test_the_control_differs_in_the_segmentation_alone(profile, paths, monkeypatch):
    seen = {}

    def remember(model, criterion, optimizer, batch, *args):
        seen.setdefault("start", {k: v.clone() for k, v in model.state_dict().items() if "unet" not in k})
        seen.setdefault("batches", []).append(batch["index"].tolist())
        seen.setdefault("image", batch["image"].clone())
        return step(model, criterion, optimizer, batch, *args)

    step = training._step
    monkeypatch.setattr(training, "_step", remember)
    train(profile, "distill", paths)
    distill = dict(seen)
    seen.clear()
    result = train(profile, "control", paths)
    assert seen["batches"] == distill["batches"]
    assert torch.equal(seen["image"], distill["image"])
    assert seen["start"].keys() == distill["start"].keys()
    assert all(torch.equal(seen["start"][key], distill["start"][key]) for key in seen["start"])
    assert list(result.steps) == ["step", "epoch", "lr", "total", "silog", "grad_norm"]


def test_the_published_recipe_trains_in_kilometres_and_selects_on_its_own_frames(profile, paths):
    result = train(profile, "published", paths)
    _, info = load_checkpoint(result.checkpoint)
    assert info["train_frames"] == list(range(8))
    assert info["selection_frames"] == [0, 1]
    assert result.validations["rmse"].between(0, 1e4).all()  # metres


def test_gradients_are_clipped(profile, paths, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def spy(parameters, limit):
        parameters = list(parameters)
        before = clip(parameters, limit)
        norms.append(math.sqrt(sum(p.grad.square().sum().item() for p in parameters if p.grad is not None)))
        return before

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    steps = train(profile, "distill", paths).steps
    assert (steps["grad_norm"] > 0.1).all()  # or this test shows nothing
    assert max(norms) == pytest.approx(0.1, rel=1e-3)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_old_result(profile, paths, monkeypatch):
    train(profile, "control", paths)
    before = (paths.checkpoints / "control.safetensors").read_bytes()
    monkeypatch.setattr(training.ZoeDistillLoss, "forward", lambda *_: {"total": torch.tensor(math.nan)})
    with pytest.raises(ZDError, match=r"nyu\.mat: the loss is not finite on frames \d"):
        train(profile, "control", paths)
    assert (paths.checkpoints / "control.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("precision", "native", "used"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("bf16", False, "bf16"), ("fp32", True, "fp32")],
)
def test_precision_follows_the_processor_where_it_is_left_to_it(profile, paths, monkeypatch, precision, native, used):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    seen = set()
    step = training._step

    def remember(*args):
        seen.add("bf16" if args[5] else "fp32")
        return step(*args)

    monkeypatch.setattr(training, "_step", remember)
    settings = profile.train.model_copy(update={"precision": precision, "epochs": 1})
    result = train(profile.model_copy(update={"train": settings}), "control", paths)
    assert seen == {used}
    assert load_checkpoint(result.checkpoint)[1]["precision"] == used


def test_an_unknown_run_is_named(profile, paths):
    with pytest.raises(ZDError, match=r"tiny\.yaml: no run 'contol': choose one of distill, control"):
        train(profile, "contol", paths)
