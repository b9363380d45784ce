"""Parts of the networks in forms that a traced graph can hold, with the same numbers.

The library's own forms are written for speed in eager PyTorch: loops over images and rows, values remembered between
calls, gradients written out. In a graph the loops would be unrolled, and the number of images would be frozen. Here the
same layers are sums and products of whole tensors, and what follows from the weights alone is computed beforehand.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zdlib.geometry import resize
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_anything.picture_sizes import network_size
from zdlib.models.depth_model import DepthModel
from zdlib.models.encoders.timm import BeitEncoder, PyramidEncoder, SwinEncoder
from zdlib.models.layers.attention import beit_attention, position_table, swin_block
from zdlib.models.zoe.log_binomial import binomial_basis
from zdlib.models.zoe.metric_bins import MetricBins, Route


def pair_bias(
    table: Float[Tensor, "heads h2 w2"], special: Float[Tensor, "heads 3"] | None = None
) -> Float[Tensor, "heads n n"]:
    """`attention.offset_bias` in seven operations: rows of a reversed table, each shifted by one from the last.

    Args:
        table: (heads, 2h-1, 2w-1).
        special: with a class token before the grid: class → grid, grid → class, class → class.
    """
    heads = len(table)
    h, w = (table.shape[1] + 1) // 2, (table.shape[2] + 1) // 2
    columns = _shifted(table.flip(1, 2).unsqueeze(-1), w)  # heads 2h-1 xq xk 1
    rows = _shifted(columns.transpose(1, 2).flatten(3), h)  # heads xq yq yk xk
    bias = rows.transpose(1, 2).reshape(heads, h * w, h * w)
    if special is None:
        return bias
    to_grid, from_grid, itself = (special[:, None, i : i + 1] for i in range(3))  # heads 1 1 each
    first = torch.cat([itself, to_grid.expand(-1, -1, h * w)], dim=2)
    return torch.cat([first, torch.cat([from_grid.expand(-1, h * w, -1), bias], dim=2)], dim=1)


def _shifted(line: Float[Tensor, "a b n2 c"], n: int) -> Float[Tensor, "a b n n c"]:
    """[…, q, k, :] = line[…, n-1-q+k, :]: the line of 2n-1, over and over with a gap, cut into rows of its length."""
    a, b, length, c = line.shape
    padded = F.pad(line, (0, 0, 0, 1)).unsqueeze(2).expand(-1, -1, n, -1, -1).reshape(a, b, n * (length + 1), c)
    cut = padded[:, :, n - 1 : n - 1 + n * length].reshape(a, b, n, length, c)
    return cut[:, :, :, :n]


def mean_bin(
    raw: Float[Tensor, "b 4 h w"], centres: Float[Tensor, "b k h2 w2"], min_temperature: float, max_temperature: float
) -> Float[Tensor, "b 1 h w"]:
    """`log_binomial.log_binomial_depth` for any number of images at once, without its gradient."""
    basis = binomial_basis(centres.shape[1]).to(raw)  # k 3
    a, b, c, d = (F.softplus(raw) + 1e-4).flatten(2).unbind(1)  # b hw each
    p = a / (a + b)
    t = min_temperature + (max_temperature - min_temperature) * c / (c + d)
    logarithms = torch.stack([p, 1 - p], dim=1).clamp(min=1e-4).log()  # b 2 hw
    # The terms nearly cancel: adding them before the division by t keeps float32's error small.
    logits = (basis[:, :2] @ logarithms + basis[:, 2:]) / t[:, None]  # b k hw
    # Not `softmax`: ONNX Runtime would transpose all of this twice.
    weights = (logits - logits.amax(1, keepdim=True)).exp()
    mean = (weights * resize(centres, raw.shape[2:]).flatten(2)).sum(1) / weights.sum(1)
    return mean.unflatten(1, (1, *raw.shape[2:]))


class _Pyramid(PyramidEncoder):
    """Without the context that keeps autocast out: nothing casts here."""

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        maps = self.model(x)
        return [maps[tap] for tap in self.taps]


class _Swin(SwinEncoder):
    """Position tables are computed beforehand, for the size that the encoder has."""

    def prepare(self) -> None:
        blocks = [block for stage in self.model.layers for block in stage.blocks]
        self.fixed = {id(block): position_table(block) for block in blocks} if self.second else {}

    def _block(self, block: Any, remembered: Any, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        return swin_block(block, x, pair_bias(self.fixed[id(block)])) if self.second else block(x)


class _Beit(BeitEncoder):
    """Biases in the graph's form; their tables are interpolated to the grid in it, which costs nothing."""

    def _block(self, block: Any, grid: tuple[int, int], x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        table, window = block.attn.relative_position_bias_table, block.attn.window_size
        (h, w), size = ((2 * a - 1 for a in side) for side in (window, grid))
        image = table[:-3].T.unflatten(1, (h, w))  # heads 2h-1 2w-1
        if window != grid:
            image = F.interpolate(image[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
        x = x + block.gamma_1 * beit_attention(block.attn, block.norm1(x), pair_bias(image, table[-3:].T))
        return x + block.gamma_2 * block.mlp(block.norm2(x))


class _MetricBins(MetricBins):
    """All rows at once, and the mean bin of all images at once."""

    def _mean_bin(
        self, fine: list[Tensor], coarse: Tensor, centres: Tensor, route: Route, rows: tuple[int, int]
    ) -> Float[Tensor, "b 1 h w"]:
        if self.config.output != "log_binomial":
            return super()._mean_bin(fine, coarse, centres, route, rows)
        share = self.output.layer(0, torch.cat(fine, dim=1), route, slice(0, self.n_fine))
        raw = self.output.layer(2, F.gelu(share + resize(coarse, fine[0].shape[2:])), route)
        return mean_bin(raw, centres, self.config.min_temperature, self.config.max_temperature)


class _DepthAnything(DepthAnythingModel):
    """Pictures are resized in float32: ONNX Runtime has no such operation in float64."""

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        size = network_size(tuple(images.shape[2:]), self.network.config.shortest_side, self.network.encoder.multiple)
        return self.network(F.interpolate(images, size=size, mode="bicubic", align_corners=False)).depth


def plain_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`F.scaled_dot_product_attention` in products and a softmax, as predictions use it: without dropout or order.

    What the fused operation returns lies in memory in another order than what it is decomposed into, so that `flatten`
    behind it means one thing while tracing and another in the graph.
    """
    scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.transpose(-2, -1)
    return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ v


def _length(thing: Any, builtin: Any = len) -> Any:
    """`len`, but of a traced tensor the symbol for its first side: `len` would freeze it to the example's."""
    return thing.shape[0] if isinstance(thing, Tensor) else builtin(thing)


@contextmanager
def _traceable_functions() -> Iterator[None]:
    """Within this context `len` is `_length` in all modules of networks, and attention is in its plain form."""
    modules = [vars(module) for name, module in sys.modules.items() if name.startswith("zdlib.models.")]
    attention, fast = F.scaled_dot_product_attention, torch.backends.mha.get_fastpath_enabled()
    try:
        for names in modules:
            names["len"] = _length
        F.scaled_dot_product_attention = plain_attention  # type: ignore[assignment]  # it takes what it is given
        torch.backends.mha.set_fastpath_enabled(False)  # the router's layers as one operation, which ONNX lacks
        yield
    finally:
        for names in modules:
            names.pop("len", None)
        F.scaled_dot_product_attention = attention
        torch.backends.mha.set_fastpath_enabled(fast)


_FORMS: dict[type, type] = {
    BeitEncoder: _Beit,
    DepthAnythingModel: _DepthAnything,
    MetricBins: _MetricBins,
    PyramidEncoder: _Pyramid,
    SwinEncoder: _Swin,
}


@contextmanager
def in_graph_form(model: DepthModel) -> Iterator[None]:
    """Within this context a model's parts have the forms of this module; what it predicts stays the same.

    Args:
        model: one that has predicted a picture of the size to come: encoders keep what belongs to a size.
    """
    changed = [part for part in (model, *model.network.modules()) if type(part) in _FORMS]
    try:
        for part in changed:
            part.__class__ = _FORMS[type(part)]
            if isinstance(part, _Swin):
                part.prepare()
        with _traceable_functions():
            yield
    finally:
        for part in changed:
            part.__class__ = type(part).__mro__[1]
            vars(part).pop("fixed", None)
