"""Fused attention against the plain path: values, gradients, and nothing remembered for too long."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ENCODERS, enliven, tiny_model
from torch import nn

from zdlib.bench.reference import PlainZoeDepth
from zdlib.errors import ZDError
from zdlib.models.factory import create_model
from zdlib.models.layers.attention import Linear, Remembered, _attend, fast_linears, linear, offset_bias

BEIT, _, SWIN = ENCODERS


def worst(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference, as a share of the expected values' range."""
    return float((found - expected).abs().max() / (expected.max() - expected.min()))


def gathered(table: torch.Tensor, special: torch.Tensor | None) -> torch.Tensor:
    """The bias by its definition, pair by pair."""
    heads, h, w = table.shape[0], (table.shape[1] + 1) // 2, (table.shape[2] + 1) // 2
    y, x = (a.flatten() for a in torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"))
    bias = table[:, y[:, None] - y + h - 1, x[:, None] - x + w - 1]
    if special is None:
        return bias
    row = special[:, :1].expand(heads, h * w)
    column = torch.cat([special[:, 2:], special[:, 1:2].expand(heads, h * w)], dim=1)
    return torch.cat([column[:, :, None], torch.cat([row[:, None], bias], dim=1)], dim=2)


@settings(max_examples=15, deadline=None)
@given(h=st.integers(1, 6), w=st.integers(1, 6), special=st.booleans())
def test_offset_bias_and_its_gradient(h, w, special):
    table = torch.randn(2, 2 * h - 1, 2 * w - 1, requires_grad=True)
    extra = torch.randn(2, 3, requires_grad=True) if special else None
    found, expected = offset_bias(table, extra), gathered(table, extra)
    assert torch.equal(found, expected)
    wanted = [t for t in (table, extra) if t is not None]
    weights = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(found, wanted, weights), torch.autograd.grad(expected, wanted, weights), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_linear_is_the_same_layer():
    layer = nn.Sequential(nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 8, bias=False))
    fast = copy.deepcopy(layer)
    fast_linears(fast)
    assert [type(m) for m in (fast[0], fast[2])] == [Linear, Linear]
    assert list(fast.state_dict()) == list(layer.state_dict())
    x = torch.randn(2, 5, 24)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), layer(x))
        torch.testing.assert_close(fast(x.transpose(0, 1)), layer(x.transpose(0, 1)))
        torch.testing.assert_close(fast.double()(x.double()), layer.double()(x.double()))
    assert linear(x, fast[0].weight.float()).requires_grad


@pytest.mark.parametrize(
    ("encoder", "image"),
    [(SWIN, (64, 64)), (SWIN, (96, 160)), (BEIT, (64, 64)), (BEIT, (96, 160))],
)
def test_equals_the_plain_path_with_gradients(encoder, image):
    model = tiny_model(encoder, input_size=image).double()  # in float32, noise of 1e-3 in the smallest gradients
    plain = PlainZoeDepth(model)
    images = torch.rand(2, 3, *image, dtype=torch.float64)
    expected = plain(images)
    expected.square().mean().backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    found = model(images).metric_depth
    found.square().mean().backward()
    assert expected.std() > 1e-3
    assert worst(found.detach(), expected.detach()) < 1e-4
    norm = max(gradient.norm() for gradient in wanted.values())
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert (parameter.grad - wanted[name]).norm() <= 1e-4 * wanted[name].norm() + 1e-6 * norm, name
    assert any("cpb_mlp" in name or "position_bias" in name for name in wanted)
    with torch.inference_mode():
        assert worst(model.float()(images.float()).metric_depth, expected.detach()) < 1e-4


def test_bfloat16_is_near():
    for encoder in (SWIN, BEIT):
        model = tiny_model(encoder)
        images = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            exact = model(images).metric_depth
            with torch.autocast("cpu", torch.bfloat16):
                half = model(images).metric_depth
        assert worst(half.float(), exact) < 0.2
        assert not torch.equal(half.float(), exact)


def test_the_shift_mask_is_used():
    model = tiny_model(SWIN)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = model(images).metric_depth
        for stage in model.encoder.model.layers:
            for block in stage.blocks:
                block.shift_size = (0, 0)
        assert worst(model(images).metric_depth, before) > 1e-3


def fresh(model) -> torch.Tensor:
    """What a model with these weights gives that has never run before."""
    other = create_model("zoe_swin2_t", **model.config.model_dump())
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        return other.to(next(model.parameters()).dtype)(IMAGES.to(next(model.parameters()).dtype)).metric_depth


IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def in_place(model):
    with torch.no_grad():
        for stage in model.encoder.model.layers:
            stage.blocks[1].attn.cpb_mlp[2].weight.mul_(0.5)


def through_data(model):
    model.encoder.model.layers[0].blocks[1].attn.cpb_mlp[0].bias.data += 1


def replaced(model):
    layer = model.encoder.model.layers[1].blocks[0].attn.cpb_mlp[2]
    layer.weight = nn.Parameter(layer.weight.detach().flip(1))


def loaded(model):
    other = copy.deepcopy(model)
    enliven(other, seed=1)
    model.load_state_dict(other.state_dict())


def trained(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    model(IMAGES).metric_depth.mean().backward()
    optimizer.step()
    model.eval()


def other_sizes(model):
    model(torch.rand(1, 3, 100, 70))
    model.encoder(torch.rand(1, 3, 96, 160))


def other_type(model):
    model.double()


def other_type_and_back(model):
    model.bfloat16().float()


def elsewhere(model):
    ghost = copy.deepcopy(model).to("meta")
    assert ghost(IMAGES.to("meta")).metric_depth.is_meta


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [in_place, through_data, replaced, loaded, trained, other_sizes, other_type, other_type_and_back, elsewhere],
)
def test_nothing_is_remembered_too_long(change):
    model = tiny_model(SWIN)
    with torch.no_grad():
        first = model(IMAGES).metric_depth
        assert torch.equal(model(IMAGES).metric_depth, first)
    with torch.set_grad_enabled(change is trained):
        change(model)
    with torch.inference_mode():
        found = model(IMAGES.to(next(model.parameters()).dtype)).metric_depth
    expected = fresh(model)
    assert found.dtype == expected.dtype
    assert worst(found, expected) < 1e-6
    if change not in (other_sizes, elsewhere):
        assert not torch.equal(found.to(first.dtype), first)


def test_a_value_is_made_once_and_never_with_gradients():
    made = []
    weight = nn.Parameter(torch.ones(2))
    remembered = Remembered()

    def value(key: int = 0) -> torch.Tensor:
        return remembered(lambda: made.append(key) or 2 * weight, key, [weight])

    with torch.no_grad():
        value()
        value()
    assert made == [0]
    assert value().requires_grad
    assert len(made) == 2
    with torch.no_grad():
        value(1)
        value(1)
    assert made == [0, 0, 1]


def test_what_is_kept_is_small():
    model = tiny_model(SWIN)
    with torch.no_grad():
        model(IMAGES)
    kept = sum(m._last[2].numel() for m in model.encoder._tables)
    assert 0 < kept < 0.01 * sum(p.numel() for p in model.parameters())
    assert all(b.attn.relative_position_index is None for s in model.encoder.model.layers for b in s.blocks)


def test_plain_path_refuses_other_models():
    with pytest.raises(ZDError, match="no un-optimised twin"):
        PlainZoeDepth(create_model("zoe_distill_lite0"))


def test_predictions_in_bfloat16_attend_by_products():
    q, k, v = torch.randn(3, 4, 2, 9, 8).unbind(0)
    bias = torch.randn(2, 9, 9)
    expected = ((0.5 * q @ k.mT + bias).softmax(-1) @ v).detach()
    with torch.autocast("cpu", torch.bfloat16):
        fused = _attend(q, k, v, bias, 0.5)  # gradients are recorded
        with torch.no_grad():
            products = _attend(q, k, v, bias, 0.5)
    assert not torch.equal(fused, products)
    for found in (fused, products):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)
