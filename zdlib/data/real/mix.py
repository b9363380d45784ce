"""Thirteen real indoor frames of six cameras: what a network meets outside its own data set.

A copy holds, under their repositories' free licences (`files.csv`)::

    ROOT/lingbot/{0,1,5,6}/     RGB-D camera, mm, intrinsics.txt         ROOT/tum/             Kinect, 1/5000 m
    ROOT/esanet/                Kinect v2, 1/10000 m                     ROOT/realsense_room/  RealSense, mm
    ROOT/promptda/              iPhone with LiDAR, mm                    ROOT/open3d_rgbd/     Kinect, mm, 5 in a row

The phone's depth (256×192) covers the whole of its 1920×1440 picture, which is reduced to it. A frame's scene is where
it was taken. NYU-trained networks have not seen any of them, as far as their sources say.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float64
from PIL import Image

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.formats.images import read_picture, read_units
from zdlib.data.real.hololens import read_numbers
from zdlib.data.real.sample import PosedSample
from zdlib.data.sample import Frames
from zdlib.errors import ZDError

FIX = "get it again: zdlib data fetch real-mix"
PRIMESENSE = "open3d_rgbd/camera_primesense.json"  # also of TUM's picture, as Open3D's own examples use it


@dataclass(frozen=True)
class _Picture:
    scene: str
    image: str
    depth: str
    units_per_metre: int = 1000
    camera: str = ""
    number: int | None = None


_PICTURES = {
    **{
        f"lingbot_{n}": _Picture(
            f"lingbot_{n}", f"lingbot/{n}/rgb.{end}", f"lingbot/{n}/raw_depth.png", camera=f"lingbot/{n}/intrinsics.txt"
        )
        for n, end in ((0, "png"), (1, "jpg"), (5, "png"), (6, "jpg"))
    },
    "esanet": _Picture("esanet", "esanet/sample_rgb.png", "esanet/sample_depth.png", 10000),
    "promptda": _Picture("promptda", "promptda/image.jpg", "promptda/arkit_depth.png"),
    "tum": _Picture("tum", "tum/TUM_color.png", "tum/TUM_depth.png", 5000, PRIMESENSE),
    "realsense_room": _Picture(
        "realsense_room",
        "realsense_room/color/000006.png",
        "realsense_room/depth/000006.png",
        camera="realsense_room/cam_params_realsense.json",
    ),
    **{
        f"open3d_{n}": _Picture(
            "open3d",
            f"open3d_rgbd/color/0000{n}.jpg",
            f"open3d_rgbd/depth/0000{n}.png",
            camera=PRIMESENSE,
            number=n,
        )
        for n in range(5)
    },
}


class MixReader(Frames[PosedSample]):
    """A sequence of `PosedSample`; sizes differ.

    Args:
        root: the copy's folder.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, or a file is missing.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        self.path = Path(root)
        self.names = list(_PICTURES)
        self.scenes = [picture.scene for picture in _PICTURES.values()]
        if not self.path.is_dir():
            raise ZDError(f"{root}: no such folder: {FIX}")
        needed = [
            self.path / part
            for entry in _PICTURES.values()
            for part in (entry.image, entry.depth, entry.camera)
            if part
        ]
        missing = [path for path in needed if not path.is_file()]
        if complete and missing:
            more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
            raise ZDError(f"{missing[0]}: no such file{more}: {FIX}")

    def __getitem__(self, index: SupportsIndex) -> PosedSample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame; a file is missing or damaged, or picture and depth differ in shape.
        """
        number = checked_index(self.path, index, len(self))
        name, entry = self.names[number], _PICTURES[self.names[number]]
        image = read_picture(self.path / entry.image, FIX, "RGB")
        depth = read_units(self.path / entry.depth, FIX)
        if image.shape[:2] != depth.shape:
            if abs(image.shape[1] / image.shape[0] - depth.shape[1] / depth.shape[0]) > 0.01:
                raise ZDError(f"{self.path / entry.depth}: {depth.shape} is another shape than its picture's: {FIX}")
            image = np.asarray(Image.fromarray(image).resize(depth.shape[::-1], Image.Resampling.BOX))
        return PosedSample(
            name=name,
            image=image,
            depth=(depth / entry.units_per_metre).astype(np.float32),
            scene=entry.scene,
            intrinsics=self._camera(entry.camera),
            pose=None if entry.number is None else self._pose(entry.number),
        )

    def _camera(self, file: str) -> Float64[np.ndarray, "3 3"] | None:
        if not file:
            return None
        path = self.path / file
        if path.suffix == ".txt":
            return read_numbers(path, FIX).reshape(3, 3)
        try:
            columns = json.loads(path.read_text(encoding="utf-8"))["intrinsic_matrix"]
            return np.array(columns, np.float64).reshape(3, 3).T  # stored column by column
        except (OSError, ValueError, KeyError) as error:
            raise ZDError(f"{path}: not a camera of Open3D ({error}): {FIX}") from error

    def _pose(self, number: int) -> Float64[np.ndarray, "4 4"]:
        """Of Open3D's five frames: a line of three numbers before each 4×4 matrix."""
        path = self.path / "open3d_rgbd" / "odometry.log"
        numbers = read_numbers(path, FIX)
        if len(numbers) % 19 or len(numbers) < 19 * (number + 1):
            raise ZDError(f"{path}: {len(numbers)} numbers, expected 19 per frame: {FIX}")
        return numbers.reshape(-1, 19)[number, 3:].reshape(4, 4)
