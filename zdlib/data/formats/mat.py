"""MATLAB files: version 5 read with a bound, and both versions written with bytes that depend on content alone."""

import io
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import scipy.io

from zdlib.gates.opening import ARRAY, explained, open_regular

USERBLOCK = 512  # bytes before the HDF5 part of a MATLAB 7.3 file
_HEADER = 128  # bytes of a MATLAB 5 file before its first element
_COMPRESSED = 15  # type of an element that is deflated
_TEXT = 116  # bytes of free text that start both headers


def read_mat5(path: Path, problem: str, fix: str) -> dict[str, Any]:
    """The variables of a MATLAB 5 file, as `scipy.io.loadmat` gives them.

    Args:
        path: the file.
        problem: what it means where the file cannot be read; for the error's line.
        fix: what to do then.

    Raises:
        ZDError: missing, no regular file, damaged, of another version, or its unpacked content too large.
    """
    with open_regular(path, fix, ARRAY) as file, explained(path, problem, fix):
        ARRAY.check(_unpacked_size(file), f"{path}: unpacked")
        file.seek(0)
        content: dict[str, Any] = scipy.io.loadmat(file)
        return content


def _unpacked_size(file: IO[bytes]) -> int:
    """Bytes of all elements, compressed ones unpacked piece by piece, as far as the limit."""
    header = file.read(_HEADER)
    order = {b"IM": "<", b"MI": ">"}.get(header[-2:])
    if order is None or header[124:126] not in (b"\0\1", b"\1\0"):
        raise ValueError("it does not begin as one")
    total = 0
    while tag := file.read(8):
        kind, size = struct.unpack(f"{order}2I", tag)
        if kind != _COMPRESSED:
            total += size
            file.seek(size, 1)
            continue
        unpacking, packed = zlib.decompressobj(), file.read(size)
        while packed and total <= ARRAY.value:
            total += len(unpacking.decompress(packed, 1 << 20))
            packed = unpacking.unconsumed_tail
    return total


def mat5_bytes(content: dict[str, Any]) -> bytes:
    """A compressed MATLAB 5 file, without the creation date that SciPy writes."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, do_compression=True)
    return b"MATLAB 5.0 MAT-file, written by zdlib".ljust(_TEXT) + buffer.getvalue()[_TEXT:]


def matlab73_header() -> bytes:
    """The user block that makes an HDF5 file a MATLAB 7.3 file: text, subsystem offset, version, byte order."""
    text = b"MATLAB 7.3 MAT-file, written by zdlib, HDF5 schema 1.00 .".ljust(_TEXT)
    return (text + bytes(8) + b"\x00\x02" + b"IM").ljust(USERBLOCK, b"\x00")


def write_cells(file: h5py.File, key: str, texts: list[str], **storage: Any) -> None:
    """Write strings as MATLAB's cell array (1, n): references to UTF-16 arrays in `#refs#`.

    Args:
        file: an HDF5 file that is open for writing.
        key: name of the cell array.
        texts: its strings.
        storage: options of `h5py`'s `create_dataset` (chunks, filters).
    """
    cells = file.create_dataset(key, (1, len(texts)), h5py.ref_dtype, **storage)
    cells.attrs["MATLAB_class"] = np.bytes_(b"cell")
    references = np.empty((1, len(texts)), h5py.ref_dtype)
    group = file.require_group("#refs#")
    for number, text in enumerate(texts):
        characters = np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None]
        stored = group.create_dataset(f"{key}_{number}", data=characters, **(storage if text else {}))
        stored.attrs["MATLAB_class"] = np.bytes_(b"char")
        stored.attrs["MATLAB_int_decode"] = np.int32(2)
        references[0, number] = stored.ref
    cells[...] = references
