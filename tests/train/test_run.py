import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_training
import torch

import zdlib.losses.zoe_distill
from zdlib.apps.command_line import main
from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.losses.zoe_distill import ZoeDistillLoss, silog_loss
from zdlib.models.checkpoints import load_checkpoint
from zdlib.models.depth_model import Convention
from zdlib.models.factory import load_depth_model
from zdlib.paths import RunPaths
from zdlib.recipes import RECIPES
from zdlib.train.run import train
from zdlib.train.step import Trainer


@pytest.fixture(scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def profile(tmp_path):
    return tiny_training.make_profile(tmp_path)


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
        "distill_tensorboard",
        "distill_training.json",
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


@pytest.mark.slow
def test_learning_rate_is_constant_and_then_falls(profile, paths):
    profile = profile.model_copy(update={"train": profile.train.model_copy(update={"epochs": 5})})
    lr = train(profile, "control", paths).steps["lr"].to_numpy()
    assert len(lr) == 10
    np.testing.assert_allclose(lr[:7], 1e-3)
    assert (np.diff(lr[6:]) < 0).all()
    assert lr[-1] == pytest.approx(1e-7, rel=1e-3)


@pytest.mark.slow
def test_two_runs_are_bitwise_equal_and_another_seed_is_not(profile, paths):
    def weights(name):
        return load_checkpoint(train(profile, name, paths, "fresh").checkpoint, segmentation=True)[0].state_dict()

    first, second = weights("distill"), weights("distill")
    assert all(torch.equal(first[key], second[key]) for key in first)
    reseeded = profile.runs["distill"].model_copy(update={"seed": 7})
    profile.runs["distill"] = reseeded
    assert not all(torch.equal(first[key], value) for key, value in weights("distill").items())


def test_the_control_differs_in_the_segmentation_alone(profile, paths, monkeypatch):
    seen = {}

    def remember(self, batch):
        seen.setdefault("start", {k: v.clone() for k, v in self.model.state_dict().items() if "unet" not in k})
        seen.setdefault("batches", []).append(batch["index"].tolist())
        seen.setdefault("image", batch["image"].clone())
        return step(self, batch)

    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", remember)
    train(profile, "distill", paths)
    distill = dict(seen)
    seen.clear()
    result = train(profile, "control", paths)
    assert seen["batches"] == distill["batches"]
    assert torch.equal(seen["image"], distill["image"])
    assert seen["start"].keys() == distill["start"].keys()
    assert all(torch.equal(seen["start"][key], distill["start"][key]) for key in seen["start"])
    assert list(result.steps) == ["step", "epoch", "lr", "total", "silog", "grad_norm"]


@pytest.mark.slow
def test_the_published_recipe_trains_in_kilometres_and_selects_on_its_own_frames(profile, paths):
    result = train(profile, "published", paths)
    _, info = load_checkpoint(result.checkpoint)
    assert info["train_frames"] == list(range(8))
    assert info["selection_frames"] == [0, 1]
    assert result.validations["rmse"].between(0, 1e4).all()  # metres
    model = load_depth_model(result.checkpoint)
    assert model.convention == Convention.of(RECIPES["published"])
    assert info["convention"] == model.convention.model_dump()


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
    monkeypatch.setattr(ZoeDistillLoss, "forward", lambda *_: {"total": torch.tensor(math.nan)})
    with pytest.raises(ZDError, match=r"nyu\.mat: the loss is not finite on frames \d"):
        train(profile, "control", paths, "fresh")
    assert (paths.checkpoints / "control.safetensors").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "native", "used"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("bf16", False, "bf16"), ("fp32", True, "fp32")],
)
def test_precision_follows_the_processor_where_it_is_left_to_it(profile, paths, monkeypatch, precision, native, used):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    seen = set()
    step = Trainer.step

    def remember(self, batch):
        seen.add(self.precision)
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", remember)
    settings = profile.train.model_copy(update={"precision": precision, "epochs": 1})
    result = train(profile.model_copy(update={"train": settings}), "control", paths)
    assert seen == {used}
    assert load_checkpoint(result.checkpoint)[1]["precision"] == used


def test_an_unknown_run_is_named(profile, paths):
    with pytest.raises(ZDError, match=r"tiny\.yaml: no run 'contol': choose one of distill, control"):
        train(profile, "contol", paths)


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "training_losses.json").read_text())


def deviation(profile, paths) -> float:
    """Largest relative deviation of ten steps' losses from the golden ones."""
    steps = train(profile, "distill", paths).steps
    return max(float(np.max(np.abs(steps[name] / np.array(values) - 1))) for name, values in GOLDEN.items())


def ten_steps(profile, **changes):
    return profile.model_copy(update={"train": profile.train.model_copy(update={"epochs": 5, **changes})})


def test_losses_are_the_golden_ones(profile, paths):
    assert deviation(ten_steps(profile), paths) < 5e-3  # 0 where they were made; processors round differently


def without_mask(prediction, target, mask):
    return silog_loss(prediction, target, torch.ones_like(mask))


def without_mean(prediction, target, mask):
    g = torch.log(prediction + 1e-7) - torch.log(target + 1e-7)
    return 10 * g[mask].std()


@pytest.mark.slow
@pytest.mark.parametrize("loss", [without_mask, without_mean])
def test_without_a_part_of_the_loss_they_are_not(profile, paths, monkeypatch, loss):
    monkeypatch.setattr(
        zdlib.losses.zoe_distill, "silog_loss", lambda p, t, m: loss(resize(p, (t.shape[-2], t.shape[-1])), t, m)
    )
    assert deviation(ten_steps(profile), paths) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"clip_grad_norm": 1e9}, {"encoder_lr_factor": 1.0}])
def test_without_a_part_of_the_optimisation_they_are_not(profile, paths, change):
    assert deviation(ten_steps(profile, **change), paths) > 0.01


@pytest.mark.slow
def test_training_from_a_pack_gives_the_same_bytes(profile, paths, tmp_path):
    expected = train(profile, "distill", paths, "fresh").checkpoint.read_bytes()
    mat, pack = profile.data.nyu.root, tmp_path / "raw.pack"
    assert main(["data", "pack", "nyu", mat, "-o", str(pack)]) == 0
    packed = profile.data.nyu.model_copy(update={"packs": {"raw": str(pack)}})
    from_pack = profile.data.model_copy(update={"train": (packed,)})
    profile = profile.model_copy(update={"data": from_pack})
    assert train(profile, "distill", paths, "fresh").checkpoint.read_bytes() == expected
    train(profile, "published", paths)  # its depth has no pack: the .mat is read
    pack.write_bytes(pack.read_bytes()[:-9])
    with pytest.raises(ZDError, match=r"raw\.pack: truncated"):
        train(profile, "distill", paths, "fresh")
