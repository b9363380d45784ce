"""DIML/CVL RGB-D (Cho et al., 2021), the test parts of its sample: 503 indoor and 500 outdoor frames.

From https://dimlrgbd.github.io (sample data set, test part, low resolution)::

    ROOT/LR/12. Livingroom/color/in_01_160217_123138_c.png                         512×288, Kinect v2
                           depth_filled/in_01_160217_123138_depth_filled.png       16 bit, millimetres, holes filled

    ROOT/LR/outleft/NAME.png                                                       640×384, stereo
            depthmap/NAME.png                                                      16 bit, millimetres

`LR` may be the root itself, and outdoors (ZoeDepth: ROOT/*/outleft) any folder. Depth is a 16-bit PNG, metres · 1000;
0 = none. The outdoor part's confidence maps are not read: ZoeDepth does not use them. ZoeDepth resizes the indoor image
to 640×480 before it meets the network, whose own resizing follows; the reader does not.
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from zdlib.data.formats.images import read_units
from zdlib.data.formats.pairs import FileFrame, FilesReader, first_folder, metres

FIX = "unpack the test part of DIML's sample data set (https://dimlrgbd.github.io)"


class _Millimetres(FilesReader):
    """Depth as a PNG of millimetres."""

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Metres, up to 65."""
        return metres(read_units(path, self.fix), 1000)


class DIMLIndoorReader(_Millimetres):
    """A sequence of `Sample`; `Sample.scene` is the room's folder.

    Args:
        root: the folder that holds `LR`, or the rooms.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, no frame, or a file is missing.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        frames = []
        for image in sorted(first_folder(Path(root), ("LR", "")).glob("*/color/*_c.png")):
            name, room = image.name.removesuffix("_c.png"), image.parent.parent
            depth = room / "depth_filled" / f"{name}_depth_filled.png"
            kind = room.name.lstrip("0123456789. _").lower().replace(" ", "_")
            frames.append(FileFrame(name, image, depth, scene=room.name, scene_type=kind))
        super().__init__(root, frames, "LR/*/color/*_c.png", FIX, complete)


class DIMLOutdoorReader(_Millimetres):
    """A sequence of `Sample`; `Sample.scene` is the folder of `outleft`, or the frame's own name where all lie in one.

    Args:
        root: the folder that holds `outleft`, or folders that do.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, no frame, or a file is missing.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        folder = Path(root)
        images = sorted({*folder.glob("outleft/*.png"), *folder.glob("*/outleft/*.png")})
        several = len({image.parent for image in images}) > 1
        frames = []
        for image in images:
            drive = image.parent.parent
            name = f"{drive.name}_{image.stem}" if several else image.stem
            scene = drive.name if several else name
            frames.append(FileFrame(name, image, drive / "depthmap" / image.name, scene=scene))
        super().__init__(root, frames, "outleft/*.png or */outleft/*.png, and depthmap beside", FIX, complete)
