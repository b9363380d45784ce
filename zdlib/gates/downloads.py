"""Files from public addresses, each pinned by its SHA-256: fetched once, resumed, checked, or taken from a copy.

A copy is a folder with the files under the names they have here: `$ZD_REAL_DATA`, or `real_data` in `$ZD_DATA`.
"""

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from zdlib.errors import ZDError

COPY = "real_data"  # a copy's folder in $ZD_DATA
TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 16


@dataclass(frozen=True)
class PinnedFile:
    """One file.

    Attributes:
        file: its place in a copy, relative.
        url: its public address.
        sha256: of its content.
        size: bytes; a download stops beyond it.
        licence: as its source states it.
    """

    file: str
    url: str
    sha256: str
    size: int
    licence: str

    def is_at(self, path: Path) -> bool:
        """Whether the file at `path` is this one."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self.sha256


def cache_folder() -> Path:
    """Where downloads go that nobody gave a place: `zdlib` in `$XDG_CACHE_HOME`, by default `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zdlib"


def copies() -> list[Path]:
    """The folders that may hold copies, by the environment."""
    named, data = os.environ.get("ZD_REAL_DATA"), os.environ.get("ZD_DATA")
    return [*([Path(named)] if named else []), *([Path(data) / COPY] if data else [])]


def locate(file: PinnedFile, folders: Iterable[Path]) -> Path | None:
    """Where the file is among these folders, sound; None if it is not."""
    return next((folder / file.file for folder in folders if file.is_at(folder / file.file)), None)


def obtain(file: PinnedFile, folder: Path, sources: Iterable[Path] = ()) -> Path:
    """The file in a folder: as it is there, copied from another folder that has it, or downloaded.

    A download that broke off is gone on with; what does not have the pinned SHA-256 is thrown away.

    Args:
        file: which.
        folder: gets it under its own name.
        sources: folders to look into first.

    Raises:
        ZDError: it cannot be reached, what came is another file, or the folder cannot be written.
    """
    target = folder / file.file
    if file.is_at(target):
        return target
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = locate(file, sources)
        if copy is not None:
            shutil.copyfile(copy, part)
        else:
            _download(file, part)
        part.replace(target)
    except OSError as error:
        raise ZDError(f"{target}: cannot be written ({error.strerror or error}): choose another folder") from error
    return target


def _download(file: PinnedFile, part: Path) -> None:
    """Into `part`, whose first bytes may be there already.

    Raises:
        ZDError: see `obtain`.
        OSError: `part` cannot be written.
    """
    done = part.stat().st_size if part.exists() else 0
    if done < file.size:
        _receive(file, part, done)
    with open(part, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != file.sha256:
        size = part.stat().st_size
        if size >= file.size:  # a shorter one is gone on with
            part.unlink()
        raise ZDError(
            f"{file.url}: {size} of {file.size} bytes came, or another file than the pinned one (SHA-256 "
            f"{digest[:12]}, not {file.sha256[:12]}): run the command again, or put the file at {part.with_suffix('')}"
        )


def _receive(file: PinnedFile, part: Path, done: int) -> None:
    request = urllib.request.Request(file.url, headers={"User-Agent": "zdlib"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(file, part, error) from error
    with answer, open(part, "ab" if answer.status == 206 else "wb") as out:
        done = done if answer.status == 206 else 0
        while done <= file.size:  # one byte too many shows that it is another file
            try:
                chunk = answer.read(min(_CHUNK, file.size + 1 - done))
            except (OSError, HTTPException) as error:
                raise _unreachable(file, part, error) from error
            if not chunk:
                return
            out.write(chunk)
            done += len(chunk)


def _unreachable(file: PinnedFile, part: Path, error: Exception) -> ZDError:
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it holds the answer
    reason = getattr(error, "reason", None) or error
    return ZDError(
        f"{file.url}: cannot be downloaded ({reason}): put the file at {part.with_suffix('')}, and run again"
    )
