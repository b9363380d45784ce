"""What the trainings that are left would take on this machine, from one measured step: hours and memory.

    python -m zdlib.pipeline.forecast PROFILE RUN     # measures a step of one run in a process of its own, prints JSON

Nothing is written. A process of its own has a peak memory of its own, and if the system kills it for want of memory
that can be told.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_collate

from zdlib.config import Profile, RunConfig, load_profile
from zdlib.data.sample import Sample
from zdlib.data.sets.nyu import CONTIGUOUS_TRAIN, NYU_FRAMES, OFFICIAL_TEST, OFFICIAL_TRAIN, NYUReader, Splits
from zdlib.data.splits import split_frames
from zdlib.distributed import join
from zdlib.errors import ZDError
from zdlib.paths import resolve
from zdlib.pipeline.layout import Layout, profile_of
from zdlib.pipeline.provenance import hardware
from zdlib.pipeline.sources import NO_FILE
from zdlib.recipes import Recipe
from zdlib.train.frames import open_frames
from zdlib.train.resume import identity, is_finished
from zdlib.train.setup import set_up
from zdlib.train.split import FrameRoles, RunFrames, frame_roles
from zdlib.train.step import chosen_precision

GIBIBYTE = 1024**3
KILLED = -9


@dataclass(frozen=True)
class Measured:
    """One training step, measured.

    Attributes:
        step: seconds of an optimiser step (forward, backward, optimiser), after one to warm up.
        item: seconds of one augmented frame, in one process.
        validated: seconds per frame of a validation.
        peak: largest memory, bytes: PyTorch's on a GPU, else the whole process's.
        available: bytes of the GPU's memory, or of the machine's.
        synthetic: whether the images were made up.
        problem: why there is no measurement; empty if there is one.
        batches: steps of an epoch of the few frames that were measured with: more than one where a run fixes them.
    """

    step: float = math.nan
    item: float = math.nan
    validated: float = math.nan
    peak: int = 0
    available: int = 0
    synthetic: bool = False
    problem: str = ""
    batches: int = 1


# ------------------------------------------------------------------------------------------------------ what is left
def trainings(profile: Profile) -> dict[str, RunConfig]:
    """Every training of a profile: its runs and the jobs of its study."""
    return {**profile.runs, **({} if profile.study is None else profile.study.jobs())}


def trainings_left(layout: Layout, stale: Sequence[str], forced: Sequence[str]) -> dict[str, RunConfig]:
    """The trainings that a run of these steps would do: those of stale steps, but no finished one that is reused."""
    profile, device = layout.profile, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    machine = {"precision": chosen_precision(profile.train, device), "device": device.type, "processes": 1}
    fresh = any(step in layout.jobs for step in forced)
    wanted = {layout.jobs[step] for step in stale if step in layout.jobs}
    left = {}
    for key in [key for key in trainings(profile) if key in wanted]:
        run, record = trainings(profile)[key], layout.paths.checkpoints / f"{key}_training.json"
        alone = profile_of(profile, key)
        if fresh or not record.is_file() or not is_finished(record, identity(alone, key, machine)):
            left[key] = run
    return left


def count_frames(profile: Profile, recipe: Recipe) -> tuple[int, int, bool]:
    """Frames that train and frames that select, and whether they are counted (else NYU's official ones)."""
    fraction = profile.train.validation_fraction
    try:
        roles = frame_roles(recipe, *_splits_and_scenes(profile), fraction)
        return len(roles.train), len(roles.selection), True
    except ZDError:
        whole, test = OFFICIAL_TRAIN, OFFICIAL_TEST
        if recipe.split == "contiguous":
            whole, test = CONTIGUOUS_TRAIN, NYU_FRAMES - CONTIGUOUS_TRAIN
        held_out = round(whole * fraction)
        return (whole, test, False) if recipe.selection == "train_frames" else (whole - held_out, held_out, False)


def _splits_and_scenes(profile: Profile) -> tuple[Splits, list[str]]:
    data = profile.data
    if data.embedded is None:
        reader = NYUReader(resolve(data.nyu.root))
        return split_frames(reader, data.nyu.split, official=reader.path), reader.scenes
    from zdlib.data.rooms.export import chosen_frames

    frames = chosen_frames(data.embedded)  # what notebook 01 writes, whether it has or not
    in_test = np.array([frame.split == "test" for frame in frames])
    return Splits(np.flatnonzero(~in_test), np.flatnonzero(in_test)), [frame.scene for frame in frames]


# ------------------------------------------------------------------------------------------------------ one step
def measure(profile: Profile, run: RunConfig) -> Measured:
    """Train two steps as `zdlib.train.run` does, with the profile's network, precision and batch, and time the second.

    Where files are missing: random weights, made-up images.
    """
    device, count = join(), profile.train.batch_size
    frames, synthetic = _frames(profile, run)
    try:
        setup = set_up(_with_files_there(profile), run, frames, device, steps=100)
        started = time.perf_counter()
        batch = default_collate([setup.feed.items[position] for position in range(count)])
        item = (time.perf_counter() - started) / count
        seconds = [_seconds(lambda: setup.trainer.step(batch)) for _ in range(2)]
        validated = _seconds(setup.validate) / count
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # A CPU's allocator has no error of its own.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        return Measured(problem=_too_small(count))
    return Measured(seconds[-1], item, validated, *_memory(device), synthetic, batches=len(setup.feed.order))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()  # ends with a number on the CPU, so a GPU has finished
    return time.perf_counter() - started


def _frames(profile: Profile, run: RunConfig) -> tuple[RunFrames, bool]:
    """As many frames as a batch has, and whether they are made up: noise of NYU's size, 2 to 8 m away."""
    numbers = np.arange(profile.train.batch_size)
    try:
        frames = open_frames(profile, run)
        numbers = numbers % len(frames.reader)
        return RunFrames(frames.reader, FrameRoles(numbers, numbers, False), frames.source), False
    except ZDError:
        rng = np.random.default_rng(0)
        samples = [
            Sample(
                name=f"noise_{number}",
                image=rng.integers(0, 256, (480, 640, 3), np.uint8),
                depth=rng.uniform(2, 8, (480, 640)).astype(np.float32),
                labels=rng.integers(0, 14, (480, 640), np.uint8),
            )
            for number in numbers
        ]
        return RunFrames(samples, FrameRoles(numbers, numbers, False), Path("made-up frames")), True


def _with_files_there(profile: Profile) -> Profile:
    """The profile, with random weights where its checkpoint is missing."""
    weights = profile.model.encoder_weights
    try:
        missing = weights not in NO_FILE and not resolve(weights).is_file()
    except ZDError:  # ZD_DATA is not set
        missing = True
    changed = profile.model.model_copy(update={"encoder_weights": "none"})
    return profile.model_copy(update={"model": changed}) if missing else profile


def _memory(device: torch.device) -> tuple[int, int]:
    """Peak and available memory, bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    status = Path("/proc/self/status")
    if status.is_file():  # the system's own count begins with the parent's memory
        peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) * 1024
    return peak, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _too_small(batch_size: int) -> str:
    return f"the memory is too small for batches of {batch_size}: raise train.accumulate, or take a larger machine"


def measure_apart(profile: Profile, key: str) -> Measured:
    """`measure` a training in a process of its own."""
    command = [sys.executable, "-m", "zdlib.pipeline.forecast", profile.name, key]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == KILLED:
        return Measured(problem=_too_small(profile.train.batch_size))
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return Measured(problem=f"no step could be measured ({reason})")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


# ------------------------------------------------------------------------------------------------------ the forecast
def hours(profile: Profile, run: RunConfig, measured: Measured) -> tuple[int, float]:
    """Optimiser steps of a training, and its hours with validations.

    Frames are augmented beside the steps by `train.workers` processes, or between them if there are none.
    """
    config = profile.train
    frames, selection, _ = count_frames(profile, run.settings)
    batches = max(math.ceil(frames / config.batch_size), measured.batches)
    loading = measured.item * config.batch_size
    step = max(measured.step, loading / config.workers) if config.workers else measured.step + loading
    validations = config.epochs * min(config.validations_per_epoch, batches)
    steps = config.epochs * batches
    return steps, (steps * step + validations * selection * measured.validated) / 3600


def print_forecast(profile: Profile, left: Mapping[str, RunConfig]) -> None:
    """Measure a step of each kind of training that is left, and print what each will take and all of them."""
    if not left:
        print(f"{profile.name}: no training is left to do")
        return
    model, config, machine = profile.model, profile.train, hardware()
    place = f"{machine['cpu']}, {machine['cores']} cores"
    if torch.cuda.is_available():
        place = torch.cuda.get_device_name()
    print(f"{profile.name}: trainings left to do: {len(left)}; forecast for {place}")
    size = f"{model.encoder} at {model.input_size[0]}×{model.input_size[1]}, batches of {config.batch_size}"
    measured: dict[tuple[str | bool, ...], Measured] = {}
    rows, total = [], 0.0
    for key, run in left.items():
        kind = (run.method, run.segments, run.detach_features, run.freeze_encoder, str(run.options))
        if kind not in measured:
            print(f"  measuring a training step like those of {key}: {size} …", flush=True)
            measured[kind] = measure_apart(profile, key)
        found = measured[kind]
        if found.problem:
            rows.append(f"  {key:<20} {found.problem}")
            total = math.nan
            continue
        steps, wanted = hours(profile_of(profile, key), run, found)
        total += wanted
        memory = f"{found.peak / GIBIBYTE:.1f} of {found.available / GIBIBYTE:.1f} GiB"
        rows.append(f"  {key:<20} {steps:>7} {found.step:>9.2f} {wanted:>9.2f}   {memory}")
    print("\n".join([f"  {'training':<20} {'steps':>7} {'s a step':>9} {'hours':>9}   peak memory", *rows]))
    if not math.isnan(total):
        print(f"  in total {total:.1f} hours, one after the other, validations included")
    if any(found.synthetic for found in measured.values()):
        print("  measured on made-up images: those of the profile are not there yet")
    if not all(count_frames(profile, run.settings)[2] for run in left.values()):
        print("  frames counted as NYU's official ones: the profile's cannot be read yet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a step of one training and print it as JSON; a `ZDError` is its message on stderr and status 1."""
    parser = argparse.ArgumentParser(prog="python -m zdlib.pipeline.forecast")
    parser.add_argument("profile")
    parser.add_argument("training")
    options = parser.parse_args(arguments)
    try:
        profile = load_profile(options.profile)
        print(json.dumps(asdict(measure(profile_of(profile, options.training), trainings(profile)[options.training]))))
    except ZDError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
