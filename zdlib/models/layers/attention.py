"""Attention with a bias on the relative position: SwinV2's windows and BEiT's whole image, fused.

A bias of heads × n × n values per block is large (21 MB in most blocks of SwinV2-B at 384 × 384, 0.4 GB in all), but
it depends on the offset between two positions only: (2h-1)(2w-1) values per head. Only such tables are ever kept; a
block's bias is copied out of its table in runs of h·w values, which takes a twentieth of the time of gathering it.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_UNSEEN = -100.0  # what Swin adds to the score of two positions that the cyclic shift made neighbours


class Linear(nn.Linear):
    """The same layer, by oneDNN where nothing is differentiated.

    `F.linear` in float32 is MKL's, which keeps to AVX2 on processors that are not Intel's: 2.5 times slower there.
    """

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c2"]:
        """`F.linear`."""
        return linear(x, self.weight, self.bias)


def fast_linears(module: nn.Module) -> None:
    """Make every `nn.Linear` inside a `Linear`; parameters and names stay."""
    for child in module.modules():
        if type(child) is nn.Linear:
            child.__class__ = Linear


def linear(
    x: Float[Tensor, "*b c"], weight: Float[Tensor, "c2 c"], bias: Float[Tensor, " c2"] | None = None
) -> Float[Tensor, "*b c2"]:
    """`F.linear`, by oneDNN where it can be: float32 on a CPU, nothing differentiated, no autocast, not compiled."""
    eager = not torch.is_grad_enabled() and not torch.compiler.is_compiling()
    if (
        eager
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled  # type: ignore[attr-defined]  # missing in torch's own stub
    ):
        return torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


class Remembered:
    """The last value of a function of a few small tensors, made again when any of them is not what it was.

    The tensors' contents are compared with a copy, so no way of changing them (in place, through `.data`, by loading,
    by `to`) goes unnoticed. Nothing is remembered where gradients are recorded, in compiled code, or on a device on
    which a comparison would have to be waited for.
    """

    def __init__(self) -> None:
        self._last: tuple[object, list[Tensor], Tensor] | None = None

    def __call__(self, make: Callable[[], Tensor], key: object, sources: list[Tensor]) -> Tensor:
        """`make()`, a function of `key` and `sources` alone."""
        on_cpu = all(source.device.type == "cpu" for source in sources)
        if not on_cpu or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return make()
        last = self._last
        if last is None or last[0] != key or not all(map(_same, last[1], sources)):
            last = (key, [source.detach().clone() for source in sources], make())
            self._last = last
        return last[2]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def offset_bias(
    table: Float[Tensor, "heads h2 w2"], special: Float[Tensor, "heads 3"] | None = None
) -> Float[Tensor, "heads n n"]:
    """Biases of all pairs of positions of an h × w grid; position y·w + x.

    Args:
        table: (heads, 2h-1, 2w-1); [:, dy + h-1, dx + w-1] is the bias of a query (dy, dx) below and right of its key.
        special: with a class token before the grid: the biases class → grid, grid → class, class → class.

    Under autocast, and where nothing is differentiated, in its precision: attention would round the whole bias to it,
    and the table is a hundredth of that.
    """
    precision = _predicting_in(table.device.type)
    if precision is not None:
        table, special = table.to(precision), None if special is None else special.to(precision)
    return _OffsetBias.apply(table, special)


def _predicting_in(device: str) -> torch.dtype | None:
    """Autocast's precision, if it is on and nothing is differentiated."""
    if torch.is_grad_enabled() or not torch.amp.is_autocast_available(device):
        return None
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


class _OffsetBias(torch.autograd.Function):
    """`offset_bias` and its transpose."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, special: Tensor | None) -> Tensor:
        ctx.shape, ctx.first = table.shape, 0 if special is None else 1
        heads, h, w = table.shape[0], (table.shape[1] + 1) // 2, (table.shape[2] + 1) // 2
        n = ctx.first + h * w
        bias = table.new_empty(heads, n, n)
        grid = bias[:, ctx.first :, ctx.first :].unflatten(2, (h, w)).unflatten(1, (h, w))  # heads yq xq yk xk
        # Keys run along the table's reverse: over x first, in a small array, then whole runs of h·w values over y.
        reverse = table.flip(1, 2)
        rows = torch.stack([reverse[:, :, w - 1 - x : 2 * w - 1 - x] for x in range(w)], dim=1)  # heads xq 2h-1 xk
        for y in range(h):
            grid[:, y] = rows[:, :, h - 1 - y : 2 * h - 1 - y]
        if special is not None:
            bias[:, 0] = special[:, :1]
            bias[:, :, 0] = special[:, 1:2]
            bias[:, 0, 0] = special[:, 2]
        return bias

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        heads, h, w = ctx.shape[0], (ctx.shape[1] + 1) // 2, (ctx.shape[2] + 1) // 2
        grid = gradient[:, ctx.first :, ctx.first :].unflatten(2, (h, w)).unflatten(1, (h, w))
        rows = gradient.new_zeros(heads, w, 2 * h - 1, w)
        for y in range(h):
            rows[:, :, h - 1 - y : 2 * h - 1 - y] += grid[:, y]
        reverse = gradient.new_zeros(ctx.shape)
        for x in range(w):
            reverse[:, :, w - 1 - x : 2 * w - 1 - x] += rows[:, x]
        special = None
        if ctx.first:
            sums = [gradient[:, 0, 1:].sum(1), gradient[:, 1:, 0].sum(1), gradient[:, 0, 0]]
            special = torch.stack(sums, dim=1)
        return reverse.flip(1, 2), special


def beit_attention(layer: Any, x: Float[Tensor, "b n c"], bias: Float[Tensor, "heads n n"]) -> Float[Tensor, "b n c"]:
    """Multi-head self-attention with a bias on the scores; `layer` holds the weights (timm's BEiT attention)."""
    q, k, v = _query_key_value(layer, x).unbind(0)
    x = _attend(q, k, v, bias, q.shape[-1] ** -0.5)  # b heads n d
    return layer.proj(x.transpose(1, 2).flatten(2))


def _attend(
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads n d"],
    v: Float[Tensor, "b heads n d"],
    bias: Float[Tensor, "heads n n"],
    scale: float,
) -> Float[Tensor, "b heads n d"]:
    """softmax(scale · q kᵀ + bias) v.

    Fused, but for predictions in bfloat16 on a CPU: there the fused kernel takes as long as in float32, twice as long
    as two batched products by oneDNN with the scores of one window at a time between them.
    """
    device = q.device.type
    if device != "cpu" or _predicting_in(device) != torch.bfloat16 or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], scale=scale)
    q, k, v, bias = (x.to(torch.bfloat16) for x in (q, k, v, bias))
    windows = [torch.baddbmm(bias, q[i], k[i].transpose(1, 2), alpha=scale).softmax(-1) @ v[i] for i in range(len(q))]
    return torch.stack(windows)


def swin_block(block: Any, x: Float[Tensor, "b h w c"], bias: Float[Tensor, "heads n n"]) -> Float[Tensor, "b h w c"]:
    """One block of Swin V2: attention inside windows, then an MLP, each normalised before it is added.

    Args:
        block: timm's; its weights, window and shift are used.
        x: the map.
        bias: of the window's n positions.
    """
    x = x + block.drop_path1(block.norm1(_window_attention(block, x, bias)))
    return x + block.drop_path2(block.norm2(block.mlp(x)))


def position_table(block: Any) -> Float[Tensor, "heads h2 w2"]:
    """SwinV2's table of biases: 16·sigmoid(MLP(offset)), the offset on a logarithmic scale (Liu et al., eq. 3-4)."""
    attention = block.attn
    weight = attention.cpb_mlp[0].weight
    sides = []
    for n, trained in zip(attention.window_size, attention.pretrained_window_size, strict=True):
        offset = torch.arange(1 - n, n, dtype=torch.double) * 8 / max((trained or n) - 1, 1)
        sides.append(offset.sign() * (offset.abs() + 1).log2() / 3)
    # Not timm's own constant, which loses digits for good when a model is once made bfloat16.
    offsets = torch.stack(torch.meshgrid(*sides, indexing="ij"), dim=-1).to(weight)  # 2h-1 2w-1 2
    known = torch.amp.is_autocast_available(weight.device.type)
    with torch.autocast(weight.device.type, enabled=False) if known else nullcontext():
        table = 16 * attention.cpb_mlp(offsets).sigmoid()  # 2h-1 2w-1 heads
    return table.permute(2, 0, 1).contiguous()


def _window_attention(block: Any, x: Tensor, bias: Tensor) -> Tensor:
    """Shift cyclically, cut into windows (of a padded map if they do not fit), attend, and put back."""
    height, width = x.shape[1:3]
    rows, columns = block.window_size
    shift = tuple(block.shift_size)
    if any(shift):
        x = x.roll((-shift[0], -shift[1]), (1, 2))
    x = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
    grid = x.shape[1] // rows, x.shape[2] // columns
    windows = x.unflatten(2, (grid[1], columns)).unflatten(1, (grid[0], rows)).transpose(2, 3)  # b gh gw rows columns c
    windows = windows.flatten(0, 2).flatten(1, 2)  # b·gh·gw n c
    regions = _regions(grid, (rows, columns), shift, x) if any(shift) else None
    windows = _cosine_attention(block.attn, windows, bias, regions)
    windows = windows.unflatten(0, (-1, *grid)).unflatten(3, (rows, columns))
    x = windows.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]  # b h w c
    return x.roll(shift, (1, 2)) if any(shift) else x


def _cosine_attention(layer: Any, x: Tensor, bias: Tensor, regions: Tensor | None) -> Tensor:
    """Attention by cosine, scaled by exp(min(logit scale, ln 100)), inside each of the windows (b, n, c).

    With `regions` (windows, n, r), each position's among those that the shift brought together, one-hot: -100 is
    added to the score of two positions of different regions. That is a product too, Σ_r -100·(1 - a_r)·b_r: it goes
    into r more channels of queries and keys, so that one bias serves all windows.
    """
    q, k, v = _query_key_value(layer, x).unbind(0)  # b heads n d
    scale = layer.logit_scale.clamp(max=math.log(100)).exp()  # heads 1 1
    q, k = F.normalize(q, dim=-1) * scale.to(q.dtype), F.normalize(k, dim=-1)
    dim = v.shape[-1]
    if regions is not None:
        own = regions.to(q.dtype)[:, None].expand(-1, q.shape[1], -1, -1).repeat(len(q) // len(regions), 1, 1, 1)
        q, k = torch.cat([q, _UNSEEN * (1 - own)], dim=-1), torch.cat([k.to(q.dtype), own], dim=-1)
        v = F.pad(v, (0, own.shape[-1]))
    x = _attend(q, k.to(q.dtype), v.to(q.dtype), bias, 1.0)
    return layer.proj(x[..., :dim].transpose(1, 2).flatten(2))


def _query_key_value(layer: Any, x: Tensor) -> Tensor:
    """(b, n, c) → (3, b, heads, n, d). Neither network has a bias for the keys."""
    bias = torch.cat([layer.q_bias, torch.zeros_like(layer.q_bias), layer.v_bias])
    return linear(x, layer.qkv.weight, bias).unflatten(2, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4)


def _regions(grid: tuple[int, int], window: tuple[int, int], shift: tuple[int, ...], like: Tensor) -> Tensor:
    """(windows, n, 8): one-hot region of every position; the last `shift` rows and columns came from the other side."""
    sides = []
    for windows, positions, moved in zip(grid, window, shift, strict=True):
        place = torch.arange(windows * positions, device=like.device)
        sides.append((place >= windows * positions - moved).view(windows, positions))
    y, x = sides
    region = 2 * y[:, None, :, None].long() + x[None, :, None, :].long()  # gh gw rows columns
    # Eight channels for four regions: fused kernels of GPUs want multiples of eight.
    return F.one_hot(region.flatten(0, 1).flatten(1), 8).to(like.dtype)
