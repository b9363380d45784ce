"""The training loop: one run of a profile, from its first step to a checkpoint.

It knows steps, epochs, validations, states and signals. What is trained on what with which loss is the run's
method's business (`zdlib.train.method`).
"""

import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from zdlib.config import Profile
from zdlib.distributed import gather, is_first, join, largest, processes, rank, wait
from zdlib.errors import ZDError
from zdlib.files import atomic_path, write_csv
from zdlib.gates.locks import only_process
from zdlib.paths import RunPaths
from zdlib.train.frames import open_frames
from zdlib.train.method import Batch, Selection, find_method
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
from zdlib.train.setup import Setup, set_up
from zdlib.train.step import chosen_precision, deterministic_algorithms


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves behind.

    Attributes:
        checkpoint: safetensors file with the weights that scored best on the selection frames.
        steps: one row per step: `step, epoch, lr, total`, the loss's parts, `grad_norm`.
        validations: one row per validation: `step, epoch` and every metric; `best` marks the chosen one.
        selection: how it was chosen.
    """

    checkpoint: Path
    steps: pd.DataFrame
    validations: pd.DataFrame
    selection: Selection

    def __str__(self) -> str:
        best = self.validations[self.validations["best"]].iloc[0]
        score = f"{self.selection.title} {best[self.selection.metric]:.4f}"
        return f"{self.checkpoint}: {score} on the selection frames, step {best['step']:.0f}"


@dataclass(frozen=True)
class RunFiles:
    """The files of a run.

    Attributes:
        folder: where they are.
        run: its name.
    """

    folder: Path
    run: str

    @property
    def weights(self) -> Path:
        """The checkpoint."""
        return self.folder / f"{self.run}.safetensors"

    @property
    def logs(self) -> list[Path]:
        """Those of steps and validations."""
        return [self.folder / f"{self.run}_{kind}.csv" for kind in ("steps", "validations")]

    @property
    def record(self) -> Path:
        """What a run that has ended was made from."""
        return self.folder / f"{self.run}_training.json"

    @property
    def states(self) -> Path:
        """The folder of an unfinished run."""
        return self.folder / f"{self.run}.unfinished"

    @property
    def lock(self) -> Path:
        """Who trains it now."""
        return self.folder / f"{self.run}.lock"

    @property
    def tensorboard(self) -> Path:
        """The folder of the live view."""
        return self.folder / f"{self.run}_tensorboard"


def train(profile: Profile, run_name: str, paths: RunPaths | None = None, start: Start | None = None) -> TrainResult:
    """Train a run of a profile; write `<run>.safetensors`, `<run>_steps.csv` and `<run>_validations.csv`.

    Two runs of a profile differ in nothing but their `RunConfig`: the same seed gives the encoder, the
    decoder and the metric head the same first weights with and without the segmentation head, and the same
    order and augmentation of frames. On a CPU the result is bitwise reproducible on one machine and number of
    threads, however often the run was killed and resumed. Of a run that has ended, `<run>_training.json`
    keeps what it was made from. `<run>_tensorboard/` is to be looked at while it trains (see
    `zdlib.train.progress`) and no part of that promise.

    Args:
        profile: what to train.
        run_name: the key in its `runs`.
        paths: where to write; default: `results/<profile>/`.
        start: `auto` reuses a run that has ended with the same profile, data and code, resumes one that was
            stopped, and else begins; `resume` is the same, but an unfinished run that was another's is an
            error; `fresh` begins in any case. Default: the environment's ZD_TRAIN, else `auto`.

    Raises:
        ZDError: unknown run or method, unreadable data, an unfinished run that cannot be resumed, or a loss
            or gradient that is not finite (its frames are named; no weights of that step are saved).
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    if run_name not in profile.runs:
        raise ZDError(f"profiles/{profile.name}.yaml: no run {run_name!r}: choose one of {', '.join(profile.runs)}")
    run, start = profile.runs[run_name], start or _start_of_environment()
    selection = find_method(profile, run).selection
    files = RunFiles((paths or RunPaths(profile.name)).checkpoints, run_name)
    device = join()
    with only_process(files.lock, f"run {run_name} is trained") if is_first() else nullcontext():
        return _train(profile, run_name, files, start, device, selection)


def _train(
    profile: Profile, run_name: str, files: RunFiles, start: Start, device: torch.device, selection: Selection
) -> TrainResult:
    """As `train`, with everything named and nobody else at it."""
    run = profile.runs[run_name]
    machine = {"precision": chosen_precision(profile.train, device), "device": device.type, "processes": processes()}
    made_from = identity(profile, run_name, machine)
    if start != "fresh" and is_finished(files.record, made_from):
        return _reuse(files, selection)
    states = States(files.states)
    if is_first():
        files.record.unlink(missing_ok=True)
        if start == "fresh":
            states.clear()
    wait()
    state = _state_to_resume(run_name, states, made_from, start)
    frames = open_frames(profile, run, made_from.get("content of data.train.0.root"))
    loop = Loop(set_up(profile, run, frames, device), files, states, made_from)
    if state is not None:
        loop.restore(state)
        del state
    loop.run()
    return loop.finish()


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: the present one, from 1.
        batch: steps done in it.
        order: state of the generator of the frames' order when the epoch began.
        steps, validations: the logs so far.
        best: the best score so far; `best_step`: where.
    """

    epoch: int = 1
    batch: int = 0
    order: Tensor = field(default_factory=lambda: torch.empty(0))
    steps: list[dict[str, float | int]] = field(default_factory=list)
    validations: list[dict[str, float | int]] = field(default_factory=list)
    best: float | None = None
    best_step: int | None = None


class Loop:
    """A run under way.

    Args:
        setup: what trains.
        files: what it writes when it has ended.
        states: what it writes until then.
        made_from: the run's identity, written into both.
    """

    def __init__(self, setup: Setup, files: RunFiles, states: States, made_from: Mapping[str, str]):
        self.progress = Progress()
        self._setup, self._config, self._files = setup, setup.profile.train, files
        self._states, self._made_from = states, made_from
        self._clock = SaveClock(self._config.save_minutes)
        self._validate_at = _validation_steps(len(setup.feed.order), self._config.validations_per_epoch)
        self._loader: DataLoader[Batch] = DataLoader(
            setup.feed.items,  # type: ignore[arg-type]  # no subclass of Dataset, and none is needed
            batch_sampler=setup.feed.order,
            num_workers=self._config.workers,
            generator=setup.order,
            pin_memory=setup.trainer.device.type == "cuda",
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Be where the loop was that saved `state`."""
        self._setup.trainer.restore(state["trainer"])
        self.progress = Progress(**state["progress"])
        self._setup.order.set_state(self.progress.order)
        restore_random_state(state["random"][rank()])

    def run(self) -> None:
        """Train all epochs that are left.

        Raises:
            ZDError: a loss or a gradient is not finite.
            Stopped: a signal came; the state is saved.
        """
        self._clock = SaveClock(self._config.save_minutes)
        with deterministic_algorithms(self._config.deterministic), StopSignals() as stop, self._live_view() as live:
            for epoch in range(self.progress.epoch, self._config.epochs + 1):
                self._epoch(epoch, live, stop)

    def finish(self) -> TrainResult:
        """Write the logs and the best weights, and forget the states.

        Raises:
            ZDError: there are no best weights.
        """
        progress, files, selection = self.progress, self._files, self._setup.method.selection
        if progress.best_step is None:
            name = self._setup.profile.name
            raise ZDError(f"{files.weights}: no validation gave a finite error: lower train.lr in profiles/{name}.yaml")
        for row in progress.validations:
            row["best"] = row[selection.metric] == progress.best
        result = TrainResult(files.weights, pd.DataFrame(progress.steps), pd.DataFrame(progress.validations), selection)
        if is_first():
            for path, log in zip(files.logs, (result.steps, result.validations), strict=True):
                write_csv(path, log)
            with atomic_path(files.weights) as temporary:
                self._states.copy_best(progress.best_step, temporary)
            mark_finished(files.record, self._made_from, [files.weights, *files.logs])
            self._states.clear()
        wait()
        return result

    def _epoch(self, epoch: int, live: Live, stop: StopSignals) -> None:
        feed, progress = self._setup.feed, self.progress
        feed.items.set_epoch(epoch)
        live.epoch(epoch)
        feed.order.skip, progress.epoch, progress.order = progress.batch, epoch, self._setup.order.get_state()
        for number, batch in enumerate(self._loader, start=feed.order.skip + 1):
            progress.batch = number
            self._step(batch, live)
            if number in self._validate_at:
                self._validate(live)
            self._save_or_stop(live, stop)
        progress.batch = 0

    def _step(self, batch: Batch, live: Live) -> None:
        trainer, steps = self._setup.trainer, self.progress.steps
        learning_rate = trainer.schedule.get_last_lr()[-1]
        parts = trainer.step(batch)
        steps.append({"step": len(steps) + 1, "epoch": self.progress.epoch, "lr": float(learning_rate), **parts})
        live.step(steps[-1], len(batch["index"]) * processes())

    def _validate(self, live: Live) -> None:
        """Score the selection frames, and keep the weights if they are the best so far."""
        method, progress, step = self._setup.method, self.progress, len(self.progress.steps)
        progress.validations.append({"step": step, "epoch": progress.epoch, **self._setup.validate(live.watch)})
        live.validation(progress.validations[-1])
        score = progress.validations[-1][method.selection.metric]
        if method.selection.prefers(score, progress.best):
            progress.best, progress.best_step = score, step
            if is_first():
                method.save(self._states.best(step), self._setup.network, self._info())
                self._states.sealed(step)

    def _info(self) -> dict[str, Any]:
        """What the checkpoint says of its training."""
        setup, roles = self._setup, self._setup.frames.roles
        return {
            "profile": setup.profile.name,
            "data": setup.frames.title,
            "sets": [vars(used) for used in setup.frames.sets],
            "run": self._files.run,
            **setup.run.model_dump(include={"title", "method", "recipe", "seed"}),
            **setup.method.info(),
            "convention": setup.method.depth_model(setup.network).convention.model_dump(),
            "precision": setup.trainer.precision,
            "train_frames": roles.train.tolist(),
            "selection_frames": roles.selection.tolist(),
            "selected_at": self.progress.validations[-1],
        }

    def _save_or_stop(self, live: Live, stop: StopSignals) -> None:
        """Save the state if it is time to, or if a signal came: then the training ends here."""
        device = self._setup.trainer.device
        number = largest(stop.number, device)
        if number or largest(is_first() and self._clock.due, device):
            self._save(live)
        if number:
            step = len(self.progress.steps)
            raise Stopped(f"{self._files.run}: stopped and saved at step {step}; the same command continues", number)

    def _save(self, live: Live) -> None:
        began = time.monotonic()
        generators = gather([random_state()])
        live.flush()
        if is_first():
            trainer, progress = self._setup.trainer.state(), self.progress
            content = {"identity": self._made_from, "progress": vars(progress), "trainer": trainer}
            self._states.save(len(progress.steps), {**content, "random": generators}, progress.best_step)
        self._clock.saved(began)

    def _live_view(self) -> Live:
        progress, config, images = self.progress, self._config, len(self._setup.feed.items)
        done = (progress.epoch - 1) * images + min(progress.batch * config.batch_size, images)
        return Live(
            self._files.tensorboard,
            self._files.run,
            epochs=config.epochs,
            images=config.epochs * images,
            done=done,
            step=len(progress.steps),
            delta1=progress.validations[-1].get("delta1") if progress.validations else None,
            first=is_first(),
        )


def _start_of_environment() -> Start:
    value = os.environ.get("ZD_TRAIN", "auto")
    if value not in get_args(Start):
        raise ZDError(f"ZD_TRAIN={value}: set it to {', '.join(get_args(Start))}, or not at all")
    return value  # type: ignore[return-value]


def _reuse(files: RunFiles, selection: Selection) -> TrainResult:
    """The result of a run that has ended; its files count as written now."""
    if is_first():
        print(
            f"{files.run}: already trained with this profile, data and code; {files.weights.name} is reused, not "
            "trained again. To train again: ./run_all.sh --force training, or ZD_TRAIN=fresh"
        )
        for path in (files.weights, *files.logs):
            path.touch()
    steps, validations = (pd.read_csv(path) for path in files.logs)
    return TrainResult(files.weights, steps, validations, selection)


def _state_to_resume(
    run_name: str, states: States, made_from: Mapping[str, str], start: Start
) -> dict[str, Any] | None:
    """The last state of this run if it is unfinished; another run's is set aside, or with `resume` refused."""
    state = states.load()
    if state is None:
        return None
    if states.damaged and is_first():
        print(f"{run_name}: {len(states.damaged)} damaged, the state before is used: {'; '.join(states.damaged)}")
    difference = first_difference(made_from, state["identity"])
    if difference is None:
        if is_first():
            print(f"{run_name}: continues after step {len(state['progress']['steps'])} of an unfinished run")
        return state
    if start == "resume":
        raise ZDError(
            f"{states.folder}: cannot be resumed: {difference}: undo that, or train afresh (--fresh, ZD_TRAIN=fresh)"
        )
    if is_first():
        print(f"{run_name}: begins; an unfinished run that differs is now in {states.set_aside().name}: {difference}")
    return None


def _validation_steps(steps_per_epoch: int, validations: int) -> set[int]:
    """Evenly spaced step numbers inside an epoch, its last one included."""
    return {max(1, round(steps_per_epoch * (i + 1) / validations)) for i in range(validations)}
