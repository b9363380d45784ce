"""Training: one run of a profile, from frames to a checkpoint, on one process or (`accelerate launch`) several."""

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from zdlib.config import Profile, RunConfig, TrainConfig
from zdlib.distributed import gather, largest, processes
from zdlib.errors import ZDError
from zdlib.files import atomic_path, write_csv
from zdlib.geometry import resize
from zdlib.metrics.depth import depth_metrics
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.factory import build_model
from zdlib.models.memory import keep_freed_memory
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import ZoeDepth
from zdlib.paths import RunPaths
from zdlib.recipes import Recipe
from zdlib.train.progress import Live
from zdlib.train.resume import (
    SaveClock,
    Start,
    States,
    Stopped,
    StopSignals,
    first_difference,
    identity,
    is_finished,
    mark_finished,
    random_state,
    restore_random_state,
)
from zdlib.train.setup import open_frames
from zdlib.train.step import (
    chosen_precision,
    deterministic_algorithms,
    make_trainer,
    prepare_network,
    refuse_sharding,
)
from zdlib.train.training_set import Batches, TrainingSet


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


def train(profile: Profile, run_name: str, paths: RunPaths | None = None, start: Start | None = None) -> TrainResult:
    """Train `profile.runs[run_name]`; write `<run>.safetensors`, `<run>_steps.csv` and `<run>_validations.csv`.

    Two runs of a profile differ in nothing but their `RunConfig`: the same seed gives the encoder, the decoder and the
    metric head the same first weights with and without the segmentation head, and the same order and augmentation of
    frames. On a CPU the result is bitwise reproducible on one machine and number of threads, however often the run was
    killed and resumed. Of a run that has ended, `<run>_training.json` keeps what it was made from. `<run>_tensorboard/`
    is to be looked at while it trains (see `zdlib.train.progress`) and no part of that promise.

    Args:
        profile: what to train.
        run_name: the key in its `runs`.
        paths: where to write; default: `results/<profile>/`.
        start: `auto` reuses a run that has ended with the same profile, data and code, resumes one that was stopped,
            and else begins; `resume` is the same, but an unfinished run that was another's is an error; `fresh` begins
            in any case. Default: the environment's ZD_TRAIN, else `auto`.

    Raises:
        ZDError: unknown run, parameters to be sharded, unreadable data, an unfinished run that cannot be resumed, or a
            loss or gradient that is not finite (its frames are named; no weights of that step are saved).
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    if run_name not in profile.runs:
        raise ZDError(f"profiles/{profile.name}.yaml: no run {run_name!r}: choose one of {', '.join(profile.runs)}")
    start = start or _start_of_environment()
    run, config = profile.runs[run_name], profile.train
    recipe = run.settings
    paths = paths or RunPaths(profile.name)
    # Accelerate finds the processes and wraps the model for them; precision and loader are ours.
    accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())
    refuse_sharding(accelerator.distributed_type)
    device, main = accelerator.device, accelerator.is_main_process
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()
    precision = chosen_precision(config, device)

    final = paths.checkpoints / f"{run_name}.safetensors"
    logs = [paths.checkpoints / f"{run_name}_{kind}.csv" for kind in ("steps", "validations")]
    record = paths.checkpoints / f"{run_name}_training.json"
    states = States(paths.checkpoints / f"{run_name}.unfinished")
    made_from = identity(
        profile, run_name, {"precision": precision, "device": device.type, "processes": accelerator.num_processes}
    )
    if start != "fresh" and is_finished(record, made_from):
        return _reuse(run_name, final, logs, main)
    if main:
        record.unlink(missing_ok=True)
        if start == "fresh":
            states.clear()
    accelerator.wait_for_everyone()
    state = _state_to_resume(run_name, states, made_from, start, main)

    frames = open_frames(profile, run, made_from.get("content of data.train.0.root"))
    reader, roles = frames.reader, frames.roles
    train_set = TrainingSet(reader, roles.train, recipe, augment=True, seed=run.seed)
    selection_set = TrainingSet(reader, roles.selection, recipe, augment=False, seed=run.seed)
    _check_shares(len(train_set), config, accelerator.num_processes)

    model = build_network(profile, run, device)
    # A segmentation head drew numbers that a control did not; and each process drops its own paths.
    _seed_everything(run.seed + accelerator.process_index)
    order = torch.Generator().manual_seed(run.seed)
    batches = Batches(len(train_set), config.batch_size, order, accelerator.process_index, accelerator.num_processes)
    loader = DataLoader(
        train_set,
        batch_sampler=batches,
        num_workers=config.workers,
        generator=order,
        pin_memory=device.type == "cuda",
    )
    total = config.epochs * len(batches)
    trainer = make_trainer(
        model, recipe, run.seg_weight, config, steps=total, accelerator=accelerator, source=reader.path
    )
    progress = Progress()
    if state is not None:
        trainer.restore(state["trainer"])
        progress = Progress(**state["progress"])
        order.set_state(progress.order)
        restore_random_state(state["random"][accelerator.process_index])
        del state

    def save() -> None:
        began = time.monotonic()
        generators = gather([random_state()])
        live.flush()
        if main:
            content = {"identity": made_from, "progress": vars(progress), "trainer": trainer.state()}
            states.save(len(progress.steps), {**content, "random": generators}, progress.best_step)
        clock.saved(began)

    validate_at = _validation_steps(len(batches), config.validations_per_epoch)
    clock = SaveClock(config.save_minutes)
    done = (progress.epoch - 1) * len(train_set) + min(progress.batch * config.batch_size, len(train_set))
    live = Live(
        paths.checkpoints / f"{run_name}_tensorboard",
        run_name,
        epochs=config.epochs,
        images=config.epochs * len(train_set),
        done=done,
        step=len(progress.steps),
        delta1=progress.validations[-1]["delta1"] if progress.validations else None,
        first=main,
    )
    with deterministic_algorithms(config.deterministic), StopSignals() as stop, live:
        for epoch in range(progress.epoch, config.epochs + 1):
            train_set.set_epoch(epoch)
            live.epoch(epoch)
            batches.skip, progress.epoch, progress.order = progress.batch, epoch, order.get_state()
            for number, batch in enumerate(loader, start=batches.skip + 1):
                progress.batch = number
                learning_rate = trainer.schedule.get_last_lr()[-1]
                parts = trainer.step(batch)
                step = len(progress.steps) + 1
                progress.steps.append({"step": step, "epoch": epoch, "lr": float(learning_rate), **parts})
                live.step(progress.steps[-1], len(batch["index"]) * processes())
                if number in validate_at:
                    scores = validate(model, selection_set, recipe, config.batch_size, device, live.watch)
                    progress.validations.append({"step": step, "epoch": epoch, **scores})
                    live.validation(progress.validations[-1])
                    if scores["abs_rel"] < progress.best:
                        progress.best, progress.best_step = scores["abs_rel"], step
                        info = {
                            "profile": profile.name,
                            "data": profile.data.nyu.title,
                            "run": run_name,
                            **run.model_dump(),
                            "convention": Convention.of(recipe).model_dump(),
                            "precision": precision,
                            "train_frames": roles.train.tolist(),
                            "selection_frames": roles.selection.tolist(),
                            "selected_at": progress.validations[-1],
                        }
                        if main:
                            save_checkpoint(states.best(step), model, config=profile.model, info=info)
                asked = largest(stop.number, device)
                if asked or largest(main and clock.due, device):
                    save()
                if asked:
                    raise Stopped(f"{run_name}: stopped and saved at step {step}; the same command continues", asked)
            progress.batch = 0

    if progress.best_step is None:
        raise ZDError(f"{final}: no validation gave a finite error: lower train.lr in profiles/{profile.name}.yaml")
    for row in progress.validations:
        row["best"] = row["abs_rel"] == progress.best
    result = TrainResult(final, pd.DataFrame(progress.steps), pd.DataFrame(progress.validations))
    if main:
        for path, log in zip(logs, (result.steps, result.validations), strict=True):
            write_csv(path, log)
        with atomic_path(final) as temporary:
            shutil.copyfile(states.best(progress.best_step), temporary)
        mark_finished(record, made_from, [final, *logs])
        states.clear()
    accelerator.wait_for_everyone()
    return result


def build_network(profile: Profile, run: RunConfig, device: torch.device) -> ZoeDepth:
    """The network of a run as it begins: seeded weights, and what the run leaves out frozen."""
    _seed_everything(run.seed)
    model = build_model(profile.model, segmentation=run.seg_weight > 0).to(device)
    prepare_network(model)
    if profile.train.checkpoint_activations:
        model.encoder.recompute_blocks()
    if model.unet is not None:
        model.unet.detach = run.detach_features
    if run.freeze_encoder:
        model.encoder.requires_grad_(False)
    return model


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: the present one, from 1.
        batch: steps done in it.
        order: state of the generator of the frames' order when the epoch began.
        steps, validations: the logs so far.
        best: lowest AbsRel so far; `best_step`: where.
    """

    epoch: int = 1
    batch: int = 0
    order: Tensor = field(default_factory=lambda: torch.empty(0))
    steps: list[dict[str, float | int]] = field(default_factory=list)
    validations: list[dict[str, float | int]] = field(default_factory=list)
    best: float = float("inf")
    best_step: int | None = None


def validate(
    model: ZoeDepth,
    frames: TrainingSet,
    recipe: Recipe,
    batch_size: int,
    device: torch.device,
    watch: Callable[[int, Tensor, np.ndarray, np.ndarray, np.ndarray], None] | None = None,
) -> dict[str, float]:
    """Mean depth metrics over `frames`, one forward pass an image, no flip and no crop (the trainer's validation).

    Depths are clamped to the recipe's range and compared in metres. The network sees pixel values up to
    `recipe.selection_input_range`. The model is left in train mode. Processes take whole batches in turn, so that the
    result does not depend on their number. `watch` is shown each frame by the process that predicts it: its position,
    the image, true and predicted depth in metres, and where the true one is valid.
    """
    # The data set has squeezed its images already.
    depth_model = ZoeDepthModel(model, Convention.of(recipe).model_copy(update={"portrait_resize": False}))
    low, high = (limit * recipe.metres_per_unit for limit in (recipe.min_depth, recipe.max_depth))
    rows = []
    first, every = (dist.get_rank(), processes()) if processes() > 1 else (0, 1)
    batches = [list(range(len(frames)))[i : i + batch_size] for i in range(0, len(frames), batch_size)]
    for number, batch in enumerate(DataLoader(frames, batch_sampler=batches[first::every])):
        images = batch["image"].to(device, memory_format=torch.channels_last) * recipe.selection_input_range
        predicted = depth_model.depth(images, Inference(flip=False)).cpu()
        predicted = resize(predicted, (batch["depth"].shape[-2], batch["depth"].shape[-1])).clamp(low, high)
        for place, (prediction, target, mask) in enumerate(
            zip(predicted, batch["depth"], batch["mask"], strict=True), start=(first + number * every) * batch_size
        ):
            if mask.any():
                found, true = prediction[0].numpy(), target[0].numpy() * recipe.metres_per_unit
                rows.append((first + number * every, depth_metrics(found, true, mask[0].numpy())))
                if watch is not None:
                    watch(place, batch["image"][place % batch_size], true, found, mask[0].numpy())
    in_order = [scores for _, scores in sorted(gather(rows), key=lambda row: row[0])]  # stable: frames keep theirs
    return {str(name): float(value) for name, value in pd.DataFrame(in_order).mean().items()}


def _start_of_environment() -> Start:
    value = os.environ.get("ZD_TRAIN", "auto")
    if value not in get_args(Start):
        raise ZDError(f"ZD_TRAIN={value}: set it to {', '.join(get_args(Start))}, or not at all")
    return value  # type: ignore[return-value]


def _reuse(run_name: str, final: Path, logs: list[Path], main: bool) -> TrainResult:
    """The result of a run that has ended; its files count as written now."""
    if main:
        print(
            f"{run_name}: already trained with this profile, data and code; {final.name} is reused, not trained again. "
            "To train again: ./run_all.sh --force training, or ZD_TRAIN=fresh"
        )
        for path in (final, *logs):
            path.touch()
    return TrainResult(final, *(pd.read_csv(path) for path in logs))


def _state_to_resume(
    run_name: str, states: States, made_from: dict[str, str], start: Start, main: bool
) -> dict[str, Any] | None:
    state = states.load()
    if state is None:
        return None
    difference = first_difference(made_from, state["identity"])
    step = len(state["progress"]["steps"])
    if difference is None:
        if main:
            print(f"{run_name}: continues after step {step} of an unfinished run")
        return state
    if start == "resume":
        raise ZDError(
            f"{states.folder}: cannot be resumed: {difference}: undo that, or train afresh (--fresh, ZD_TRAIN=fresh)"
        )
    if main:
        print(f"{run_name}: begins; an unfinished run that differs is now in {states.set_aside().name}: {difference}")
    return None


def _check_shares(frames: int, config: TrainConfig, processes: int) -> None:
    """Every part of every batch needs a frame on every process."""
    smallest = min(config.batch_size, frames % config.batch_size or config.batch_size)
    if smallest < processes * config.accumulate:
        raise ZDError(
            f"train.batch_size {config.batch_size}: of {frames} frames the smallest batch has {smallest}, for "
            f"{processes} processes and {config.accumulate} parts each: choose another batch_size"
        )


def _validation_steps(steps_per_epoch: int, validations: int) -> set[int]:
    """Evenly spaced step numbers inside an epoch, its last one included."""
    return {max(1, round(steps_per_epoch * (i + 1) / validations)) for i in range(validations)}


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (third-party layers may still draw from the global generator)
    torch.manual_seed(seed)
