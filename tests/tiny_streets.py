"""A few clips of the embedded streets in KITTI's and Cityscapes' layouts, and a profile that trains on them quickly."""

import os
import signal
from pathlib import Path

import yaml

from zdlib.config import Profile
from zdlib.data.streets.cityscapes_layout import write_cityscapes
from zdlib.data.streets.kitti_layout import write_kitti
from zdlib.data.streets.store import open_store

STORE = Path(__file__).parent.parent / "data" / "streets" / "streets_k.h5"
CLIPS = 5
CONTENT = {
    "name": "tiny",
    "model": {"encoder": "garg", "encoder_weights": "none", "input_size": [64, 192]},
    "train": {
        "epochs": 3,
        "batch_size": 4,
        "lr": 1e-3,
        "clip_grad_norm": 1e3,
        "workers": 0,
        "validation_fraction": 0.4,
        "validations_per_epoch": 1,
        "threads": 1,
        "save_minutes": 0,
    },
}
GARG = {"optimiser": "adam", "reduction": "mean", "width": 0.05, "level_epochs": [1, 1], "augmented_epochs": 1}
VIDEO = {"pose_encoder": "cnn", "decoder_channels": [16, 16, 8, 8, 8], "patch_weight": 1.0, "patch_side": 32}


def make_profile(folder: Path, method: str) -> Profile:
    """`profiles/tiny.yaml` with one run, `run`, of a method: a checkout for `ZD_ROOT`."""
    store = open_store(STORE)
    clips = store.of_split("train")[:CLIPS]
    kitti, cityscapes = folder / "kitti", folder / "cityscapes"
    write_kitti(kitti, store, clips)
    train = [{"set": "kitti_raw", "root": str(kitti), "list_file": str(kitti / "splits" / "train_files.txt")}]
    content = dict(CONTENT)
    if method == "sgdem":
        write_cityscapes(cityscapes, store, clips)
        train.append({"set": "cityscapes", "root": str(cityscapes), "part": "train"})
        content["model"] = {"encoder": "tf_efficientnet_lite0", "encoder_weights": "none", "input_size": [64, 192]}
        content["train"] = CONTENT["train"] | {"batch_size": 2}
    options = GARG if method == "garg" else VIDEO
    run = {"title": "tiny", "method": method, "recipe": "street", "seg_weight": 0, "options": options}
    content |= {"data": {"train": train}, "runs": {"run": run}}
    (folder / "profiles").mkdir()
    (folder / "profiles" / "tiny.yaml").write_text(yaml.safe_dump(content))
    return Profile.model_validate(content)


def train_until_killed(profile: Profile, out: str, step: int) -> None:
    """Train in a child that is killed with SIGKILL when it begins that step."""
    from zdlib.paths import RunPaths
    from zdlib.train.run import train
    from zdlib.train.step import Trainer

    child = os.fork()
    if child:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        return
    whole, count = Trainer.step, 0

    def killed(self, batch):
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, batch)

    Trainer.step = killed
    try:
        train(profile, "run", RunPaths(out))
    finally:
        os._exit(1)
