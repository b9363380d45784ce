"""Stage 3: decoder features → adaptive bins → metric depth (Bhat et al., "ZoeDepth", 2023, section 3.2)."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.models.layers.dpt import DecoderFeatures
from zdlib.models.layers.tiling import bands, crop, in_bands, ready_for_bands, resize_rows
from zdlib.models.memory import recomputed
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.log_binomial import log_binomial_depth
from zdlib.models.zoe.router import Router, choose

Route = Int[Tensor, " b"]  # each image's domain


class HeadOutput(NamedTuple):
    """Metric depth at network resolution, the bin centres it was made from, the router's logits (or None)."""

    depth: Float[Tensor, "b 1 h w"]
    centres: Float[Tensor, "b k h2 w2"] | None
    domain_logits: Float[Tensor, "b d"] | None


class DomainMLP(nn.ModuleList):
    """Two 1×1 convolutions with an activation between, one such pair a domain; each image goes through its own.

    With several domains, every image's weights are gathered by its route: one batched product, without asking the
    device for the route's value.
    """

    def __init__(self, domains: int, inputs: int, hidden: int, outputs: int, activation: type[nn.Module] = nn.ReLU):
        super().__init__(
            nn.Sequential(nn.Conv2d(inputs, hidden, 1), activation(), nn.Conv2d(hidden, outputs, 1))
            for _ in range(domains)
        )

    def layer(
        self, number: int, x: Float[Tensor, "b c h w"], route: Route, inputs: slice = slice(None), bias: bool = True
    ) -> Float[Tensor, "b c2 h w"]:
        """Convolution `number` (0 or 2), or the part of it that reads the input channels `inputs`."""
        mlps: list[Any] = list(self)
        convolutions = [mlp[number] for mlp in mlps]
        if len(convolutions) == 1:
            return F.conv2d(x, convolutions[0].weight[:, inputs], convolutions[0].bias if bias else None)
        weight = torch.stack([c.weight[:, inputs, 0, 0] for c in convolutions])[route]  # b out in
        y = weight @ x.flatten(2)
        if bias:
            y = y + torch.stack([c.bias for c in convolutions])[route][:, :, None]
        return y.unflatten(2, x.shape[2:])

    def forward(self, x: Float[Tensor, "b c h w"], route: Route) -> Float[Tensor, "b c2 h w"]:
        """Linear, activation, linear."""
        first: Any = self[0]
        return self.layer(2, first[1](self.layer(0, x, route)), route)


def attract(
    centres: Float[Tensor, "b k h w"], attractors: Float[Tensor, "b n h w"], config: Architecture
) -> Float[Tensor, "b k h w"]:
    """Move every bin centre towards every attractor (equations 1 and 2)."""
    total = torch.zeros_like(centres)
    for attractor in attractors.unbind(1):
        distance = attractor[:, None] - centres
        power = distance.abs() ** config.attractor_gamma
        if config.attractor_type == "inv":
            total = total + distance / (1 + config.attractor_alpha * power)
        else:
            total = total + distance * torch.exp(-config.attractor_alpha * power)
    return centres + (total / attractors.shape[1] if config.attractor_kind == "mean" else total)


class MetricBins(nn.Module):
    """Seed bins at the bottleneck, refined at each finer level; a distribution over them at every pixel.

    Args:
        config: every variant of the papers is a field there.

    All layers are pointwise (1×1 convolutions). With K bins, embeddings of E channels, decoder maps of C:
        seed: bottleneck → K widths or centres; level i: map → embedding e_i; e_i + up(e_{i-1}) → n_i attractors.
    """

    limits: Tensor  # (domains, 2) minimum and maximum depth

    def __init__(self, config: Architecture):
        super().__init__()
        self.config = config
        c, e, k, d = config.decoder_channels, config.bin_embedding_dim, config.n_bins, len(config.domains)
        hidden = config.projector_hidden
        levels = len(config.n_attractors)
        if config.head != "naive":
            n_seed = k if config.head == "attractor" else k // 2**levels
            self.conv = nn.Conv2d(c, c, 1)
            self.seed_bins = DomainMLP(d, c, hidden or c, n_seed)
            self.seed_projector = DomainMLP(1, c, hidden or e, e)
            self.projectors = nn.ModuleList(DomainMLP(1, c, hidden or e, e) for _ in range(levels))
            self.refiners = nn.ModuleList(DomainMLP(d, e, e, n) for n in self._level_outputs(n_seed))
        self.n_fine = 33 if config.rel_depth_in_output else 32
        inputs = self.n_fine + (0 if config.head == "naive" else e)
        outputs_per_pixel = 1 if config.head == "naive" else 4 if config.output == "log_binomial" else k
        self.output = DomainMLP(d, inputs, inputs // config.bottleneck, outputs_per_pixel, nn.GELU)
        limits = torch.tensor([[domain.min_depth, domain.max_depth] for domain in config.domains])
        self.register_buffer("limits", limits, persistent=False)
        self.router = Router(c, d) if d > 1 and config.router != "labelled" else None

    def _level_outputs(self, n_seed: int) -> list[int]:
        """Channels of each level's refiner."""
        if self.config.head == "splitter":
            return [2 * n_seed * 2**level for level in range(len(self.config.n_attractors))]
        pair = 2 if self.config.bin_type in ("normed", "hybrid2") else 1
        return [pair * n for n in self.config.n_attractors]

    def forward(self, features: DecoderFeatures, domains: Route | None = None) -> HeadOutput:
        """Depth through the head that `domains` names for each image; None leaves the choice to the router.

        Raises:
            ZDError: a model whose domain must be labelled got no label.
        """
        fine = [features.fine]
        if self.config.rel_depth_in_output:
            fine.append(self._rel_depth(features.rel_depth))
        batch, device = len(features.fine), features.fine.device
        route = torch.zeros(batch, dtype=torch.long, device=device) if domains is None else domains
        if self.config.head == "naive":
            return HeadOutput(F.softplus(self.output(torch.cat(fine, dim=1), route)), None, None)
        x = self.conv(features.bottleneck)  # b c H/32 W/32
        logits = self.router(x) if self.router else None
        if domains is None and len(self.config.domains) > 1:
            if logits is None:
                raise ZDError("this model has several domains and no router: name each image's with domains=…")
            route = choose(logits, self.config.routing)
            if self.config.router == "auto" and self.training:
                depths = [self._depth(x, fine, features, torch.full_like(route, d)).depth for d in range(len(logits.T))]
                mixed = (torch.cat(depths, dim=1) * logits.softmax(1)[:, :, None, None]).sum(1, keepdim=True)
                return HeadOutput(mixed, None, logits)
        return self._depth(x, fine, features, route)._replace(domain_logits=logits)

    def _depth(self, x: Tensor, fine: list[Tensor], features: DecoderFeatures, route: Route) -> HeadOutput:
        """Bins, then at every pixel their mean under the predicted distribution."""
        centres, coarse = self.bins(x, features.fused, route)
        if features.pixels is not None:
            centres, coarse = features.pixels.of_resized(centres), features.pixels.of_resized(coarse)
        parts = bands(x, max(coarse.shape[1], centres.shape[1]), fine[0].shape[2:])
        coarse, centres = ready_for_bands(coarse, parts), ready_for_bands(centres, parts)
        depth = in_bands(parts, lambda rows: (self._mean_bin(fine, coarse, centres, route, rows),))[0]
        return HeadOutput(depth, centres, None)

    def _mean_bin(
        self, fine: list[Tensor], coarse: Tensor, centres: Tensor, route: Route, rows: tuple[int, int]
    ) -> Float[Tensor, "b 1 h w"]:
        """Depth of a band of rows."""
        size = fine[0].shape[2:]

        def output(coarse: Tensor, *fine: Tensor) -> Tensor:
            here = torch.cat([crop(part, rows) for part in fine], dim=1)
            hidden = self.output.layer(0, here, route, slice(0, self.n_fine)) + resize_rows(coarse, size, rows)
            return self.output.layer(2, F.gelu(hidden), route)

        raw = recomputed(output, coarse, *fine)
        if rows != (0, size[0]):
            centres = resize_rows(centres, size, rows)
        if self.config.output == "log_binomial":
            return log_binomial_depth(raw, centres, self.config.min_temperature, self.config.max_temperature)
        return (raw.softmax(1) * resize(centres, raw.shape[2:])).sum(1, keepdim=True)

    def _rel_depth(self, rel: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        if not self.config.inverse_rel_depth:
            return rel
        rel = 1 / (rel + 1e-6)
        return (rel - rel.min()) / (rel.max() - rel.min())

    def trace(self, features: DecoderFeatures) -> list[Float[Tensor, "b _ _ _"]]:
        """The first domain's bin centres, metres (or the training's unit): the seed's, then each level's, to look at.

        Source: ZoeDepth, section 3.2. `forward` computes the same and keeps the last level alone.
        """
        x = self.conv(features.bottleneck)
        route = torch.zeros(len(x), dtype=torch.long, device=x.device)
        bins = self._seed(self.seed_bins(x, route), route)
        embedding = self.seed_projector(x, route)
        centres = [self._centres(bins, route)]
        for projector, refiner, level in zip(self.projectors, self.refiners, features.fused, strict=True):
            bins, embedding = self._level(projector, refiner, level, bins, embedding, route, (0, level.shape[2]))
            centres.append(self._centres(bins, route))
        return centres

    def bins(
        self, x: Float[Tensor, "b c h32 w32"], fused: list[Tensor], route: Route
    ) -> tuple[Float[Tensor, "b k h w"], Float[Tensor, "b hidden h w"]]:
        """At the finest level (H/2, W/2): bin centres, and the embedding's share of the output's first layer.

        That layer is linear: its share that reads the embedding runs before the upsampling.
        """
        bins = self._seed(self.seed_bins(x, route), route)
        embedding = self.seed_projector(x, torch.zeros_like(route))
        *coarser, last = zip(self.projectors, self.refiners, fused, strict=True)
        for projector, refiner, level in coarser:
            rows = (0, level.shape[2])
            bins, embedding = self._level(projector, refiner, level, bins, embedding, route, rows)
        projector, refiner, level = last
        parts = bands(level, level.shape[1], level.shape[2:])
        bins, embedding = ready_for_bands(bins, parts), ready_for_bands(embedding, parts)

        def finish(rows: tuple[int, int]) -> tuple[Tensor, Tensor]:
            finest, embedded = self._level(projector, refiner, level, bins, embedding, route, rows)
            share = self.output.layer(0, embedded, route, slice(self.n_fine, None), bias=False)
            return self._centres(finest, route), share

        centres, share = in_bands(parts, finish)
        return centres, share

    def _level(
        self,
        projector: nn.Module,
        refiner: nn.Module,
        level: Float[Tensor, "b c h w"],
        bins: Float[Tensor, "b k h2 w2"],
        previous: Float[Tensor, "b e h2 w2"],
        route: Route,
        rows: tuple[int, int],
    ) -> tuple[Float[Tensor, "b k3 rows w"], Float[Tensor, "b e rows w"]]:
        """Some rows of the bins and the embedding of one level, from the coarser level's."""
        size = level.shape[2:]
        embedding = projector(crop(level, rows), torch.zeros_like(route))  # the projectors serve all domains
        raw = refiner(embedding + resize_rows(previous, size, rows), route)
        return self._refine(resize_rows(bins, size, rows), raw), embedding

    def _interval(self, route: Route) -> tuple[Tensor, Tensor]:
        """Minimum and extent of each image's domain, (b, 1, 1, 1)."""
        low, high = self.limits[route][:, :, None, None, None].unbind(1)
        return low, high - low

    def _seed(self, raw: Float[Tensor, "b k h w"], route: Route) -> Float[Tensor, "b k h w"]:
        """First centres (metres, or shares of the interval if the attractors are normed); widths for the splitter."""
        kind = self.config.bin_type
        low, extent = self._interval(route)
        if kind in ("softplus", "hybrid2"):
            seed = F.softplus(raw)
            return seed if kind == "softplus" or self.config.head == "splitter" else (seed - low) / extent
        widths = F.relu(raw) + 1e-3
        widths = widths / widths.sum(1, keepdim=True)
        if self.config.head == "splitter":
            return widths
        middles = widths.cumsum(1) - widths / 2
        return middles if kind == "normed" else middles * extent + low

    def _refine(self, bins: Float[Tensor, "b k h w"], raw: Float[Tensor, "b n h w"]) -> Float[Tensor, "b k2 h w"]:
        """One level: attract the centres, or split every bin in two."""
        if self.config.head == "splitter":
            shares = F.softmax(raw.unflatten(1, (bins.shape[1], 2)), dim=2)  # b k 2 h w
            return (bins[:, :, None] * shares).flatten(1, 2)
        if self.config.bin_type in ("softplus", "hybrid1"):
            return recomputed(lambda bins, raw: attract(bins, F.softplus(raw), self.config), bins, raw)
        pairs = (F.relu(raw) + 1e-3).unflatten(1, (-1, 2))  # b n 2 h w
        points = pairs[:, :, 0] / pairs.sum(2) if self.config.normalise_attractors else pairs[:, :, 0]
        return recomputed(lambda bins, points: attract(bins, points, self.config), bins, points)

    def _centres(self, bins: Float[Tensor, "b k h w"], route: Route) -> Float[Tensor, "b k h w"]:
        """Metres."""
        low, extent = self._interval(route)
        bounded = self.config.bin_type in ("normed", "hybrid2")
        if self.config.head == "splitter":
            middles = bins.cumsum(1) - bins / 2
            return low + (middles * extent if self.config.bin_type in ("normed", "hybrid1") else middles)
        if not bounded:
            return bins
        return (low + bins.sort(dim=1).values * extent).clamp(low, low + extent)
