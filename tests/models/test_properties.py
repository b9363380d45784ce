"""What must hold for every kind of encoder, at any size, in any batch."""

import pytest
import torch
import torch.nn.functional as F
from golden_models import relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ENCODERS, NATIVE, tiny_model
from torch import Tensor

from zdlib.models.zoe.architecture import Domain
from zdlib.models.zoe.network import ZoeDepth

few = settings(max_examples=4, deadline=None, derandomize=True)
side = st.integers(1, 4).map(lambda n: 32 * n)


def resized(model: ZoeDepth, size: tuple[int, int]) -> ZoeDepth:
    model.config = model.config.model_copy(update={"input_size": size})
    return model


def predict(model: ZoeDepth, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).metric_depth


def noise(batch: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("encoder", ENCODERS)
@few
@given(height=side, width=side, batch=st.integers(2, 3))
def test_any_network_size_and_batch(encoder, height, width, batch):
    model, images = resized(tiny_model(encoder), (height, width)), noise(batch, height, width)
    depth = predict(model, images)
    assert depth.shape == (batch, 1, height, width)
    assert depth.isfinite().all()
    assert torch.equal(predict(model, images), depth)
    # In float64, where another order of sums leaves no trace that the bins' narrow softmax could enlarge.
    model, images = model.double(), images.double()
    depth = predict(model, images)
    for i in range(batch):
        assert relative_error(predict(model, images[i : i + 1])[0].numpy(), depth[i].numpy()) < 1e-9


@pytest.mark.parametrize("encoder", ENCODERS)
@few
@given(height=st.sampled_from([128, 160, 192]), width=st.sampled_from([128, 160, 192]), taller=st.booleans())
def test_depth_is_smooth_in_the_network_size(encoder, height, width, taller):
    """A picture that is the same at any resolution looks almost the same to the network at the next size."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 200), torch.linspace(0, 1, 200), indexing="ij")
    picture = torch.stack([x, y, 0.5 + 0.5 * torch.sin(6 * x + 3 * y)])[None]
    model = tiny_model(encoder)
    near = (height + 32, width) if taller else (height, width + 32)
    one, two = (
        F.interpolate(predict(resized(model, size), picture), size=(100, 100), mode="bilinear", align_corners=True)
        for size in ((height, width), near)
    )
    # Even with random weights; two unrelated maps would differ by a quarter of the range or more.
    assert (one - two).abs().mean() < 0.15 * (one.max() - one.min())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_other_sizes_leave_the_model_as_it_was(encoder):
    model, images = tiny_model(encoder), noise(1, NATIVE, NATIVE)
    state, depth = {key: value.clone() for key, value in model.state_dict().items()}, predict(model, images)
    for size in ((32, 96), (128, 64)):
        predict(resized(model, size), images)
    after = model.state_dict()
    assert after.keys() == state.keys()
    assert all(torch.equal(after[key], value) for key, value in state.items())
    assert torch.equal(predict(resized(model, (NATIVE, NATIVE)), images), depth)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_float32_agrees_with_float64(encoder):
    model, images = tiny_model(encoder), noise(2, NATIVE, NATIVE)
    single = predict(model, images)
    double = predict(model.to("cpu", torch.float64), images.double())
    assert double.dtype == torch.float64
    assert relative_error(single.numpy(), double.numpy()) < 1e-4


def test_routing_ignores_batch_mates():
    """Every image of a mixed batch gets the head and the depth that it gets alone."""
    domains = (Domain(name="nyu"), Domain(name="kitti", max_depth=80.0))
    model = tiny_model(ENCODERS[0], "zoe_nk_beit_l", projector_hidden=16, domains=domains)
    images = noise(6, NATIVE, NATIVE) * torch.linspace(0.2, 1, 6).view(6, 1, 1, 1)
    with torch.no_grad():
        margin = model(images).domain_logits.diff(dim=1)
        model.head.router.classifier[2].bias[1] -= margin.flatten().sort().values[2:4].mean()  # half to each, no ties
        alone = [model(image[None]) for image in images]
    chosen = [int(output.domain_logits.argmax()) for output in alone]
    assert set(chosen) == {0, 1}

    @few
    @given(members=st.lists(st.integers(0, 5), min_size=2, max_size=6))
    def check(members: list[int]) -> None:
        with torch.no_grad():
            together = model(images[members])
        assert together.domain_logits.argmax(1).tolist() == [chosen[i] for i in members]
        for depth, i in zip(together.metric_depth, members, strict=True):
            assert relative_error(depth.numpy(), alone[i].metric_depth[0].numpy()) < 1e-4

    check()
