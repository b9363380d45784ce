"""The embedded streets as single frames with depth and intrinsics: the left camera's first moment of every clip.

Scenes are named `train clip_003`, `val …`, `test …`, so that a profile's `split: {scenes: ["test *", "val *"]}` is the
official one.
"""

import os
from pathlib import Path
from typing import SupportsIndex

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.sample import Frames, Sample
from zdlib.data.streets.store import open_store


class StreetFrames(Frames[Sample]):
    """A sequence of `Sample` without labels; depth 0 is the sky, or farther than the renderer's 250 m.

    Args:
        root: `streets_k.h5` or `streets_v.h5`.

    Raises:
        ZDError: missing or damaged.
    """

    random_access = True

    def __init__(self, root: str | os.PathLike[str]):
        self.path = Path(root)
        self._store = open_store(self.path)
        self.names = [f"{self.path.stem}_{clip:03d}" for clip in range(len(self._store))]
        self.scenes = [f"{split} clip_{clip:03d}" for clip, split in enumerate(self._store.splits)]

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame, or the file is damaged.
        """
        number = checked_index(self.path, index, len(self))
        frame = self._store.frame(number)
        return Sample(
            name=self.names[number],
            image=frame.left,
            depth=frame.depth,
            scene=self.scenes[number],
            intrinsics=self._store.intrinsics,
        )
