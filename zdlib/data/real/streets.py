"""Three real street pictures, 1936×1216, of one car at one moment, with the echoes of its laser scanner.

Test data of TRI's DGP (MIT), `tests/data/dgp/test_scene/scene_01`. A copy holds::

    ROOT/tri_dgp/scene_01/rgb/CAMERA_0{1,5,6}/*.jpg      ROOT/tri_dgp/scene_01/calibration/*.json
    ROOT/tri_dgp/scene_01/point_cloud/LIDAR/*.npz        ROOT/tri_dgp/scene_01/scene_*.json

Scanner and cameras fire 0.2 s apart, so the echoes go to the world by the scanner's pose and from there to the camera
by the camera's. A pixel takes its nearest echo, as KITTI's ground truth does; all other pixels have depth 0. Points
behind what another camera position hides are in it: a scan on the roof sees over what a camera does not.
"""

import json
import os
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.formats.images import read_picture
from zdlib.data.real.sample import PosedSample
from zdlib.data.sample import Frames
from zdlib.errors import ZDError

FIX = "get it again: zdlib data fetch real-streets"
CAMERAS = ("CAMERA_01", "CAMERA_05", "CAMERA_06")


class StreetsReader(Frames[PosedSample]):
    """A sequence of `PosedSample` with sparse depth, one per camera.

    Args:
        root: the copy's folder.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, or its description is missing or damaged.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        self.path = Path(root)
        self._folder = self.path / "tri_dgp" / "scene_01"
        self.names, self.scenes = [name.lower() for name in CAMERAS], ["scene_01"] * len(CAMERAS)
        scene, calibration = (self._json(pattern) for pattern in ("scene_*.json", "calibration/*.json"))
        try:
            # The scene goes on for more moments, whose files no copy has: of each sensor the first counts.
            self._data = {e["id"]["name"]: next(iter(e["datum"].values())) for e in reversed(scene["data"])}
            self._cameras = dict(zip(calibration["names"], calibration["intrinsics"], strict=True))
            files = [self._folder / self._data[name]["filename"] for name in (*CAMERAS, "LIDAR")]
        except (KeyError, TypeError, ValueError) as error:
            raise ZDError(f"{self._folder}: not a scene of DGP ({error!r}): {FIX}") from error
        if complete:
            for path in files:
                if not path.is_file():
                    raise ZDError(f"{path}: no such file: {FIX}")

    def __getitem__(self, index: SupportsIndex) -> PosedSample:
        """Read one camera; `index` is 0-based.

        Raises:
            ZDError: no such camera; a file is missing or damaged.
        """
        number = checked_index(self.path, index, len(self))
        camera = self._data[CAMERAS[number]]
        image = read_picture(self._folder / camera["filename"], FIX, "RGB")
        lens = self._cameras[CAMERAS[number]]
        intrinsics = np.array([[lens["fx"], lens["skew"], lens["cx"]], [0, lens["fy"], lens["cy"]], [0, 0, 1]])
        pose = _pose(camera["pose"])
        to_camera = np.linalg.inv(pose) @ _pose(self._data["LIDAR"]["pose"])
        points = self._echoes() @ to_camera[:3, :3].T + to_camera[:3, 3]
        return PosedSample(
            name=self.names[number],
            image=image,
            depth=nearest_depth(points, intrinsics, image.shape[:2]),
            scene=self.scenes[number],
            intrinsics=intrinsics,
            pose=pose,
        )

    def _json(self, pattern: str) -> Any:
        path = next(iter(sorted(self._folder.glob(pattern))), self._folder / pattern)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ZDError(f"{path}: cannot be read ({error}): {FIX}") from error

    def _echoes(self) -> Float64[np.ndarray, "n 3"]:
        path = self._folder / self._data["LIDAR"]["filename"]
        try:
            with np.load(path, allow_pickle=False) as file:
                return np.asarray(file["data"][:, :3], np.float64)
        except Exception as error:  # NumPy and zipfile raise many kinds on damaged bytes
            raise ZDError(f"{path}: not a scan ({error}): {FIX}") from error


def nearest_depth(
    points: Float64[np.ndarray, "n 3"], intrinsics: Float64[np.ndarray, "3 3"], size: tuple[int, int]
) -> Float32[np.ndarray, "h w"]:
    """Planar depth of points in the camera's axes, the nearest of each pixel; 0 = none."""
    height, width = size
    points = points[points[:, 2] > 0]
    pixels = points @ intrinsics.T
    columns, rows = (np.rint(pixels[:, axis] / pixels[:, 2]) for axis in (0, 1))
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    depth = np.full(size, np.inf, np.float32)
    places = rows[inside].astype(np.intp), columns[inside].astype(np.intp)
    np.minimum.at(depth, places, points[inside, 2].astype(np.float32))
    return np.where(np.isfinite(depth), depth, np.float32(0))


def _pose(pose: dict[str, dict[str, float]]) -> Float64[np.ndarray, "4 4"]:
    """A DGP pose as a matrix, sensor to world."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([pose["rotation"][f"q{axis}"] for axis in "xyzw"]).as_matrix()
    matrix[:3, 3] = [pose["translation"][axis] for axis in "xyz"]
    return matrix
