"""A data set and a network that train in a second, and a script that is killed while they do.

    python tests/tiny_training.py FOLDER KILLS SEED

trains FOLDER's profile tiny in child processes that are killed with SIGKILL: two while a state is being written, the
others at random moments; then lets the last one finish. After the first kill a bit of the last state is turned.
"""

import io
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import scipy.io
import yaml

from zdlib.config import Profile

CONTENT = {
    "name": "tiny",
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
        "threads": 1,
    },
    "runs": {
        "distill": {"title": "distilled"},
        "control": {"title": "control", "seg_weight": 0.0},
        "published": {"title": "as published", "recipe": "published"},
    },
}


def make_profile(folder: Path, **train: object) -> Profile:
    """Ten frames of five scenes in NYU's layout and `profiles/tiny.yaml`: a checkout for `ZD_ROOT`."""
    import rgbd

    from zdlib.data import classes

    scenes = [f"bedroom_{i // 2:04d}" for i in range(10)]
    frames = [rgbd.scene(48, 64, seed=i) for i in range(10)]
    rgbd.write_nyu_mat(folder / "nyu.mat", frames, classes.raw_names(), scenes=scenes)
    scipy.io.savemat(
        folder / "splits.mat", {"trainNdxs": np.arange(1, 9)[:, None], "testNdxs": np.arange(9, 11)[:, None]}
    )
    nyu = {"set": "nyu", "name": "boxes", "root": str(folder / "nyu.mat"), "split": str(folder / "splits.mat")}
    ibims = {"set": "ibims", "name": "none", "root": str(folder)}
    content = {**CONTENT, "data": {"train": [nyu], "tests": [nyu, ibims]}}
    content["train"] = CONTENT["train"] | train
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "tiny.yaml").write_text(yaml.safe_dump(content))
    return Profile.model_validate(content)


def train_in_child(write_fails_at: int | None) -> int:
    """Start a child that trains; with a number, it kills itself in the middle of writing that state."""
    import torch

    from zdlib.apps.command_line import main

    child = os.fork()
    if child:
        return child
    whole, count = torch.save, 0

    def half(content: object, path: Path) -> None:
        nonlocal count
        count += 1
        if count != write_fails_at:
            return whole(content, path)
        buffer = io.BytesIO()
        whole(content, buffer)
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    torch.save = half
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    os._exit(main(["train", "--profile", "tiny", "--run", "distill", "--resume"]))


def turn_a_bit(folder: Path, rng: random.Random) -> str:
    """Change one bit of the last state, as a bad disk would; returns the file's name."""
    *_, before, last = sorted(folder.glob("results/tiny/checkpoints/distill.unfinished/state-*.pt"))
    assert before.stat().st_size > 1000
    content = bytearray(last.read_bytes())
    content[rng.randrange(len(content) // 4, len(content))] ^= 1 << rng.randrange(8)
    last.write_bytes(content)
    return last.name


def train_and_kill(kills: int, seed: int) -> None:
    """Print one line a killed child, and leave a finished run."""
    import zdlib.train.run  # noqa: F401  # imported once, before the children are forked

    rng = random.Random(seed)
    for number in range(kills):
        writing = {0: 4, kills // 2: 2}.get(number)  # the state that is half written
        child = train_in_child(write_fails_at=writing)
        time.sleep(0 if writing else rng.uniform(0.3, 2.0))
        if not writing:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(f"kill {number + 1}: {'while writing' if writing else 'at random'}, status {status}")
        if number == 0:
            print(f"a bit turned in {turn_a_bit(Path(os.environ['ZD_ROOT']), rng)}")
    _, status = os.waitpid(train_in_child(None), 0)
    if status:
        sys.exit(f"the last child ended with {status}")


if __name__ == "__main__":
    os.environ["ZD_ROOT"] = sys.argv[1]
    train_and_kill(int(sys.argv[2]), int(sys.argv[3]))
