"""ZoeDepth computed the way the authors' code computes it: what the benchmark and the tests compare the model with.

Same weights, same numbers, none of the savings unless asked for: SwinV2 through timm's own blocks (every call makes the
position bias from its MLP and an index, and holds all scores), BEiT with its table resized and gathered in every block,
1×1 convolutions after the upsampling, all bins × attractors at once, one 161-channel tensor at full resolution, the
log-binomial written out, and a training loss of the libraries' parts that picks pixels. Slow on purpose: nothing but
comparisons should call it.
"""

from collections.abc import Collection
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.models.encoders.timm import BeitEncoder, SwinEncoder, relative_position_index
from zdlib.models.layers.dpt import DecoderFeatures, DPTDecoder, FusionBlock
from zdlib.models.zoe.log_binomial import binomial_basis
from zdlib.models.zoe.network import ZoeDepth, network_size

# isort: split
import timm  # after zdlib.models, which prepares for it
from segmentation_models_pytorch.losses import DiceLoss, FocalLoss  # imports timm too

Stage = Literal["encoder", "decoder", "head"]


class PlainZoeDepth(nn.Module):
    """The un-optimised twin of a model; parameters are shared with it, not copied.

    Args:
        model: with a Swin or BEiT encoder and the single attractor head with softplus bins (ZoeD-X-N).
        ours: the stages that the model computes itself, for finding what each saving gives.

    Raises:
        ZDError: a model of another kind.
    """

    trunk: Any

    def __init__(self, model: ZoeDepth, ours: Collection[Stage] = ()):
        super().__init__()
        config = model.config
        kind = (config.head, config.bin_type, config.attractor_type, config.output, len(config.domains))
        if not isinstance(model.encoder, SwinEncoder | BeitEncoder) or kind != (
            "attractor",
            "softplus",
            "inv",
            "log_binomial",
            1,
        ):
            raise ZDError(f"{config.encoder}: no un-optimised twin for it: take a ZoeD-N with a Swin or BEiT encoder")
        self.model = model
        self.ours = frozenset(ours)
        self.trunk = timm.create_model(config.encoder)
        self.trunk.load_state_dict(model.encoder.model.state_dict(keep_vars=True), assign=True)
        self.trunk.to(next(model.parameters()).dtype)
        self.train(model.training)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h2 w2"]:
        """`ZoeDepth.forward`'s metric depth."""
        return self.measure(self.decode(self.encode(self._prepare(images))))

    def segment(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 1 h2 w2"], Float[Tensor, "b 14 h2 w2"]]:
        """Metric depth and class logits, as a training step needs them."""
        unet: Any = self.model.unet
        features = self.decode(self.encode(self._prepare(images)))
        return self.measure(features), unet(features)

    def _prepare(self, images: Tensor) -> Tensor:
        config = self.model.config
        return (resize(images, network_size(images.shape[2:], config.input_size, config.keep_aspect_ratio)) - 0.5) / 0.5

    def encode(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Four levels of an image of the network's size, normalised."""
        plain = self._beit if isinstance(self.model.encoder, BeitEncoder) else self._swin
        return self.model.encoder(x) if "encoder" in self.ours else plain(x)

    def decode(self, levels: list[Tensor]) -> DecoderFeatures:
        """`DPTDecoder`."""
        return self.model.decoder(levels) if "decoder" in self.ours else _decode(self.model.decoder, levels)

    def measure(self, features: DecoderFeatures) -> Float[Tensor, "b 1 h w"]:
        """Metric depth."""
        return self.model.head(features).depth if "head" in self.ours else self._depth(features)

    def _swin(self, x: Tensor) -> list[Tensor]:
        if tuple(x.shape[2:]) != tuple(self.trunk.patch_embed.img_size):
            self.trunk.set_input_size(img_size=tuple(x.shape[2:]))
        x = self.trunk.patch_embed(x)
        levels = []
        for stage in self.trunk.layers:
            x = stage(x)
            levels.append(x.permute(0, 3, 1, 2))
        return levels

    def _beit(self, x: Tensor) -> list[Tensor]:
        encoder: Any = self.model.encoder
        grid = x.shape[2] // 16, x.shape[3] // 16
        x = self.trunk.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.trunk.cls_token.expand(len(x), -1, -1), x], dim=1)
        index = relative_position_index(grid)  # on the CPU, as theirs
        levels: list[Tensor] = []
        for number, block in enumerate(self.trunk.blocks):
            x = x + block.gamma_1 * _scores_attention(block.attn, block.norm1(x), grid, index.to(x.device))
            x = x + block.gamma_2 * block.mlp(block.norm2(x))
            if number in encoder.taps:
                level = encoder.reassemble[len(levels)]
                patches = torch.cat([x[:, 1:], x[:, :1].expand_as(x[:, 1:])], dim=-1)
                patches = F.gelu(F.linear(patches, level.readout.weight, level.readout.bias))
                levels.append(level.resample(level.project(patches.transpose(1, 2).unflatten(2, grid))))
        return levels

    def _depth(self, features: DecoderFeatures) -> Tensor:
        rel, fine, bottleneck, fused, _ = features
        head, config = self.model.head, self.model.config
        x = head.conv(bottleneck)
        centres = F.softplus(head.seed_bins[0](x))
        previous = head.seed_projector[0](x)
        for projector, refiner, level in zip(head.projectors, head.refiners, fused, strict=True):
            embedding = projector[0](level)  # type: ignore[index]
            attractors = F.softplus(refiner[0](embedding + resize(previous, level.shape[2:])))  # type: ignore[index]
            centres = resize(centres, level.shape[2:])
            distance = attractors[:, :, None] - centres[:, None]  # b n k h w
            pull = distance / (1 + config.attractor_alpha * distance.abs() ** config.attractor_gamma)
            centres = centres + (pull.mean(1) if config.attractor_kind == "mean" else pull.sum(1))
            previous, centres = embedding.clone(), centres.clone()
        size = fine.shape[2:]
        everything = [fine, rel] if config.rel_depth_in_output else [fine]
        raw = head.output[0](torch.cat([*everything, resize(previous, size)], dim=1))
        a, b, c, d = (F.softplus(raw) + 1e-4).split(1, dim=1)
        p = a / (a + b)
        t = (config.max_temperature - config.min_temperature) * (c / (c + d)) + config.min_temperature
        n = config.n_bins - 1
        k = torch.arange(n + 1, device=p.device).view(1, -1, 1, 1)
        stirling = binomial_basis(n + 1)[:, 2].to(p).view(1, -1, 1, 1)
        logits = stirling + k * p.clamp(1e-4, 1).log() + (n - k) * (1 - p).clamp(1e-4, 1).log()
        probabilities = torch.softmax(logits / t, dim=1)
        return (probabilities * resize(centres, size)).sum(1, keepdim=True)


def _scores_attention(layer: Any, x: Tensor, grid: tuple[int, int], index: Tensor) -> Tensor:
    table, (h, w) = layer.relative_position_bias_table, layer.window_size
    image = table[:-3].T.view(1, -1, 2 * h - 1, 2 * w - 1)
    size = (2 * grid[0] - 1, 2 * grid[1] - 1)
    image = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    table = torch.cat([image[0].flatten(1).T, table[-3:]])
    bias = table[index.view(-1)].view(*index.shape, -1).permute(2, 0, 1).contiguous()
    qkv_bias = torch.cat([layer.q_bias, torch.zeros_like(layer.q_bias), layer.v_bias])
    q, k, v = F.linear(x, layer.qkv.weight, qkv_bias).unflatten(2, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4)
    scores = (q * layer.scale) @ k.transpose(-2, -1) + bias[None]
    return layer.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def _decode(decoder: DPTDecoder, levels: list[Tensor]) -> DecoderFeatures:
    l1, l2, l3, l4 = (reduce(level) for reduce, level in zip(decoder.reduce, levels, strict=True))
    fuse: Any = decoder.fuse
    r4 = _fuse(fuse[3], l4, None, l3.shape[2:])
    r3 = _fuse(fuse[2], r4, l3, l2.shape[2:])
    r2 = _fuse(fuse[1], r3, l2, l1.shape[2:])
    r1 = _fuse(fuse[0], r2, l1, (2 * l1.shape[2], 2 * l1.shape[3]))
    half = decoder.out_half(r1)
    fine = F.relu(decoder.out_fine(resize(half, (2 * half.shape[2], 2 * half.shape[3]))))
    return DecoderFeatures(F.relu(decoder.out_depth(fine)), fine, l4, [r4, r3, r2, r1])


def _fuse(block: FusionBlock, x: Tensor, skip: Tensor | None, size: tuple[int, ...]) -> Tensor:
    if skip is not None:
        x = x + block.skip_unit(skip)
    return block.project(resize(block.unit(x), size))


def plain_loss(
    depth: Float[Tensor, "b 1 h w"], logits: Float[Tensor, "b 14 h w"], batch: dict[str, Tensor], seg_weight: float
) -> dict[str, Tensor]:
    """`ZoeDistillLoss` with void as a class, for maps of the target's size, by the libraries' losses."""
    mask = batch["mask"]
    g = torch.log(depth[mask] + 1e-7) - torch.log(batch["depth"][mask] + 1e-7)
    silog = 10 * torch.sqrt(torch.var(g) + 0.15 * g.mean() ** 2)
    targets = F.one_hot(batch["labels"], logits.shape[1]).permute(0, 3, 1, 2).to(logits.dtype)
    dice, focal = DiceLoss("multilabel")(logits, targets), FocalLoss("multilabel")(logits, targets)
    return {"total": silog + seg_weight * (dice + focal), "silog": silog, "dice": dice, "focal": focal}
