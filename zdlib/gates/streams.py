"""Programs on a terminal: how they end when they are stopped, or nobody reads or holds what they print."""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_STOPS = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Terminated(KeyboardInterrupt):
    """A signal asked to stop. `status` is the exit status by the shell's custom."""

    def __init__(self, number: int):
        super().__init__("interrupted; files already written are complete")
        self.status = 128 + number


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within this context SIGTERM and SIGHUP are answered like Ctrl-C, if they would have ended the process bare."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _STOPS:
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def run_quietly(program: str, run: Callable[[], int]) -> int:
    """The exit status of `run`, whose output may have lost its reader or its disk.

    A reader that went away (`| head`) ends the program without a word, as it does any other: status 141. A full disk
    under the standard output is one line on the standard error, status 1. What the terminal's encoding lacks (a δ, or
    a file's name that is no text) is printed as its number.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            status = run()
        finally:  # after `--help`, too, which leaves by an exception
            sys.stdout.flush()
        return status
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF):
            raise
        _drop_output()
        if error.errno == errno.EPIPE:
            return 128 + signal.SIGPIPE
        with suppress(OSError):
            print(f"{program}: the output cannot be written ({error.strerror}): free space", file=sys.stderr)
        return 1


def _drop_output() -> None:
    """Let what is still in the buffer go nowhere: Python writes it when it ends, and would complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
            except (OSError, io.UnsupportedOperation):
                continue
