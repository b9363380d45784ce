"""HDF5 files that survive fork and pickling, and whose defects become one line."""

import operator
import os
from pathlib import Path
from typing import Any, SupportsIndex

import h5py
import numpy as np

from zdlib.errors import ZDError

# What h5py raises where the structure of a file is damaged.
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def checked_index(source: Path, index: SupportsIndex, count: int) -> int:
    """`index` as an int.

    Raises:
        ZDError: it is outside 0..count-1 (a negative one does not count from the end).
    """
    number = operator.index(index)
    if not 0 <= number < count:
        raise ZDError(f"{source}: frame {number} is outside 0..{count - 1}: choose one inside")
    return number


class LazyFile:
    """A read-only HDF5 file, opened on first use and again in every process that uses it.

    h5py handles are invalid after `fork` and cannot be pickled, and data loaders do both.

    Args:
        path: the file.
        fix: what to do when the file is missing or broken; ends the error's line.
    """

    def __init__(self, path: str | os.PathLike[str], fix: str):
        self.path = Path(path)
        self.fix = fix
        self._file: h5py.File | None = None
        self._pid = -1

    @property
    def file(self) -> h5py.File:
        """The open file.

        Raises:
            ZDError: no such file, not HDF5, or truncated.
        """
        if self._file is None or self._pid != os.getpid():
            if not self.path.is_file():
                raise ZDError(f"{self.path}: no such file: {self.fix}")
            try:
                self._file = h5py.File(self.path, "r")
            except OSError as error:
                reason = "truncated" if "truncated" in str(error) else f"not a readable HDF5 file ({error})"
                raise ZDError(f"{self.path}: {reason}: {self.fix}") from error
            self._pid = os.getpid()
        return self._file

    def dataset(self, key: str, dtype: type | None = None, ndim: int | None = None) -> h5py.Dataset:
        """The dataset `key`, of the given dtype and number of axes.

        Raises:
            ZDError: it is missing, no dataset, or of another dtype or number of axes.
        """
        found = self._get(key)
        if not isinstance(found, h5py.Dataset):
            raise ZDError(f"{self.path}: key {key!r} is missing (has: {', '.join(sorted(self.file))}): {self.fix}")
        if dtype is not None and found.dtype != np.dtype(dtype):
            raise ZDError(f"{self.path}: {key} has dtype {found.dtype}, expected {np.dtype(dtype)}: {self.fix}")
        if ndim is not None and found.ndim != ndim:
            raise ZDError(f"{self.path}: {key} has shape {found.shape}, expected {ndim} axes: {self.fix}")
        return found

    def group(self, key: str) -> h5py.Group:
        """The group `key`.

        Raises:
            ZDError: it is missing, or no group.
        """
        found = self._get(key)
        if not isinstance(found, h5py.Group):
            raise ZDError(f"{self.path}: group {key!r} is missing: {self.fix}")
        return found

    def _get(self, key: str) -> Any:
        try:
            return self.file.get(key)
        except UNREADABLE as error:
            raise ZDError(f"{self.path}: {key} is damaged ({error}): {self.fix}") from error

    def read(self, dataset: h5py.Dataset, index: Any) -> Any:
        """`dataset[index]`.

        Raises:
            ZDError: the content cannot be read (a damaged file).
        """
        try:
            return dataset[index]
        except OSError as error:
            raise ZDError(f"{self.path}: {dataset.name} at {index} is damaged ({error}): {self.fix}") from error

    def strings(self, key: str) -> list[str]:
        """MATLAB's cell array of strings: references to arrays of UTF-16 units.

        Raises:
            ZDError: it is missing or holds something else.
        """
        references = self.dataset(key)
        if h5py.check_ref_dtype(references.dtype) is not h5py.Reference:
            raise ZDError(f"{self.path}: {key} has dtype {references.dtype}, expected object references: {self.fix}")
        try:
            return [_text(self.file[reference]) for reference in np.asarray(references[()]).ravel()]
        except UNREADABLE as error:
            raise ZDError(f"{self.path}: {key} holds a broken reference ({error}): {self.fix}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "fix": self.fix, "_file": None, "_pid": -1}


def _text(characters: h5py.Dataset) -> str:
    # MATLAB stores an empty array as its two sizes, marked by an attribute.
    if characters.attrs.get("MATLAB_empty"):
        return ""
    return characters[()].astype("<u2").tobytes().decode("utf-16-le")
