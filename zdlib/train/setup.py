"""What a run is made of, from its profile, once for training, forecast and benchmark."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from zdlib.config import Profile, RunConfig, TrainConfig
from zdlib.distributed import processes, rank
from zdlib.errors import ZDError
from zdlib.models.memory import keep_freed_memory
from zdlib.paths import resolve
from zdlib.train.method import Feed, Items, Method, Watch, find_method
from zdlib.train.split import RunFrames
from zdlib.train.step import Trainer, make_trainer


@dataclass(frozen=True)
class Setup:
    """A run, ready to train.

    Attributes:
        profile, run: what it was made from.
        method: the paper's part of it.
        frames: where its frames come from.
        feed: its training set; `order` is the generator of the frames' order.
        selection_set: what its validations see.
        trainer: network, optimiser, schedule and precision.
    """

    profile: Profile
    run: RunConfig
    method: Method
    frames: RunFrames
    feed: Feed
    order: torch.Generator
    selection_set: Items
    trainer: Trainer

    @property
    def network(self) -> nn.Module:
        """The network that trains."""
        return self.trainer.model

    def validate(self, watch: Watch | None = None) -> dict[str, float]:
        """The selection frames' mean metrics now."""
        return self.method.validate(self.network, self.selection_set, self.trainer.device, watch)


def set_up(
    profile: Profile, run: RunConfig, frames: RunFrames, device: torch.device, steps: int | None = None
) -> Setup:
    """Make a run ready to train. The global generators are seeded, each process's with numbers of its own.

    Args:
        profile: what to train.
        run: one of its runs, or a like one.
        frames: see `open_frames`.
        device: of this process.
        steps: optimiser steps of the schedule; None: those of the profile's epochs.

    Raises:
        ZDError: unknown method, unfit frames or weights to start from, or a batch too small to be shared.
    """
    use_processor(profile.train)
    method = find_method(profile, run)
    order = torch.Generator().manual_seed(run.seed)
    feed, selection_set = method.feed(frames, order), method.selection_set(frames)
    check_shares(len(feed.items), profile.train, processes())
    seed_everything(run.seed)
    network = method.network(device)
    if run.start_from is not None:
        method.start_from(network, resolve(run.start_from))
    # What one run's network drew another's did not (a control has no U-Net); and each process drops its own
    # paths.
    seed_everything(run.seed + rank())
    steps = steps or profile.train.epochs * len(feed.order)
    trainer = make_trainer(method, network, profile.train, steps=steps, device=device, source=frames.source)
    return Setup(profile, run, method, frames, feed, order, selection_set, trainer)


def use_processor(config: TrainConfig) -> None:
    """Set what belongs to the whole process: threads and the allocator."""
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()


def check_shares(frames: int, config: TrainConfig, processes: int) -> None:
    """Every part of every batch needs a frame on every process.

    Raises:
        ZDError: one would have none.
    """
    smallest = min(config.batch_size, frames % config.batch_size or config.batch_size)
    if smallest < processes * config.accumulate:
        raise ZDError(
            f"train.batch_size {config.batch_size}: of {frames} frames the smallest batch has {smallest}, for "
            f"{processes} processes and {config.accumulate} parts each: choose another batch_size"
        )


def seed_everything(seed: int) -> None:
    """Seed all global generators."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (third-party layers may still draw from the global generator)
    torch.manual_seed(seed)
