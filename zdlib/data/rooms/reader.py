"""The embedded rooms as frames with intrinsics, straight from the store: no sensor noise, no holes.

Scenes are named `train bedroom_0003` and `test …`, so that a profile's `split: {scenes: ["test *"]}` is the official
one.
"""

import os
from pathlib import Path
from typing import SupportsIndex

import numpy as np

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.rooms.store import open_store
from zdlib.data.sample import Frames, Sample


class RoomsReader(Frames[Sample]):
    """A sequence of `Sample` without labels.

    Args:
        root: `rooms_n.h5` or `rooms_i.h5`.

    Raises:
        ZDError: missing or damaged.
    """

    random_access = True

    def __init__(self, root: str | os.PathLike[str]):
        self.path = Path(root)
        self._store = open_store(self.path)
        self.names = [f"{self.path.stem}_{number:04d}" for number in range(len(self._store))]
        self.scenes = [f"{a} {b}" for a, b in zip(self._store.splits, self._store.scenes, strict=True)]

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame, or the file is damaged.
        """
        number = checked_index(self.path, index, len(self))
        stored = self._store[number]
        return Sample(
            name=self.names[number],
            image=stored.image,
            depth=stored.depth,
            scene=self.scenes[number],
            scene_type=stored.scene_type,
            intrinsics=np.asarray(stored.intrinsics, np.float64),
        )
