"""Atomic writing: a reader sees the old file or the new one, never half of either."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from zdlib.errors import ZDError
from zdlib.gates.opening import explained, open_regular, read_text


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and rename it over `path`.

    On any exception (a full disk and Ctrl-C included) the temporary file is removed and `path` keeps its old content.

    Raises:
        ZDError: the folder cannot be created or written, or the disk is full.
    """
    target = Path(path)
    temporary = None
    if os.path.exists(target) and not (os.path.isfile(target) or os.path.isdir(target)):
        raise ZDError(f"{target}: is a device or a pipe, which a file would replace: name a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files private to the owner; results are meant to be shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except OSError as error:
        if error.filename is not None and not _concerns(Path(os.fsdecode(error.filename)), target):
            raise  # about some other file (an input, say): not ours to explain
        # HDF5's own messages are long, but carry the system's number.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ZDError(f"{target}: cannot be written ({reason}): free space or choose another folder") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _concerns(named: Path, target: Path) -> bool:
    """Whether an error that names a file is about writing `target`: it, its temporary file, or a folder above."""
    named, target = named.absolute(), target.absolute()
    return target.is_relative_to(named) or (named.parent == target.parent and named.name.startswith(f".{target.stem}."))


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files, of which all appear or none: an error in any leaves every one as it was.

    All are written beside their places first and then renamed, so that only a kill within these few microseconds
    could part them.

    Raises:
        ZDError: a folder cannot be written, or the disk is full.
    """
    with ExitStack() as stack:
        before = {path: stack.enter_context(_kept(path)) for path in contents}
        try:
            with ExitStack() as writing:
                for path, content in contents.items():
                    writing.enter_context(atomic_path(path)).write_bytes(content)
        except BaseException:
            for path, kept in before.items():
                if kept is not None:
                    os.replace(kept, path)
                else:
                    path.unlink(missing_ok=True)
            raise


@contextmanager
def _kept(path: Path) -> Iterator[Path | None]:
    """A second name for what a file holds now; None where there is no file."""
    if not os.path.isfile(path):
        yield None
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent)
    except OSError as error:
        raise ZDError(f"{path}: cannot be written ({error.strerror}): free space or choose another folder") from error
    with folder:
        kept = Path(folder.name, path.name)
        try:
            os.link(path, kept)
        except OSError:  # a disk without hard links
            shutil.copy2(path, kept)
        yield kept


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` atomically as UTF-8.

    Raises:
        ZDError: it holds a name that is not (file names may be any bytes); or as `atomic_path`.
    """
    try:
        encoded = content.encode()
    except UnicodeEncodeError as error:
        name = ascii(content[max(error.start - 40, 0) : error.end + 10])
        raise ZDError(f"{path}: would hold a file's name that is not UTF-8, near {name}: rename that file") from error
    write_bytes(path, encoded)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` atomically as indented JSON; NaN and infinity are refused (they are not JSON)."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_csv(path: str | os.PathLike[str], frame: pd.DataFrame, *, index: bool = False) -> None:
    """Write a data frame atomically as CSV; floats keep all their digits (shortest form that reads back equal)."""
    write_text(path, frame.to_csv(index=index, lineterminator="\n"))


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        ZDError: the file is missing or is not JSON.
    """
    fix = "delete it and run again"
    if not os.path.lexists(path):
        raise ZDError(f"{path}: no such file: run the step that writes it (./run_all.sh --status)")
    text = read_text(path, fix, "not valid JSON")
    with explained(path, "not valid JSON", fix):
        return json.loads(text)


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's content.

    Raises:
        ZDError: it is missing or no regular file.
    """
    with open_regular(path, "name a file that can be read") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content, or of the names and contents of all files of a folder.

    Links are followed, unless they lead back to a folder above.

    Raises:
        ZDError: something that is neither file nor folder lies there.
    """
    if path.is_file():
        return sha256(path)
    digest = hashlib.sha256()
    files = []
    for folder, folders, names in os.walk(path, followlinks=True):
        here = Path(folder).resolve()
        folders[:] = [name for name in folders if not here.is_relative_to(Path(folder, name).resolve())]
        files += [Path(folder, name) for name in names]
    for file in sorted(files):
        digest.update(f"{file.relative_to(path).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()
