"""Reader of the embedded road scenes (data/streets/*.h5): numpy, h5py and Pillow only.

A store holds clips; a clip has frames 0.1 s apart; a frame has the pictures of one or two cameras and, for
the left one, depth, labels, instances, masks, perhaps a scan, and the pose. Attributes explain every array.
"""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from zdlib.data.formats.images import decode_picture
from zdlib.errors import ZDError
from zdlib.gates.opening import explained, require_regular

FIX = "restore data/streets/ (git checkout -- data/streets)"
OCCLUDED, MOVING = 1, 2
"""Bits of the stored mask."""
VELODYNE_TO_CAMERA = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
"""From the scanner's axes (x forward, y left, z up) to the camera's (x right, y down, z forward)."""


@dataclass(frozen=True)
class StoredFrame:
    """One moment of a clip.

    Attributes:
        left, right: (h, w, 3) uint8 sRGB of the rectified cameras; `right` is None where there is only one.
        depth: (h, w) float32 planar depth of the left camera in metres, exact up to 0.05 %; 0 = sky, or
            outside 1..250 m.
        labels: (h, w) uint8 train ids 0..18, 255 = void.
        instances: (h, w) uint8 number of a thing in `StoredClip.objects`, 0 = stuff.
        occluded: (h, w) bool, not seen by the right camera (hidden, or outside its picture); never on sky.
        moving: (h, w) bool, belongs to a moving object.
        pose: (4, 4) left camera to world, metres, axes x right, y down, z forward.
        points: (n, 3) float32 echoes of the scanner in its own axes (x forward, y left, z up), metres; None =
            no scan.
    """

    left: NDArray[np.uint8]
    right: NDArray[np.uint8] | None
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    occluded: NDArray[np.bool_]
    moving: NDArray[np.bool_]
    pose: NDArray[np.float64]
    points: NDArray[np.float32] | None


@dataclass(frozen=True)
class StoredClip:
    """A clip without its pictures.

    Attributes:
        split: `train`, `val` or `test`. seed: of the generator.
        style, season, weather: words.
        speed: of the camera in frame 0, m/s.
        objects: what is countable and seen: `id`, `class`, `model`, `moving`, `size` (x, y, z in metres),
            `pose` (4x4 object to world, one per frame or one if it stands; front +y, z up, origin on the
            ground).
    """

    split: str
    seed: int
    style: str
    season: str
    weather: str
    speed: float
    objects: list[dict[str, Any]]


class Store:
    """Read access to one file, opened on first use and again in every process. Safe to fork and to pickle.

    Args:
        path: the file.

    Attributes:
        name: `Streets-K` or `Streets-V`.
        width, height: of every picture.
        intrinsics: (3, 3) in pixels, pixel centres at integer coordinates; the same for both cameras.
        baseline: metres between the cameras, 0 = only one.
        hz: frames per second. frames: per clip.
        class_names: of the train ids.
        scanner_position: (3,) of the scanner in the left camera's axes, metres.

    Raises:
        ZDError: missing, damaged, or no store of streets.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._process = -1
        try:
            attributes = dict(self._open().attrs)
            self.name = str(attributes["name"])
            self.width, self.height = int(attributes["width"]), int(attributes["height"])
            self.intrinsics: NDArray[np.float64] = np.asarray(attributes["K"], np.float64)
            self.baseline, self.hz = float(attributes["baseline"]), float(attributes["hz"])
            self.frames = int(attributes["frames"])
            self.class_names: tuple[str, ...] = tuple(json.loads(attributes["classes"]))
            self.scanner_position: NDArray[np.float64] = np.asarray(attributes["scanner_position"], np.float64)
            self._steps, self._lidar_unit = float(attributes["depth_steps"]), float(attributes["lidar_unit"])
        except KeyError as error:
            raise ZDError(f"{path}: attribute {error} is missing, so this is no store of streets: {FIX}") from error
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise ZDError(f"{path}: no store of streets ({error}): {FIX}") from error
        self.splits: list[str] = [text.decode() for text in self._read("split", ())]
        self.seeds: list[int] = self._read("seed", ()).tolist()

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.splits)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None, "_process": -1}

    def of_split(self, split: str) -> list[int]:
        """Numbers of the clips of a split."""
        return [number for number, name in enumerate(self.splits) if name == split]

    def clip(self, number: int) -> StoredClip:
        """What is known of a clip.

        Raises:
            ZDError: there is no such clip, or the file is damaged.
        """
        self._check(number, 0)
        words = {key: self._read(key, number).decode() for key in ("style", "season", "weather")}
        return StoredClip(
            split=self.splits[number],
            seed=self.seeds[number],
            speed=float(self._read("speed", number)),
            objects=self._objects(number),
            **words,
        )

    def frame(self, number: int, moment: int = 0) -> StoredFrame:
        """Decode one frame of a clip.

        Raises:
            ZDError: there is no such frame, or the file is damaged.
        """
        self._check(number, moment)
        mask, code = self._read("mask", (number, moment)), self._picture("depth", number, moment)
        depth = np.where(code > 0, np.exp(code / self._steps), 0).astype(np.float32)
        pictures = [self._picture("image", number, moment, side) for side in range(2 if self.baseline else 1)]
        return StoredFrame(
            left=pictures[0],
            right=pictures[1] if self.baseline else None,
            depth=depth,
            labels=self._read("label", (number, moment)),
            instances=self._read("instance", (number, moment)),
            occluded=mask & OCCLUDED > 0,
            moving=mask & MOVING > 0,
            pose=self._read("pose", (number, moment)),
            points=self._points(number, moment),
        )

    def jpeg(self, number: int, moment: int = 0, side: int = 0) -> bytes:
        """The file of one picture as it is stored, 0 = left.

        Raises:
            ZDError: there is no such picture, or the file is damaged.
        """
        self._check(number, moment)
        return bytes(self._read("image", (number, moment, side)).tobytes())

    def agreement(self) -> NDArray[np.float32]:
        """(clips, frames, 2): median difference of left and right depth (relative), share within 1 %."""
        return np.asarray(self._read("agreement", ()))

    def lidar_depth(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(h, w) sparse depth of echoes by KITTI's rule (the nearest of a pixel); 0 = none."""
        local = points @ VELODYNE_TO_CAMERA.T + self.scanner_position
        local = local[local[:, 2] > 0]
        pixels = local @ self.intrinsics.T
        column = np.rint(pixels[:, 0] / pixels[:, 2]).astype(int)
        row = np.rint(pixels[:, 1] / pixels[:, 2]).astype(int)
        inside = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        depth = np.full((self.height, self.width), np.inf, np.float32)
        np.minimum.at(depth, (row[inside], column[inside]), local[inside, 2].astype(np.float32))
        return np.where(np.isfinite(depth), depth, np.float32(0))

    def _open(self) -> h5py.File:
        # h5py's handles are invalid after `fork`, and data loaders do that.
        if self._file is None or self._process != os.getpid():
            require_regular(self.path, FIX)
            with explained(self.path, "not a readable HDF5 file", FIX):
                self._file = h5py.File(self.path, "r")
            self._process = os.getpid()
        return self._file

    def _read(self, key: str, index: Any) -> Any:
        with explained(self.path, f"{key} at {index} cannot be read", FIX):
            return self._open()[key][index]

    def _check(self, number: int, moment: int) -> None:
        if not (0 <= number < len(self) and 0 <= moment < self.frames):
            raise ZDError(f"{self.path}: clip {number} frame {moment}: has {len(self)} clips of {self.frames} frames")

    def _picture(self, key: str, *index: int) -> Any:
        try:
            return decode_picture(self._read(key, index).tobytes(), f"{self.path}: {key}", FIX)
        except ZDError as error:
            raise ZDError(f"{self.path}: {key} {index} is damaged ({error.__cause__}): {FIX}") from error

    def _objects(self, number: int) -> list[dict[str, Any]]:
        try:
            return list(json.loads(zlib.decompress(self._read("objects", number).tobytes())))
        except (zlib.error, ValueError) as error:
            raise ZDError(f"{self.path}: objects of clip {number} are damaged ({error}): {FIX}") from error

    def _points(self, number: int, moment: int) -> NDArray[np.float32] | None:
        stored = self._open()
        if "lidar" not in stored:
            return None
        ranges = self._read("lidar", (number, moment)) * self._lidar_unit
        attributes = stored["lidar"].attrs
        elevation = np.radians(np.asarray(attributes["elevation_degrees"]))[:, None]
        azimuth = np.radians(np.asarray(attributes["azimuth_degrees"]))[None]
        across = np.cos(elevation)
        up = np.broadcast_to(np.sin(elevation), ranges.shape)
        directions = np.stack([across * np.cos(azimuth), -across * np.sin(azimuth), up], -1)
        return np.asarray((directions * ranges[..., None])[ranges > 0], np.float32)


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a store for reading.

    Raises:
        ZDError: missing, damaged, or no store of streets.
    """
    return Store(path)
