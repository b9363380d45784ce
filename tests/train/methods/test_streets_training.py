"""Both methods without depth labels, trained by the loop on the embedded streets: killed, resumed, and used."""

import numpy as np
import pandas as pd
import pytest
import tiny_streets

from zdlib.config import load_profile
from zdlib.models.catalogue import load_depth_model
from zdlib.models.depth_model import Inference
from zdlib.paths import RunPaths
from zdlib.train.frames import open_frames
from zdlib.train.run import train

PARTS = {
    "garg": ["photometric", "smoothness"],
    "sgdem": ["reprojection", "smoothness", "segmentation", "patches", "masked"],
}
SCORES = {
    "garg": ["photometric", "level", "abs_rel", "delta1", "disparity_error"],
    "sgdem": ["reprojection", "turn_error", "direction_error", "abs_rel", "delta1", "miou"],
}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["garg", "sgdem"])
def test_killed_once_it_ends_as_if_it_never_had_been(method, tmp_path, monkeypatch):
    profile = tiny_streets.make_profile(tmp_path, method)
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    monkeypatch.delenv("ZD_TRAIN", raising=False)
    whole = train(profile, "run", RunPaths("whole"))
    assert list(whole.steps) == ["step", "epoch", "lr", "total", *PARTS[method], "grad_norm"]
    assert list(whole.validations) == ["step", "epoch", *SCORES[method], "best"]
    assert np.isfinite(whole.steps["total"]).all()
    assert (whole.steps["grad_norm"] > 0).all()
    steps = len(whole.steps)
    tiny_streets.train_until_killed(profile, "killed", step=steps - 1)
    assert not (RunPaths("killed").checkpoints / "run.safetensors").exists()
    resumed = train(profile, "run", RunPaths("killed"), "resume")
    assert resumed.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    pd.testing.assert_frame_equal(resumed.steps, whole.steps, check_exact=True)
    pd.testing.assert_frame_equal(resumed.validations, whole.validations, check_exact=True)

    model = load_depth_model(whole.checkpoint)
    assert model.info["method"] == method
    frames = open_frames(load_profile("tiny"), profile.runs["run"])
    picture = frames.reader[int(frames.roles.selection[0])].image
    depth = model(picture, Inference(flip=False, full_size=True))
    assert depth.shape == picture.shape[:2]
    assert (depth > 0).all()
    assert model.convention.kind == ("metric" if method == "garg" else "relative")
    if method == "garg":
        assert depth.max() <= 80
