"""One walk through offices, a corridor, a kitchen and sofas, 540×360 RGB with time-of-flight depth: 125 real frames.

Sample data of deep-video-mvs (Duzceker et al., CVPR 2021, MIT; `sample-data/hololens-dataset/000`), every third frame.
A copy holds::

    ROOT/hololens/images/NNNNN.png    8-bit RGB
    ROOT/hololens/depth/NNNNN.png     uint16 millimetres, 0 = none (a quarter to two fifths of the pixels)
    ROOT/hololens/K.txt               3×3 intrinsics
    ROOT/hololens/poses.txt           camera to world, 16 numbers per line of the full walk (or frames.csv)

Frames of one walk are not independent. Scenes are its stretches, `first`, `middle` and `last`, by which training,
selection and tests are kept apart; three frames between two stretches are `between` and belong to nobody.
"""

import csv
import os
from pathlib import Path
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float32, Float64

from zdlib.data.formats.images import read_units
from zdlib.data.formats.pairs import FileFrame, FilesReader, metres
from zdlib.data.real.listed import listed_files
from zdlib.data.real.sample import PosedSample
from zdlib.errors import ZDError

FIX = "get it again: zdlib data fetch real-hololens"
STRETCHES = (
    ("first", 61),
    ("between", 64),
    ("middle", 80),
    ("between", 83),
    ("last", 125),
)  # each ends before its number


def stretch(number: int) -> str:
    """The stretch of the walk that a frame lies in."""
    return next(name for name, end in STRETCHES if number < end)


class HoloLensReader(FilesReader):
    """A sequence of `PosedSample`.

    Args:
        root: the copy's folder; `hololens` itself will do.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, a file is missing, or intrinsics or poses cannot be read.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        folder = Path(root) / "hololens" if (Path(root) / "hololens").is_dir() else Path(root)
        images = [entry for entry in listed_files("real-hololens") if entry.file.startswith("hololens/images/")]
        frames = [
            FileFrame(stem, folder / "images" / f"{stem}.png", folder / "depth" / f"{stem}.png", scene=stretch(number))
            for number, stem in enumerate(Path(entry.file).stem for entry in images)
        ]
        super().__init__(root, frames, "hololens/images/*.png and depth/*.png", FIX, complete)
        self._intrinsics = read_numbers(folder / "K.txt", FIX).reshape(3, 3)
        self._poses = _poses(folder, [entry.row for entry in images])

    def __getitem__(self, index: SupportsIndex) -> PosedSample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: as `FilesReader`.
        """
        sample = super().__getitem__(index)
        return PosedSample(**vars(sample), pose=self._poses[self.names.index(sample.name)])

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Millimetres as metres."""
        return metres(read_units(path, FIX), 1000)

    def read_intrinsics(self, frame: FileFrame) -> Float64[np.ndarray, "3 3"]:
        """The walk's one camera."""
        return self._intrinsics


def read_numbers(path: Path, fix: str) -> Float64[np.ndarray, " n"]:
    """All numbers of a text file.

    Raises:
        ZDError: missing, or something in it is no number.
    """
    try:
        return np.array(path.read_text(encoding="utf-8").split(), np.float64)
    except (OSError, ValueError) as error:
        raise ZDError(f"{path}: not a text file of numbers ({error}): {fix}") from error


def _poses(folder: Path, rows: list[int]) -> list[Float64[np.ndarray, "4 4"]]:
    """Camera to world of each frame, from the authors' file, or from the list of a copy that has only that."""
    if (folder / "poses.txt").is_file() or not (folder / "frames.csv").is_file():
        numbers = read_numbers(folder / "poses.txt", FIX)
        if len(numbers) % 16 or len(numbers) // 16 <= max(rows):
            raise ZDError(
                f"{folder / 'poses.txt'}: {len(numbers)} numbers, expected 16 for each frame of the walk: {FIX}"
            )
        return list(numbers.reshape(-1, 4, 4)[rows])
    with open(folder / "frames.csv", encoding="utf-8", newline="") as file:
        lines = [row["pose_camera_to_world_row_major_4x4"] for row in csv.DictReader(file)]
    return [np.array(line.split(), np.float64).reshape(4, 4) for line in lines]
