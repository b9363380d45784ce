"""Relative depth: encoder and decoder learn inverse depth up to each image's scale and shift, as MiDaS' do.

ZoeDepth's first stage. What an image's depth is in metres is taken away before anything sees it
(`zdlib.data.relative`), so that rooms and roads, or any other data sets, teach one quantity; where there are several,
each has the same share of every batch.

Loss, that of Ranftl et al., "Towards robust monocular depth estimation", TPAMI 2022, eqs. 5 to 7, 11 and 13:
on inverse depth, less its median and divided by its mean absolute deviation, half the mean absolute
difference without an image's largest fifth, + 0.5 · gradient matching. So the targets' own scale and shift
teach nothing. Optimiser and schedule are those of Zoe-Distill. The weights kept are those of the lowest
AbsRel after least-squares alignment in inverse depth, a mean over data sets. The metric head keeps its first
weights and is of no use.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from zdlib.config import Frozen, ModelConfig, RunConfig, TrainConfig
from zdlib.data.relative import WithoutScale
from zdlib.data.sample import Frames
from zdlib.geometry import resize
from zdlib.losses.relative import affine_invariant_loss, gradient_matching_loss, standardise
from zdlib.metrics.relative import aligned_depth
from zdlib.models.checkpoints import load_weights, save_checkpoint
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.factory import build_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import ZoeDepth
from zdlib.recipes import Recipe
from zdlib.train.balanced import BalancedBatches, DomainItems
from zdlib.train.method import Batch, Feed, Items, Network, Selection, Watch, check_options
from zdlib.train.split import RunFrames
from zdlib.train.step import adamw_one_cycle, grey_image, prepare_network
from zdlib.train.training_set import TrainingSet, shuffled_feed
from zdlib.train.validation import validate

METRICS = ("abs_rel", "delta1")
NO_UNIT = {"metres_per_unit": 1.0, "min_depth": 1e-3, "max_depth": 2.0}  # holds all that `WithoutScale` leaves


class Options(Frozen):
    """What a run of this method may set. The defaults are MiDaS'.

    Attributes:
        gradient_weight: of gradient matching.
        trim: share of an image's pixels, those of the largest residuals, that count 0.
        farthest: metres by title of a data set, for validation alone: no depth beyond is judged, and aligned depth is
            capped there; default: the recipe's.
    """

    gradient_weight: float = Field(default=0.5, ge=0)
    trim: float = Field(default=0.2, ge=0, lt=1)
    farthest: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


class Relative:
    """See `zdlib.train.method.Method`."""

    selection: ClassVar[Selection] = Selection("abs_rel", "aligned AbsRel")

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        self._options = check_options(Options, run)
        self._model, self._train, self._run, self._recipe = model, train, run, run.settings

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Frames without the scale and shift of their depth, augmented; several data sets in equal shares.

        Raises:
            ZDError: the data sets cannot share a batch equally.
        """
        assert isinstance(frames.reader, Frames)
        relative = replace(frames, reader=WithoutScale(frames.reader))
        recipe = self._recipe.model_copy(update=NO_UNIT)
        items = self._items(relative, relative.roles.train, lambda _: recipe, augment=True)
        if len(items.parts) == 1:
            return shuffled_feed(items.parts[0], self._train.batch_size, order)
        return Feed(items, BalancedBatches(items, self._train.batch_size, None, order))

    def selection_set(self, frames: RunFrames) -> DomainItems:
        """The selection frames as they are, by data set, with their depth: what is judged is judged in metres."""
        return self._items(frames, frames.roles.selection, self._judged, augment=False)

    def _judged(self, title: str) -> Recipe:
        """The recipe with a data set's range."""
        if title not in self._options.farthest:
            return self._recipe
        far = self._options.farthest[title] / self._recipe.metres_per_unit
        return self._recipe.model_copy(update={"max_depth": far})

    def _items(
        self, frames: RunFrames, numbers: np.ndarray, recipe_of: Callable[[str], Recipe], augment: bool
    ) -> DomainItems:
        """Some frames of a run, by data set."""
        parts, titles, first = [], [], 0
        for used in frames.sets:
            inside = numbers[(numbers >= first) & (numbers < first + used.frames)]
            first += used.frames
            if len(inside):
                parts.append(TrainingSet(frames.reader, inside, recipe_of(used.title), augment, self._run.seed))
                titles.append(used.title)
        return DomainItems(parts, titles)

    def network(self, device: torch.device) -> ZoeDepth:
        """Seeded weights; the decoder's random end is moved to where its ReLU lets everything pass."""
        model = build_model(self._model).to(device)
        if self._model.encoder_weights in ("none", "packaged"):
            bias = model.decoder.out_depth.bias
            assert bias is not None
            torch.nn.init.ones_(bias)
        prepare_network(model, _relative_depth)
        if self._train.checkpoint_activations:
            model.encoder.recompute_blocks()
        if self._run.freeze_encoder:
            model.encoder.requires_grad_(False)
        return model

    def start_from(self, network: ZoeDepth, path: Path) -> None:
        """Weights of relative depth, or of metric depth in any unit."""
        load_weights(network, path)

    def optimisation(
        self, network: ZoeDepth, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """ZoeDepth's parameter groups, of which the heads' is frozen."""
        groups = network.parameter_groups(self._train.lr, self._train.encoder_lr_factor)
        return adamw_one_cycle(groups, self._train, steps)

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """`total`, and `affine` and `gradient`, the latter without its weight."""
        depth, mask = batch["depth"], batch["mask"]
        prediction = resize(network(batch["image"]).rel_depth.float(), (depth.shape[-2], depth.shape[-1]))
        target = torch.where(mask, 1 / depth, 0)
        affine = affine_invariant_loss(prediction, target, mask, self._options.trim) / 2
        gradient = gradient_matching_loss(standardise(prediction, mask), standardise(target, mask), mask)
        return {"total": affine + self._options.gradient_weight * gradient, "affine": affine, "gradient": gradient}

    def validate(
        self, network: ZoeDepth, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """AbsRel and δ1 after alignment, image by image; no depth is larger than the data set's largest.

        With several data sets, their means with equal weights, and then each one's.
        """
        assert isinstance(items, DomainItems)
        by_set = {}
        for offset, title, part in zip(items.offsets, items.title, items.parts, strict=True):
            predict = self._predictor(network, device, part.recipe.max_depth)
            by_set[title] = validate(part, predict, self._train.batch_size, METRICS, _moved(watch, offset))
        means = {metric: float(np.mean([scores[metric] for scores in by_set.values()])) for metric in METRICS}
        if len(by_set) > 1:
            means |= {f"{metric} {title}": s[metric] for metric in METRICS for title, s in by_set.items()}
        return means

    def _predictor(
        self, network: ZoeDepth, device: torch.device, far: float
    ) -> Callable[[Batch], Float32[np.ndarray, "b h w"]]:
        """Aligned depth of a batch with its true depth; `far` is the cap."""
        model = self.depth_model(network)

        def predict(batch: Batch) -> Float32[np.ndarray, "b h w"]:
            images = batch["image"].to(device, memory_format=torch.channels_last)
            inverse = model.depth(images, Inference(flip=False)).cpu()
            inverse = resize(inverse, (batch["depth"].shape[-2], batch["depth"].shape[-1]))
            frames = zip(*(maps[:, 0].numpy() for maps in (inverse, batch["depth"], batch["mask"])), strict=True)
            return np.stack([aligned_depth(relative, true, valid, far) for relative, true, valid in frames])

        return predict

    def depth_model(self, network: ZoeDepth) -> ZoeDepthModel:
        """Relative inverse depth."""
        return ZoeDepthModel(network, Convention.of(self._recipe).model_copy(update={"kind": "relative"}))

    def info(self) -> dict[str, Any]:
        """The options, and whether the encoder was frozen."""
        return {"options": self._options.model_dump(), "freeze_encoder": self._run.freeze_encoder}

    def save(self, path: Path, network: ZoeDepth, info: dict[str, Any]) -> None:
        """A checkpoint of this project."""
        save_checkpoint(path, network, config=self._model, info=info)


def _moved(watch: Watch | None, offset: int) -> Watch | None:
    """A watch whose frames' positions begin at `offset`."""
    if watch is None:
        return None
    return lambda position, *frame: watch(position + offset, *frame)


def _relative_depth(model: ZoeDepth) -> Tensor:
    """The sum of everything that a loss sees, on one image."""
    return model(grey_image(model.config.input_size, next(model.parameters()).device)).rel_depth.sum()


METHOD = Relative
