"""DIODE (Vasiljevic et al., 2019), validation part: 325 indoor and 446 outdoor frames of a laser scanner.

`val.tar.gz` (2.6 GB, MD5 5c895d09201b88973c8fe4552a67dd85) of https://diode-dataset.org::

    ROOT/val/indoors/scene_00019/scan_00183/00019_00183_indoors_000_010.png               1024×768
                                            00019_00183_indoors_000_010_depth.npy         (768, 1024, 1) float32, metres
                                            00019_00183_indoors_000_010_depth_mask.npy    (768, 1024), 1 valid, 0 not
    ROOT/val/outdoor/scene_00022/…

Depth is 0 where there is none. The mask, 1 where the scanner's return is valid, is `Sample.mask`, and leaves depth as
it is: the protocol says whether it counts (ZoeDepth loads it and does not use it). ZoeDepth resizes the image to 480
rows before it meets the network, whose own resizing follows; the reader does not.
"""

import os
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64

from zdlib.data.formats.pairs import FileFrame, FilesReader, first_folder, read_float_npy, read_npy
from zdlib.errors import ZDError

FIX = "unpack val.tar.gz of https://diode-dataset.org"

# The scanner's camera for 1024×768 pixels (intrinsics.txt of the authors' development kit).
INTRINSICS: Float64[np.ndarray, "3 3"] = np.array([[886.81, 0.0, 512.0], [0.0, 927.06, 384.0], [0.0, 0.0, 1.0]])


class DiodeReader(FilesReader):
    """A sequence of `Sample`, with the validity mask.

    Args:
        root: the folder of the part (`indoors`, `outdoor`), `val`, or the folder that holds `val`.
        part: which part.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, no frame of this part, or a file is missing.
    """

    def __init__(
        self, root: str | os.PathLike[str], part: Literal["indoors", "outdoor"] = "indoors", complete: bool = True
    ):
        folder = first_folder(Path(root), (f"val/{part}", part, ""))
        frames = [
            FileFrame(
                name=image.stem,
                image=image,
                depth=image.with_name(f"{image.stem}_depth.npy"),
                mask=image.with_name(f"{image.stem}_depth_mask.npy"),
                scene=image.parent.parent.name,
            )
            for image in sorted(folder.glob(f"scene_*/scan_*/*_{part}_*.png"))
        ]
        super().__init__(root, frames, f"{part}/scene_*/scan_*/*_{part}_*.png", FIX, complete)

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Metres as stored, masked pixels included."""
        return read_float_npy(path, self.fix)

    def read_mask(self, frame: FileFrame) -> Bool[np.ndarray, "h w"]:
        """True where the authors call the depth valid."""
        path = frame.depth.with_name(f"{frame.name}_depth_mask.npy")
        mask = read_npy(path, self.fix)
        if not ((mask == 0) | (mask == 1)).all():
            raise ZDError(f"{path}: holds other numbers than 0 and 1: {self.fix}")
        return mask == 1

    def read_intrinsics(self, frame: FileFrame) -> Float64[np.ndarray, "3 3"]:
        """One camera took all frames."""
        return INTRINSICS.copy()
