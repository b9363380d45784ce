import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ENCODERS
from torch import nn

from zdlib.errors import ZDError
from zdlib.models.encoders.timm import (
    STRIDES,
    BeitEncoder,
    SwinEncoder,
    build_encoder,
    relative_position_bias,
    relative_position_index,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tf_efficientnet_lite0", (64, 96)),
        ("resnet18", (64, 96)),
        ("swinv2_tiny_window16_256", (256, 256)),
        ("swinv2_tiny_window16_256", (192, 320)),
        ("swin_tiny_patch4_window7_224", (224, 224)),
        ("beit_base_patch16_384", (96, 160)),
    ],
)
def test_four_levels_at_four_strides(name, size):
    encoder = build_encoder(name, "none").eval()
    with torch.no_grad():
        levels = encoder(torch.rand(2, 3, *size))
    expected = [(2, c, size[0] // s, size[1] // s) for c, s in zip(encoder.channels, STRIDES, strict=True)]
    assert [tuple(level.shape) for level in levels] == expected
    assert all(level.isfinite().all() for level in levels)


def test_swin_at_a_new_size_and_back_is_unchanged():
    torch.manual_seed(0)
    encoder = SwinEncoder("swinv2_tiny_window16_256").eval()
    image = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        before = encoder(image)
        encoder(torch.rand(1, 3, 192, 320))
        after = encoder(image)
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a, b)


def test_swin_taps_are_timms_features():
    torch.manual_seed(0)
    encoder = SwinEncoder("swin_tiny_patch4_window7_224").eval()
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        expected = encoder.model.forward_intermediates(image, intermediates_only=True)
        for level, theirs in zip(encoder(image), expected, strict=True):
            torch.testing.assert_close(level, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_beit_equals_timm_at_the_native_size():
    torch.manual_seed(0)
    encoder = BeitEncoder("beit_base_patch16_384").eval()
    for block in encoder.model.blocks:
        torch.nn.init.normal_(block.attn.relative_position_bias_table)
    tokens = []
    encoder.reassemble[3].register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0]))
    image = torch.rand(1, 3, 384, 384)
    with torch.no_grad():
        encoder(image)
        expected = encoder.model.forward_features(image)
    torch.testing.assert_close(tokens[0], expected, rtol=1e-4, atol=1e-4)


def test_position_index_equals_timms():
    from timm.models.beit import gen_relative_position_index

    assert torch.equal(relative_position_index((5, 7)), gen_relative_position_index((5, 7)))


@settings(max_examples=15, deadline=None)
@given(h=st.integers(1, 9), w=st.integers(1, 9))
def test_bias_of_any_grid_is_an_interpolation(h, w):
    table = torch.rand((2 * 6 - 1) ** 2 + 3, 2)
    bias = relative_position_bias(table, (6, 6), (h, w))
    assert bias.shape == (2, 1 + h * w, 1 + h * w)
    assert bias.min() >= table.min()
    assert bias.max() <= table.max()
    if (h, w) == (6, 6):
        assert torch.equal(bias, table[relative_position_index((h, w))].permute(2, 0, 1))


def gradients(encoder: nn.Module, images: torch.Tensor) -> tuple[list[torch.Tensor], int]:
    """Of all parameters, and the bytes that were kept for the backward pass beside these."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)  # of the paths that are dropped
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total = sum(level.square().mean() for level in encoder(images))
    bytes_kept = sum(size for storage, size in kept.items() if storage not in parameters)
    found = torch.autograd.grad(total, list(encoder.parameters()), allow_unused=True)
    return [gradient for gradient in found if gradient is not None], bytes_kept


@pytest.mark.parametrize("name", [*ENCODERS, "tf_efficientnet_lite0", "convnext_atto"])
def test_blocks_that_run_again_give_the_same_gradients_and_keep_less(name):
    encoder = build_encoder(name, "none").train()
    dropping = 0
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # as ZoeDepth has it
        if hasattr(module, "drop_prob"):
            module.drop_prob, dropping = 0.5, dropping + 1
    assert dropping or "swin" not in name
    images = torch.rand(2, 3, 64, 64)
    expected, all_kept = gradients(encoder, images)
    encoder.recompute_blocks()
    found, kept = gradients(encoder, images)
    assert kept < 0.7 * all_kept
    assert len(found) == len(expected) > 0
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_network_whose_blocks_cannot_run_again_is_refused():
    encoder = build_encoder("resnet18", "none")
    encoder.model = nn.Identity()
    with pytest.raises(ZDError, match=r"Identity: timm cannot run its blocks again: set train\.checkpoint_activations"):
        encoder.recompute_blocks()


def test_packaged_weights_are_imagenets():
    encoder = build_encoder("tf_efficientnet_lite0", "packaged")
    random = build_encoder("tf_efficientnet_lite0", "none")
    changed = [not torch.equal(a, b) for a, b in zip(encoder.parameters(), random.parameters(), strict=True)]
    assert all(changed)
    # Trained batch statistics, not the initial zeros and ones.
    assert encoder.model.bn1.running_mean.abs().max() > 0.1


def test_packaged_weights_fill_the_whole_classifier():
    from zdlib.models.encoders.timm import packaged_weights

    classifier = timm.create_model("tf_efficientnet_lite0")
    classifier.load_state_dict(packaged_weights("tf_efficientnet_lite0", classifier.state_dict()))


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("no_such_net", "none", "no such network"),
        ("resnet18", "packaged", "no packaged weights"),
        ("vit_tiny_patch16_224", "none", "choose another encoder"),
    ],
)
def test_errors(name, weights, message):
    with pytest.raises(ZDError, match=message):
        build_encoder(name, weights)
