"""The loop trains by any method: a second one, small and real, and what the seam refuses."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import tiny_training
import torch

from zdlib.apps.command_line import main
from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.metrics.relative import aligned_depth
from zdlib.models.depth_model import Inference
from zdlib.models.factory import load_depth_model
from zdlib.paths import RunPaths
from zdlib.train.frames import open_frames
from zdlib.train.method import Selection, find_method, method_file
from zdlib.train.resume import identity
from zdlib.train.run import train
from zdlib.train.step import Trainer

RELATIVE = ["train.epochs=12", "train.save_minutes=0", "train.batch_size=3", "train.validations_per_epoch=1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout whose profile tiny has a run of the second method."""
    monkeypatch.setitem(
        tiny_training.CONTENT,
        "runs",
        tiny_training.CONTENT["runs"] | {"midas": {"title": "relative", "method": "relative"}},
    )
    tiny_training.make_profile(tmp_path)
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    monkeypatch.delenv("ZD_TRAIN", raising=False)
    return tmp_path


def relative_profile():
    return load_profile("tiny", changes=RELATIVE)


def test_relative_depth_is_learnt_by_the_same_loop(folder, capsys):
    assert (
        main(["train", "--profile", "tiny", "--run", "midas", "--out", "out", *(f"--set={c}" for c in RELATIVE)]) == 0
    )
    said = capsys.readouterr().out
    checkpoints = RunPaths("out").checkpoints
    steps = pd.read_csv(checkpoints / "midas_steps.csv")
    assert list(steps) == ["step", "epoch", "lr", "total", "affine", "gradient", "grad_norm"]
    np.testing.assert_allclose(steps["total"], steps["affine"] + 0.5 * steps["gradient"], rtol=1e-5)
    assert steps["total"][-4:].mean() < 0.8 * steps["total"][:4].mean()
    validations = pd.read_csv(checkpoints / "midas_validations.csv")
    assert list(validations) == ["step", "epoch", "abs_rel", "delta1", "best"]
    best = validations.loc[validations["best"], "abs_rel"].item()
    assert best == validations["abs_rel"].min()
    assert f"midas.safetensors: aligned AbsRel {best:.4f} on the selection frames" in said

    model = load_depth_model(checkpoints / "midas.safetensors")
    assert model.convention.kind == "relative"
    assert model.info["options"] == {"gradient_weight": 0.5, "trim": 0.2, "farthest": {}}
    assert "seg_weight" not in model.info
    # The stored weights give what validation saw, on each selection frame as a picture.
    profile = relative_profile()
    frames = open_frames(profile, profile.runs["midas"])
    errors = []
    for sample in (frames.reader[number] for number in frames.roles.selection.tolist()):
        (inverse,) = model.predict([sample.image], Inference(flip=False, full_size=True))
        valid = (sample.depth > 1e-3) & (sample.depth < 10)
        found = aligned_depth(inverse, sample.depth, valid, far=10.0)
        errors.append((np.abs(found - sample.depth) / np.where(valid, sample.depth, 1))[valid].mean())
    assert np.mean(errors) == pytest.approx(best, rel=0.1)  # bicubic instead of bilinear


def test_scale_and_shift_of_the_targets_teach_nothing(folder):
    profile = relative_profile()
    method = find_method(profile, profile.runs["midas"])
    network = method.network(torch.device("cpu"))
    frames = open_frames(profile, profile.runs["midas"])
    items = method.feed(frames, torch.Generator()).items
    batch = {key: torch.stack([torch.as_tensor(items[i][key]) for i in range(2)]) for key in ("image", "depth", "mask")}
    inverse = torch.where(batch["mask"], 1 / batch["depth"], 0)
    other = batch | {"depth": torch.where(batch["mask"], 1 / (3 * inverse + 0.25), 0)}
    one, two = (method.losses(network, b) for b in (batch, other))
    for name in ("total", "affine", "gradient"):
        assert two[name].item() == pytest.approx(one[name].item(), rel=1e-4)


def test_several_data_sets_share_every_batch_and_are_judged_apart(folder):
    """Here twice the same one, the second up to three metres: relative depth has no range, its judgement has."""
    profile = relative_profile()
    entry = profile.data.train[0]
    sets = (entry.model_copy(update={"name": "A"}), entry.model_copy(update={"name": "B"}))
    run = profile.runs["midas"].model_copy(update={"options": {"farthest": {"B": 3.0}}})
    train_section = profile.train.model_copy(update={"epochs": 1, "batch_size": 4})
    data = profile.data.model_copy(update={"train": sets})
    both = profile.model_copy(update={"data": data, "runs": {"midas": run}, "train": train_section})
    method, frames = find_method(both, run), open_frames(both, run)
    feed = method.feed(frames, torch.Generator().manual_seed(1))
    for batch in feed.order:
        assert sorted(feed.items[position]["domain"].item() for position in batch) == [0, 0, 1, 1]
    depths = torch.stack([feed.items[position]["depth"] for position in range(len(feed.items))])
    assert depths[depths > 0].min() >= 0.5  # no metre among them
    assert depths.max() <= 1
    near = method.selection_set(frames).parts[1]
    assert all(near[place]["depth"][near[place]["mask"]].max() < 3 for place in range(len(near)))
    row = train(both, "midas").validations.iloc[0]
    assert row["abs_rel"] == pytest.approx((row["abs_rel A"] + row["abs_rel B"]) / 2)
    assert row["abs_rel A"] != row["abs_rel B"]


def test_killed_once_it_ends_as_if_it_never_had_been(folder, monkeypatch):
    profile = relative_profile()
    whole = train(profile, "midas", RunPaths("whole"))
    child = os.fork()
    if not child:  # which must not come back from here
        step, count = Trainer.step, 0

        def killed(self, batch):
            nonlocal count
            count += 1
            if count == 6:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(self, batch)

        Trainer.step = killed
        try:
            train(profile, "midas", RunPaths("killed"))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not (RunPaths("killed").checkpoints / "midas.safetensors").exists()
    resumed = train(profile, "midas", RunPaths("killed"), "resume")
    assert resumed.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    assert resumed.steps.equals(whole.steps)
    assert resumed.validations.equals(whole.validations)


def test_the_profile_trains(folder, monkeypatch):
    """`profiles/relative.yaml` itself, at the tiny data and size."""
    real = load_profile("relative", tiny_training.Path(__file__).parents[2])
    tiny = load_profile("tiny")
    small = real.model_copy(
        update={
            "data": tiny.data,
            "model": tiny.model,
            "train": real.train.model_copy(update={"epochs": 1, "precision": "fp32"}),
        }
    )
    result = train(small, "stage_one")
    assert np.isfinite(result.steps["total"]).all()
    assert result.selection.metric == "abs_rel"


def test_a_run_may_start_from_another_method_s_weights(folder):
    weights = train(relative_profile(), "midas").checkpoint
    profile = load_profile("tiny", changes=["runs.control.start_from=results/tiny/checkpoints/midas.safetensors"])
    method = find_method(profile, profile.runs["control"])
    network = method.network(torch.device("cpu"))
    stored = load_depth_model(weights).network.state_dict()
    assert not torch.equal(network.state_dict()["decoder.out_depth.weight"], stored["decoder.out_depth.weight"])
    method.start_from(network, weights)
    assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())
    metric = train(profile, "control").checkpoint
    kilometres = find_method(profile, profile.runs["published"])
    with pytest.raises(ZDError, match=r"its unit is 1 m, that of recipe published 1000 m: start from weights of the"):
        kilometres.start_from(network, metric)


def test_a_run_s_identity_has_its_own_method_and_no_other(folder):
    profile = relative_profile()
    names = {run: set(identity(profile, run, {})) for run in ("distill", "midas")}
    own = {"distill": "source zdlib/train/methods/zoe_distill.py", "midas": "source zdlib/train/methods/relative.py"}
    for run, others in (("distill", "midas"), ("midas", "distill")):
        assert own[run] in names[run]
        assert own[others] not in names[run]
    assert "source zdlib/losses/zoe_distill.py" not in names["midas"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("runs.midas.method=midas", "'midas': there is none of that name: choose one of .*, relative, .*zoe_distill"),
        ("runs.midas.method=../x", "runs.midas.method: "),
        ("runs.midas.options={trims: 0.1}", "runs: options.trims: Extra inputs .*: relative has gradient_weight, trim"),
        ("runs.midas.options={trim: 1}", "runs: options.trim: Input should be less than 1"),
        ("runs.distill.options={trim: 0.1}", "runs: options.trim: Extra inputs .*: zoe_distill has loss_stride"),
    ],
)
def test_what_is_no_method_or_option_is_named(folder, change, message):
    with pytest.raises(ZDError, match=message):
        train(load_profile("tiny", changes=[change]), change.split(".")[1])


def test_which_runs_segment(folder):
    runs = load_profile("tiny").runs
    assert [key for key, run in runs.items() if run.segments] == ["distill", "published"]
    assert [key for key, run in runs.items() if run.is_control] == ["control"]
    assert method_file("relative").name == "relative.py"


def test_a_selection_prefers_what_is_better_and_finite():
    lowest, highest = Selection("abs_rel", "AbsRel"), Selection("delta1", "δ1", highest=True)
    for selection, better in ((lowest, 0.1), (highest, 0.9)):
        assert selection.prefers(0.5, None)
        assert selection.prefers(better, 0.5)
        assert not selection.prefers(0.5, better)
        assert not selection.prefers(0.5, 0.5)
        assert not selection.prefers(float("nan"), None)
    assert not lowest.prefers(float("inf"), None)
