"""Zoe-Distill: ZoeDepth with a U-Net that exists in training only; and its control, ZoeDepth alone.

Loss: SILog + w · (Dice + focal), w = 0.1, on frames with depth and labels. AdamW under OneCycle, encoder at a
tenth of the learning rate. The weights kept are those of the lowest AbsRel on the selection frames.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from zdlib.config import Frozen, ModelConfig, RunConfig, TrainConfig
from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.losses.zoe_distill import ZoeDistillLoss
from zdlib.models.checkpoints import load_weights, save_checkpoint, stored_convention
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.factory import build_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import ZoeDepth
from zdlib.train.method import Batch, Feed, Items, Network, Selection, Watch, check_options
from zdlib.train.split import RunFrames
from zdlib.train.step import adamw_one_cycle, grey_image, prepare_network
from zdlib.train.training_set import TrainingSet, shuffled_feed
from zdlib.train.validation import validate


class Options(Frozen):
    """What a run of this method may set.

    Attributes:
        loss_stride: the losses look at every n-th row and column only, from a place drawn anew for every step.
    """

    loss_stride: int = Field(default=1, ge=1, le=8)


class ZoeDistill:
    """See `zdlib.train.method.Method`."""

    selection: ClassVar[Selection] = Selection("abs_rel", "AbsRel")
    items: type[TrainingSet] = TrainingSet  # what frames are made into

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        self._model, self._train, self._run = model, train, run
        self._options = check_options(Options, run)
        self._recipe = run.settings
        self._criterion = ZoeDistillLoss(self._recipe, run.seg_weight)

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Frames with depth and labels, augmented."""
        items = self.items(frames.reader, frames.roles.train, self._recipe, augment=True, seed=self._run.seed)
        return shuffled_feed(items, self._train.batch_size, order)

    def selection_set(self, frames: RunFrames) -> TrainingSet:
        """The selection frames as they are."""
        return self.items(frames.reader, frames.roles.selection, self._recipe, augment=False, seed=self._run.seed)

    def network(self, device: torch.device) -> ZoeDepth:
        """Seeded weights; with the U-Net unless the run is a control."""
        model = build_model(self._model, segmentation=self._run.segments).to(device)
        self.prepare(model)
        return model

    def prepare(self, model: ZoeDepth) -> None:
        """Lay a network out for training, and freeze what the run leaves out."""
        prepare_network(model, _all_outputs)
        if self._train.checkpoint_activations:
            model.encoder.recompute_blocks()
        if model.unet is not None:
            model.unet.detach = self._run.detach_features
        if self._run.freeze_encoder:
            model.encoder.requires_grad_(False)

    def start_from(self, network: ZoeDepth, path: Path) -> None:
        """Weights of metric depth in the recipe's unit, or of relative depth."""
        before, now = stored_convention(load_weights(network, path), path), Convention.of(self._recipe)
        if before.kind == "metric" and before.metres_per_unit != now.metres_per_unit:
            raise ZDError(
                f"{path}: its unit is {before.metres_per_unit:g} m, that of recipe {self._run.recipe} "
                f"{now.metres_per_unit:g} m: start from weights of the same unit"
            )

    def optimisation(
        self, network: ZoeDepth, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """ZoeDepth's parameter groups."""
        groups = network.parameter_groups(self._train.lr, self._train.encoder_lr_factor)
        return adamw_one_cycle(groups, self._train, steps)

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """`total`, `silog`, and `dice` and `focal` unless the run is a control."""
        out = network(batch["image"], stride=self._options.loss_stride)
        if out.pixels is not None:
            batch = batch | {key: out.pixels.nearest(batch[key]) for key in ("depth", "mask", "labels")}
        # The losses take logarithms of small differences: always in full precision.
        logits = None if out.segmentation is None else out.segmentation.float()
        return self._criterion(out.metric_depth.float(), logits, batch)

    def validate(
        self, network: ZoeDepth, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """All depth metrics: one forward pass per image, no flip, no crop, depths clamped to the recipe's range.

        The network sees pixel values up to `recipe.selection_input_range`.
        """
        recipe = self._recipe
        # In the recipe's unit, like the limits; and the data set has squeezed its images already.
        as_trained = Convention.of(recipe).model_copy(update={"metres_per_unit": 1.0, "portrait_resize": False})
        model = ZoeDepthModel(network, as_trained)

        def predict(batch: Batch) -> Float32[np.ndarray, "b h w"]:
            images = batch["image"].to(device, memory_format=torch.channels_last) * recipe.selection_input_range
            depth = model.depth(images, Inference(flip=False)).cpu()
            depth = resize(depth, (batch["depth"].shape[-2], batch["depth"].shape[-1]))
            return depth.clamp(recipe.min_depth, recipe.max_depth)[:, 0].numpy()

        assert isinstance(items, TrainingSet)
        return validate(items, predict, self._train.batch_size, watch=watch)

    def depth_model(self, network: ZoeDepth) -> ZoeDepthModel:
        """Metric depth."""
        return ZoeDepthModel(network, Convention.of(self._recipe))

    def info(self) -> dict[str, Any]:
        """The weight of the segmentation's losses, and what was frozen or detached."""
        return self._run.model_dump(include={"seg_weight", "detach_features", "freeze_encoder"})

    def save(self, path: Path, network: ZoeDepth, info: dict[str, Any]) -> None:
        """A checkpoint of this project, the U-Net in it."""
        save_checkpoint(path, network, config=self._model, info=info)


def _all_outputs(model: ZoeDepth) -> Tensor:
    """The sum of everything that a loss sees, on one image."""
    out = model(grey_image(model.config.input_size, next(model.parameters()).device), model.unet is not None)
    return out.metric_depth.sum() + (0 if out.segmentation is None else out.segmentation.sum())


METHOD = ZoeDistill
