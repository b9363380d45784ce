"""Ten tiny frames and untrained checkpoints, for tests of evaluations."""

import numpy as np
import pytest
import rgbd
import scipy.io
import torch

from zdlib.config import Profile
from zdlib.data import classes
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.factory import build_model
from zdlib.paths import RunPaths

COUNT = 10
TRAIN, TEST = [0, 1, 2, 3, 8, 9], [4, 5, 6, 7]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A profile with its data and the checkpoints of a distilled run and its control, untrained."""
    root = tmp_path_factory.mktemp("study")
    (root / "profiles").mkdir()
    scenes = [f"bedroom_{i // 2:04d}" for i in range(COUNT)]
    frames = [rgbd.scene(48, 64, seed=i) for i in range(COUNT)]
    rgbd.write_nyu_mat(root / "nyu.mat", frames, classes.raw_names(), scenes=scenes)
    split = {key: np.array(part)[:, None] + 1 for key, part in (("trainNdxs", TRAIN), ("testNdxs", TEST))}
    scipy.io.savemat(root / "splits.mat", split)
    (root / "ibims").mkdir()
    rgbd.write_ibims(root / "ibims")
    model = {"encoder": "tf_efficientnet_lite0", "encoder_weights": "none", "input_size": [32, 64]}
    model |= {"decoder_channels": 16, "n_bins": 8, "bin_embedding_dim": 8, "segmentation_channels": [16, 16, 8, 8, 8]}
    nyu = {"set": "nyu", "name": "boxes", "root": str(root / "nyu.mat"), "split": str(root / "splits.mat")}
    data = {"train": [nyu], "tests": [nyu, {"set": "ibims", "name": "halls", "root": str(root / "ibims")}]}
    runs = {"distill": {"title": "distilled"}, "control": {"title": "control", "seg_weight": 0.0}}
    profile = Profile.model_validate(
        {"name": "tiny", "data": data, "model": model, "train": {}, "runs": runs, "evaluate": {"flip": False}}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZD_ROOT", str(root))
        paths = RunPaths("tiny")
        for seed, key in enumerate(profile.runs):
            torch.manual_seed(seed)
            built = build_model(profile.model, segmentation=key == "distill")
            info = {"train_frames": TRAIN[:-1], "selection_frames": TRAIN[-1:]}
            save_checkpoint(paths.checkpoints / f"{key}.safetensors", built, profile.model, info)
        yield profile, paths
