"""SUN RGB-D (Song et al., CVPR 2015), test part: 5050 indoor frames of four sensors.

As its authors ship it (`SUNRGBD.zip` and `SUNRGBDtoolbox.zip` of https://rgbd.cs.princeton.edu, side by side)::

    ROOT/SUNRGBD/kv1/NYUdata/NYU0001/image/NYU0001.jpg
                                     depth/NYU0001.png        as measured
                                     depth_bfx/NYU0001.png    holes filled
                                     intrinsics.txt           nine numbers, row by row
                                     scene.txt                `bedroom`
    ROOT/SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat         `alltest`: folders, each with a leading /n/fs/sun3d/data

Depth is a 16-bit PNG whose number is the millimetres rotated left by three bits: rotate right by three, divide by
1000 (the toolbox's `read3dPoints.m`); 0 = none. Read unrotated, every depth is eight times too large.

As ZoeDepth's loader expects it::

    ROOT/rgb/rgb/NAME.jpg
    ROOT/gt/gt/NAME.png       16 bit, millimetres, already rotated back; 0 = none

ZoeDepth does not say which of the two depths its `gt` was made from; the measured one is the default here. Its
loader drops depth beyond 8 m; here the protocol's range does.
"""

import os
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32, Float64, UInt16

from zdlib.data.formats.images import read_units
from zdlib.data.formats.mat import read_mat5
from zdlib.data.formats.pairs import FileFrame, FilesReader, metres
from zdlib.errors import ZDError
from zdlib.gates.opening import explained, inside, read_text

FIX = (
    "unpack SUNRGBD.zip and SUNRGBDtoolbox.zip of https://rgbd.cs.princeton.edu side by side, or arrange images and "
    "depth as rgb/rgb/NAME.jpg and gt/gt/NAME.png"
)
SPLIT = Path("SUNRGBDtoolbox", "traintestSUNRGBD", "allsplit.mat")


class SunRGBDReader(FilesReader):
    """A sequence of `Sample`, from either layout.

    Args:
        root: the folder that holds `SUNRGBD` and `SUNRGBDtoolbox`, or `rgb` and `gt`.
        filled: take `depth_bfx` instead of `depth`; the authors' layout only.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: neither layout is there, the list is missing or damaged, or a file is missing.

    Attributes:
        layout: `official` or `zoedepth`.
    """

    def __init__(self, root: str | os.PathLike[str], filled: bool = False, complete: bool = True):
        folder = Path(root)
        self.layout = "official" if (folder / "SUNRGBD").is_dir() else "zoedepth"
        if self.layout == "official":
            frames = [
                _official(folder / "SUNRGBD", part, "depth_bfx" if filled else "depth") for part in _listed(folder)
            ]
        else:
            frames = [
                FileFrame(image.stem, image, folder / "gt" / "gt" / f"{image.stem}.png", scene=image.stem)
                for image in sorted((folder / "rgb" / "rgb").glob("*.jpg"))
            ]
        super().__init__(root, frames, "SUNRGBD/ and SUNRGBDtoolbox/, or rgb/rgb/*.jpg and gt/gt/*.png", FIX, complete)

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Metres; beyond 65 m there is no number."""
        units = read_units(path, self.fix)
        if self.layout == "official":
            units = rotate_right(units)
        elif units.any() and not (units % 8).any():
            # Millimetres below 8192, rotated, are all multiples of 8, and measured millimetres never all are.
            raise ZDError(
                f"{path}: every number is a multiple of 8: this is SUN RGB-D's rotated form, which under gt/ must have "
                "been rotated right by 3 bits: convert it, or keep the authors' folders"
            )
        return metres(units, 1000)

    def read_intrinsics(self, frame: FileFrame) -> Float64[np.ndarray, "3 3"] | None:
        """From `intrinsics.txt` beside the image's folder."""
        path = frame.image.parent.parent / "intrinsics.txt"
        if self.layout != "official" or not path.is_file():
            return None
        text = read_text(path, self.fix)
        try:
            return np.array(text.split(), np.float64).reshape(3, 3)
        except (ValueError, OverflowError) as error:
            raise ZDError(f"{path}: not nine numbers: {self.fix}") from error


def rotate_right(units: UInt16[np.ndarray, "h w"]) -> UInt16[np.ndarray, "h w"]:
    """Each number's 16 bits, rotated right by three."""
    return (units >> 3) | (units << 13)


def _listed(root: Path) -> list[PurePosixPath]:
    """The test folders, relative to `SUNRGBD`."""
    path = root / SPLIT
    problem = "no readable list of test folders, 'alltest'"
    content = read_mat5(path, problem, FIX)
    with explained(path, problem, FIX):
        texts = [str(cell.item()) for cell in content["alltest"].ravel()]
        parts = [text.split("/SUNRGBD/", 1)[1] for text in texts]
    for part in parts:
        inside(root, part, path, FIX)
    return [PurePosixPath(part.lstrip("/")) for part in parts]


def _official(root: Path, part: PurePosixPath, kind: str) -> FileFrame:
    folder = root / part
    image, depth = (
        next(iter(sorted((folder / sub).glob(f"*{suffix}"))), folder / sub / f"{part.name}{suffix}")
        for sub, suffix in (("image", ".jpg"), (kind, ".png"))
    )
    note = folder / "scene.txt"
    kind_of_room = read_text(note, FIX).strip() if note.is_file() else ""
    # Frames of one place are not told apart from others by the folders' names: each stands alone.
    name = "_".join(part.parts)
    return FileFrame(name, image, depth, scene=name, scene_type=kind_of_room)
