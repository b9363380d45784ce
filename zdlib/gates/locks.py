"""One process at a time: files that say who works in a place. A lock ends with its process, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zdlib.errors import ZDError


@contextmanager
def only_process(path: Path, work: str) -> Iterator[None]:
    """Within this context no other process may work at the same; the lock file is removed afterwards.

    Processes forked inside do not hold the lock.

    Args:
        path: the lock file; a killed process leaves it, and the next one takes it over.
        work: what is done, for the refusal: "run x is trained".

    Raises:
        ZDError: another process does it (named), or the file cannot be written.
    """
    descriptor = _locked(path, work)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, work: str) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise ZDError(f"{path}: cannot be written ({error.strerror}): choose another folder") from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, descriptor):
                return descriptor
        except (BlockingIOError, PermissionError) as error:
            who = holder(path)
            os.close(descriptor)
            raise ZDError(
                f"{path.parent}: {work} here by {who} already: wait for its end, or stop it and try again"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise ZDError(f"{path}: cannot be locked ({error.strerror}): choose a folder on a local disk") from error
        os.close(descriptor)  # who held it has removed the file meanwhile


def _is(path: Path, descriptor: int) -> bool:
    """Whether the name still leads to the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def holder(path: Path) -> str:
    """Who wrote itself into a lock file: "process 1234", or "another process" where that cannot be read."""
    try:
        number = path.read_text(encoding="utf-8", errors="replace")[:20].strip()
    except OSError:
        number = ""
    return f"process {number}" if number.isdecimal() else "another process"


def is_alive(number: int) -> bool:
    """Whether a process of this number runs, whoever's."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
