import torch

from zdlib.geometry import resize
from zdlib.models.zoe.log_binomial import _MeanBin, binomial_basis, log_binomial_depth


def written_out(raw: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Section 3.2 of the paper, without any of the savings."""
    a, b, c, d = (torch.nn.functional.softplus(raw) + 1e-4).unbind(1)
    p, t = (a / (a + b))[:, None], (0.0212 + (50 - 0.0212) * c / (c + d))[:, None]
    k = torch.arange(centres.shape[1]).view(1, -1, 1, 1)
    n = centres.shape[1] - 1
    stirling = binomial_basis(n + 1)[:, 2].view(1, -1, 1, 1)
    logits = stirling + k * p.clamp(1e-4, 1).log() + (n - k) * (1 - p).clamp(1e-4, 1).log()
    return ((logits / t).softmax(1) * resize(centres, raw.shape[2:])).sum(1, keepdim=True)


def test_values_and_gradients_equal_the_formula():
    torch.manual_seed(0)
    found, expected = [], []
    raw, centres = torch.randn(2, 4, 12, 16), torch.rand(2, 64, 6, 8)
    for function, results in (
        (lambda r, c: log_binomial_depth(r, c, 0.0212, 50.0), found),
        (written_out, expected),
    ):
        inputs = [raw.clone().requires_grad_(), centres.clone().requires_grad_()]
        depth = function(*inputs)
        depth.square().mean().backward()
        results += [depth.detach(), *(value.grad for value in inputs)]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_gradcheck_in_float64():
    torch.manual_seed(0)
    maps = (-torch.rand(2, 3, 4, 6, dtype=torch.float64)).requires_grad_()
    centres = torch.rand(2, 8, 2, 3, dtype=torch.float64, requires_grad=True)
    basis = binomial_basis(8).double()
    assert torch.autograd.gradcheck(lambda m, c: _MeanBin.apply(m, c, basis), (maps, centres))


def test_stirling_is_close_to_the_binomial_coefficient():
    n, k = torch.tensor(63.0), torch.arange(64.0)
    exact = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    difference = binomial_basis(64)[:, 2] - exact
    # What is left out is the root: half the log of 2π k (n-k) / n.
    root = 0.5 * (2 * torch.pi * k * (n - k) / n)[1:-1].log()
    torch.testing.assert_close(difference[1:-1], root, rtol=0.1, atol=0.1)
