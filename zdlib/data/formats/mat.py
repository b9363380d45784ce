"""Writing MATLAB files whose bytes depend on their content alone."""

import io
from typing import Any

import h5py
import numpy as np
import scipy.io

USERBLOCK = 512  # bytes before the HDF5 part of a MATLAB 7.3 file
_TEXT = 116  # bytes of free text that start both headers


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
