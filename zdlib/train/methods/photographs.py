"""A network for photographs: real and rendered metric depth, a teacher's on photographs, one canonical camera.

Pictures of cameras with different lenses show the same depth differently, so depth is learnt for one focal length
(`zdlib.train.photographs.views`) and a prediction is scaled by the picture's own. Loss, per image, on g = ln prediction
− ln target: 10 · √(Var g + s · mean² g), s = `scale_weight` (0 where a teacher gave the target: its scale is not
trusted), plus gradient matching on g. Optimiser and schedule are those of Zoe-Distill. The weights kept are those of
the lowest AbsRel on the real frames set aside.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from pydantic import Field, ValidationError
from torch import Tensor

from zdlib.config import Frozen, ModelConfig, RunConfig, TrainConfig
from zdlib.data.collection import Joined
from zdlib.data.sample import Frames, Sample
from zdlib.distributed import processes, rank
from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.losses.relative import gradient_matching_loss
from zdlib.models.checkpoints import load_weights, network_of, save_checkpoint, stored_convention
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import ZoeDepth, network_size
from zdlib.paths import resolve
from zdlib.train.method import Batch, Feed, Items, Network, Selection, Watch
from zdlib.train.photographs.items import Kind, PhotographItems
from zdlib.train.photographs.taught import taught_photographs
from zdlib.train.split import RunFrames
from zdlib.train.step import adamw_one_cycle, grey_image, prepare_network
from zdlib.train.training_set import Batches
from zdlib.train.validation import validate

REAL = "real-hololens"


class Options(Frozen):
    """What a run of this method may set.

    Attributes:
        kinds: for each data set of `data.train`, what its frames mean; a data set with `repeats: 0` is left out.
        taught: folder with the fetched photographs and METER's weights; None trains without a teacher.
        taught_repeats: how often each of its photographs appears in an epoch.
        canonical_focal: pixels at the network's input; None learns depth as it is.
        scale_weight: s of the loss.
        gradient_weight: of gradient matching.
    """

    kinds: dict[str, Kind]
    taught: str | None = None
    taught_repeats: int = Field(default=2, ge=1)
    canonical_focal: float | None = Field(default=207.5, gt=0)
    scale_weight: float = Field(default=0.5, ge=0)
    gradient_weight: float = Field(default=0.5, ge=0)


class Photographs:
    """See `zdlib.train.method.Method`."""

    selection: ClassVar[Selection] = Selection("abs_rel", "AbsRel")

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        try:
            self._options = Options.model_validate(run.options)
        except ValidationError as error:
            first, names = error.errors(include_url=False)[0], ", ".join(Options.model_fields)
            where = ".".join(map(str, first["loc"]))
            raise ZDError(f"runs: options.{where}: {first['msg']}: photographs has {names}") from error
        self._kinds = self._options.kinds
        self._train, self._run = train, run
        self._architecture = Architecture.model_validate(model.model_dump() | {"keep_aspect_ratio": True})

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Random views of all data sets, as often as their kinds say."""
        reader, chosen = frames.reader, self._of_kinds(frames, frames.roles.train.tolist())
        if self._options.taught is not None:
            pictures = taught_photographs(resolve(self._options.taught))
            taught = Kind(min_depth=0.1, max_depth=80, metric=False, repeats=self._options.taught_repeats)
            chosen = [*chosen, *((len(reader) + number, taught) for number in range(len(pictures)))]
            assert isinstance(reader, Frames)
            reader = Joined([reader, Held(pictures, reader.path)])
        items = self._items(reader, chosen, self._architecture.input_size, augment=True)
        return Feed(items, Batches(len(items), self._train.batch_size, order, rank(), processes()))

    def selection_set(self, frames: RunFrames) -> Items:
        """The real frames among those that select, whole."""
        chosen = [
            (number, kind)
            for number, kind in self._of_kinds(frames, frames.roles.selection.tolist(), all_of_them=True)
            if self._set_of(frames, number) == REAL
        ]
        if not chosen:
            raise ZDError(f"data.train: no frame of {REAL} selects: add it, and hold out its last stretch")
        first = frames.reader[chosen[0][0]].depth.shape
        return self._items(
            frames.reader, chosen, network_size(first, self._architecture.input_size, True), augment=False
        )

    def network(self, device: torch.device) -> ZoeDepth:
        """Seeded weights."""
        model = network_of(self._architecture).train().to(device)
        prepare_network(model, _depth)
        if self._train.checkpoint_activations:
            model.encoder.recompute_blocks()
        if self._run.freeze_encoder:
            model.encoder.requires_grad_(False)
        return model

    def start_from(self, network: ZoeDepth, path: Path) -> None:
        """Weights of metric depth in metres, or of relative depth."""
        before = stored_convention(load_weights(network, path), path)
        if before.kind == "metric" and before.metres_per_unit != 1:
            raise ZDError(f"{path}: its unit is {before.metres_per_unit:g} m: start from weights in metres")

    def optimisation(
        self, network: ZoeDepth, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """ZoeDepth's parameter groups."""
        groups = network.parameter_groups(self._train.lr, self._train.encoder_lr_factor)
        return adamw_one_cycle(groups, self._train, steps)

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """`total`, `log` and `gradient`, the latter without its weight."""
        depth, mask = batch["depth"], batch["mask"]
        prediction = resize(network(batch["image"]).metric_depth.float(), tuple(depth.shape[-2:]))
        log = torch.log(prediction.clamp(min=1e-3))
        target = torch.log(torch.where(mask, depth, 1).clamp(min=1e-3))
        scale = torch.where(batch["metric"], self._options.scale_weight, 0.0)
        error = log_error(log - target, mask, scale)
        gradient = gradient_matching_loss(log[:, 0], target[:, 0], mask[:, 0])
        return {"total": error + self._options.gradient_weight * gradient, "log": error, "gradient": gradient}

    def validate(
        self, network: ZoeDepth, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """All depth metrics on the selection frames, in the canonical camera's metres, which changes no ratio."""
        model = ZoeDepthModel(network)

        def predict(batch: Batch) -> Float32[np.ndarray, "b h w"]:
            images = batch["image"].to(device, memory_format=torch.channels_last)
            return resize(model.depth(images, Inference(flip=False)).cpu(), tuple(batch["depth"].shape[-2:]))[
                :, 0
            ].numpy()

        assert isinstance(items, PhotographItems)
        return validate(items, predict, self._train.batch_size, watch=watch)  # type: ignore[arg-type]  # same items

    def depth_model(self, network: ZoeDepth) -> ZoeDepthModel:
        """Metric depth of the canonical camera."""
        return ZoeDepthModel(network, Convention(canonical_focal=self._options.canonical_focal))

    def info(self) -> dict[str, Any]:
        """The options."""
        return {"options": self._options.model_dump(), "freeze_encoder": self._run.freeze_encoder}

    def save(self, path: Path, network: ZoeDepth, info: dict[str, Any]) -> None:
        """A checkpoint of this project."""
        save_checkpoint(path, network, config=self._architecture, info=info)

    def _items(
        self, reader: Any, frames: list[tuple[int, Kind]], size: tuple[int, int], augment: bool
    ) -> PhotographItems:
        return PhotographItems(reader, frames, size, self._options.canonical_focal, augment, self._run.seed)

    def _of_kinds(self, frames: RunFrames, numbers: list[int], all_of_them: bool = False) -> list[tuple[int, Kind]]:
        """Frames with the kinds of their data sets, without those that appear in no epoch."""
        missing = {used.set for used in frames.sets} - self._kinds.keys()
        if missing:
            raise ZDError(f"runs: options.kinds: say what the frames of {', '.join(sorted(missing))} mean")
        kinds = [(number, self._kinds[self._set_of(frames, number)]) for number in numbers]
        return [(number, kind) for number, kind in kinds if kind.repeats or all_of_them]

    @staticmethod
    def _set_of(frames: RunFrames, number: int) -> str:
        for used in frames.sets:
            if number < used.frames:
                return used.set
            number -= used.frames
        raise IndexError(number)


class Held(Frames[Sample]):
    """Frames in memory."""

    random_access = True

    def __init__(self, samples: list[Sample], path: Path):
        self._samples, self.path = samples, path
        self.names, self.scenes = [sample.name for sample in samples], [sample.scene for sample in samples]

    def __getitem__(self, index: Any) -> Sample:
        """The frame of that number."""
        return self._samples[index]


def log_error(
    difference: Float[Tensor, "b 1 h w"], mask: Bool[Tensor, "b 1 h w"], scale: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """10 · √(Var g + s · mean² g) of each image, and the mean over images that have a valid pixel.

    Args:
        difference: g, of logarithms.
        mask: where the target is valid.
        scale: s of each image.
    """
    g, weight = difference.flatten(1), mask.flatten(1).float()
    count = weight.sum(1)
    mean = (g * weight).sum(1) / count.clamp(min=1)
    variance = ((g - mean[:, None]).square() * weight).sum(1) / count.clamp(min=1)
    # The square root's slope is infinite at 0.
    errors = 10 * torch.sqrt(variance + scale * mean.square() + 1e-6)
    return (errors * (count > 0)).sum() / (count > 0).sum().clamp(min=1)


def _depth(model: ZoeDepth) -> Tensor:
    """The sum of what the loss sees, on one image."""
    return model(grey_image(model.config.input_size, next(model.parameters()).device)).metric_depth.sum()


METHOD = Photographs
