"""What readers of one image file and one depth file per frame share: the pairs, and the checks of their content."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsIndex

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt16

from zdlib.data.formats.arrays import read_array
from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.formats.images import read_picture
from zdlib.data.sample import Frames, Sample
from zdlib.errors import ZDError
from zdlib.gates.opening import first_twice


@dataclass(frozen=True)
class FileFrame:
    """Where one frame lies.

    Attributes:
        name: unique within the data set.
        image, depth: its files.
        mask: the data set's own validity mask; None where it has none.
        scene, scene_type: as in `Sample`.
    """

    name: str
    image: Path
    depth: Path
    mask: Path | None = None
    scene: str = ""
    scene_type: str = ""


class FilesReader(Frames[Sample]):
    """A sequence of `Sample` read from files; safe to fork and to pickle.

    A subclass finds the frames (`__init__`) and decodes depth (`read_depth`); it may add a mask and intrinsics.

    Args:
        root: the folder that was asked for; names the data set in messages.
        frames: in the data set's order.
        expected: which files were looked for; explains an empty folder.
        fix: what to do about a missing or damaged file; ends the error's line.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: there is no frame, a file is missing, or two frames have one name.

    Attributes:
        names, scenes: one per frame.
    """

    def __init__(
        self, root: str | os.PathLike[str], frames: Sequence[FileFrame], expected: str, fix: str, complete: bool = True
    ):
        self.path, self.fix = Path(root), fix
        self._frames = list(frames)
        self.names = [frame.name for frame in self._frames]
        self.scenes = [frame.scene for frame in self._frames]
        if not self.path.is_dir():
            raise ZDError(f"{root}: no such folder: {fix}")
        if not self._frames:
            raise ZDError(f"{root}: no frame found, expected {expected}: {fix}")
        if (twice := first_twice(self.names)) is not None:
            raise ZDError(f"{root}: two frames are called {twice}: remove one copy")
        if complete:
            needed = (path for frame in self._frames for path in (frame.image, frame.depth, frame.mask) if path)
            missing = [path for path in needed if not path.is_file()]
            if missing:
                more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
                raise ZDError(f"{missing[0]}: no such file{more}: {fix}")

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame; a file is missing, damaged, or of another dtype or shape than the data set's; the
                depth is not finite, negative, or 0 everywhere.
        """
        frame = self._frames[checked_index(self.path, index, len(self))]
        image = read_picture(frame.image, self.fix, "RGB")
        depth = self.read_depth(frame.depth)
        mask = self.read_mask(frame)
        for path, found in ((frame.depth, depth), (frame.mask, mask)):
            if found is not None and found.shape != image.shape[:2]:
                raise ZDError(
                    f"{path}: {found.shape[1]}×{found.shape[0]} pixels, {frame.image.name} has {image.shape[1]}×"
                    f"{image.shape[0]}: {self.fix}"
                )
        if not np.isfinite(depth).all():
            raise ZDError(f"{frame.depth}: holds NaN or infinity, this data set marks missing depth by 0: {self.fix}")
        if depth.min() < 0:
            raise ZDError(f"{frame.depth}: depth is negative ({depth.min():g} m): {self.fix}")
        if not depth.any():
            raise ZDError(f"{frame.depth}: no pixel has a depth: {self.fix}")
        return Sample(
            name=frame.name,
            image=image,
            depth=depth,
            mask=mask,
            scene=frame.scene,
            scene_type=frame.scene_type,
            intrinsics=self.read_intrinsics(frame),
        )

    @abstractmethod
    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Planar depth in metres, 0 where there is none."""

    def read_mask(self, frame: FileFrame) -> Bool[np.ndarray, "h w"] | None:
        """The data set's own mask, False where a pixel must not be judged; None where it has none."""
        return None

    def read_intrinsics(self, frame: FileFrame) -> Float64[np.ndarray, "3 3"] | None:
        """The pinhole matrix of a frame, pixels from 0; None where the data set's files do not hold it."""
        return None


def metres(units: UInt16[np.ndarray, "h w"], units_per_metre: int) -> Float32[np.ndarray, "h w"]:
    """Units of a depth map as metres."""
    return (units / units_per_metre).astype(np.float32)


def read_npy(path: Path, fix: str) -> np.ndarray:
    """The array of a `.npy` file, (h, w) or (h, w, 1) in the file, (h, w) here.

    Raises:
        ZDError: missing, damaged, pickled, or with other axes.
    """
    array = read_array(path, fix)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 or not array.size:
        raise ZDError(f"{path}: holds {array.shape}, expected (h, w) or (h, w, 1): {fix}")
    return array


def read_float_npy(path: Path, fix: str) -> Float32[np.ndarray, "h w"]:
    """Metres of a `.npy` depth map.

    Raises:
        ZDError: as `read_npy`, or the numbers are not floating-point.
    """
    array = read_npy(path, fix)
    if not np.issubdtype(array.dtype, np.floating):
        raise ZDError(f"{path}: has dtype {array.dtype}, expected metres as float32: {fix}")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused for that
        return np.ascontiguousarray(array, np.float32)


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of these subfolders that exists (an empty name is the root itself); the last where none does."""
    return next((root / name for name in names if (root / name).is_dir()), root / names[-1])
