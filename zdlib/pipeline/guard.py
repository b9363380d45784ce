"""A step that runs says so, and does not outlive the run that wants it.

Snakemake starts steps through a shell and tells them nothing when it is killed outright. So every step keeps a file
with its number locked while it runs, which a new run looks at, and watches the processes above it: when one of them
is gone, it interrupts itself as Ctrl-C would (a training saves its state), and a little later ends in any case.
"""

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zdlib.gates.locks import only_process
from zdlib.pipeline.layout import STATE

RUN = "ZD_RUN"  # the environment's: the process that runs the pipeline
_EVERY, _GRACE = 1.0, 90.0  # seconds between looks; to end by itself


@contextmanager
def guarded(root: Path, step: str) -> Iterator[None]:
    """Within this context the step is known to run, and ends with the processes above it.

    Args:
        root: the checkout.
        step: its name, for messages.
    """
    done = threading.Event()
    threading.Thread(target=_watch, args=(_above(), done), daemon=True).start()
    try:
        with only_process(_folder(root) / f"{os.getpid()}.{step}", f"{step} runs"):
            yield
    finally:
        done.set()


def running_steps(root: Path) -> dict[int, str]:
    """{process: step} of the steps that run now in a checkout; marks that killed ones left are removed."""
    running = {}
    for mark in _folder(root).glob("*.*"):
        number, _, step = mark.name.partition(".")
        try:
            with open(mark, "r+b") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mark.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except OSError:
            running[int(number)] = step
    return running


def _folder(root: Path) -> Path:
    return root / STATE / "running"


def _above() -> dict[int, str]:
    """The processes between this one and the one that runs the pipeline, with when each began.

    Nothing where a person started the step, or where the system does not tell (no `/proc`).
    """
    run = os.environ.get(RUN, "")
    above: dict[int, str] = {}
    number = os.getppid()
    while number > 1 and str(number) != run:
        parent, began = _look(number)
        if not began:
            return {}
        above[number] = began
        number = parent
    return above if number > 1 else {}  # else the run has been killed already, or this is another machine


def _look(number: int) -> tuple[int, str]:
    """A process's parent and when it began; an empty text where it has ended."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0, ""
    state, parent, began = fields[0], fields[1], fields[19]
    return int(parent), "" if state in "ZX" else began


def _watch(above: dict[int, str], done: threading.Event) -> None:
    while above and not done.wait(_EVERY):
        if any(_look(number)[1] != began for number, began in above.items()):
            os.kill(os.getpid(), signal.SIGINT)
            if not done.wait(_GRACE):
                os.kill(os.getpid(), signal.SIGKILL)
            return
