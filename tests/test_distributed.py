import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_training
import torch
from torch import nn

import zdlib
from zdlib.apps.command_line import main
from zdlib.config import load_profile
from zdlib.distributed import PooledBatchNorm, gather, largest, pool_batch_norm, sum_over_processes
from zdlib.errors import ZDError
from zdlib.models.checkpoints import load_checkpoint
from zdlib.paths import RunPaths
from zdlib.train.frames import open_frames
from zdlib.train.method import find_method
from zdlib.train.setup import check_shares
from zdlib.train.training_set import Batches

# Layer normalisation in the encoder: only the U-Net normalises over the batch, as in SwinV2's model.
TRAIN = ["train", "--profile", "tiny", "--run", "distill", "--set", "model.encoder=convnext_atto"]


def launch(count: int, *command: str) -> None:
    """Start a module or a script on so many processes of the CPU, as the README does."""
    environment = {
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(zdlib.__file__).parents[1]),
    }
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    done = subprocess.run(
        [*launcher, *command],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same training of 20 steps on one process and on two; batches of three, so their shares differ."""
    folder = tmp_path_factory.mktemp("checkout")
    # A small rate: Adam divides by the gradient's size, so that a sum's last bit grows with every step.
    tiny_training.make_profile(folder, epochs=10, lr=3e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZD_ROOT", str(folder))
        patch.delenv("ZD_TRAIN", raising=False)
        launch(2, "-m", "--", "zdlib", *TRAIN, "--out", "two")  # without --, torchrun takes --run for one of its own
        assert main([*TRAIN, "--out", "one"]) == 0
        yield {name: RunPaths(name).checkpoints for name in ("one", "two")}


@pytest.mark.slow
def test_two_processes_train_as_one(runs):
    one, two = (pd.read_csv(folder / "distill_steps.csv") for folder in runs.values())
    assert len(one) == 20
    losses = ["total", "silog", "dice", "focal"]
    np.testing.assert_allclose(two[losses], one[losses], rtol=1e-5)
    np.testing.assert_allclose(two["grad_norm"], one["grad_norm"], rtol=1e-3)


@pytest.mark.slow
def test_batch_normalisation_sees_the_batches_of_both(runs):
    one, two = (
        load_checkpoint(folder / "distill.safetensors", segmentation=True)[0].state_dict() for folder in runs.values()
    )
    names = [name for name in one if name.startswith("unet.") and name.endswith(("running_mean", "running_var"))]
    assert names
    for name in names:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_merged_validation_is_exactly_that_of_one_process(runs):
    model, info = load_checkpoint(runs["two"] / "distill.safetensors")
    profile = load_profile("tiny")
    frames = open_frames(profile, profile.runs["distill"])
    assert frames.roles.selection.tolist() == info["selection_frames"]
    method = find_method(profile, profile.runs["distill"])
    model.to(memory_format=torch.channels_last)
    alone = method.validate(model, method.selection_set(frames), torch.device("cpu"))
    assert {key: info["selected_at"][key] for key in alone} == alone


# Each loss of a batch of three, alone and then on two processes that have one and two of its images.
POOLED = """
import torch
from zdlib.distributed import join, leave, processes, rank
from zdlib.losses.relative import affine_invariant_loss, gradient_matching_loss, scale_shift_invariant_loss, standardise
from zdlib.losses.zoe_distill import silog_loss

maps = torch.rand(2, 3, 1, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
mask = torch.rand(3, 1, 9, 11, generator=torch.Generator().manual_seed(1)) > 0.3

def matching(prediction, target, mask):
    return gradient_matching_loss(standardise(prediction, mask), standardise(target, mask), mask)

def results(share):
    for loss in (silog_loss, scale_shift_invariant_loss, affine_invariant_loss, matching):
        prediction = maps[0, share].clone().requires_grad_()
        value = loss(prediction, maps[1, share], mask[share])
        value.backward()
        yield value.detach(), prediction.grad

alone = list(results(slice(0, 3)))
join()
assert processes() == 2
share = (slice(0, 1), slice(1, 3))[rank()]
for (value, gradient), (expected, whole) in zip(results(share), alone, strict=True):
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient / 2, whole[share])  # DDP takes the mean over processes
leave()
"""


def test_losses_are_those_of_the_whole_batch_with_its_gradients(tmp_path):
    script = tmp_path / "pooled.py"
    script.write_text(POOLED)
    launch(2, str(script))


def test_alone_nothing_changes():
    value = torch.rand(3)
    assert sum_over_processes(value) is value
    assert gather([1, 2]) == [1, 2]
    assert largest(3, torch.device("cpu")) == 3
    plain, pooled = nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4))
    pool_batch_norm(pooled)
    assert type(pooled[0]) is PooledBatchNorm
    assert list(pooled.state_dict()) == [f"0.{name}" for name in plain.state_dict()]
    images = torch.rand(2, 4, 3, 3)
    assert torch.equal(plain(images), pooled(images))


def test_shares_of_an_epoch_make_up_the_whole_and_can_be_skipped():
    def epoch(process, processes, skip=0):
        batches = Batches(10, 4, torch.Generator().manual_seed(3), process, processes)
        batches.skip = skip
        assert len(batches) == 3
        return list(batches)

    whole = epoch(0, 1)
    assert sorted(chain(*whole)) == list(range(10))
    assert [len(batch) for batch in whole] == [4, 4, 2]
    shares = [epoch(process, 3) for process in range(3)]
    assert [list(chain(*parts)) for parts in zip(*shares, strict=True)] == whole
    assert epoch(0, 1, skip=2) == whole[2:]


def test_a_batch_without_a_frame_for_each_is_refused():
    profile = load_profile("smoke", Path(__file__).parents[1])
    config = profile.train.model_copy(update={"batch_size": 4, "accumulate": 2})
    check_shares(8, config, 2)
    with pytest.raises(ZDError, match=r"of 10 frames the smallest batch has 2, for 2 processes and 2 parts each"):
        check_shares(10, config, 2)
