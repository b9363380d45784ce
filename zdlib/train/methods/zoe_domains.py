"""Metric depth of several domains: ZoeDepth's second stage, with one head for all or a head each and a router.

Source: Bhat et al., "ZoeDepth", 2023, sections 3.3 and 4, Tables 2 and 6; its released code where the paper is silent.
What training begins with is the profile's `model.encoder_weights`: `packaged` or `none` is the paper's X; a file with
relative depth (the first stage's, or MiDaS') is its M, of which encoder and decoder are taken.

Every batch has as many frames of each domain, each with its domain's range of valid depth. Loss: the mean over domains
of SILog (the released code gives a batch to one domain, so domains share no scale there either), and for a trained
router 0.2 · cross entropy of its logits and the domains. Routers as in Table 6: `labelled`, told the domain in training
and inference; `trained`, in training alone; `auto`, never: the heads' depths are mixed by its probabilities while it
trains. The weights kept are those of the lowest AbsRel, the mean over domains, routed as in inference.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from pydantic import Field
from torch import Tensor

from zdlib.config import Frozen, ModelConfig, RunConfig, TrainConfig, Width
from zdlib.distributed import gather, sum_over_processes
from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.losses.zoe_distill import silog_loss
from zdlib.metrics.depth import METRICS
from zdlib.models.checkpoints import (
    load_checkpoint,
    load_exactly,
    load_weights,
    network_of,
    save_checkpoint,
    stored_convention,
)
from zdlib.models.depth_model import Convention
from zdlib.models.zoe.architecture import Architecture, Domain
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.router import choose
from zdlib.paths import resolve
from zdlib.recipes import Recipe
from zdlib.train.balanced import BalancedBatches, DomainItems
from zdlib.train.method import Batch, Feed, Items, Network, Selection, Watch, check_options
from zdlib.train.split import RunFrames
from zdlib.train.step import adamw_one_cycle, grey_image, prepare_network
from zdlib.train.training_set import TrainingSet
from zdlib.train.validation import validate

BUILT_IN = ("none", "packaged")
SHARED = "all"  # the one head's name where domains share it


class DomainFrames(Frozen):
    """A domain of a run.

    Attributes:
        sets: keys of the data sets of `data.train` that its frames come from.
        min_depth, max_depth: open interval of its valid depths, metres.
    """

    sets: tuple[str, ...] = Field(min_length=1)
    min_depth: float = Field(default=1e-3, ge=0)
    max_depth: float = Field(default=10.0, gt=0)


class Options(Frozen):
    """What a run of this method may set. Defaults are those of the released NK network.

    Attributes:
        domains: by name, which becomes its head's; `zdlib predict --scene` knows `nyu` (indoors) and `kitti`.
        heads: one metric head for `each` domain with a router, or `shared` by all (the paper's †).
        router: see `zdlib.models.zoe.architecture`.
        route: which head a trained router's network trains on: the one that the `router` chooses, right or wrong, as
            the released code does, or the `label`'s.
        domain_weight: of the router's cross entropy.
        form: a network with a head each has the `released` NK's (no relative depth in the output layer, narrower
            projectors and output layers, as many attractors at every level), or each head is a `single` network's.
        n_attractors: of the released form, at every level.
        attractor_alpha, attractor_gamma: the pull of an attractor.
        bin_type: `softplus` (any depth) or `normed` (between the domain's limits), and both's mixtures.
        metres_per_unit: of the network's output. An attractor of α = 300 reaches about one unit far.
        share: of each domain's training scenes that have labels; drawn by the run's seed, smaller within larger ones.
        frames: of each domain that an epoch shows, again and again if it has fewer; None: as many as the largest has.
        loss_stride: the loss looks at every n-th row and column, from a place drawn for every step.
    """

    domains: dict[str, DomainFrames] = Field(min_length=1)
    heads: Literal["each", "shared"] = "each"
    router: Literal["labelled", "trained", "auto"] = "trained"
    route: Literal["router", "label"] = "router"
    domain_weight: float = Field(default=0.2, ge=0)
    form: Literal["released", "single"] = "released"
    n_attractors: Width = 16
    attractor_alpha: float = Field(default=300.0, gt=0)
    attractor_gamma: float = Field(default=2.0, gt=0)
    bin_type: Literal["softplus", "normed", "hybrid1", "hybrid2"] = "softplus"
    metres_per_unit: float = Field(default=1.0, gt=0)
    share: float = Field(default=1.0, gt=0, le=1)
    frames: int | None = Field(default=None, gt=0, le=1_000_000)
    loss_stride: int = Field(default=1, ge=1, le=8)

    @property
    def routed(self) -> bool:
        """Whether there are several heads."""
        return self.heads == "each" and len(self.domains) > 1


class ZoeDomains:
    """See `zdlib.train.method.Method`."""

    selection: ClassVar[Selection] = Selection("abs_rel", "AbsRel")

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        self._options = check_options(Options, run)
        self._model, self._train, self._run = model, train, run
        self._architecture = describe(model, self._options)

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Frames of all domains, augmented, balanced."""
        numbers = [self._of_the_share(frames, part) for part in self._by_domain(frames, frames.roles.train)]
        items = self._items(frames, numbers, augment=True)
        return Feed(items, BalancedBatches(items, self._train.batch_size, self._options.frames, order))

    def selection_set(self, frames: RunFrames) -> DomainItems:
        """The selection frames of all domains as they are."""
        return self._items(frames, self._by_domain(frames, frames.roles.selection), augment=False)

    def network(self, device: torch.device) -> ZoeDepth:
        """Seeded weights; encoder and decoder those of relative depth where the profile names a file."""
        model = network_of(self._architecture)
        if self._model.encoder_weights not in BUILT_IN:
            take_relative_depth(model, resolve(self._model.encoder_weights))
        model = model.train().to(device)
        prepare_network(model, _all_outputs)
        if self._train.checkpoint_activations:
            model.encoder.recompute_blocks()
        if self._run.freeze_encoder:
            model.encoder.requires_grad_(False)
        return model

    def start_from(self, network: ZoeDepth, path: Path) -> None:
        """Weights of this very network, in this unit."""
        before, unit = stored_convention(load_weights(network, path), path), self._options.metres_per_unit
        if before.kind == "metric" and before.metres_per_unit != unit:
            raise ZDError(
                f"{path}: its unit is {before.metres_per_unit:g} m, here it is {unit:g} m: start from weights of the "
                "same unit"
            )

    def optimisation(
        self, network: ZoeDepth, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """ZoeDepth's parameter groups."""
        groups = network.parameter_groups(self._train.lr, self._train.encoder_lr_factor)
        return adamw_one_cycle(groups, self._train, steps)

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """`total`; SILog of each domain, `silog_NAME`; of a trained router `domain`, without its weight."""
        options, domain = self._options, batch["domain"]
        told = options.router == "labelled" or (options.router == "trained" and options.route == "label")
        out = network(batch["image"], domains=domain if told and options.routed else None, stride=options.loss_stride)
        depth, mask = batch["depth"], batch["mask"]
        if out.pixels is not None:
            depth, mask = out.pixels.nearest(depth), out.pixels.nearest(mask)
        prediction, parts = out.metric_depth.float(), {}
        for number, name in enumerate(options.domains):
            here = domain == number
            parts[f"silog_{name}"] = silog_loss(prediction[here], depth[here], mask[here])
        total = torch.stack(list(parts.values())).mean()
        if options.routed and options.router == "trained":
            parts["domain"] = domain_loss(out.domain_logits.float(), domain)
            total = total + options.domain_weight * parts["domain"]
        return {"total": total, **parts}

    def validate(
        self, network: ZoeDepth, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """All depth metrics, means over domains, and each domain's AbsRel; the share of frames that are routed right.

        One forward pass per frame, depths clamped to the domain's range.
        """
        assert isinstance(items, DomainItems)
        model, options, right = ZoeDepthModel(network), self._options, []
        scores: dict[str, dict[str, float]] = {}
        for number, (name, part) in enumerate(zip(options.domains, items.parts, strict=True)):
            recipe = part.recipe

            def predict(batch: Batch, number: int = number, recipe: Recipe = recipe) -> Float32[np.ndarray, "b h w"]:
                images = batch["image"].to(device, memory_format=torch.channels_last)
                label = torch.full((len(images),), number, device=device)
                with model.inference("fp32"):
                    out = network(images, domains=label if options.routed and options.router == "labelled" else None)
                    depth = resize(out.metric_depth.float().cpu(), tuple(batch["depth"].shape[-2:]))
                    if out.domain_logits is not None:
                        right.extend((choose(out.domain_logits, "image") == label).tolist())
                return depth.clamp(recipe.min_depth, recipe.max_depth)[:, 0].numpy()

            scores[name] = validate(part, predict, self._train.batch_size, watch=watch)
        means = {metric: float(np.mean([score[metric] for score in scores.values()])) for metric in METRICS}
        apart = {f"abs_rel_{name}": score["abs_rel"] for name, score in scores.items()}
        routed = gather(right)
        return means | apart | ({"routed_right": float(np.mean(routed))} if routed else {})

    def depth_model(self, network: ZoeDepth) -> ZoeDepthModel:
        """Metric depth, over the ranges of all domains."""
        domains, unit = self._options.domains.values(), self._options.metres_per_unit
        low, high = min(d.min_depth for d in domains), max(d.max_depth for d in domains)
        return ZoeDepthModel(network, Convention(metres_per_unit=unit, min_depth=low, max_depth=high))

    def info(self) -> dict[str, Any]:
        """The options, what it began with, and whether the encoder was frozen."""
        began = self._model.encoder_weights
        return {"options": self._options.model_dump(), "began_with": began, "freeze_encoder": self._run.freeze_encoder}

    def save(self, path: Path, network: ZoeDepth, info: dict[str, Any]) -> None:
        """A checkpoint of this project."""
        save_checkpoint(path, network, config=self._architecture, info=info)

    # -------------------------------------------------------------------------------------------------------- frames
    def _items(self, frames: RunFrames, numbers: list[Int64[np.ndarray, " _"]], augment: bool) -> DomainItems:
        parts = []
        for chosen, domain in zip(numbers, self._options.domains.values(), strict=True):
            unit = self._options.metres_per_unit
            limits = {"min_depth": domain.min_depth / unit, "max_depth": domain.max_depth / unit}
            recipe = self._run.settings.model_copy(update={"metres_per_unit": unit, **limits})
            parts.append(TrainingSet(frames.reader, chosen, recipe, augment=augment, seed=self._run.seed))
        return DomainItems(parts, list(self._options.domains))

    def _by_domain(self, frames: RunFrames, numbers: Int64[np.ndarray, " n"]) -> list[Int64[np.ndarray, " _"]]:
        """Frame numbers of each domain.

        Frames of no set are those that a forecast measures a step with: they are dealt out evenly.
        """
        domains = self._options.domains
        if not frames.sets:
            return [numbers[number :: len(domains)] for number in range(len(domains))]
        keys = np.array([used.set for used in frames.sets for _ in range(used.frames)])[numbers]
        parts = []
        for name, domain in domains.items():
            parts.append(numbers[np.isin(keys, domain.sets)])
            if not len(parts[-1]):
                there = ", ".join(dict.fromkeys(used.set for used in frames.sets))
                raise ZDError(
                    f"runs: options.domains.{name}: no frame of {', '.join(domain.sets)} in data.train, which has "
                    f"{there}: name one of these"
                )
        return parts

    def _of_the_share(self, frames: RunFrames, numbers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " m"]:
        """The frames whose labels the run may use: whole scenes."""
        scenes = getattr(frames.reader, "scenes", None)
        if self._options.share == 1 or scenes is None:
            return numbers
        names = np.array(scenes)[numbers]
        unique = list(dict.fromkeys(names.tolist()))
        drawn = np.random.default_rng([self._run.seed, 2]).permutation(len(unique))
        kept = [unique[i] for i in drawn[: max(1, round(self._options.share * len(unique)))]]
        return numbers[np.isin(names, kept)]


def describe(model: ModelConfig, options: Options) -> Architecture:
    """The network of a profile's `model` section and a run's options."""
    unit = options.metres_per_unit
    limits = {
        name: {"min_depth": domain.min_depth / unit, "max_depth": domain.max_depth / unit}
        for name, domain in options.domains.items()
    }
    heads = [Domain(name=name, **limit) for name, limit in limits.items()]
    if options.heads == "shared" and len(heads) > 1:
        low, high = (
            pick(limit[key] for limit in limits.values()) for pick, key in ((min, "min_depth"), (max, "max_depth"))
        )
        heads = [Domain(name=SHARED, min_depth=low, max_depth=high)]
    changes: dict[str, Any] = {
        "encoder_weights": model.encoder_weights if model.encoder_weights in BUILT_IN else "none",
        "bin_type": options.bin_type,
        "attractor_alpha": options.attractor_alpha,
        "attractor_gamma": options.attractor_gamma,
        "domains": [head.model_dump() for head in heads],
        "router": options.router,
    }
    if options.routed and options.form == "released":
        changes |= {
            "n_attractors": (options.n_attractors,) * len(model.n_attractors),
            "projector_hidden": model.bin_embedding_dim // 2,
            "bottleneck": 4,
            "rel_depth_in_output": False,
        }
    return Architecture.model_validate(model.model_dump() | changes)


def take_relative_depth(network: ZoeDepth, path: Path) -> None:
    """Fill encoder and decoder from a checkpoint of ours, whatever its heads are, or from a MiDaS file.

    Raises:
        ZDError: unreadable, or of another encoder or decoder.
    """
    if path.suffix != ".safetensors":
        load_weights(network, path)
        return
    before, _ = load_checkpoint(path)
    for part in ("encoder", "decoder"):
        load_exactly(getattr(network, part), getattr(before, part).state_dict(), f"{path}: {part}")


def domain_loss(logits: Float[Tensor, "b d"], domains: Int64[Tensor, " b"]) -> Float[Tensor, ""]:
    """Cross entropy, the mean over the batch of all processes."""
    error = F.cross_entropy(logits, domains, reduction="sum")
    return sum_over_processes(error) / sum_over_processes(torch.tensor(len(logits), device=logits.device))


def _all_outputs(model: ZoeDepth) -> Tensor:
    """The sum of everything that a loss sees, on one image per head."""
    count, device = len(model.config.domains), next(model.parameters()).device
    out = model(
        grey_image(model.config.input_size, device).expand(count, -1, -1, -1),
        domains=torch.arange(count, device=device),
    )
    return out.metric_depth.sum() + (0 if out.domain_logits is None else out.domain_logits.sum())


METHOD = ZoeDomains
