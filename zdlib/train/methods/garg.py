"""Garg et al. 2016: a network of single pictures learns disparity from the second camera of stereo pairs.

Loss: mean over valid pixels of Σ(warped right - left)² + γ · mean ‖∇d‖², γ = 0.01, at the level's own resolution.
Levels L7 to L12 are trained one after the other, each appended to those before; then, optionally, some epochs with
augmentation. The weights kept are those of the lowest photometric error (0.85 SSIM, 0.15 L1) on held-out pairs, at full
size: no depth is looked at, but where it is known, its errors are logged.

`options` of a run:

* `level_epochs`: of L7 … L12; with `augmented_epochs` they add up to `train.epochs`. Levels of 0 epochs at the end are
  left out.
* `optimiser`: `sgd` (momentum 0.9; weight decay and rate of the profile), the article's, or `adam`.
* `reduction`: `sum` over pixels, the article's: the rate then falls as a level's number of pixels grows (0.01 of L7
  diverges at L10); or `mean`.
* `derivative`: `exact` autograd; `linearised`, the article's Taylor expansion, about the present disparity or, with
  `about: coarser`, about the enlarged one of the level before; `authors`, the rule of their layer.
* `objective`: `article`; `tv_l1`, that of the authors' later variant; `monodepth`, the appearance and smoothness terms
  of Godard et al., CVPR 2017, at all levels reached, each at its own size (its left-right term needs a second
  disparity); or `supervised`, the mean difference to the true disparity at the level's resolution, with the article's
  smoothness: what the same network learns when it is told.
* `augmented_throughout`: augment every epoch, not `augmented_epochs` at the end alone.
* `stretch`: of a level of fewer epochs than the article's hundred, let the rate fall as if they were a hundred.
* `width`: share of the article's channels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from zdlib.cameras import depth_from_disparity
from zdlib.config import Frozen, ModelConfig, RunConfig, TrainConfig
from zdlib.distributed import processes
from zdlib.errors import ZDError
from zdlib.losses.photometric import edge_aware_smoothness, photometric_error, quadratic_smoothness
from zdlib.losses.stereo import (
    Derivative,
    authors_warp,
    linearised,
    mean_over,
    photometric,
    total_variation,
    warp_rows,
)
from zdlib.metrics.depth import depth_metrics
from zdlib.models.checkpoints import load_exactly
from zdlib.models.depth_model import Convention
from zdlib.models.garg.architecture import LEVELS, VARIANTS, GargArchitecture
from zdlib.models.garg.checkpoints import load_checkpoint, save_checkpoint
from zdlib.models.garg.depth_model import FARTHEST, GargDepthModel
from zdlib.models.garg.network import LightStem, enlarge, level_sizes, network_of
from zdlib.models.garg.network import Network as GargNetwork
from zdlib.train.method import Batch, Feed, Items, Network, Selection, Watch, check_options
from zdlib.train.sequences.pairs import PairSet, pair_reader
from zdlib.train.split import RunFrames
from zdlib.train.step import grey_image, prepare_network
from zdlib.train.training_set import Batches

ALPHA = 5e-4  # of the schedule
MOMENTUM = 0.9
ARTICLES_EPOCHS = 100
LATER_SCALE = 0.004 * 255  # of the later variant's images


class Options(Frozen):
    """What a run of this method may set; see the module."""

    level_epochs: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(100, 10, 10, 10, 10, 10), min_length=1, max_length=len(LEVELS)
    )
    augmented_epochs: int = Field(default=0, ge=0)
    optimiser: Literal["sgd", "adam"] = "sgd"
    reduction: Literal["sum", "mean"] = "sum"
    derivative: Derivative = "exact"
    about: Literal["present", "coarser"] = "present"
    objective: Literal["article", "tv_l1", "monodepth", "supervised"] = "article"
    augmented_throughout: bool = False
    stretch: bool = False
    smoothness_weight: float = Field(default=0.01, ge=0)
    width: float = Field(default=1.0, gt=0, le=1)
    farthest: float = Field(default=FARTHEST, gt=0)  # metres, of predictions


class Garg:
    """See `zdlib.train.method.Method`."""

    selection: ClassVar[Selection] = Selection("photometric", "photometric error")

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        self._options = check_options(Options, run)
        epochs = sum(self._options.level_epochs) + self._options.augmented_epochs
        if epochs != train.epochs or not any(self._options.level_epochs):
            raise ZDError(
                f"runs: options: level_epochs and augmented_epochs add up to {epochs}, train.epochs is {train.epochs}: "
                "make them equal, with epochs of a level"
            )
        if model.encoder not in VARIANTS:
            raise ZDError(f"model.encoder {model.encoder!r}: garg has {', '.join(VARIANTS)}: choose one of them")
        if model.encoder_weights not in ("none", "packaged") or (
            model.encoder_weights == "packaged" and VARIANTS[model.encoder] != "light"
        ):
            raise ZDError(
                f"model.encoder_weights {model.encoder_weights!r}: {model.encoder} begins with none; only garg_light "
                "has packaged ones"
            )
        if self._options.objective == "monodepth" and self._options.reduction == "sum":
            raise ZDError("runs: options: objective monodepth: its levels are means over pixels: set reduction mean")
        if self._options.objective == "supervised" and self._augments:
            raise ZDError("runs: options: objective supervised: augmented pairs have no true disparity: leave that out")
        if processes() > 1:
            raise ZDError("garg: levels that are not reached yet have no gradients: train it in one process")
        self._model, self._train, self._run = model, train, run
        self._config = GargArchitecture(
            variant=VARIANTS[model.encoder], input_size=model.input_size, width=self._options.width
        )
        self._sizes = level_sizes(self._config)
        self._metres = 0.0  # of the pairs, which `feed` opens

    @property
    def _augments(self) -> bool:
        return self._options.augmented_throughout or self._options.augmented_epochs > 0

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Pairs; the epoch decides the level, and whether they are augmented."""
        plain = sum(self._options.level_epochs)
        items = PairSet(
            pair_reader(frames),
            frames.roles.train,
            self._config.input_size,
            self._run.seed,
            augmented=lambda epoch: self._options.augmented_throughout or epoch > plain,
            extra=lambda epoch: {"level": self.level(epoch)[0]},
            truth=self._options.objective == "supervised",
        )
        self._metres = items.metres
        return Feed(items, Batches(len(items), self._train.batch_size, order, 0, 1))

    def selection_set(self, frames: RunFrames) -> PairSet:
        """Held-out pairs as they are."""
        return PairSet(pair_reader(frames), frames.roles.selection, self._config.input_size, self._run.seed)

    def network(self, device: torch.device) -> GargNetwork:
        """Seeded weights, disparity 0 everywhere; it knows its pairs' cameras."""
        network = network_of(self._config)
        if isinstance(network.stem, LightStem) and self._model.encoder_weights == "packaged":
            network.stem.use_packaged_weights()
        network.metres.fill_(self._metres)
        network.to(device)
        if self._config.variant != "snippet":  # of which nothing reaches the output, for it is zero
            prepare_network(network, _all_outputs)
        network.level.fill_(0)
        return network.train()

    def start_from(self, network: GargNetwork, path: Path) -> None:
        """Weights of the same network, of any level."""
        metres, (stored, _) = network.metres.clone(), load_checkpoint(path)
        load_exactly(network, stored.state_dict(), str(path))
        network.metres.copy_(metres)

    def optimisation(
        self, network: GargNetwork, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """SGD (or Adam) under the closed form of `rate`; the epochs of a level count from 1."""
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        config = self._train
        optimizer: torch.optim.Optimizer
        if self._options.optimiser == "sgd":
            optimizer = torch.optim.SGD(parameters, config.lr, momentum=MOMENTUM, weight_decay=config.weight_decay)
        else:
            optimizer = torch.optim.Adam(parameters, config.lr, weight_decay=config.weight_decay)
        per_epoch = max(1, steps // config.epochs)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.rate(min(config.epochs, step // per_epoch + 1))
        )
        return optimizer, schedule

    def level(self, epoch: int) -> tuple[int, int]:
        """The level of an epoch (from 1), and the epoch's number within it; augmented epochs are the last level's."""
        for level, count in enumerate(self._options.level_epochs):
            if epoch <= count:
                return level, epoch
            epoch -= count
        last = max(level for level, count in enumerate(self._options.level_epochs) if count)
        return last, self._options.level_epochs[last] + epoch

    def rate(self, epoch: int) -> float:
        """Share of the first learning rate: 1 / (1 + α n)^(n - 1), n the epoch within its level (from 1).

        The article prints a recursion with its indices reversed, which would reach 9e-72 of the start at n = 100; this
        is the reading that decays by the hundred that it reports. Sums over pixels need a rate that falls with the
        level's number of pixels.
        """
        level, number = self.level(epoch)
        if self._options.stretch:
            count = self._options.level_epochs[level]
            if not any(self._options.level_epochs[level + 1 :]):
                count += self._options.augmented_epochs
            number = round(1 + (number - 1) * ARTICLES_EPOCHS / count)
        decay = (1 + ALPHA * number) ** -(number - 1)
        if self._options.reduction == "mean":
            return decay
        (h, w), (height, width) = self._sizes[0], self._sizes[level]
        return decay * h * w / (height * width)

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """`total`, and `photometric` and `smoothness`, both means over pixels, the latter without its weight."""
        level = int(batch["level"][0])
        disparities = [output.float() for output in network(batch["image"], level=level)]
        size = disparities[-1].shape[2:]
        if self._options.objective == "supervised":
            return self._supervised(disparities[-1], batch["disparity"])
        if self._options.objective == "monodepth":
            return self._monodepth(disparities, batch["image"], batch["source"])
        left, right = _shrunk(size, batch["image"], batch["source"])
        error, smoothness = (values.mean() for values in self._terms(disparities, left, right))
        total = error + self._options.smoothness_weight * smoothness
        if self._options.reduction == "sum":
            total = total * (size[0] * size[1])
        return {"total": total, "photometric": error, "smoothness": smoothness}

    def _supervised(self, disparity: Tensor, true: Float[Tensor, "b 1 h w"]) -> dict[str, Tensor]:
        """`total`, and its parts: mean absolute error of the disparity, pixels of the level; and smoothness."""
        size = disparity.shape[2:]
        known = F.interpolate((true > 0).to(true.dtype), size, mode="area")
        target = F.interpolate(true, size, mode="area") / known.clamp(min=1e-6) * size[1]
        valid = known > 0.5
        error = (disparity - target).abs()[valid].mean()
        smoothness = (quadratic_smoothness(disparity) / (size[0] * size[1])).mean()
        total = error + self._options.smoothness_weight * smoothness
        if self._options.reduction == "sum":
            total = total * (size[0] * size[1])
        return {"total": total, "disparity": error, "smoothness": smoothness}

    def _monodepth(
        self, disparities: Sequence[Tensor], image: Float[Tensor, "b 3 h w"], source: Float[Tensor, "b 3 h w"]
    ) -> dict[str, Tensor]:
        """`total`, and its parts, means over levels: photometric error, and smoothness of the disparity in widths.

        The smoothness of each level counts half of that of the next finer one.
        """
        errors, smoothness = [], []
        for place, disparity in enumerate(reversed(disparities)):
            size = disparity.shape[2:]
            left, right = _shrunk(size, image, source)
            warp = warp_rows(right, disparity)
            errors.append(mean_over(photometric_error(warp.image, left), warp.valid).mean())
            smoothness.append(edge_aware_smoothness(disparity / size[1], left).mean() / 2**place)
        error, smooth = torch.stack(errors).mean(), torch.stack(smoothness).mean()
        total = error + self._options.smoothness_weight * smooth
        return {"total": total, "photometric": error, "smoothness": smooth}

    def _terms(
        self, disparities: Sequence[Tensor], left: Float[Tensor, "b 3 h w"], right: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Photometric error and smoothness of each pair at the last of these levels, per pixel."""
        options, disparity = self._options, disparities[-1]
        pixels = disparity.shape[2] * disparity.shape[3]
        if options.objective == "tv_l1":
            image = authors_warp(right, disparity) if options.derivative == "authors" else None
            warp = warp_rows(right, disparity)
            image = torch.where(warp.valid, warp.image, 0) if image is None else image
            error = LATER_SCALE * (image - left).abs().sum((1, 2, 3)) / pixels
            return error, total_variation(disparity, LATER_SCALE * left) / pixels
        smoothness = quadratic_smoothness(disparity) / pixels
        if options.derivative == "authors":
            return (authors_warp(right, disparity) - left).square().sum((1, 2, 3)) / pixels, smoothness
        if options.derivative == "linearised":
            about = disparity.detach()
            if options.about == "coarser" and len(disparities) > 1:
                about = enlarge(disparities[-2].detach(), (disparity.shape[2], disparity.shape[3]))
            return linearised(warp_rows(right, about), left, disparity, about), smoothness
        return photometric(warp_rows(right, disparity), left), smoothness

    def validate(
        self, network: GargNetwork, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """Photometric error at full size; and, where depth is known, AbsRel, δ1 and the disparity's error in pixels."""
        assert isinstance(items, PairSet)
        model, errors, rows = self.depth_model(network), [], []
        for position in range(len(items)):
            item = items[position]
            left, right = (item[key][None].to(device) for key in ("image", "source"))
            with model.inference("fp32"):
                shares = model.disparity(left).float()
                disparity = enlarge(shares * shares.shape[3], (left.shape[2], left.shape[3]))
                errors.append(photometric_error(warp_rows(right, disparity).image, left).mean().item())
            pair = items.pair(position)
            if pair.depth is None:
                continue
            full = enlarge(disparity, pair.depth.shape)[0, 0].cpu()
            focal_times_baseline = float(pair.intrinsics[0, 0] * pair.baseline)
            least = focal_times_baseline / self._options.farthest
            depth = depth_from_disparity(full, focal_times_baseline, least=least).numpy()
            valid = (pair.depth > 0) & (pair.depth < self._options.farthest)
            scores, true = depth_metrics(depth, pair.depth, valid), pair.disparity
            assert true is not None
            pixels = float(np.abs(full.numpy() - true)[valid].mean())
            rows.append({"abs_rel": scores["abs_rel"], "delta1": scores["delta1"], "disparity_error": pixels})
            if watch is not None:
                watch(position, item["image"], pair.depth, depth, valid)
        means = {name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else ())}
        return {"photometric": float(np.mean(errors)), "level": float(network.level), **means}

    def depth_model(self, network: GargNetwork) -> GargDepthModel:
        """Metres, through the pairs' focal length and baseline."""
        return GargDepthModel(network, Convention(max_depth=self._options.farthest))

    def info(self) -> dict[str, Any]:
        """The options."""
        return {"options": self._options.model_dump(mode="json")}

    def save(self, path: Path, network: GargNetwork, info: dict[str, Any]) -> None:
        """A checkpoint of the family."""
        save_checkpoint(path, network, info)


def _shrunk(size: torch.Size, *pictures: Float[Tensor, "b 3 _ _"]) -> tuple[Float[Tensor, "b 3 h w"], ...]:
    return tuple(F.interpolate(picture, size, mode="area") for picture in pictures)


def _all_outputs(network: GargNetwork) -> Tensor:
    """The sum of every level's output, on one image."""
    image = grey_image(network.config.input_size, next(network.parameters()).device)
    return torch.stack([output.sum() for output in network(image, level=len(LEVELS) - 1)]).sum()


METHOD = Garg
