"""Running the pipeline, and one step of it.

    python -m zdlib.pipeline run --profile demo      # what run_all.sh calls
    python -m zdlib.pipeline status --profile demo
    python -m zdlib.pipeline step training …         # what each rule of the Snakefile calls
    python -m zdlib.pipeline committed               # whether the results in git are those of the code beside them

Snakemake decides what to run, in which order and how many at once; its own words go to a log, and what is shown is one
line a step with the step's live output between.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from zdlib.errors import ZDError
from zdlib.files import write_json
from zdlib.pipeline import committed
from zdlib.pipeline.layout import MAX_CHECKSUM_BYTES, STATE, Layout, duration, rule_of
from zdlib.pipeline.sources import MissingFilesError, check_files


# --------------------------------------------------------------------------------------------------------- running
def run(profile: str, *, jobs: int = 1, force: Sequence[str] = (), dry_run: bool = False) -> int:
    """Bring every result of a profile up to date; returns the exit status.

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
    forced = [layout.find_step(name) for name in force]
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
        status = _snakemake(layout, jobs, forced, lock)
        _tidy(layout)
        return _closing_words(layout, status, time.monotonic() - started)


def _forecast(layout: Layout, stale: Sequence[str], forced: Sequence[str]) -> None:
    """Say how long the trainings among these steps will take, if there are any."""
    if any(step == "03_training" or step in layout.jobs for step in stale):
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
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // jobs))
    environment |= {"ZD_PROFILE": layout.profile.name, "ZD_PARALLEL": str(jobs), "ZD_THREADS": threads}
    if any(step == "03_training" or step in layout.jobs for step in forced):
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
        with _forwarding(process):
            return process.wait()


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
    failed = sorted(path.stem for path in _state(layout).glob("*.failed"))
    if status == 0:
        print(f"{layout.profile.name}: done in {duration(seconds)}  ({layout.report})")
        return 0
    if any(layout.failure(step).read_text(encoding="utf-8") != "failed" for step in failed):
        print("interrupted: results written before are untouched; the same command continues from here")
        return 130
    if failed:
        print(f"stopped at {', '.join(failed)}: results written before are untouched; the same command continues there")
        return 1
    tail = _log(layout).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:]
    print("\n".join(["Snakemake stopped:", *tail, f"its whole log: {_log(layout)}"]), file=sys.stderr)
    return 1


@contextmanager
def _only_run(layout: Layout) -> Iterator[TextIO]:
    """Refuse a second run in the same checkout; the lock ends with its processes, however they end."""
    folder = layout.root / STATE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise ZDError(f"{folder}: cannot be written ({error.strerror}): make the checkout writable") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ZDError(f"{layout.root}: another run is under way here: wait for it to end, or stop it") from error
        yield lock


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
    """Undo what a step that was killed outright has left: new versions of some of its outputs, and temporary files.

    Temporary files are called `.name.random.suffix`.
    """
    for step in layout.steps:
        _restore(layout, step)
    for folder in (layout.paths.results, layout.paths.figures):
        for path in [path for path in folder.rglob(".*.*") if path.name.count(".") >= 2]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _keep(layout: Layout, step: str, writes: Sequence[str]) -> None:
    """Keep the previous version of each output until the step has ended: Snakemake restores after errors only.

    A hard link costs nothing, and holds the old content because every output is replaced and never written in place.
    """
    for path in writes:
        kept = _previous(layout, step) / path
        if (layout.root / path).is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(layout.root / path, kept)
            except OSError:  # a file system without hard links
                shutil.copy2(layout.root / path, kept)


def _restore(layout: Layout, step: str) -> None:
    """Put the kept versions back, if there are any."""
    folder = _previous(layout, step)
    for kept in [path for path in folder.rglob("*") if path.is_file()]:
        kept.replace(layout.root / kept.relative_to(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _previous(layout: Layout, step: str) -> Path:
    return _state(layout) / "previous" / step


def _state(layout: Layout) -> Path:
    return layout.root / STATE / layout.profile.name


def _log(layout: Layout) -> Path:
    return _state(layout) / "snakemake.log"


# -------------------------------------------------------------------------------------------------------- one step
def run_step(profile: str, rule: str, reads: Sequence[str], writes: Sequence[str]) -> int:
    """Run one step and record its provenance; returns the exit status. Called by the Snakefile's rules."""
    from zdlib.pipeline.notebook import NotebookError

    sys.stdout.flush()
    os.dup2(sys.stdout.fileno(), sys.stderr.fileno())  # Snakemake's own words go to its log; ours all to the terminal
    layout = Layout(profile)
    step = next(step for step in layout.steps if rule_of(step) == rule)
    title = f"[{layout.steps.index(step) + 1}/{len(layout.steps)}] {step}"
    say = lambda text: print(f"{title} {text}", flush=True)  # noqa: E731
    started = time.time()
    try:
        say("…")
        _keep(layout, step, writes)
        _compute(layout, step, reads, writes, started)
    except NotebookError as error:
        say(f"failed: {error}")
        if error.details:
            print("\n".join(f"    {line}" for line in error.details.splitlines()), flush=True)
    except ZDError as error:
        say(f"failed: {error}")
    except Exception:  # a defect of this project: its whole traceback is wanted
        say("failed:")
        traceback.print_exc()
    except KeyboardInterrupt:
        say("interrupted")
        _restore(layout, step)
        layout.failure(step).write_text("was interrupted", encoding="utf-8")
        return 130
    else:
        shutil.rmtree(_previous(layout, step), ignore_errors=True)
        layout.failure(step).unlink(missing_ok=True)
        say(f"done in {duration(time.time() - started)}")
        return 0
    _restore(layout, step)
    layout.failure(step).write_text("failed", encoding="utf-8")
    return 1


def _compute(layout: Layout, step: str, reads: Sequence[str], writes: Sequence[str], started: float) -> None:
    from zdlib.pipeline import provenance

    if threads := os.environ.get("ZD_THREADS"):
        # Snakemake gives every rule's libraries one thread; steps share the machine's cores instead.
        os.environ |= {f"{library}_NUM_THREADS": threads for library in ("OMP", "MKL", "OPENBLAS")}
    cache = provenance.HashCache(layout.root / STATE / "hashes.json")
    inputs = provenance.hash_files([Path(path) for path in reads if not path.endswith(".done")], layout.root, cache)
    state = provenance.git_state(layout.root)
    if step == "report":
        from zdlib.paper.report import write_report

        write_report(layout.profile, layout.root / layout.report)
    elif step in layout.jobs:
        from zdlib.paper.study_job import run_job

        run_job(layout.profile, layout.jobs[step], layout.paths)
    else:
        from zdlib.pipeline.notebook import LiveOutput, run_notebook

        prefix = f"{step}: " if os.environ.get("ZD_PARALLEL", "1") != "1" else ""
        run_notebook(
            layout.source(step),
            layout.root / layout.executed(step),
            {"profile": layout.profile.name},
            root=layout.root,
            figures=layout.paths.figures,
            live=(LiveOutput(sys.stdout, prefix), LiveOutput(sys.stdout, prefix)),
        )
    results = [path for path in writes if not path.endswith(".done")]
    for path in results:
        file = layout.root / path
        if not file.is_file():
            raise ZDError(f"{step}: did not write {path}, which the Snakefile says it writes: correct one of them")
        if file.stat().st_mtime < started - 2:  # some file systems keep whole seconds
            raise ZDError(f"{step}: left an old {path} as it was: it must write it anew")
    outputs = provenance.hash_files([Path(path) for path in results], layout.root, cache)
    record = {
        "step": step,
        "profile": layout.profile.model_dump(mode="json"),
        **state,
        "depends": layout.depends(step),
        "inputs": inputs,
        "outputs": outputs,
        "hardware": provenance.hardware(),
        "seconds": round(time.time() - started, 1),
        "peak_memory_mib": provenance.peak_memory_mib(),
    }
    write_json(layout.provenance(step), record)
    write_json(layout.root / layout.finished(step), outputs)


# ------------------------------------------------------------------------------------------------------------- CLI
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; a `ZDError` becomes its message and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m zdlib.pipeline", description="Run the paper's pipeline.")
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run", help="bring every result up to date")
    run_parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="steps run side by side")
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
