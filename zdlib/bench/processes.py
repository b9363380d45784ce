"""A contestant's own process, and what it uses of the machine."""

import ctypes
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import numpy as np

from zdlib.bench.cases import Case
from zdlib.errors import ZDError

Ask = Literal["answer", "time"]


@dataclass(frozen=True)
class Run:
    """One run: seconds, bytes above rest at the peak (0 where the system does not tell), and the answer if asked."""

    seconds: float
    memory: int
    answer: dict[str, np.ndarray] | None


@contextmanager
def contestant(case: Case, name: str, weights: Path, threads: int) -> Iterator[Callable[[Ask], Run]]:
    """Start a process that holds this contestant; gives a function that lets it work once.

    Memory is counted from what the process holds at rest after its first run: weights, what is remembered between runs
    and the optimiser's state are below, gradients and activations above.

    Raises:
        ZDError: the contestant cannot be had, or died.
    """
    context = multiprocessing.get_context("spawn")  # not a copy of this process, whose memory it would hold too
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, case, name, weights, threads), daemon=True)
    process.start()
    theirs.close()

    def ask(what: Ask) -> Run:
        try:
            ours.send(what)
            answer = ours.recv()
        except (EOFError, OSError) as error:
            raise ZDError(f"{case.name}: {name} ended unexpectedly: is there enough memory?") from error
        if isinstance(answer, ZDError):
            raise answer
        return answer

    try:
        yield ask
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve(pipe: Connection, case: Case, name: str, weights: Path, threads: int) -> None:
    """The process: for each message it runs once and answers."""
    import torch

    from zdlib.bench.contestants import prepare

    torch.set_num_threads(threads)
    try:
        work = prepare(case, name, weights)
        resting = None
        while True:
            what: Ask = pipe.recv()
            if resting is None and what == "time":
                resting = _rest()
            _reset_peak()
            started = time.perf_counter()
            answer = work()
            seconds = time.perf_counter() - started
            kept = {key: value.numpy() for key, value in answer.items()} if what == "answer" else None
            pipe.send(Run(seconds, max(_peak() - (resting or 0), 0), kept))
            del answer, kept
    except ZDError as error:
        pipe.recv()
        pipe.send(error)
    except (EOFError, KeyboardInterrupt):
        return


def _rest() -> int:
    """Resident bytes after gradients and whatever the allocator keeps were given back."""
    import gc

    import torch

    for thing in gc.get_objects():
        if type(thing) is torch.nn.Parameter:  # isinstance would ask modules that warn
            thing.grad = None
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # only Linux has it
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")  # "the peak is what is resident now"
    except OSError:
        return
