"""Depth Anything: a teacher that learns from labels, and a student that learns from pictures without any.

    teacher      zdlib train … --run teacher          labelled sets alone, mirrored at random
    pseudo labels zdlib data label …                   the teacher's maps of other pictures: a data set like any other
    student      zdlib train … --run student          its first weights again; both kinds of frames in every batch

The student's unlabelled pictures have other colours, are blurred, and carry a box of another picture (CutMix); what it
is taught are the teacher's maps of the clean ones. Its encoder's last tokens stay close to those of the encoder that it
began with. Loss: the average of L_l, L_u and L_feat (`zdlib.losses.depth_anything`). AdamW, the encoder at a fraction
of the learning rate, which falls linearly to 0. The weights kept are those of the lowest AbsRel, after least-squares
alignment, on labelled selection frames.

Source: Yang et al., CVPR 2024. Its training code is unpublished; where the paper is silent, the choices are options.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from pydantic import Field
from torch import Tensor, nn

from zdlib.config import Frozen, ModelConfig, RunConfig, TrainConfig
from zdlib.distributed import processes, rank
from zdlib.errors import ZDError
from zdlib.geometry import resize
from zdlib.losses.depth_anything import (
    TOLERANCE,
    cutmix_loss,
    feature_alignment_loss,
    labelled_loss,
    normalised_disparity,
    standardised,
)
from zdlib.losses.relative import gradient_matching_loss
from zdlib.metrics.relative import aligned_depth
from zdlib.models.depth_anything.architecture import DepthAnythingConfig, vit
from zdlib.models.depth_anything.checkpoints import load_encoder, load_weights, save_checkpoint
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_anything.network import DepthAnything, encode
from zdlib.models.depth_anything.picture_sizes import cubic_resize, network_size
from zdlib.models.depth_model import Convention, Inference
from zdlib.paths import resolve
from zdlib.train.method import Batch, Feed, Items, Network, Selection, Watch, check_options
from zdlib.train.perturbations import NO_BOX, as_bytes, draw_box, perturb
from zdlib.train.split import RunFrames
from zdlib.train.step import grey_image, prepare_network
from zdlib.train.training_set import TrainingSet, shuffled_feed
from zdlib.train.validation import validate

BUILT_IN = ("none", "packaged")
VIT_SIZES = {f"vit_{size}_patch14_dinov2": size for size in ("small", "base", "large")}


class Options(Frozen):
    """What a run of this method may set. The defaults are the paper's, where it says something.

    Attributes:
        pseudo: names of those of the profile's training sets that hold pseudo labels; none: the run is a teacher.
        ratio: pseudo-labelled frames per labelled one in a batch; 0 leaves them out, for comparison.
        perturb: change colours and blur, of the student's unlabelled pictures.
        cutmix: how often such a picture gets a box of another one.
        alignment: keep the features close to those of the frozen encoder.
        tolerance: cosine above which a token is left alone.
        ignored: share of a pseudo-labelled map, the largest residuals, that teaches nothing; V2 says 0.1.
        gradient_weight: of gradient matching on labelled frames; V2 weights it twice the other loss.
        crop: train on random squares, as high as the frame, instead of whole frames.
        max_depth: metres beyond which a label counts as none.
    """

    pseudo: tuple[str, ...] = ()
    ratio: int = Field(default=2, ge=0)
    perturb: bool = True
    cutmix: float = Field(default=0.5, ge=0, le=1)
    alignment: bool = True
    tolerance: float = Field(default=TOLERANCE, gt=0)
    ignored: float = Field(default=0.0, ge=0, lt=1)
    gradient_weight: float = Field(default=0.0, ge=0)
    crop: bool = False
    max_depth: float = Field(default=10.0, gt=0)

    @property
    def is_student(self) -> bool:
        """Whether there are pseudo labels in a batch."""
        return bool(self.pseudo) and self.ratio > 0


class StudentOutput(NamedTuple):
    """The depth, the features of the pictures to align, and those that the frozen encoder gives of them."""

    depth: Float[Tensor, "b 1 h w"]
    features: Float[Tensor, "n t c"]
    frozen: Float[Tensor, "n t c"]


class Student(nn.Module):
    """A network and the encoder that it began with, which never changes.

    Args:
        network: what learns.
        frozen: whether features are to be aligned.
    """

    def __init__(self, network: DepthAnything, frozen: bool):
        super().__init__()
        self.network = network
        self.frozen = copy.deepcopy(network.encoder).requires_grad_(False).eval() if frozen else None

    def forward(self, images: Float[Tensor, "b 3 h w"], aligned: Bool[Tensor, " b"] | None = None) -> StudentOutput:
        """Predict; `aligned` are the pictures whose features are compared."""
        depth, features = self.network(images)
        if self.frozen is None or aligned is None:
            return StudentOutput(depth, features[:0], features[:0])
        with torch.no_grad():
            _, frozen = encode(self.frozen, self.frozen.normalise(images[aligned]))
        return StudentOutput(depth, features[aligned], frozen)

    def train(self, mode: bool = True) -> "Student":
        """Training mode for what learns."""
        super().train(mode)
        if self.frozen is not None:
            self.frozen.eval()
        return self


class DepthAnythingTraining:
    """See `zdlib.train.method.Method`."""

    selection: ClassVar[Selection] = Selection("abs_rel", "aligned AbsRel")

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        self._options = check_options(Options, run)
        if self._options.is_student and train.accumulate > 1:
            raise ZDError("train.accumulate: a student's batch cannot be cut, its pictures are mixed: make it 1")
        self._model, self._train, self._run = model, train, run
        far = self._options.max_depth / run.settings.metres_per_unit
        self._recipe = run.settings.model_copy(update={"max_depth": far})
        self._config = description(model)

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Labelled frames, mirrored at random; a student's batches hold pseudo-labelled ones behind them."""
        labelled, pseudo = self._by_kind(frames, frames.roles.train)
        if frames.sets:  # what has no labels can choose no weights
            pseudo = np.concatenate([pseudo, self._by_kind(frames, frames.roles.selection)[1]])
        pseudo = pseudo if self._options.is_student else pseudo[:0]
        numbers = np.concatenate([labelled, pseudo])
        items = Frames(frames.reader, numbers, self._recipe, self._run.seed, self._options, len(labelled))
        batch_size = self._train.batch_size
        if not len(pseudo):
            return shuffled_feed(items, batch_size, order)
        share = batch_size * self._options.ratio // (1 + self._options.ratio)
        if min(share, batch_size - share) < processes():
            raise ZDError(f"train.batch_size {batch_size}: too small for both kinds of frames: make it larger")
        return Feed(items, MixedBatches(len(labelled), len(pseudo), batch_size - share, share, order))

    def selection_set(self, frames: RunFrames) -> TrainingSet:
        """The labelled selection frames as they are."""
        labelled, _ = self._by_kind(frames, frames.roles.selection)
        return TrainingSet(frames.reader, labelled, self._recipe, augment=False, seed=self._run.seed)

    def _by_kind(self, frames: RunFrames, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frame numbers of sets with labels, and of those with pseudo labels.

        Frames of no set are those that a forecast measures a step with: the last of them stand for pseudo-labelled.
        """
        if not frames.sets:
            first = len(numbers) - (len(numbers) * self._options.ratio // (1 + self._options.ratio))
            first = first if self._options.is_student else len(numbers)
            return numbers[:first], numbers[first:]
        titles = [used.title for used in frames.sets for _ in range(used.frames)]
        for name in self._options.pseudo:
            if name not in titles:
                known = ", ".join(used.title for used in frames.sets)
                raise ZDError(f"runs: options.pseudo: data.train has no {name!r}: choose from {known}")
        is_pseudo = np.array([titles[number] in self._options.pseudo for number in numbers], bool)
        if is_pseudo.all():
            raise ZDError("runs: options.pseudo: names all training sets: leave one with labels")
        return numbers[~is_pseudo], numbers[is_pseudo]

    def network(self, device: torch.device) -> Student:
        """The encoder's first weights and a random decoder, whose end is moved to where its ReLU lets all pass."""
        network = DepthAnything(self._config).to(device)
        if self._model.encoder_weights not in BUILT_IN:
            load_encoder(network, resolve(self._model.encoder_weights))
        bias = network.decoder.out_depth.bias
        assert bias is not None
        torch.nn.init.ones_(bias)
        prepare_network(network, self._probe)
        if self._train.checkpoint_activations:
            network.encoder.recompute_blocks()
        student = Student(network, frozen=self._options.is_student and self._options.alignment)
        if self._run.freeze_encoder:
            network.encoder.requires_grad_(False)
        return student.train()

    def _probe(self, network: DepthAnything) -> Tensor:
        """The sum of everything that a loss sees, on one image."""
        size = network_size(self._model.input_size, self._config.shortest_side, network.encoder.multiple)
        out = network(grey_image(size, next(network.parameters()).device))
        return out.depth.sum() + out.features.sum()

    def start_from(self, network: Student, path: Path) -> None:
        """Weights of relative depth."""
        load_weights(network.network, path)

    def optimisation(
        self, network: Student, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """AdamW; learning rates fall linearly to 0."""
        groups = network.network.parameter_groups(self._train.lr, self._train.encoder_lr_factor)
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
        kept = [group for group in groups if group["params"]]
        optimizer = torch.optim.AdamW(kept, lr=self._train.lr, weight_decay=self._train.weight_decay, fused=True)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """`total` is the average of the others: `labelled`; of a student `unlabelled` and `features`."""
        pseudo, depth, mask = batch["pseudo"], batch["depth"], batch["mask"]
        target, mask = normalised_disparity(depth, mask)
        mixed = mix(batch["image"], target, mask, batch["box"], pseudo)
        size = network_size(tuple(depth.shape[2:]), self._config.shortest_side, self._multiple)
        out = network(cubic_resize(mixed.images, size), aligned=pseudo)
        prediction = resize(out.depth.float(), (depth.shape[-2], depth.shape[-1]))
        options, with_labels = self._options, ~pseudo
        parts = {"labelled": labelled_loss(prediction[with_labels], target[with_labels], mask[with_labels])}
        if options.gradient_weight:
            known = mask[with_labels]
            one, two = (standardised(maps[with_labels], known) for maps in (prediction, target))
            matching = gradient_matching_loss(one, two, known)
            parts["labelled"] = parts["labelled"] + options.gradient_weight * matching
        if options.is_student:
            parts["unlabelled"] = cutmix_loss(
                prediction[pseudo], mixed.inside, target[pseudo], mixed.box, mixed.valid, ignored=options.ignored
            )
            if options.alignment:
                features = (out.features.float(), out.frozen.float())
                parts["features"] = feature_alignment_loss(*features, options.tolerance)
        return {"total": torch.stack(list(parts.values())).mean(), **parts}

    @property
    def _multiple(self) -> int:
        return 14 if self._config.is_vit else 32

    def validate(
        self, network: Student, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """AbsRel and δ1 after alignment, image by image; no depth is larger than the recipe's largest."""
        model, far = self.depth_model(network), self._recipe.max_depth

        def predict(batch: Batch) -> Float32[np.ndarray, "b h w"]:
            images = batch["image"].to(device, memory_format=torch.channels_last)
            inverse = model.depth(images, Inference(flip=False)).cpu()
            inverse = resize(inverse, (batch["depth"].shape[-2], batch["depth"].shape[-1]))
            frames = zip(*(maps[:, 0].numpy() for maps in (inverse, batch["depth"], batch["mask"])), strict=True)
            return np.stack([aligned_depth(found, true, valid, far) for found, true, valid in frames])

        assert isinstance(items, TrainingSet)
        return validate(items, predict, self._train.batch_size, ("abs_rel", "delta1"), watch)

    def depth_model(self, network: Student) -> DepthAnythingModel:
        """Relative inverse depth."""
        return DepthAnythingModel(network.network, Convention(kind="relative"))

    def info(self) -> dict[str, Any]:
        """The options, and whether the encoder was frozen."""
        return {"options": self._options.model_dump(mode="json"), "freeze_encoder": self._run.freeze_encoder}

    def save(self, path: Path, network: Student, info: dict[str, Any]) -> None:
        """A checkpoint of what learns."""
        save_checkpoint(path, network.network, info)


def description(model: ModelConfig) -> DepthAnythingConfig:
    """The network of a profile's `model` section: V2's on a DINOv2, or the decoder on another encoder.

    Of the section `encoder`, `encoder_weights`, `decoder_channels` and the shorter side of `input_size` count.

    Raises:
        ZDError: a ViT of no known size.
    """
    side = min(model.input_size)
    if model.encoder.startswith("vit_"):
        if model.encoder not in VIT_SIZES:
            raise ZDError(f"model.encoder: {model.encoder}: choose one of {', '.join(VIT_SIZES)}, or another network")
        described = vit(VIT_SIZES[model.encoder], 2)  # type: ignore[arg-type]
        return DepthAnythingConfig(**described, shortest_side=side)
    weights: Literal["none", "packaged"] = "packaged" if model.encoder_weights == "packaged" else "none"
    return DepthAnythingConfig(
        encoder=model.encoder, encoder_weights=weights, decoder_channels=model.decoder_channels, shortest_side=side
    )


# ----------------------------------------------------------------------------------------------------------- batches
class Frames(TrainingSet):
    """Labelled frames, then pseudo-labelled ones, each as its kind is trained on.

    An item of `TrainingSet` and `pseudo`, whether its depth is the teacher's; `box` int64 (4,), where it gets a part of
    another picture (see `draw_box`; zeros: nowhere). The depth belongs to the picture without box and other colours.

    Args:
        reader: where frames come from.
        numbers: of the frames in the reader, labelled ones first.
        recipe: unit and range.
        seed: of the random numbers, which depend on it, the epoch and the frame alone.
        options: of the method.
        labelled: how many of the frames are.
    """

    def __init__(self, reader: Any, numbers: np.ndarray, recipe: Any, seed: int, options: Options, labelled: int):
        super().__init__(reader, numbers, recipe, augment=False, seed=seed)
        self._options, self._labelled = options, labelled

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The item at `position`."""
        item = super().__getitem__(position)
        rng = np.random.default_rng([self.seed, self.epoch, item["index"]])
        pseudo, maps = position >= self._labelled, ("image", "depth", "mask")
        if self._options.crop:
            item |= _square({key: item[key] for key in maps}, rng)
        if not pseudo and rng.random() < 0.5:
            item |= {key: item[key].flip(-1) for key in maps}
        box = NO_BOX
        if pseudo and rng.random() < self._options.cutmix:
            box = draw_box(tuple(item["depth"].shape[-2:]), rng)
        if pseudo and self._options.perturb:
            changed = perturb(as_bytes(item["image"].numpy()), rng)
            item["image"] = torch.from_numpy(changed.transpose(2, 0, 1).astype(np.float32) / 255)
        del item["labels"]
        return {**item, "pseudo": torch.tensor(pseudo), "box": torch.tensor(box)}


def _square(maps: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    """The same random square of each map, as large as the shorter side."""
    height, width = maps["depth"].shape[-2:]
    side = min(height, width)
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    return {key: values[..., top : top + side, left : left + side].contiguous() for key, values in maps.items()}


class MixedBatches:
    """Positions of a student's batches: some labelled frames, then some pseudo-labelled ones; see `train.method.Order`.

    An epoch is one pass over the pseudo-labelled frames, up to what fills no whole batch. Labelled ones come round
    again in a new order as often as they are needed.

    Args:
        labelled, pseudo: how many frames there are; those with labels have the first positions.
        per_batch: labelled frames of a batch, of all processes together; `pseudo_per_batch` likewise.
        order: decides the order; an epoch draws from it.
    """

    def __init__(self, labelled: int, pseudo: int, per_batch: int, pseudo_per_batch: int, order: torch.Generator):
        self._counts, self._sizes, self._order = (labelled, pseudo), (per_batch, pseudo_per_batch), order
        self._process, self._processes = rank(), processes()
        self.skip = 0
        if not len(self):
            raise ZDError(f"train.batch_size: {pseudo} pseudo-labelled frames fill no batch: make it smaller")

    def __len__(self) -> int:
        return self._counts[1] // self._sizes[1]

    def __iter__(self) -> Iterator[list[int]]:
        (labelled, pseudo), (few, many) = self._counts, self._sizes
        rounds = -(-few * len(self) // labelled)
        first = torch.cat([torch.randperm(labelled, generator=self._order) for _ in range(rounds)]).tolist()
        second = (labelled + torch.randperm(pseudo, generator=self._order)).tolist()
        for number in range(self.skip, len(self)):
            parts = first[number * few : (number + 1) * few], second[number * many : (number + 1) * many]
            yield [position for part in parts for position in self._share(part)]

    def _share(self, part: list[int]) -> list[int]:
        """This process's."""
        first, last = (len(part) * (self._process + i) // self._processes for i in (0, 1))
        return part[first:last]


class Mixed(NamedTuple):
    """A batch's pictures, with boxes of each other; of the unlabelled ones, what is in the box and what counts."""

    images: Float[Tensor, "b 3 h w"]
    inside: Float[Tensor, "n 1 h w"]
    box: Bool[Tensor, "n 1 h w"]
    valid: Bool[Tensor, "n 1 h w"]


def mix(
    images: Float[Tensor, "b 3 h w"],
    target: Float[Tensor, "b 1 h w"],
    mask: Bool[Tensor, "b 1 h w"],
    boxes: Tensor,
    pseudo: Bool[Tensor, " b"],
) -> Mixed:
    """CutMix: into the box of each unlabelled picture comes what the one before it in the batch shows there.

    Args:
        images: of the batch, perturbed.
        target: labels of the pictures without boxes.
        mask: where they count.
        boxes: (b, 4), see `zdlib.train.perturbations.Box`.
        pseudo: which pictures are unlabelled; the others stay as they are.
    """
    own, other = images[pseudo], images[pseudo].roll(1, 0)
    rows, columns = (torch.arange(side, device=images.device) for side in own.shape[2:])
    top, bottom, left, right = boxes[pseudo].unbind(1) if len(own) else boxes.new_zeros(4, 0)
    in_rows = (rows >= top[:, None]) & (rows < bottom[:, None])
    in_columns = (columns >= left[:, None]) & (columns < right[:, None])
    box = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]  # n 1 h w
    images = images.clone()
    images[pseudo] = torch.where(box, other, own)
    valid = torch.where(box, mask[pseudo].roll(1, 0), mask[pseudo])
    return Mixed(images, target[pseudo].roll(1, 0), box, valid)


METHOD = DepthAnythingTraining
