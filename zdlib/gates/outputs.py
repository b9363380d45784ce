"""What a command is going to write, checked before it does anything: an output never replaces an input.

Two names are one file if they lie in the same folder (whatever path or link leads there) and differ at most in case or
in the way accents are spelled: many disks hold such names as one, and results are copied from disk to disk.
"""

import os
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from zdlib.errors import ZDError

_ELSEWHERE = "write to another folder"

Key = tuple[int, int, str]


def plan_outputs(made_from: Iterable[tuple[Path, Sequence[Path]]], inputs: Iterable[Path] = ()) -> list[Path]:
    """Check all that a command is going to write, before it begins.

    Args:
        made_from: for every input (a picture, a checkpoint, a data set) the files that will be written for it.
        inputs: what else the command reads. Every file that exists in a folder among the inputs counts as an input.

    Returns:
        All files that will be written, in order.

    Raises:
        ZDError: an output is an input, also by another link or in other case, or lies in an input folder and exists;
            two outputs are one file, or one lies in the other; an output is no place for a file (a folder, a device, a
            folder that cannot be written, an impossible name).
    """
    jobs = [(source, list(paths)) for source, paths in made_from]
    read = [source for source, _ in jobs] + list(inputs)
    by_key = {key: path for path in read for key in _keys(path)}
    folders = {_identity(path): path for path in read if os.path.isdir(path)}
    written: dict[Key, tuple[Path, Path]] = {}
    for source, paths in jobs:
        for path in paths:
            _refuse_no_place(path)
            key = _key(path)
            for other in (key, *_keys(path)):
                if other in by_key:
                    raise ZDError(f"{path}: would replace the input {by_key[other]}: {_ELSEWHERE}")
            if os.path.exists(path) and (folder := _folder_of(path, folders)) is not None:
                raise ZDError(f"{path}: exists in the input {folder} and would be replaced: {_ELSEWHERE}")
            if key in written:
                first, before = written[key]
                raise ZDError(
                    f"{source}: would replace {before}, written for {first} (same name, as far as files go): "
                    "write them into different folders"
                )
            written[key] = source, path
    paths = [path for _, path in written.values()]
    _refuse_nested(paths)
    return paths


def _refuse_no_place(path: Path) -> None:
    """An output is a new name or a regular file, in a folder that can be written or made."""
    try:
        there = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        there = None
    except (OSError, ValueError) as error:  # too long a name, a NUL in it, a folder without rights
        raise ZDError(f"{str(path)[:200]!r}: cannot be written ({_reason(error)}): choose another name") from error
    parent = _nearest(path)
    if os.path.isdir(path):
        raise ZDError(f"{path}: is a folder, not a file to write: name a file")
    if there is not None and not (stat.S_ISREG(there.st_mode) or stat.S_ISLNK(there.st_mode)):
        raise ZDError(f"{path}: is no regular file and would be replaced by one: name another")
    if not parent.is_dir():
        raise ZDError(f"{path}: cannot be written ({parent} is no folder): choose another folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ZDError(f"{path}: cannot be written (no right to write in {parent}): choose another folder")
    if len(os.fsencode(path.name)) > 200:  # temporary files beside it have longer names
        raise ZDError(f"{path.parent}: a name of {len(path.name)} characters is too long for a file: shorten it")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _refuse_nested(paths: Sequence[Path]) -> None:
    every = {path.absolute() for path in paths}
    for path in paths:
        for folder in path.absolute().parents:
            if folder in every:
                raise ZDError(f"{path}: would lie in {folder}, which is to be a file: choose other names")


def _key(path: Path) -> Key:
    """What names one file: the nearest folder that exists, by its identity, and the names below it without case."""
    folder = _nearest(path)
    rest = os.path.normpath(path.absolute().relative_to(folder))
    rest = unicodedata.normalize("NFC", unicodedata.normalize("NFC", rest).casefold())
    return (*_identity(folder), rest)


def _nearest(path: Path) -> Path:
    """The nearest folder above a file that exists."""
    return next((folder for folder in path.absolute().parents if os.path.exists(folder)), Path("/"))


def _keys(path: Path) -> list[Key]:
    """All names that a file goes by as far as they are known: its own, the one it links to, its place on the disk."""
    try:
        keys = [_key(path)]
        if os.path.exists(path):
            keys += [_key(path.resolve()), (*_identity(path), "")]
    except (OSError, ValueError):  # no such file can exist: whoever reads it says so
        return []
    return keys


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _folder_of(path: Path, folders: dict[tuple[int, int], Path]) -> Path | None:
    """The input folder that an existing file lies in, by whatever link."""
    return next((folders[_identity(p)] for p in path.resolve().parents if _identity(p) in folders), None)
