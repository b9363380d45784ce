"""The loss and the frames of the method for photographs."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from zdlib.config import load_profile
from zdlib.data.sample import Frames, Sample
from zdlib.errors import ZDError
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import network_size
from zdlib.train.method import find_method
from zdlib.train.methods.photographs import log_error
from zdlib.train.split import FrameRoles, RunFrames, UsedSet

PROFILE = load_profile("photographs")
RUN = PROFILE.runs["zoe_light"]


def test_the_error_of_logarithms_by_hand():
    g = torch.tensor([[[[0.0, 0.2], [0.4, 9.0]]], [[[0.1, 0.1], [0.1, 0.1]]], [[[5.0, 5.0], [5.0, 5.0]]]])
    mask = torch.tensor([[[[True, True], [True, False]]], [[[True] * 2] * 2], [[[False] * 2] * 2]])
    variance = (0.04 + 0 + 0.04) / 3
    expected = [10 * math.sqrt(variance + 0.5 * 0.04 + 1e-6), 10 * math.sqrt(1e-6)]
    loss = log_error(g, mask, torch.tensor([0.5, 0.0, 0.5]))
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_a_teacher_s_scale_teaches_nothing():
    g = torch.full((1, 1, 3, 3), 0.7, requires_grad=True)
    mask = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    for scale, moves in ((0.0, False), (0.5, True)):
        (gradient,) = torch.autograd.grad(log_error(g, mask, torch.tensor([scale])), g)
        assert bool(gradient.abs().max() > 1e-6) == moves


class Made(Frames):
    def __init__(self, count, scenes):
        self.path, self.names, self.scenes = Path("made"), [f"f{n}" for n in range(count)], scenes

    def __getitem__(self, index):
        return Sample(
            self.names[index], np.full((48, 72, 3), index, np.uint8), np.full((48, 72), 2.0, np.float32), scene=""
        )


def frames(sets):
    count = sum(used.frames for used in sets)
    roles = FrameRoles(np.arange(count - 2), np.arange(count - 4, count), True)
    return RunFrames(Made(count, [""] * count), roles, Path("made"), tuple(sets))


def without_teacher(**options):
    return find_method(PROFILE, RUN.model_copy(update={"options": RUN.options | {"taught": None} | options}))


def test_only_real_frames_select_and_kinds_decide_what_trains():
    sets = [UsedSet("rooms", "", "", 3), UsedSet("streets", "", "", 2), UsedSet("real-hololens", "", "", 3)]
    kinds = RUN.options["kinds"]
    method = without_teacher(kinds=kinds | {"streets": {"min_depth": 1, "max_depth": 80, "repeats": 0}})
    items = method.feed(frames(sets), torch.Generator().manual_seed(0)).items
    assert sorted(items[n]["index"] for n in range(len(items))) == [0, 1, 2, *[5] * 4]
    chosen = method.selection_set(frames(sets))
    assert [chosen[n]["index"] for n in range(len(chosen))] == [5, 6, 7]
    assert tuple(chosen[0]["image"].shape[1:]) == network_size((48, 72), (192, 256), True)


def test_wrong_options_are_one_line():
    with pytest.raises(ZDError, match=r"options\.kinds\.rooms\.max_depth: .* photographs has kinds, taught"):
        without_teacher(kinds={"rooms": {"min_depth": 1, "max_depth": -1}})
    method = without_teacher(kinds={})
    with pytest.raises(ZDError, match=r"options\.kinds: say what the frames of rooms mean"):
        method.feed(frames([UsedSet("rooms", "", "", 5)]), torch.Generator())


def test_depth_is_scaled_by_the_lens_and_a_checkpoint_without_one_is_not():
    network = without_teacher().network(torch.device("cpu")).eval()
    picture = np.random.default_rng(0).integers(0, 256, (192, 256, 3), dtype=np.uint8)
    plain = ZoeDepthModel(network)(picture, Inference(flip=False))
    model = ZoeDepthModel(network, Convention(canonical_focal=207.5))
    for focal in (207.5, 415.0):
        depth = model(picture, Inference(flip=False, full_size=True, focal=focal))
        np.testing.assert_allclose(depth.mean(), plain.mean() * focal / 207.5, rtol=1e-3)
    assert "canonical_focal" not in Convention().model_dump(), "checkpoints of other trainings keep their bytes"
    twice = np.repeat(np.repeat(picture, 2, 0), 2, 1)
    reduced = model(twice, Inference(flip=False, focal=415.0))
    np.testing.assert_allclose(reduced.mean(), plain.mean(), rtol=0.05)
