"""NYU Depth V2, labelled part: the `.mat` file as its authors ship it, and its splits.

`nyu_depth_v2_labeled.mat` (Silberman et al., ECCV 2012) is a MATLAB 7.3 file, which is HDF5 with the axes reversed:
`images` (n, 3, w, h) uint8, `depths` (in-painted) and `rawDepths` (as measured, 0 = none) (n, w, h) float32 metres,
`labels` (n, w, h) uint16 indices into the 894 `names`, and cell arrays of strings.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, UInt16

from zdlib.data import classes
from zdlib.data.formats.hdf5 import LazyFile, checked_index
from zdlib.data.formats.mat import read_mat5
from zdlib.data.sample import Frames, Sample
from zdlib.errors import ZDError, named_in_profile
from zdlib.gates.opening import FRAMES, PIXELS

# What messages ask for.
_MAT = (
    "NYU's nyu_depth_v2_labeled.mat (2,972,037,809 bytes, MD5 520609c519fba3ba5ac58c8fefcc3530) from "
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html; the embedded rooms' file is written by notebook 01"
)
_SPLITS = (
    "NYU's splits.mat (MD5 08e3c3aea27130ac7c01ffd739a4535f) from "
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html; the embedded rooms' file is written by notebook 01"
)

_OFFICIAL_PARTS = Path(__file__).parents[1] / "nyu_splits.csv"
SPLIT_ARGUMENT = named_in_profile("the split of set nyu under data")

NYU_FRAMES = 1449
OFFICIAL_TRAIN, OFFICIAL_TEST = 795, 654  # frames of the official split
CONTIGUOUS_TRAIN = 1158  # the original repository trains on the frames before this one

# Colour camera of the aligned 480×640 frames (NYU's toolbox, camera_params.m, whose pixels count from 1).
INTRINSICS: Float64[np.ndarray, "3 3"] = np.array(
    [[518.857901, 0.0, 324.582449], [0.0, 519.469611, 252.736166], [0.0, 0.0, 1.0]]
)


@dataclass(frozen=True)
class Splits:
    """Frame numbers, 0-based and ascending, of the training and the test part."""

    train: Int64[np.ndarray, " n"]
    test: Int64[np.ndarray, " m"]


def read_splits(
    path: str | os.PathLike[str],
    frames: int | None = None,
    argument: str = SPLIT_ARGUMENT,
) -> Splits:
    """Read the official split (`trainNdxs`, `testNdxs`, 1-based; 795 and 654 frames of NYU).

    Args:
        path: NYU's `splits.mat`.
        frames: number of frames of the data set, to check against; None = unchecked.
        argument: what the user named the file by; for messages.

    Raises:
        ZDError: missing, not a MATLAB 5 file, a key is missing, a frame is in both parts or does not exist.
    """
    fix = f"set {argument} to {_SPLITS}"
    content = read_mat5(Path(path), "not a readable MATLAB 5 file", fix)
    train, test = (_frame_numbers(content, key, frames, path, fix) for key in ("trainNdxs", "testNdxs"))
    if np.intersect1d(train, test).size:
        raise ZDError(f"{path}: a frame is in both trainNdxs and testNdxs: {fix}")
    return Splits(train, test)


def _frame_numbers(
    content: dict[str, Any], key: str, frames: int | None, path: str | os.PathLike[str], fix: str
) -> Int64[np.ndarray, " n"]:
    """0-based and ascending, from the 1-based numbers of a file."""
    if key not in content:
        raise ZDError(f"{path}: key {key!r} is missing: {fix}")
    stored = content[key]
    if not isinstance(stored, np.ndarray) or stored.size == 0 or stored.dtype.kind not in "iuf":
        raise ZDError(f"{path}: {key} is empty or not made of whole numbers: {fix}")
    numbers = np.sort(stored.ravel())
    if not (np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all()):
        raise ZDError(f"{path}: {key} is empty or not made of whole numbers: {fix}")
    if numbers[0] < 1 or numbers[-1] > (frames or FRAMES.value):
        raise ZDError(f"{path}: {key} leaves 1..{frames or 'n'}: use the splits.mat made for this data set")
    if (twice := numbers[1:][numbers[1:] == numbers[:-1]]).size:
        raise ZDError(f"{path}: {key} names frame {int(twice[0])} twice: {fix}")
    return numbers.astype(np.int64) - 1


def contiguous_split(frames: int) -> Splits:
    """The original repository's split: the first 1158/1449 of the frames, and the rest (exactly 1158 / 291 for NYU)."""
    cut = round(frames * CONTIGUOUS_TRAIN / NYU_FRAMES)
    return Splits(np.arange(cut, dtype=np.int64), np.arange(cut, frames, dtype=np.int64))


def official_parts() -> pd.Series:
    """NYU's official split: `train` or `test` for each of the 1449 labelled frames (0-based index).

    Source: `splits.mat` (795 `trainNdxs`, 654 `testNdxs`), shipped here as `zdlib/data/nyu_splits.csv`.
    """
    return pd.read_csv(_OFFICIAL_PARTS, index_col="frame")["part"]


def official_split() -> Splits:
    """The official split of NYU's own 1449 frames, from the copy of `splits.mat`'s content in `zdlib/data`."""
    parts = official_parts().to_numpy()
    return Splits(np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test"))


def mat_file(root: str | os.PathLike[str]) -> Path:
    """NYU's `.mat`: the file itself, or that in a folder."""
    path = Path(root)
    return path / "nyu_depth_v2_labeled.mat" if path.is_dir() else path


class NYUReader(Frames[Sample]):
    """A sequence of `Sample` read from NYU's `.mat` layout; safe to fork and to pickle.

    Keys, shapes, dtypes and the list of names are checked at once, each frame when it is read. `Sample.intrinsics` is
    NYU's for frames of 480×640, else None (the file does not hold it).

    Args:
        mat_path: the `.mat` file, or the folder that holds it under NYU's name.
        depth: `raw` (`rawDepths`, holes stay 0) or `inpainted` (`depths`).
        argument: what the user named the file by; for messages.
        fix: what else mends a file that is missing or broken; for messages.

    Raises:
        ZDError: the file is missing, truncated or not HDF5; a key, shape, dtype or name is not NYU's.

    Attributes:
        names, scenes, scene_types: one string per frame.
        shape: (height, width) of every frame.
        depth, depth_key: which depth, and its name in the file.
        random_access: whether every image is one uncompressed chunk, as in a pack.
    """

    def __init__(
        self,
        mat_path: str | os.PathLike[str],
        depth: Literal["raw", "inpainted"] = "raw",
        argument: str = named_in_profile("the root of set nyu under data"),
        fix: str | None = None,
    ):
        self._source = source = LazyFile(mat_file(mat_path), fix or f"set {argument} to {_MAT}")
        self.path = source.path
        self.depth = depth
        self.depth_key = {"raw": "rawDepths", "inpainted": "depths"}[depth]
        images = source.dataset("images", np.uint8, ndim=4)
        count, channels, width, height = images.shape
        PIXELS.check(width * height, f"{self.path}: a frame")
        self.names = [f"nyu_{frame:04d}" for frame in range(count)]
        self.shape: tuple[int, int] = (height, width)
        self.random_access = images.chunks == (1, channels, width, height) and images.compression is None
        for key, dtype in ((self.depth_key, np.float32), ("labels", np.uint16)):
            shape = source.dataset(key, dtype, ndim=3).shape
            if channels != 3 or shape != (count, width, height):
                raise ZDError(
                    f"{self.path}: images {images.shape} and {key} {shape} do not fit, expected (n, 3, w, h) and "
                    f"(n, w, h): {source.fix}"
                )
        self.scenes = source.strings("scenes")
        self.scene_types = source.strings("sceneTypes")
        for key, texts in (("scenes", self.scenes), ("sceneTypes", self.scene_types)):
            if len(texts) != count:
                raise ZDError(f"{self.path}: {key} has {len(texts)} entries for {count} images: {source.fix}")
        self._check_names()

    def _check_names(self) -> None:
        """The class maps hold for NYU's list of names and no other."""
        names, expected, fix = self._source.strings("names"), classes.raw_names(), self._source.fix
        if len(names) != len(expected):
            raise ZDError(f"{self.path}: names has {len(names)} entries, NYU's list has {len(expected)}: {fix}")
        for number, (found, known) in enumerate(zip(names, expected, strict=True), 1):
            if found != known:
                raise ZDError(f"{self.path}: names[{number}] is {found!r}, in NYU's list {known!r}: {fix}")

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame; its depth is not finite, negative or invalid everywhere; a label is above 894; the
                file is damaged.
        """
        index = checked_index(self.path, index, len(self))
        where = f"{self.path}: {self.depth_key} of frame {index}"
        depth = self._frame(self.depth_key, index)
        if not np.isfinite(depth).all():
            raise ZDError(f"{where} holds NaN or infinity: store 0 where there is no measurement, or drop the frame")
        if depth.min() < 0:
            raise ZDError(f"{where} is negative ({depth.min():g} m): store 0 where there is no measurement")
        if not depth.any():
            raise ZDError(f"{where} has no valid pixel: drop the frame from the file or from the split")
        try:
            labels = classes.to_13(self.raw_labels(index))
        except ZDError as error:
            raise ZDError(f"{self.path}: labels of frame {index}: {error}") from error
        return Sample(
            name=self.names[index],
            image=self._frame("images", index),
            depth=depth,
            labels=labels,
            scene=self.scenes[index],
            scene_type=self.scene_types[index],
            intrinsics=INTRINSICS.copy() if self.shape == (480, 640) else None,
        )

    def raw_labels(self, index: SupportsIndex) -> UInt16[np.ndarray, "h w"]:
        """The frame's raw ids 0..894, as in the file."""
        return self._frame("labels", checked_index(self.path, index, len(self)))

    def _frame(self, key: str, index: int) -> np.ndarray:
        """One frame of a dataset with MATLAB's axes back in order."""
        stored = self._source.read(self._source.dataset(key), index)
        if stored.ndim == 2:
            return np.ascontiguousarray(stored.T)
        picture = np.empty(stored.shape[::-1], stored.dtype)
        for channel, plane in enumerate(stored):  # plane by plane: a tenth of the time of all axes at once
            picture[..., channel] = plane.T
        return picture
