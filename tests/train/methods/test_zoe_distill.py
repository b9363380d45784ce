"""Zoe-Distill's own options: losses at some pixels, and a segmentation head that only reads."""

import pytest
import safetensors.torch
import tiny_training
import torch

from zdlib.config import ModelConfig, Profile, load_profile
from zdlib.paths import RunPaths
from zdlib.train.frames import open_frames
from zdlib.train.run import train
from zdlib.train.setup import set_up

HEADS = load_profile("heads").study.arms


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distill")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZD_ROOT", str(folder))
        yield tiny_training.make_profile(folder, epochs=1, validations_per_epoch=1)


def weights(profile: Profile, key: str, name: str, **changes) -> dict[str, torch.Tensor]:
    run = profile.runs[key].model_copy(update=changes)
    alone = profile.model_copy(update={"runs": {key: run}})
    return safetensors.torch.load_file(train(alone, key, RunPaths(name)).checkpoint)


def test_a_detached_head_leaves_the_depth_network_as_the_control_has_it_to_the_bit(profile):
    """So that whatever a probe reads from the features, it has not put there."""
    control = weights(profile, "control", "control")
    probe = weights(profile, "distill", "probe", detach_features=True)
    guided = weights(profile, "distill", "guided")
    assert {name for name in probe if not name.startswith("unet.")} == control.keys()
    assert all(torch.equal(probe[name], tensor) for name, tensor in control.items())
    # Bits that would also be equal if segmentation did nothing at all would show nothing.
    assert not all(torch.equal(guided[name], tensor) for name, tensor in control.items())
    assert any(not torch.equal(probe[name], guided[name]) for name in probe if name.startswith("unet."))


def test_losses_at_some_pixels_are_those_of_the_targets_nearest_to_them(profile):
    run = profile.runs["distill"].model_copy(update={"options": {"loss_stride": 2}})
    setup = set_up(profile, run, open_frames(profile, run), torch.device("cpu"))
    batch = torch.utils.data.default_collate([setup.feed.items[i] for i in range(2)])
    shown = []

    def network(images, **options):
        shown.append(setup.network(images, **options))
        return shown[0]

    torch.manual_seed(3)
    losses = setup.method.losses(network, batch)
    out = shown[0]
    height, width = (side // 2 for side in profile.model.input_size)
    assert out.metric_depth.shape[-2:] == out.segmentation.shape[-2:] == (height, width)
    picked = {key: out.pixels.nearest(batch[key]) for key in ("depth", "mask", "labels")}
    expected = setup.method._criterion(out.metric_depth.float(), out.segmentation.float(), batch | picked)
    assert all(losses[name] == value for name, value in expected.items())


def test_a_training_at_some_pixels_repeats_to_the_bit(profile):
    first, second = (weights(profile, "distill", f"pixels{number}", options={"loss_stride": 2}) for number in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    everywhere = weights(profile, "distill", "guided")
    assert not all(torch.equal(first[name], everywhere[name]) for name in first)


@pytest.mark.parametrize("arm", sorted(HEADS))
def test_every_metric_head_learns(profile, arm):
    """The arms of profile `heads`, on tiny frames: a few steps on one batch lower its loss."""
    changes = HEADS[arm].model
    model = ModelConfig.model_validate(profile.model.model_dump() | {"n_bins": 16} | changes)
    run = profile.runs["control"].model_copy(update={"options": {"loss_stride": 2}})
    changed = profile.model_copy(update={"model": model})
    setup = set_up(changed, run, open_frames(changed, run), torch.device("cpu"), steps=100)
    batch = torch.utils.data.default_collate([setup.feed.items[i] for i in range(2)])
    totals = [setup.trainer.step(batch)["total"] for _ in range(8)]
    assert totals[-1] < totals[0]
