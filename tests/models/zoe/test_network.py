from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from zdlib.config import ModelConfig
from zdlib.errors import ZDError
from zdlib.models.factory import build_model


def small(**changes: object) -> ModelConfig:
    fields = {"encoder": "tf_efficientnet_lite0", "encoder_weights": "none", "input_size": (64, 96)}
    fields |= {"decoder_channels": 16, "bin_embedding_dim": 16, "segmentation_channels": (16, 16, 8, 8, 8)}
    return ModelConfig(**(fields | changes))


def count(module: torch.nn.Module | None) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_equal_the_original_part_by_part():
    config = ModelConfig(encoder="swinv2_base_window12to24_192to384", encoder_weights="none", input_size=(384, 384))
    with torch.device("meta"):
        model = build_model(config, segmentation=True)
    parts = {name: count(part) for name, part in model.named_children()}
    assert parts == {"encoder": 87_918_816, "decoder": 14_460_097, "head": 478_145, "unet": 2_877_102}
    heads = {name: count(part) for name, part in model.head.named_children()}
    assert heads == {
        "conv": 65_792,
        "seed_bins": 82_240,
        "seed_projector": 49_408,
        "projectors": 197_632,
        "refiners": 69_789,
        "output": 13_284,
    }
    assert sum(parts.values()) == 105_734_160
    assert (count(model.unet.decoder), count(model.unet.classifier)) == (2_875_072, 2_030)


def test_depth_is_the_same_without_the_unet():
    models = []
    for segmentation in (True, False):
        torch.manual_seed(3)
        models.append(build_model(small(), segmentation).eval())
    images = torch.rand(2, 3, 50, 70)
    with torch.no_grad():
        outputs = [model(images) for model in models]
        asked = models[0](images, segmentation=True)
    assert outputs[0].segmentation is None
    assert outputs[1].segmentation is None
    assert asked.segmentation.shape == (2, 14, 64, 96)
    for output in (outputs[1], asked):
        assert torch.equal(outputs[0].metric_depth, output.metric_depth)
    assert count(models[1]) + count(models[0].unet) == count(models[0])


def test_without_the_unet_nothing_of_it_runs(monkeypatch):
    model = build_model(small(), segmentation=True).eval()
    monkeypatch.setattr(model.unet, "forward", lambda features: pytest.fail("the U-Net ran"))
    model(torch.rand(1, 3, 64, 96))


def test_asking_for_segmentation_without_unet_is_an_error():
    with pytest.raises(ZDError, match="segmentation=True"):
        build_model(small()).eval()(torch.rand(1, 3, 64, 96), segmentation=True)


def test_training_step_is_bitwise_repeatable_and_reaches_every_part():
    gradients = []
    for _ in range(2):
        torch.manual_seed(0)
        model = build_model(small(), segmentation=True)
        output = model(torch.rand(2, 3, 64, 96))
        (output.metric_depth.log().mean() + output.segmentation.square().mean()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        if name.startswith("decoder.fuse.3.skip_unit"):
            assert gradient is None
        else:
            assert torch.equal(gradient, gradients[1][name]), name
            assert gradient.abs().sum() > 0, name


@pytest.mark.parametrize("prepare", [lambda model: model, lambda model: model.eval().train()], ids=["new", "again"])
def test_training_keeps_the_encoders_batch_statistics(prepare):
    model = prepare(build_model(small(), segmentation=True))
    norms = [m for m in model.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    before = [m.running_mean.clone() for m in norms]
    model(torch.rand(2, 3, 64, 96))
    assert norms
    assert all(torch.equal(m.running_mean, old) for m, old in zip(norms, before, strict=True))
    assert model.training
    assert all(m.training for m in model.unet.modules() if isinstance(m, torch.nn.BatchNorm2d))


class Operations(TorchDispatchMode):
    """Counts every operator that runs, with the sizes of the tensors it works on: what makes up a pass's time."""

    def __init__(self):
        super().__init__()
        self.counted: Counter[tuple[object, ...]] = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        sizes = [tuple(value.shape) for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        self.counted[(operator, *sizes)] += 1
        return operator(*args, **(kwargs or {}))


def test_without_the_unet_inference_takes_less_work():
    """The same operators on the same sizes, and fewer of them: less time wherever it is measured."""
    counted, flops = {}, {}
    for built in (True, False):
        model = build_model(small(), segmentation=built).eval()
        images = torch.rand(2, 3, 64, 96)
        with torch.inference_mode(), Operations() as operations, FlopCounterMode(display=False) as counter:
            model(images, segmentation=built)
        counted[built], flops[built] = operations.counted, counter.get_total_flops()
    assert counted[False].total() > 100
    assert counted[False] < counted[True]  # none more often, some less often
    assert flops[False] < flops[True]


def test_parameter_groups_hold_every_parameter_once():
    model = build_model(small(), segmentation=True)
    groups = model.parameter_groups(1e-3, 10.0)
    assert [g["lr"] for g in groups] == [pytest.approx(1e-4), 1e-3, 1e-3]
    grouped = [id(p) for g in groups for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


@settings(max_examples=8, deadline=None)
@given(batch=st.integers(1, 3), height=st.integers(20, 150), width=st.integers(20, 150))
def test_any_image_size_and_batch(batch, height, width):
    torch.manual_seed(0)
    model = build_model(small()).eval()
    images = torch.rand(batch, 3, height, width)
    with torch.no_grad():
        depth = model(images).metric_depth
        torch.testing.assert_close(model(images[-1:]).metric_depth, depth[-1:], rtol=1e-4, atol=1e-5)
    assert depth.shape == (batch, 1, 64, 96)
    assert (depth > 0).all()


def test_float32_agrees_with_float64():
    torch.manual_seed(0)
    model = build_model(small()).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        single = model(images)
        double = model.to("cpu", torch.float64)(images.double())
    torch.testing.assert_close(single.rel_depth.double(), double.rel_depth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(single.metric_depth.double(), double.metric_depth.double(), rtol=1e-4, atol=1e-5)
