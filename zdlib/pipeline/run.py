"""Running the pipeline.

    python -m zdlib.pipeline run --profile demo      # what run_all.sh calls
    python -m zdlib.pipeline status --profile demo
    python -m zdlib.pipeline committed               # whether the results in git are those of the code beside them

Snakemake decides what to run, in which order and how many at once, and keeps previous results until a step has
succeeded; its own words go to a log. What is shown is one line per step with the step's live output between.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from zdlib.errors import ZDError
from zdlib.gates.locks import is_alive
from zdlib.gates.streams import run_quietly
from zdlib.pipeline import committed
from zdlib.pipeline.guard import RUN, running_steps
from zdlib.pipeline.layout import MAX_CHECKSUM_BYTES, STATE, Layout, duration, rule_of
from zdlib.pipeline.sources import MissingFilesError, check_files
from zdlib.pipeline.step import FAILED, Ending, run_step

BACKUPS = Path(".snakemake") / "backups"  # where Snakemake keeps what it would put back after a failure


# --------------------------------------------------------------------------------------------------------- running
def run(profile: str, *, jobs: int | None = None, force: Sequence[str] = (), dry_run: bool = False) -> int:
    """Bring every result of a profile up to date; returns the exit status.

    Args:
        profile: its name.
        jobs: steps run side by side; None: one more than there are cores, up to 4, or one on a GPU.
        force: names of steps to run again in any case.
        dry_run: only say what would run.

    Raises:
        ZDError: a bad profile, missing files, an unwritable folder, or another run under way.
    """
    from zdlib.pipeline.status import plan

    layout = Layout(profile)
    try:
        check_files(layout.profile)
    except MissingFilesError:
        if dry_run:  # what it will take is worth knowing before gigabytes are fetched
            from zdlib.pipeline.forecast import print_forecast, trainings

            print_forecast(layout.profile, trainings(layout.profile))
        raise
    forced = [step for name in force for step in layout.find_steps(name)]
    with _only_run(layout) as lock:
        _prepare(layout)
        tasks = plan(layout, forced)
        stale = [task for task in tasks if task.reasons]
        if not stale:
            print(f"{profile}: nothing to do, all {len(tasks)} steps are up to date  ({layout.report})")
            return 0
        print(f"{profile}: {len(stale)} of {len(tasks)} steps to run")
        for task in stale:
            print(f"  {task.step:<20} {task.summary}")
        if dry_run:
            _forecast(layout, [task.step for task in stale], forced)
            return 0
        started = time.monotonic()
        for task in stale:
            layout.failure(task.step).unlink(missing_ok=True)
        status = _snakemake(layout, jobs or _default_jobs(), forced, lock)
        _tidy(layout)
        return _closing_words(layout, status, time.monotonic() - started)


def _default_jobs() -> int:
    """A step more than there are cores, so that none is idle while the last trainings run.

    Each takes a core and up to 2 GB; trainings on one GPU would share its memory.
    """
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if torch.cuda.is_available() else min(cores + 1, 4)


def _forecast(layout: Layout, stale: Sequence[str], forced: Sequence[str]) -> None:
    """Say how long the trainings among these steps will take, if there are any."""
    if any(step in layout.jobs for step in stale):
        from zdlib.pipeline.forecast import print_forecast, trainings_left

        print_forecast(layout.profile, trainings_left(layout, stale, forced))


def _snakemake(layout: Layout, jobs: int, forced: Sequence[str], lock: TextIO) -> int:
    """Run Snakemake in a process group of its own; its own words go to a log, those of the steps come through."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", "Snakefile", "--cores", str(jobs)]
    command += ["--config", f"profile={layout.profile.name}", "--rerun-incomplete", "--nolock", "--nocolor"]
    command += ["--scheduler", "greedy", "--max-checksum-file-size", str(MAX_CHECKSUM_BYTES)]
    if forced:
        command += ["--forcerun", *(rule_of(step) for step in forced)]
    environment = {key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"}
    # One thread: a step's bytes do not depend on how many run beside it, and threads of several do not wait for one
    # another. What makes use of the cores are steps side by side.
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    environment |= {"ZD_PROFILE": layout.profile.name, "ZD_PARALLEL": str(jobs), "ZD_THREADS": threads}
    environment[RUN] = str(os.getpid())
    if any(step in layout.jobs for step in forced):
        environment["ZD_TRAIN"] = "fresh"  # or a finished training would be reused
    sys.stdout.flush()
    with open(_log(layout), "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=layout.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=log,
            process_group=0,
            pass_fds=[lock.fileno()],  # should this process be killed outright, the lock stays with Snakemake
        )
        _sign(lock, process.pid)
        with _forwarding(process):
            status = process.wait()
            _refuse_orphans(layout.root, 100.0)  # should Snakemake have been killed, its steps are ending now
            return status


@contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand Ctrl-C, `kill` and a closed terminal on to the group of `process`, and keep waiting for its orderly end."""

    def forward(number: int, frame: object) -> None:
        del number, frame
        try:
            os.killpg(process.pid, signal.SIGINT)
        except ProcessLookupError:
            return

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, forward) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _closing_words(layout: Layout, status: int, seconds: float) -> int:
    endings = {step: ending.how for step in layout.steps if (ending := Ending.read(layout, step))}
    if status == 0:
        print(f"{layout.profile.name}: done in {duration(seconds)}  ({layout.report})")
        return 0
    if any(how != FAILED for how in endings.values()):
        print("interrupted: results written before are untouched; the same command continues from here")
        return 130
    if endings:
        steps = ", ".join(sorted(endings))
        print(f"stopped at {steps}: results written before are untouched; the same command continues there")
        return 1
    tail = _log(layout).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:]
    print("\n".join(["Snakemake stopped:", *tail, f"its whole log: {_log(layout)}"]), file=sys.stderr)
    return 1


@contextmanager
def _only_run(layout: Layout) -> Iterator[TextIO]:
    """Refuse a second run in the same checkout, and one beside a step whose run was killed.

    The lock ends with its processes, however they end. Snakemake's own outlives a kill, and then wants `--unlock`.
    """
    folder = layout.root / STATE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise ZDError(f"{folder}: cannot be written ({error.strerror}): make the checkout writable") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            who = [number for number in lock.read(200).split() if number.isdecimal() and is_alive(int(number))]
            name = f"process {who[0]}" if who else "another process"
            raise ZDError(
                f"{layout.root}: another run is under way here ({name}): wait for it to end, or stop it"
            ) from error
        _sign(lock)
        _refuse_orphans(layout.root)
        yield lock


def _sign(lock: TextIO, *others: int) -> None:
    """Write into the lock who holds it: this process, and those that keep it should this one be killed."""
    lock.seek(0)
    lock.truncate()
    lock.write("".join(f"{number}\n" for number in (os.getpid(), *others)))
    lock.flush()


def _refuse_orphans(root: Path, seconds: float = 5.0) -> None:
    """Wait a little for steps whose run was killed, which then stop by themselves; refuse to run beside one.

    Raises:
        ZDError: a step still runs.
    """
    end = time.monotonic() + seconds
    while orphans := running_steps(root):
        if time.monotonic() > end:
            number, step = next(iter(orphans.items()))
            raise ZDError(f"{root}: step {step} of a killed run still ends (process {number}): try again, or stop it")
        time.sleep(0.2)


def _prepare(layout: Layout) -> None:
    """Make the output folders, so that an unwritable one is known before anything is computed, and tidy them."""
    paths = layout.paths
    for folder in (paths.tables, paths.per_image, paths.checkpoints, paths.notebooks, paths.provenance, paths.figures):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            culprit = next(p for p in (folder, *folder.parents) if p.exists())
            raise ZDError(f"{culprit}: cannot hold results ({error.strerror}): remove it or fix its rights") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ZDError(f"{folder}: cannot be written: fix its rights")
    _state(layout).mkdir(parents=True, exist_ok=True)
    _tidy(layout)


def _tidy(layout: Layout) -> None:
    """Undo what a step that was interrupted or killed has left: new versions of some of its outputs, temporary files.

    Snakemake restores outputs after errors only. It copies them before the step begins; a copy is whole where the step
    has left a mark. A training's files need none of that: they are written when it has ended, and what is there may be
    newer than the copy, from `zdlib train`. Temporary files are called `.name.random.suffix`.
    """
    for step in [step for step in layout.steps if step not in layout.jobs]:
        ending = Ending.read(layout, step)
        for name in ending.writes if ending else ():
            kept = layout.root / BACKUPS / name.lstrip("/")
            if kept.is_file():
                kept.replace(layout.root / name)
    shutil.rmtree(layout.root / BACKUPS, ignore_errors=True)
    for folder in (layout.paths.results, layout.paths.figures):
        for path in [path for path in folder.rglob(".*.*") if path.name.count(".") >= 2]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _state(layout: Layout) -> Path:
    return layout.root / STATE / layout.profile.name


def _log(layout: Layout) -> Path:
    return _state(layout) / "snakemake.log"


# ------------------------------------------------------------------------------------------------------------- CLI
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; a `ZDError` becomes its message and exit status 2."""
    return run_quietly("zdlib.pipeline", lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zdlib.pipeline", description="Run the paper's pipeline.")
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run", help="bring every result up to date")
    run_parser.add_argument(
        "--jobs", type=_positive, metavar="N", help="steps run side by side (default: the cores and one)"
    )
    run_parser.add_argument("--force", action="append", default=[], metavar="STEP", help="run this step again")
    run_parser.add_argument("--dry-run", action="store_true", help="say what would run, and how long it would train")
    status_parser = commands.add_parser("status", help="say what is stale, and why")
    committed_parser = commands.add_parser("committed", help="say which results in git are stale, and why")
    committed_parser.add_argument("--profile", help="default: every profile whose results git keeps")
    carry_parser = commands.add_parser("carry", help="let results stand whose code has changed in form only")
    carry_parser.add_argument("steps", nargs="+", metavar="STEP", help="a step, or a pattern such as 'train_*'")
    carry_parser.add_argument("--reason", required=True, help="why nothing has changed in substance")
    carry_parser.add_argument("--shown-by", required=True, metavar="COMMAND", help="the command that showed it")
    step_parser = commands.add_parser("step", help="run one step (for the Snakefile)")
    step_parser.add_argument("rule")
    step_parser.add_argument("--reads", nargs="*", default=[])
    step_parser.add_argument("--writes", nargs="*", default=[])
    for subparser in (run_parser, status_parser, carry_parser, step_parser):
        subparser.add_argument("--profile", default="demo")
    options = parser.parse_args(arguments)
    try:
        if options.command == "run":
            return run(options.profile, jobs=options.jobs, force=options.force, dry_run=options.dry_run)
        if options.command == "step":
            return run_step(options.profile, options.rule, options.reads, options.writes)
        if options.command in ("committed", "carry"):
            return _records(options)
        from zdlib.pipeline.status import print_status

        return print_status(Layout(options.profile))
    except ZDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _records(options: argparse.Namespace) -> int:
    """The commands about the records of committed results."""
    if options.command == "carry":
        return committed.carry(Layout(options.profile), options.steps, options.reason, options.shown_by)
    return committed.print_check([options.profile] if options.profile else committed.PROFILES)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
