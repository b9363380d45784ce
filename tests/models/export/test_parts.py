"""The parts of exported graphs give the numbers of those that they stand for."""

import pytest
import torch
import torch.nn.functional as F

from zdlib.models.export.parts import mean_bin, pair_bias, plain_attention
from zdlib.models.layers.attention import offset_bias
from zdlib.models.zoe.log_binomial import log_binomial_depth


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (3, 5), (6, 6)])
def test_biases_are_the_same_values(height, width):
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(3, 2 * height - 1, 2 * width - 1, generator=generator)
    special = torch.randn(3, 3, generator=generator)
    assert torch.equal(pair_bias(table), offset_bias(table))
    assert torch.equal(pair_bias(table, special), offset_bias(table, special))


def test_the_mean_bin_is_that_of_the_head():
    generator = torch.Generator().manual_seed(0)
    raw = 4 * torch.randn(2, 4, 12, 16, generator=generator)
    centres = 10 * torch.rand(2, 64, 6, 8, generator=generator)
    expected = log_binomial_depth(raw, centres, 0.0212, 50.0)
    torch.testing.assert_close(mean_bin(raw, centres, 0.0212, 50.0), expected, rtol=1e-4, atol=1e-4)


def test_attention_without_fusion():
    q, k, v = torch.randn(3, 2, 2, 5, 8, generator=torch.Generator().manual_seed(0))
    bias = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(1))
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], scale=0.7)
    torch.testing.assert_close(plain_attention(q, k, v, attn_mask=bias[None], scale=0.7), expected)
    torch.testing.assert_close(plain_attention(q, k, v), F.scaled_dot_product_attention(q, k, v))
