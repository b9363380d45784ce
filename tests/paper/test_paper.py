"""Profile paper on files of the real layouts and frame sizes, with a smaller SwinV2: a few steps, then evaluation."""

import numpy as np
import pandas as pd
import pytest
import rgbd
import scipy.io
import torch
from golden_models import official_state

from zdlib.apps.command_line import main
from zdlib.config import load_profile
from zdlib.data import classes
from zdlib.evaluate.judge import evaluate_depth, summarise
from zdlib.metrics.protocols import get
from zdlib.models.checkpoints import load_checkpoint
from zdlib.paper.study_job import score_run
from zdlib.paper.trained_runs import load_run, open_nyu, predict_run
from zdlib.paths import RunPaths
from zdlib.pipeline.sources import check_files
from zdlib.train.run import train

CHANGES = [
    "model.encoder=swinv2_tiny_window16_256",
    "model.encoder_weights=$ZD_DATA/dpt_swin2_tiny_256.pt",
    "model.input_size=[256, 256]",
    "model.segmentation_channels=[32, 16, 16, 8, 8]",
    "evaluate.flip=false",
    "train.epochs=1",
    "train.batch_size=2",
    "train.validations_per_epoch=1",
    "train.validation_fraction=0.25",
    "train.workers=0",
    "data.train.0.packs={raw: $ZD_DATA/nyu_raw.pack}",
]
TEST = [5, 6]


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Seven frames of NYU's size, two of iBims-1's, MiDaS's keys and shapes: all that the profile names."""
    monkeypatch.setenv("ZD_DATA", str(tmp_path))
    frames = [rgbd.scene(480, 640, seed) for seed in range(7)]
    mat = rgbd.write_nyu_mat(tmp_path / "nyu_depth_v2_labeled.mat", frames, classes.raw_names())
    numbers = {"trainNdxs": np.arange(1, 6)[:, None], "testNdxs": np.array(TEST)[:, None] + 1}
    scipy.io.savemat(tmp_path / "splits.mat", numbers)
    (tmp_path / "ibims1" / "ibims1_core_mat").mkdir(parents=True)
    rgbd.write_ibims(tmp_path / "ibims1" / "ibims1_core_mat", 480, 640)
    prefix = "core.core."
    state = {key.removeprefix(prefix): v for key, v in official_state("swin2_t").items() if key.startswith(prefix)}
    torch.save(state, tmp_path / "dpt_swin2_tiny_256.pt")
    assert main(["data", "pack", "nyu", str(mat), "-o", str(tmp_path / "nyu_raw.pack")]) == 0
    monkeypatch.setattr(RunPaths, "results", property(lambda self: tmp_path / "results"))
    return load_profile("paper", changes=CHANGES)


@pytest.mark.slow
def test_its_three_trainings_and_their_evaluation(profile):
    check_files(profile)
    paths = RunPaths("paper")
    data = open_nyu(profile)
    for key, steps, seen in (("distill", 2, 5), ("control", 2, 5), ("published", 3, 6)):
        result = train(profile, key, paths)
        assert len(result.steps) == steps
        assert np.isfinite(result.steps.to_numpy()).all()
        run = load_run(profile, key, paths)
        assert len(run.seen) == seen
        maps = predict_run(run, data.readers["raw"], TEST, profile)
        scores = summarise(evaluate_depth(maps, data.readers, TEST, get("nyu/standard")))
        assert 0 < scores["rmse"] < 10  # metres: every true depth is below 4
    _, info = load_checkpoint(result.checkpoint)
    assert info["recipe"] == "published"

    scores, images = score_run(profile, "distill", paths)
    assert images[["delta1", "abs_rel", "rmse", "log10"]].notna().all(axis=None)
    assert set(scores["data"]) == {"NYU Depth v2", "iBims-1"}
    assert {"all pixels", "segmentation", "at depth edges"} <= set(scores["where"])
    assert pd.api.types.is_float_dtype(scores["value"])
    assert scores.loc[scores["where"] == "all pixels", "value"].notna().all()
