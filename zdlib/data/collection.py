"""Several readers as one, and frames at another size: what a training on a list of data sets reads."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, SupportsIndex

import numpy as np
from PIL import Image

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.sample import Frames, Sample


class Joined(Frames[Sample]):
    """The frames of several readers, one reader after the other.

    Args:
        readers: at least one.

    Attributes:
        readers: those.
        offsets: number of each reader's first frame.
    """

    def __init__(self, readers: Sequence[Frames[Any]]):
        self.readers = list(readers)
        self._ends = list(accumulate(len(reader) for reader in self.readers))
        self.offsets = [0, *self._ends[:-1]]
        self.path = self.readers[0].path
        self.names = [name for reader in self.readers for name in reader.names]
        self.scenes = [scene for reader in self.readers for scene in reader.scenes]
        self.random_access = all(reader.random_access for reader in self.readers)

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based over all readers.

        Raises:
            ZDError: no such frame, or its reader cannot read it.
        """
        number = checked_index(self.path, index, len(self))
        place = bisect_right(self._ends, number)
        sample: Sample = self.readers[place][number - self.offsets[place]]
        return sample


class Resized(Frames[Sample]):
    """The frames of a reader at one size: the image with antialiasing, depth, labels and mask by nearest neighbour.

    Depth is not interpolated: between the near and the far side of an edge there is nothing, and 0 is no distance.

    Args:
        reader: frames of any size.
        size: height and width.
    """

    def __init__(self, reader: Frames[Any], size: tuple[int, int]):
        self._reader, self._size = reader, size
        self.path, self.names, self.scenes = reader.path, reader.names, reader.scenes
        self.random_access = reader.random_access

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: the reader cannot read it.
        """
        sample: Sample = self._reader[index]
        height, width = self._size
        before = sample.depth.shape
        if before == self._size:
            return sample
        # Nearest neighbour with pixel centres: source pixel ⌊(i + ½) · before / after⌋.
        rows, columns = ((np.arange(n) + 0.5) * b / n for n, b in zip(self._size, before, strict=True))
        near = np.ix_(rows.astype(np.int64), columns.astype(np.int64))
        scale = np.diag([width / before[1], height / before[0], 1.0])
        return replace(
            sample,
            image=np.asarray(Image.fromarray(sample.image).resize((width, height), Image.Resampling.BILINEAR)),
            depth=sample.depth[near],
            labels=None if sample.labels is None else sample.labels[near],
            mask=None if sample.mask is None else sample.mask[near],
            intrinsics=None if sample.intrinsics is None else _scaled(sample.intrinsics, scale),
        )


def _scaled(intrinsics: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A camera matrix after resizing; pixel centres lie at whole numbers, so that the image begins at -½."""
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    return np.asarray(np.linalg.inv(half) @ scale @ half @ intrinsics)
