"""The benchmark: it times what agrees, and says what it found."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from rgbd import scene, write_nyu_mat
from tiny_models import ENCODERS, tiny_model

from zdlib.bench import show, stages, whole
from zdlib.bench.__main__ import main
from zdlib.bench.cases import CASES, SAVINGS, Case
from zdlib.bench.contestants import prepare
from zdlib.bench.reference import plain_loss
from zdlib.bench.run import _write_weights, bench, difference, enliven, matrix_peak
from zdlib.data import classes
from zdlib.data.sets.nyu import NYUReader
from zdlib.errors import ZDError
from zdlib.losses.zoe_distill import ZoeDistillLoss
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.recipes import RECIPES

SMALL = Case("small", "inference", "zoe_swin2_t", ("plain", "zdlib"), size=(64, 64))


@pytest.mark.slow
def test_contestants_take_turns_on_equal_answers():
    table = bench(SMALL, rounds=2, threads=1).set_index("contestant")
    assert table["difference"]["plain"] == 0
    assert 0 < table["difference"]["zdlib"] < 1e-4
    assert table["ratio"]["plain"] == 1
    assert (table["fastest"] <= table["seconds"]).all()
    assert (table["seconds"] <= table["slowest"]).all()
    assert (table["ratio_low"] <= table["ratio"]).all()
    assert (table["gflops"] > 0).all()
    assert (table["threads"] == 1).all()


@pytest.mark.slow
def test_what_does_not_agree_is_not_timed(monkeypatch):
    monkeypatch.setattr("zdlib.bench.run.AGREEMENT", 0.0)
    with pytest.raises(ZDError, match=r"small: zdlib gives another answer \(difference .*\): nothing is timed"):
        bench(SMALL, rounds=1, threads=1)


@pytest.mark.slow
def test_a_contestant_that_cannot_be_had_is_one_line(tmp_path, capsys, monkeypatch):
    odd = Case("odd", "inference", "zoe_distill_lite0", ("plain",), size=(64, 96))
    monkeypatch.setitem(CASES, "odd", odd)
    for name in [name for name, case in CASES.items() if case is not odd]:
        monkeypatch.delitem(CASES, name)
    assert main(["--group", "inference", "--rounds", "1", "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: tf_efficientnet_lite0: no un-optimised twin for it")
    assert list(tmp_path.iterdir()) == []
    assert main(["--rounds", "0"]) == 1


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_block_matters_to_the_weights_that_are_timed(encoder):
    """Or a contestant could be wrong there and still agree."""
    model = tiny_model(encoder).eval()
    enliven(model)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        depth = model(images).metric_depth
        layers = [m for name, m in model.encoder.named_modules() if name.endswith((".mlp.fc2", ".attn.proj"))]
        assert len(layers) >= 8
        for layer in layers:
            layer.weight.mul_(1.1)
            assert (model(images).metric_depth - depth).abs().max() > 1e-3 * depth.std()
            layer.weight.div_(1.1)


@pytest.fixture(scope="module")
def plain_depth(tmp_path_factory):
    """Weights for the small case, and the plain network's depth with them."""
    weights = tmp_path_factory.mktemp("weights") / "w.safetensors"
    _write_weights(SMALL, weights)
    return weights, prepare(SMALL, "plain", weights)()["depth"].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("contestant", [*SAVINGS[1:], "zdlib", "ONNX Runtime"])
def test_every_saving_leaves_the_depth(plain_depth, contestant, monkeypatch):
    from zdlib.models.layers import attention

    monkeypatch.setattr(attention, "linear", attention.linear)  # a contestant's own process may replace it
    weights, expected = plain_depth
    found = prepare(SMALL, contestant, weights)()["depth"]
    assert difference({"depth": found.numpy()}, {"depth": expected}) < 1e-4


@pytest.mark.slow
def test_a_training_step_has_the_plain_loop_s_losses_and_gradients(tmp_path):
    case = Case("small", "training", "zoe_swin2_t", CASES["Zoe-Distill SwinV2-T"].contestants, (64, 64), 2, "training")
    weights = tmp_path / "w.safetensors"
    _write_weights(case, weights)
    answers = [prepare(case, name, weights)() for name in case.contestants]
    expected, *others = ({k: v.numpy() for k, v in answer.items()} for answer in answers)
    assert np.linalg.norm(expected["gradients"]) > 0
    assert all(difference(found, expected) < 1e-4 for found in others)


def test_the_plain_loss_is_the_loss():
    generator = torch.Generator().manual_seed(0)
    depth, logits = 1 + torch.rand(2, 1, 8, 8, generator=generator), torch.randn(2, 14, 8, 8, generator=generator)
    batch = {
        "depth": 1 + torch.rand(2, 1, 8, 8, generator=generator),
        "mask": torch.rand(2, 1, 8, 8, generator=generator) > 0.3,
        "labels": torch.randint(0, 14, (2, 8, 8), generator=generator),
    }
    expected = ZoeDistillLoss(RECIPES["published"], 0.1)(depth, logits, batch)
    found = plain_loss(depth, logits, batch, 0.1)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_differences_by_hand():
    assert difference({"depth": np.array([1.0, 2.5])}, {"depth": np.array([1.0, 3.0])}) == 0.25
    losses = {"losses": np.array([1.1, 2.0]), "gradients": np.array([3.0, 4.5])}
    assert difference(losses, {"losses": np.array([1.0, 2.0]), "gradients": np.array([3.0, 4.0])}) == pytest.approx(0.1)


@pytest.mark.slow
def test_a_breakdown_names_every_stage():
    found = stages.breakdown(SMALL, rounds=1, threads=1)
    assert found.groupby("contestant")["stage"].unique().str.len().tolist() == [3, 3]
    assert (found["seconds"] >= 0).all()
    assert {"convolutions", "matrix products"} <= set(found["kind"])
    assert stages._kind("aten::mkldnn_convolution") == "convolutions"
    assert stages._kind("aten::_scaled_dot_product_flash_attention_for_cpu") == "attention"
    assert stages._kind("aten::upsample_bilinear2d") == "interpolation"
    assert stages._kind("aten::gelu") == stages.OTHER


def test_work_may_be_repeated_within_a_run(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("zdlib.bench.contestants._inference", lambda *_: lambda: calls.append(1) or {})
    prepare(replace(SMALL, repeats=3), "zdlib", tmp_path)()
    assert calls == [1, 1, 1]


@pytest.fixture
def reader(tmp_path):
    frames = [scene(seed=seed) for seed in range(3)]
    return NYUReader(write_nyu_mat(tmp_path / "nyu.mat", frames, classes.raw_names()), depth="raw")


def test_the_model_s_share_of_an_evaluation(reader):
    found = whole.evaluation_share(ZoeDepthModel(tiny_model(ENCODERS[2]).eval()), reader, count=2)
    assert found["images"] == 2
    assert 0 < found["model_seconds"] < found["seconds"]
    assert found["share"] == found["model_seconds"] / found["seconds"]


def test_drift_of_an_untrained_network(reader):
    exact, half = whole.untrained_drift("tiny", ZoeDepthModel(tiny_model(ENCODERS[2]).eval()), reader, count=2)
    assert (exact["precision"], half["precision"]) == ("fp32", "bf16")
    assert exact["abs_rel"] == pytest.approx(whole.ERROR * (2 / np.pi) ** 0.5, rel=0.1)  # of small errors
    assert exact["abs_rel"] != half["abs_rel"]


@pytest.mark.parametrize("arguments", [["--group", "evaluation"], ["--group", "drift"], []])
def test_what_needs_the_demo_says_so_at_once(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.setattr(whole, "resolve", lambda path: tmp_path / "rooms.mat")
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 1
    assert "rooms.mat: no such file: run ./run_all.sh first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_machine_s_matrix_peak_is_positive():
    before = torch.get_num_threads()
    assert matrix_peak(1, size=64) > 0
    assert torch.get_num_threads() == before


def test_a_table_shows_whole_mebibytes_and_powers_of_ten():
    found = pd.DataFrame({"contestant": ["zdlib"], "peak_mib": [10.6], "difference": [3.2e-6], "slowest": [2.0]})
    (row,) = show.for_table(found, "contestant", "peak_mib", "difference").to_dict("records")
    assert row == {"contestant": "zdlib", "memory [MiB]": 11, "difference": "3e-06"}


def test_figures_have_a_line_and_a_bar_for_each():
    columns = {"seconds": 1.0, "fastest": 0.9, "slowest": 1.2, "peak_mib": 100.0, "memory_ratio": 0.5}
    columns |= {"ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.6}
    names = [f"{kind} {n}" for kind in ("size", "batch", "images", "threads") for n in (1, 2)]
    found = pd.DataFrame([{"case": n, "contestant": c, **columns} for n in names for c in ("plain", "zdlib")])
    assert [len(axes.lines) for axes in show.curves(found).axes] == [2] * 8
    assert len(show.savings(found[:3]).axes[0].patches) == 6
    assert len(show.ratios(found).axes[0].get_yticks()) == len(names)
    parts = pd.DataFrame([{"contestant": "plain", "stage": "encoder", "kind": k, "seconds": 1.0} for k in "ab"])
    assert show.stage_bars(parts).axes[0].texts[0].get_text() == "2.00 s"
