"""Training: one run of a profile, from frames to a checkpoint."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from zdlib.config import Profile, TrainConfig
from zdlib.data.nyu import NYUReader, read_splits
from zdlib.data.training_set import TrainingSet
from zdlib.errors import ZDError
from zdlib.frames import frame_roles
from zdlib.io import write_csv
from zdlib.losses import ZoeDistillLoss, resize_to
from zdlib.metrics import depth_metrics
from zdlib.models import build_model
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.memory import keep_freed_memory
from zdlib.models.zoe import ZoeDepth
from zdlib.paths import RunPaths, resolve
from zdlib.recipes import Recipe


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves behind.

    Attributes:
        checkpoint: safetensors file with the weights that scored best on the selection frames.
        steps: one row a step: `step, epoch, lr, total, silog[, dice, focal], grad_norm`.
        validations: one row a validation: `step, epoch` and every depth metric; `best` marks the chosen one.
    """

    checkpoint: Path
    steps: pd.DataFrame
    validations: pd.DataFrame


def train(profile: Profile, run_name: str, paths: RunPaths | None = None) -> TrainResult:
    """Train `profile.runs[run_name]`; write `<run>.safetensors`, `<run>_steps.csv` and `<run>_validations.csv`.

    Two runs of a profile differ in nothing but their `RunConfig`: the same seed gives the encoder, the decoder and the
    metric head the same first weights with and without the segmentation head, and the same order and augmentation of
    frames. On a CPU the result is bitwise reproducible on one machine.

    Raises:
        ZDError: unknown run, unreadable data, or a loss that is not finite (its frames are named; nothing is saved).
    """
    if run_name not in profile.runs:
        raise ZDError(f"profiles/{profile.name}.yaml: no run {run_name!r}: choose one of {', '.join(profile.runs)}")
    run, config = profile.runs[run_name], profile.train
    recipe = run.settings
    paths = paths or RunPaths(profile.name)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()
    half = config.precision == "bf16" or (config.precision == "auto" and computes_in_bf16(device))

    reader = NYUReader(resolve(profile.data.nyu_mat), depth=recipe.depth_source)
    roles = frame_roles(
        recipe, read_splits(resolve(profile.data.nyu_splits)), reader.scenes, config.validation_fraction
    )
    train_set = TrainingSet(reader, roles.train, recipe, augment=True, seed=run.seed)
    selection_set = TrainingSet(reader, roles.selection, recipe, augment=False, seed=run.seed)

    _seed_everything(run.seed)
    model = build_model(profile.model, segmentation=run.seg_weight > 0).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own stub
    _seed_everything(run.seed)  # a segmentation head drew numbers that a control did not
    criterion = ZoeDistillLoss(recipe, run.seg_weight)
    loader = DataLoader(
        train_set,
        config.batch_size,
        shuffle=True,
        num_workers=config.workers,
        generator=torch.Generator().manual_seed(run.seed),
        pin_memory=device.type == "cuda",
    )
    optimizer, schedule = _optimisation(model, config, steps=config.epochs * len(loader))
    validate_at = _validation_steps(len(loader), config.validations_per_epoch)
    final = paths.checkpoints / f"{run_name}.safetensors"
    unfinished = final.with_suffix(".unfinished.safetensors")  # a crash keeps the best weights so far

    steps: list[dict[str, float]] = []
    validations: list[dict[str, float]] = []
    best = float("inf")
    with tqdm(total=config.epochs * len(train_set), unit="image", mininterval=1, smoothing=0.02) as bar:
        for epoch in range(1, config.epochs + 1):
            train_set.set_epoch(epoch)
            bar.set_description(f"{run_name}, epoch {epoch}/{config.epochs}")
            for number, batch in enumerate(loader, start=1):
                learning_rate = schedule.get_last_lr()[-1]
                parts = _step(model, criterion, optimizer, batch, config.clip_grad_norm, half, device, reader)
                schedule.step()
                steps.append({"step": len(steps) + 1, "epoch": epoch, "lr": float(learning_rate), **parts})
                bar.update(len(batch["index"]))
                bar.set_postfix({"loss": f"{parts['total']:.3f}"}, refresh=False)
                if number not in validate_at:
                    continue
                scores = validate(model, selection_set, recipe, config.batch_size, device)
                validations.append({"step": len(steps), "epoch": epoch, **scores})
                bar.set_postfix({"loss": f"{parts['total']:.3f}", "δ1": f"{scores['delta1']:.3f}"}, refresh=False)
                if scores["abs_rel"] < best:
                    best = scores["abs_rel"]
                    save_checkpoint(
                        unfinished,
                        model,
                        config=profile.model,
                        info={
                            "profile": profile.name,
                            "data": profile.data.nyu_name,
                            "run": run_name,
                            **run.model_dump(),
                            "precision": "bf16" if half else "fp32",
                            "train_frames": roles.train.tolist(),
                            "selection_frames": roles.selection.tolist(),
                            "selected_at": validations[-1],
                        },
                    )
    if not np.isfinite(best):
        raise ZDError(f"{final}: no validation gave a finite error: lower train.lr in profiles/{profile.name}.yaml")
    for row in validations:
        row["best"] = row["abs_rel"] == best
    result = TrainResult(final, pd.DataFrame(steps), pd.DataFrame(validations))
    write_csv(paths.checkpoints / f"{run_name}_steps.csv", result.steps)
    write_csv(paths.checkpoints / f"{run_name}_validations.csv", result.validations)
    unfinished.replace(final)
    return result


def validate(
    model: ZoeDepth, frames: TrainingSet, recipe: Recipe, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Mean depth metrics over `frames`, one forward pass an image, no flip and no crop (the trainer's validation).

    Depths are clamped to the recipe's range and compared in metres. The network sees pixel values up to
    `recipe.selection_input_range`. The model is left in train mode.
    """
    model.eval()
    rows = []
    with torch.inference_mode():
        for batch in DataLoader(frames, batch_size):
            images = batch["image"].to(device, memory_format=torch.channels_last) * recipe.selection_input_range
            predicted = model(images).metric_depth.float().cpu()
            predicted = resize_to(predicted, (batch["depth"].shape[-2], batch["depth"].shape[-1]))
            predicted = predicted.clamp(recipe.min_depth, recipe.max_depth)
            for prediction, target, mask in zip(predicted, batch["depth"], batch["mask"], strict=True):
                if mask.any():
                    scale = recipe.metres_per_unit
                    rows.append(
                        depth_metrics(prediction[0].numpy() * scale, target[0].numpy() * scale, mask[0].numpy())
                    )
    model.train()
    return {str(name): float(value) for name, value in pd.DataFrame(rows).mean().items()}


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the processor has instructions for bfloat16: without them it is emulated, slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _step(
    model: ZoeDepth,
    criterion: ZoeDistillLoss,
    optimizer: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    clip_grad_norm: float,
    half: bool,
    device: torch.device,
    reader: NYUReader,
) -> dict[str, float]:
    """One optimiser step, the network in bfloat16 if `half`; the losses and the gradient's norm before clipping."""
    batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
    images = batch["image"].contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        out = model(images)
    # The losses take logarithms of small differences: always in full precision.
    logits = None if out.segmentation is None else out.segmentation.float()
    losses = criterion(out.metric_depth.float(), logits, batch)
    if not torch.isfinite(losses["total"]):
        frames = ", ".join(str(i) for i in batch["index"].tolist())
        raise ZDError(f"{reader.path}: the loss is not finite on frames {frames}: inspect them, or lower train.lr")
    optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_grad_norm)
    optimizer.step()
    return {**{name: loss.item() for name, loss in losses.items()}, "grad_norm": norm.item()}


def _optimisation(
    model: ZoeDepth, config: TrainConfig, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with ZoeDepth's parameter groups under OneCycle (constant for 70 %, then a cosine to lr / 10⁴)."""
    groups = model.parameter_groups(config.lr, config.encoder_lr_factor)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in groups],
        total_steps=steps,
        pct_start=config.pct_start,
        div_factor=config.div_factor,
        final_div_factor=config.final_div_factor,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    return optimizer, schedule


def _validation_steps(steps_per_epoch: int, validations: int) -> set[int]:
    """Evenly spaced step numbers inside an epoch, its last one included."""
    return {max(1, round(steps_per_epoch * (i + 1) / validations)) for i in range(validations)}


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (third-party layers may still draw from the global generator)
    torch.manual_seed(seed)
