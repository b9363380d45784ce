"""NumPy's files: headers are checked before anything is allocated, and no pickle is ever read."""

import math
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from zdlib.errors import ZDError
from zdlib.gates.opening import ARRAY, FRAMES, Limit, explained, open_regular

_MAGIC = b"\x93NUMPY"
_NUMBERS = "biufc"  # kinds of dtype: numbers and truth values
_HEADER = 10_000  # bytes of a header at most, NumPy's own limit


def read_array(path: Path, fix: str, limit: Limit = ARRAY) -> np.ndarray:
    """The array of a `.npy` file.

    Raises:
        ZDError: missing, no regular file, no `.npy`, truncated, of no numbers, or too large.
    """
    with open_regular(path, fix) as file, explained(path, "not a readable .npy file", fix):
        return _read(file, path, limit)


def mapped_array(path: Path, fix: str) -> np.ndarray:
    """The array of a `.npy` file, which stays on the disk until it is used.

    Raises:
        ZDError: as `read_array`, its size apart.
    """
    with open_regular(path, fix) as file, explained(path, "not a readable .npy file", fix):
        needed = _declared(file)
        if file.seek(0, 2) < needed:
            raise ValueError(f"truncated: {file.tell()} bytes, expected {needed}")
        return np.load(path, mmap_mode="r", allow_pickle=False)


def archived_arrays(path: Path, fix: str, limit: Limit = ARRAY) -> dict[str, Callable[[], np.ndarray]]:
    """Functions that read one array each of a `.npz` file, by name; nothing is unpacked before.

    Raises:
        ZDError: missing, no regular file or no zip archive, or it holds something that is no `.npy`. The functions
            raise it where an array is damaged, of no numbers or too large.
    """
    with (
        open_regular(path, fix) as file,
        explained(path, "not a readable .npz file", fix),
        zipfile.ZipFile(file) as archive,
    ):
        names = archive.namelist()
    FRAMES.check(len(names), path)
    foreign = [name for name in names if not name.endswith(".npy")]
    if foreign or len(set(names)) < len(names):
        problem = f"holds {foreign[0][:80]!r}, which is no array" if foreign else "holds two arrays of one name"
        raise ZDError(f"{path}: {problem}: {fix}")
    return {name.removesuffix(".npy"): partial(_read_member, path, name, fix, limit) for name in names}


def _read_member(path: Path, name: str, fix: str, limit: Limit) -> np.ndarray:
    with (
        open_regular(path, fix) as file,
        explained(f"{path} ({name})", "not a readable array", fix),
        zipfile.ZipFile(file) as archive,
        archive.open(name) as member,
    ):
        array = _read(member, f"{path} ({name})", limit)
        member.read(1)  # zipfile compares the checksum when it meets the end
        return array


def _read(file: IO[bytes] | zipfile.ZipExtFile, source: object, limit: Limit) -> np.ndarray:
    """Header first: what it declares must be numbers, and not too many."""
    limit.check(_declared(file), source)
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False, max_header_size=_HEADER))


def _declared(file: IO[bytes] | zipfile.ZipExtFile) -> int:
    """Bytes of a whole `.npy` file by its header.

    Raises:
        ValueError: it is none, or holds no numbers.
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as one")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version[0]}.{version[1]} is for tables, not for arrays of numbers")
    shape, _, dtype = read(file, max_header_size=_HEADER)
    if dtype.kind not in _NUMBERS or any(side < 0 for side in shape):
        raise ValueError(f"holds {dtype}, not numbers")
    return file.tell() + math.prod(shape) * dtype.itemsize
