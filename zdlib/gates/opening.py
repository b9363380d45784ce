"""Opening files: regular ones only, of bounded size, with whatever a library raises turned into one line.

Every reader of files that come from outside opens them here, and puts its library's calls into `explained`. Limits hold
for what a file declares, before anything is allocated; a message that names a limit names the environment variable that
lifts it.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath

from zdlib.errors import ZDError

_SAID = 200  # characters of a library's own message


@dataclass(frozen=True)
class Limit:
    """The most of something that is accepted.

    Attributes:
        variable: the environment's, which changes it.
        default: without it.
        unit: what is counted.
    """

    variable: str
    default: int
    unit: str

    @property
    def value(self) -> int:
        """The limit now.

        Raises:
            ZDError: the variable is no whole number.
        """
        text = os.environ.get(self.variable, "")
        if not text:
            return self.default
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise ZDError(f"{self.variable}={text[:40]}: set it to a whole number of {self.unit}, or not at all")
        return int(text)

    def check(self, count: int, culprit: object) -> None:
        """Insist on the limit.

        Raises:
            ZDError: there is more.
        """
        if count > self.value:
            raise ZDError(
                f"{culprit}: {_number(count)} {self.unit}, the limit is {self.value:,}: give a smaller one, or if it "
                f"is right set {self.variable} higher"
            )


def _number(count: int) -> str:
    return f"{count:,}" if count < 10**18 else "more than 10^18"


PIXELS = Limit("ZD_MAX_PIXELS", 100_000_000, "pixels")
ARRAY = Limit("ZD_MAX_ARRAY", 1_000_000_000, "bytes of one array")
FRAMES = Limit("ZD_MAX_FRAMES", 1_000_000, "frames or entries")
TEXT = Limit("ZD_MAX_TEXT", 64 * 1024**2, "bytes of text")
CHECKPOINT = Limit("ZD_MAX_CHECKPOINT", 16 * 1024**3, "bytes of weights")


def open_regular(path: str | os.PathLike[str], fix: str, limit: Limit | None = None) -> BufferedReader:
    """Open a regular file for reading; a pipe or a device is not even waited for.

    Args:
        path: the file; links are followed.
        fix: what to do about a missing or unfit file; ends the error's line.
        limit: of its size.

    Raises:
        ZDError: missing, no regular file, without rights, or too large.
    """
    with explained(path, "cannot be opened", fix):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ZDError(f"{path}: is {_kind(found.st_mode)}, not a file: {fix}")
        if limit is not None:
            limit.check(found.st_size, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_regular(path: str | os.PathLike[str], fix: str, limit: Limit | None = None) -> None:
    """As `open_regular`, for libraries that open files by name."""
    open_regular(path, fix, limit).close()


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


@contextmanager
def explained(path: object, problem: str, fix: str) -> Iterator[None]:
    """Within this context, whatever a library raises about a file becomes one line.

    Args:
        path: the file, for the message.
        problem: what it means for the file: "not a readable image", "key x is damaged", …
        fix: what to do; ends the line.

    Raises:
        ZDError: anything but an interrupt was raised.
    """
    try:
        yield
    except ZDError:
        raise
    except FileNotFoundError as error:
        raise ZDError(f"{_shown(path)}: no such file: {fix}") from error
    except IsADirectoryError as error:
        raise ZDError(f"{_shown(path)}: is a folder, not a file: {fix}") from error
    except PermissionError as error:
        raise ZDError(f"{_shown(path)}: cannot be read ({error.strerror}): correct its rights, or {fix}") from error
    except MemoryError as error:
        raise ZDError(f"{_shown(path)}: needs more memory than there is: {fix}") from error
    except RecursionError as error:
        raise ZDError(f"{_shown(path)}: {problem} (nested too deeply): {fix}") from error
    except Exception as error:  # libraries raise whatever a damaged byte leads them into
        raise ZDError(f"{_shown(path)}: {problem} ({reason(error)}): {fix}") from error


def _shown(path: object) -> str:
    """A name as a message shows it: without the bytes that no terminal shows, and not pages long."""
    text = str(path)
    if not text.isprintable():
        text = repr(text)
    return text if len(text) <= 2 * _SAID else f"{text[:_SAID]}…"


def reason(error: BaseException) -> str:
    """What a library said, in the length of a line; its exception's name where it said nothing."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return str(error.strerror)
    try:
        text = " ".join(str(error).split())
    except Exception:  # a message may itself be damaged
        text = ""
    text = "".join(c if c.isprintable() else "?" for c in text)
    if isinstance(error, KeyError) or not text:
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= _SAID else f"{text[:_SAID]}…"


def read_text(path: str | os.PathLike[str], fix: str, problem: str = "not a readable UTF-8 text") -> str:
    """A text file: UTF-8, with or without a byte order mark, lines ended as anywhere.

    Args:
        path: the file.
        fix: what to do where it cannot be read; ends the error's line.
        problem: what it means.

    Raises:
        ZDError: missing, no regular file, too large, or not UTF-8.
    """
    with open_regular(path, fix, TEXT) as file, explained(path, problem, fix):
        return file.read().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def inside(root: Path, name: str, culprit: object, fix: str) -> Path:
    """A file that a list or table names, below the folder that the list is about; leading slashes are ignored.

    Args:
        root: the data set's folder.
        name: what the list says, with slashes.
        culprit: the list, and the line; for messages.
        fix: ends the message.

    Raises:
        ZDError: the name leads out of the folder (`..`), or is no name.
    """
    relative = PurePosixPath(name.lstrip("/"))
    if ".." in relative.parts or "\0" in name or not relative.parts:
        raise ZDError(f"{culprit}: {_shown(name)!r} leads out of {root}: {fix}")
    return root / relative


def first_twice(names: Iterable[str]) -> str | None:
    """The first name that occurs a second time; None if none does."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
