"""HDF5 files that survive fork and pickling, and whose defects become one line."""

import operator
import os
from math import prod
from pathlib import Path
from typing import Any, SupportsIndex

import h5py
import numpy as np

from zdlib.errors import ZDError
from zdlib.gates.opening import ARRAY, FRAMES, explained, reason, require_regular

_LISTED = 12  # keys that a message names
_CHARACTERS = 10_000  # of one text


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
            ZDError: no such file, no regular one, not HDF5, or truncated.
        """
        if self._file is None or self._pid != os.getpid():
            require_regular(self.path, self.fix)
            try:
                self._file = h5py.File(self.path, "r")
            except Exception as error:  # h5py raises whatever a damaged byte leads it into
                said = "truncated" if "truncated" in str(error) else f"not a readable HDF5 file ({reason(error)})"
                raise ZDError(f"{self.path}: {said}: {self.fix}") from error
            self._pid = os.getpid()
        return self._file

    def dataset(self, key: str, dtype: type | None = None, ndim: int | None = None) -> h5py.Dataset:
        """The dataset `key`, of the given dtype and number of axes.

        Raises:
            ZDError: it is missing, no dataset, of another dtype or number of axes, or lies in another file.
        """
        found = self._get(key)
        with explained(self.path, f"{key} is damaged", self.fix):
            if not isinstance(found, h5py.Dataset):
                has = ", ".join(sorted(self.file)[:_LISTED])
                raise ZDError(f"{self.path}: key {key!r} is missing (has: {has}): {self.fix}")
            if dtype is not None and found.dtype != np.dtype(dtype):
                raise ZDError(f"{self.path}: {key} has dtype {found.dtype}, expected {np.dtype(dtype)}: {self.fix}")
            if found.shape is None or (ndim is not None and found.ndim != ndim):
                wanted = "numbers" if ndim is None else f"{ndim} axes"
                raise ZDError(f"{self.path}: {key} has shape {found.shape}, expected {wanted}: {self.fix}")
            if found.external is not None or found.is_virtual:
                raise ZDError(f"{self.path}: {key} lies in another file: {self.fix}")
            if found.ndim:
                FRAMES.check(found.shape[0], f"{self.path}: {key}")
            ARRAY.check(prod(found.chunks or ()) * found.dtype.itemsize, f"{self.path}: a chunk of {key}")
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
        """What a path leads to, in this file and without detours; None where there is nothing."""
        with explained(self.path, f"{key} is damaged", self.fix):
            place: Any = self.file
            for part in filter(None, key.split("/")):
                link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
                if link is None:
                    return None
                if not isinstance(link, h5py.HardLink):  # to another file, or round in a circle
                    raise ZDError(f"{self.path}: {key} is a link, which this project's data never are: {self.fix}")
                place = place[part]
            return place

    def read(self, dataset: h5py.Dataset, index: Any) -> Any:
        """`dataset[index]`; `index` is a number, or () for all.

        Raises:
            ZDError: the content cannot be read (a damaged file), or is too large.
        """
        with explained(self.path, f"{dataset.name} at {index} is damaged", self.fix):
            shape = dataset.shape if index == () else dataset.shape[len(index) if isinstance(index, tuple) else 1 :]
            ARRAY.check(prod(shape) * dataset.dtype.itemsize, f"{self.path}: {dataset.name}")
            return dataset[index]

    def strings(self, key: str) -> list[str]:
        """MATLAB's cell array of strings: references to arrays of UTF-16 units.

        Raises:
            ZDError: it is missing or holds something else.
        """
        references = self.dataset(key)
        if h5py.check_ref_dtype(references.dtype) is not h5py.Reference:
            raise ZDError(f"{self.path}: {key} has dtype {references.dtype}, expected object references: {self.fix}")
        FRAMES.check(prod(references.shape), f"{self.path}: {key}")
        with explained(self.path, f"{key} holds a broken reference", self.fix):
            return [_text(self.file[reference]) for reference in np.asarray(references[()]).ravel()]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "fix": self.fix, "_file": None, "_pid": -1}


def _text(characters: h5py.Dataset) -> str:
    # MATLAB stores an empty array as its two sizes, marked by an attribute.
    if characters.attrs.get("MATLAB_empty"):
        return ""
    if characters.dtype.kind not in "iu" or characters.size > _CHARACTERS:
        raise ValueError(f"{characters.dtype} {characters.shape} is no text")
    return characters[()].astype("<u2").tobytes().decode("utf-16-le")
