"""SGDepth and SGDEM: depth from three frames of a moving camera, guided by segmentation.

Loss: minimum reprojection with auto-mask over both neighbours and four scales, edge-aware smoothness (1e-3, halved per
scale), weighted cross-entropy of labelled stills in the same batch; then masking of what moves, and depth that does not
jump within a class. The weights kept are those of the lowest reprojection error on held-out clips: no depth is looked
at, but where it is known, its median-scaled errors are logged, as are the pose's and the classes'.

What the authors' code does and what it was meant to do are two sets of values (`options.variant`); each difference is
one field, and any of them may be set by itself:

| field | `published` | `corrected` |
|---|---|---|
| `late_factor` | 1e-4: the learning rate, passed as StepLR's *factor*, is 1e-8 from epoch 15 of 20 | 0.1 |
| `mask_from_late` | False: masks begin an epoch after the rate has fallen | True |
| `align_corners` | False: coordinates made for corners, sampled without | True |
| `pyramid` | bilinear: a small scale's image is made of every fourth or eighth pair of pixels | area |
| `consistency` | published: identically 0, its mask is two-valued where it looks for ids | corrected |
| `attention_in_pose` | True: the pose network shares the encoder's class | False |
| `patch_form` | published: a sum of structural differences over all pixels; every target counts | corrected |

`consistency`, `patches` and `attention` are SGDEM's: a run with none of them is SGDepth, one without `segmentation` is
monodepth2 on this network. Patches have one teacher, the network's own earlier self; SGDEM's second one, DPT, is not
here. A picture's target counts only where it explains the neighbours better than what it would replace (`corrected`;
the authors' rule for choosing is not public).
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from zdlib.cameras import depth_between, pose_vectors
from zdlib.config import Frozen, ModelConfig, RunConfig, TrainConfig
from zdlib.distributed import processes
from zdlib.errors import ZDError
from zdlib.losses.patches import patch_loss, published_patch_loss
from zdlib.losses.semantics import IGNORED, Consistency, consistency_loss, segmentation_loss
from zdlib.losses.video import Reprojection, Views, reprojection_losses, scale_loss
from zdlib.metrics.depth import depth_metrics
from zdlib.models.checkpoints import load_exactly
from zdlib.models.depth_model import Convention
from zdlib.models.sgdem.architecture import Attention, SGDEMArchitecture
from zdlib.models.sgdem.checkpoints import load_checkpoint, save_checkpoint
from zdlib.models.sgdem.depth_model import SGDEMDepthModel
from zdlib.models.sgdem.network import FIRST_BIAS, SGDEM
from zdlib.models.sgdem.training import Masking, PatchTeaching, VideoTraining, evaluating
from zdlib.train.method import Batch, Feed, Items, Network, Selection, Watch, check_options
from zdlib.train.sequences.clips import ClipSet, places
from zdlib.train.split import RunFrames
from zdlib.train.step import grey_image, prepare_network
from zdlib.train.training_set import Batches

LATE = 0.75  # share of the epochs before the rate falls and masks begin: 15 of 20
CLASSES = 20
Variant = Literal["published", "corrected"]
DIFFERENCES: dict[Variant, dict[str, Any]] = {
    "published": {
        "late_factor": 1e-4,
        "mask_from_late": False,
        "align_corners": False,
        "pyramid": "bilinear",
        "consistency": "published",
        "attention_in_pose": True,
        "patch_form": "published",
    },
    "corrected": {
        "late_factor": 0.1,
        "mask_from_late": True,
        "align_corners": True,
        "pyramid": "area",
        "consistency": "corrected",
        "attention_in_pose": False,
        "patch_form": "corrected",
    },
}


class Options(Frozen):
    """What a run of this method may set.

    Attributes:
        variant: where fields that are None get their values.
        late_factor … patch_form: see the module.
        segmentation: train a second decoder on labelled stills.
        masking: leave out what moves, by the segmentation.
        linear: the share of masked frames falls; else it is `constant_share`.
        consistency_weight: of depth within a class, on top of its own 10; 0 = SGDepth.
        consistency_from: share of the epochs after which that loss counts; SGDEM's code has it from the first step.
        patch_weight: of patch distillation; 0 = none.
        patch_from: share of the epochs after which the teacher is copied.
        patch_side: of a window, pixels of the network's input.
        attention: SGDEM's, between channels; `decoder` puts it where the figure has it, in 1 and 4 strips, scaled.
        clip_sets, still_sets: keys of the data sets that give clips, and labelled stills.
        nearest, farthest: depths of the sigmoid's ends, in the unit of the motions: of the two, the ratio alone says
            something about the scene.
        pose_encoder: a timm network, or `cnn`; None = as the encoder.
        decoder_channels: of the five levels, coarse to fine.
        first_bias: of the depth heads, before their sigmoid. The authors' 5 begins with everything near, where the
            sigmoid hardly has a slope; a short training needs a value from which near and far are both reached.
        pose_start: factor of the last pose layer's first weights and bias. The authors scale the weights of theirs, not
            the bias; monodepth2's seven convolutions (`cnn`) have an output times 0.01 instead, which also divides the
            speed of learning. Without any of it `cnn` begins with turns of five degrees, no pixel is explained better
            by a warp than without one, and the auto-mask leaves nothing to learn from.
        own_scale: compare each scale at its own size, as monodepth (v1) did: pixels of coarse scales span a motion from
            which fine ones have no gradient, and three scales cost a third of the finest.
    """

    variant: Variant = "corrected"
    late_factor: float | None = Field(default=None, gt=0)
    mask_from_late: bool | None = None
    align_corners: bool | None = None
    pyramid: Literal["area", "bilinear"] | None = None
    consistency: Consistency | None = None
    attention_in_pose: bool | None = None
    patch_form: Literal["published", "corrected"] | None = None
    segmentation: bool = True
    masking: bool = True
    linear: bool = True
    constant_share: float = Field(default=0.1, ge=0, le=1)
    consistency_weight: float = Field(default=0.0, ge=0)
    consistency_from: float = Field(default=0.0, ge=0, lt=1)
    patch_weight: float = Field(default=0.0, ge=0)
    patch_from: float = Field(default=0.5, ge=0, lt=1)
    patch_side: int = Field(default=128, ge=32)
    attention: Literal["none", "encoder", "decoder"] = "none"
    clip_sets: tuple[str, ...] = ("kitti_raw",)
    still_sets: tuple[str, ...] = ("cityscapes",)
    nearest: float = Field(default=0.1, gt=0)
    farthest: float = Field(default=100.0, gt=0)
    pose_encoder: str | None = None
    decoder_channels: tuple[int, int, int, int, int] = (256, 128, 64, 32, 16)
    first_bias: float = FIRST_BIAS
    pose_start: float = Field(default=1.0, gt=0, le=1)
    own_scale: bool = False

    def value(self, name: str) -> Any:
        """A field, or the variant's value of it."""
        given = getattr(self, name)
        return DIFFERENCES[self.variant][name] if given is None else given


class Video:
    """See `zdlib.train.method.Method`."""

    selection: ClassVar[Selection] = Selection("reprojection", "reprojection error")

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        options = check_options(Options, run)
        if any(side % 32 for side in model.input_size):
            raise ZDError(f"model.input_size {model.input_size}: sgdem needs multiples of 32: change it")
        if processes() > 1:
            raise ZDError("sgdem: the masks' threshold is of a whole epoch's clips: train it in one process")
        if not options.segmentation and options.consistency_weight:
            raise ZDError("runs: options: consistency_weight: is of depth within classes: set segmentation true")
        self._options, self._model, self._train, self._run = options, model, train, run
        self._clips = 0  # of an epoch, which `feed` counts
        self._late = round(LATE * train.epochs)  # the first epoch, from 0, at the low rate
        self._reprojection = Reprojection(
            align_corners=options.value("align_corners"),
            pyramid=options.value("pyramid"),
            own_scale=options.own_scale,
            nearest=options.nearest,
            farthest=options.farthest,
        )

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Clips, and with each a labelled still; the epoch goes with them."""
        items = self._items(frames, frames.roles.train, augment=True)
        self._clips = len(items)
        return Feed(items, Batches(len(items), self._train.batch_size, order, 0, 1))

    def selection_set(self, frames: RunFrames) -> ClipSet:
        """Held-out clips as they are, and held-out stills."""
        return self._items(frames, frames.roles.selection, augment=False)

    def _items(self, frames: RunFrames, numbers: Int64[np.ndarray, " n"], augment: bool) -> ClipSet:
        options = self._options
        stills = places(frames, numbers, options.still_sets, clips=False) if options.segmentation else []
        clips = places(frames, numbers, options.clip_sets, clips=True)
        extra = {"extra": lambda epoch: {"epoch": epoch - 1}} if augment else {}
        return ClipSet(clips, stills, self._model.input_size, augment, self._run.seed, **extra)

    def network(self, device: torch.device) -> VideoTraining:
        """Seeded weights, or ImageNet's where a package has them."""
        options = self._options
        network = SGDEM(self._architecture(), self._model.encoder_weights).to(device)
        prepare_network(network, _all_outputs)
        network.begin_at(options.first_bias)
        if options.pose_start != 1:
            network.pose.begin_small(options.pose_start)
        teaching = None
        if options.patch_weight:
            first = round(options.patch_from * self._train.epochs)
            # The authors' 128 and 48, in proportion.
            teaching = PatchTeaching(first, options.patch_side, 3 * options.patch_side // 8)
        training = VideoTraining(network, self._clips, self.masking(), self._reprojection, teaching)
        return training.to(device).train()

    def masking(self) -> Masking | None:
        """When clips are masked; None = never."""
        options, epochs, late = self._options, self._train.epochs, self._late
        if not (options.segmentation and options.masking):
            return None
        # As SGDepth, in proportion: 75, 50, 25, 0 % after epochs 15 to 18 of 20. Else the first epoch at the low rate
        # masks too: 80, 60, 40, 20, 0 % after epochs 14 to 18.
        first, steps = (late - 1, epochs - late) if options.value("mask_from_late") else (late, epochs - late - 1)
        return Masking(first, max(1, steps), options.linear, options.constant_share)

    def _architecture(self) -> SGDEMArchitecture:
        options, attention = self._options, None
        if options.attention == "encoder":
            attention = Attention(in_pose=options.value("attention_in_pose"))
        elif options.attention == "decoder":
            attention = Attention(where="decoder", strips=(1, 4), scaled=True)
        return SGDEMArchitecture(
            encoder=self._model.encoder,
            pose_encoder=options.pose_encoder or self._model.encoder,
            input_size=self._model.input_size,
            decoder_channels=options.decoder_channels,
            classes=CLASSES if options.segmentation else 0,
            gradient_scales=(0.9, 0.1) if options.segmentation else (1.0, 1.0),
            attention=attention,
        )

    def start_from(self, network: VideoTraining, path: Path) -> None:
        """Weights of the same network."""
        load_exactly(network.network, load_checkpoint(path)[0].state_dict(), str(path))

    def optimisation(
        self, network: VideoTraining, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Adam without decay of weights; the rate falls once, by `late_factor`."""
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(parameters, self._train.lr)
        per_epoch = max(1, steps // self._train.epochs)
        factor = self._options.value("late_factor")
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: factor if step // per_epoch >= self._late else 1.0
        )
        return optimizer, schedule

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """`total`, and its parts without weights; `masked`: share of this batch's clips that lost pixels.

        A part is 0 in epochs before its own begin.
        """
        options, epoch = self._options, int(batch["epoch"][0])
        consistent = options.consistency_weight > 0 and epoch >= round(options.consistency_from * self._train.epochs)
        out = network(
            batch["seen"],
            before=batch["seen_before"],
            after=batch["seen_after"],
            intrinsics=batch["intrinsics"],
            still=batch.get("still"),
            epoch=epoch,
            classify=consistent,
        )
        views = Views(batch["image"], [batch["before"], batch["after"]], batch["intrinsics"], out["poses"])
        disparities, keep = [disparity.float() for disparity in out["disparities"]], out["keep"]
        reprojection, smoothness = reprojection_losses(disparities, views, self._reprojection, keep)
        parts = {"reprojection": reprojection.mean(), "smoothness": smoothness.mean()}
        total = parts["reprojection"] + parts["smoothness"]
        if out["logits"] is not None:
            parts["segmentation"] = segmentation_loss(out["logits"].float(), batch["labels"])
            total = total + parts["segmentation"]
        if options.consistency_weight:
            none = total.new_zeros(())  # before its time, so that every step's log has the same columns
            form = options.value("consistency")
            parts["consistency"] = consistency_loss(disparities[0], out["classes"], form) if consistent else none
            total = total + options.consistency_weight * parts["consistency"]
        if options.patch_weight:
            parts["patches"] = self._patch_loss(disparities[0], out["patches"], views, keep)
            total = total + options.patch_weight * parts["patches"]
        if options.segmentation and options.masking:
            lost = total.new_zeros(()) if keep is None else (keep == 0).flatten(1).any(1).float().mean()
            parts["masked"] = lost
        return {"total": total, **{name: value.detach() for name, value in parts.items()}}

    def _patch_loss(
        self, disparity: Tensor, pasted: tuple[Tensor, Tensor] | None, views: Views, keep: Tensor | None
    ) -> Float[Tensor, ""]:
        """Towards the teacher's windows, in the pictures where they explain the neighbours better."""
        if pasted is None or not pasted[1].any():
            return disparity.sum() * 0
        target, union = pasted
        if keep is not None:
            disparity, target = disparity * keep, target * keep
        if self._options.value("patch_form") == "published":
            side = self._options.patch_side
            counts = [max(1, round(int(u.sum()) / side**2)) for u in union]
            return published_patch_loss(disparity, target, counts, side)
        with torch.no_grad():
            errors = [scale_loss(d, views, self._reprojection)[0] * union for d in (pasted[0], disparity)]
            better = errors[0].sum((1, 2, 3)) < errors[1].sum((1, 2, 3))
        chosen = better[:, None, None, None]
        return patch_loss(disparity, torch.where(chosen, target, disparity.detach()), union & chosen)

    # ------------------------------------------------------------------------------------------------- validation
    def validate(
        self, network: VideoTraining, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """Reprojection error at the finest scale; where known: median-scaled AbsRel and δ1, pose, mean IoU."""
        assert isinstance(items, ClipSet)
        rows, counts = [], np.zeros((CLASSES, CLASSES), np.int64)
        model = self.depth_model(network)
        for position in range(len(items)):
            item = items[position]
            batch = {key: value[None].to(device) for key, value in item.items() if isinstance(value, Tensor)}
            with model.inference("fp32"), evaluating(network):
                frames = (batch["image"], batch["before"], batch["after"], batch["intrinsics"])
                out = network(*frames, batch.get("still"))
                views = Views(batch["image"], [batch["before"], batch["after"]], batch["intrinsics"], out["poses"])
                error, _ = scale_loss(out["disparities"][0], views, self._reprojection)
            row = {"reprojection": error.mean().item()}
            clip = items.clip(position)
            if clip.poses is not None:
                row |= pose_errors(out["poses"], clip.poses)
            if out["logits"] is not None:
                _count(counts, out["logits"].argmax(1), batch["labels"])
            if clip.depth is not None:
                scores, scaled, valid = self._depth_scores(out["disparities"][0], clip.depth)
                row |= scores
                if watch is not None:
                    watch(position, item["image"], clip.depth, scaled, valid)
            rows.append(row)
        means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in rows[0]}
        return means | ({"miou": _mean_iou(counts)} if counts.any() else {})

    def _depth_scores(self, disparity: Tensor, true: np.ndarray) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
        inverse, _ = depth_between(disparity.float(), self._options.nearest, self._options.farthest)
        full = F.interpolate(inverse, true.shape, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()
        valid = (true > 0) & (true < 80)
        depth = 1 / full
        scaled = np.clip(depth * np.median(true[valid]) / np.median(depth[valid]), 1e-3, 80).astype(np.float32)
        scores = depth_metrics(scaled, true, valid)
        return {name: scores[name] for name in ("abs_rel", "delta1")}, scaled, valid

    def depth_model(self, network: VideoTraining) -> SGDEMDepthModel:
        """Inverse depth up to a scale."""
        return SGDEMDepthModel(network.network, Convention(kind="relative", void="ignore"), self.info())

    def info(self) -> dict[str, Any]:
        """The options, and the variant's values of those that were left open."""
        options = self._options
        return {"options": options.model_dump(mode="json") | {k: options.value(k) for k in DIFFERENCES["published"]}}

    def save(self, path: Path, network: VideoTraining, info: dict[str, Any]) -> None:
        """A checkpoint of the family: the network alone."""
        save_checkpoint(path, network.network, info)


def pose_errors(poses: list[Tensor], true: Float[np.ndarray, "3 4 4"]) -> dict[str, float]:
    """Degrees between true and found turns, and between true and found directions of motion; means of both neighbours.

    A direction is not compared where the camera moves less than a centimetre.
    """
    turns, directions = [], []
    for found, camera in zip(poses, (true[0], true[2]), strict=True):
        wanted = torch.from_numpy(np.linalg.inv(camera))[None]
        rest = found.double().cpu() @ torch.linalg.inv(wanted)
        turns.append(float(torch.rad2deg(pose_vectors(rest)[0].norm())))
        a, b = found[0, :3, 3].double().cpu(), wanted[0, :3, 3]
        if b.norm() > 0.01:
            cosine = float(a @ b / (a.norm() * b.norm()).clamp(min=1e-12))
            directions.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))
    errors = {"turn_error": float(np.mean(turns))}
    return errors | ({"direction_error": float(np.mean(directions))} if directions else {})


def _count(counts: Int64[np.ndarray, "c c"], found: Tensor, labels: Tensor) -> None:
    """Add a picture's pixels to true class × found class."""
    scored = labels != IGNORED
    pairs = labels[scored] * CLASSES + found[scored]
    counts += np.bincount(pairs.cpu().numpy(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def _mean_iou(counts: Int64[np.ndarray, "c c"]) -> float:
    """Mean over the classes that occur."""
    inter = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - inter
    return float((inter / np.maximum(union, 1))[counts.sum(1) > 0].mean())


def _all_outputs(network: SGDEM) -> Tensor:
    """The sum of everything that a loss sees, on one image."""
    image = grey_image(network.config.input_size, next(network.parameters()).device)
    out = network(image, -1)
    turn, shift = network.motion(image, image)
    parts = [*out.disparities, turn, shift, *(() if out.logits is None else (out.logits,))]
    return torch.stack([part.sum() for part in parts]).sum()


METHOD = Video
