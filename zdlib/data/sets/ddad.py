"""DDAD (Guizilini et al., CVPR 2020), validation part as ZoeDepth evaluates it: 3950 street frames, 1936×1216.

The data set itself (`DDAD.tar` of https://github.com/TRI-ML/DDAD) is in the DGP format; its development kit projects
the laser points into the front camera. ZoeDepth's loader, and this reader, expect the result exported to one folder::

    ROOT/NAME_rgb.png
    ROOT/NAME_depth.npy     (1216, 1936) float32, planar metres; 0 = none (laser points: most pixels have none)

ZoeDepth resizes the image to 1216×352, changing its proportions, before it meets the network, whose own resizing
follows; depth keeps its size and is not cropped to KITTI's benchmark. The reader resizes nothing.
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from zdlib.data.formats.pairs import FileFrame, FilesReader, read_float_npy

FIX = (
    "export DDAD's validation part (https://github.com/TRI-ML/DDAD) with its development kit to NAME_rgb.png and "
    "NAME_depth.npy (float32 metres, 0 = none) in one folder"
)


class DDADReader(FilesReader):
    """A sequence of `Sample`; each frame is its own scene, since the exported names tell no drive.

    Args:
        root: the folder of the exported files.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, no frame, or a file is missing.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        frames = []
        for image in sorted(Path(root).glob("*_rgb.png")):
            name = image.name.removesuffix("_rgb.png")
            frames.append(FileFrame(name, image, image.with_name(f"{name}_depth.npy"), scene=name))
        super().__init__(root, frames, "*_rgb.png and *_depth.npy", FIX, complete)

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Metres as stored."""
        return read_float_npy(path, self.fix)
