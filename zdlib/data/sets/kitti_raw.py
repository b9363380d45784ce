"""KITTI's raw recordings (Geiger et al., 2013): single frames with depth, stereo pairs, clips with poses.

The `_sync` drives and the calibration of their days, of https://www.cvlibs.net/datasets/kitti, and, for depth other
than the scanner's, the depth benchmark's `data_depth_annotated.zip` (Uhrig et al., 2017)::

    ROOT/2011_09_26/calib_cam_to_cam.txt, calib_velo_to_cam.txt, calib_imu_to_velo.txt (poses only)
    ROOT/2011_09_26/2011_09_26_drive_0002_sync/image_02|image_03/data/0000000069.png     left, right colour, ~1242×375
    …/velodyne_points/data/0000000069.bin        float32: x forward, y left, z up (m), reflectance
    …/oxts/data/0000000069.txt                   position and attitude (poses only)
    …/proj_depth/groundtruth/image_02/0000000069.png     16 bit, metres · 256, 0 = none

The days may lie under `raw/` or `raw_data/`, pictures may be `.jpg` (monodepth2's), and annotated depth may lie as its
archive unpacks: `gts/` or `data_depth_annotated/`, with or without `train/` and `val/`, and then the drive. A list
names frames as monodepth2's splits do, `2011_09_26/2011_09_26_drive_0002_sync 69 l` per line (`r`: the right camera);
without one, all frames that have a depth are read. The principal point is that of the calibration files, which is
taken for pixel centres at whole numbers.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, SupportsIndex

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.formats.images import read_picture, read_units
from zdlib.data.formats.kitti_files import Calibration, poses, project_scan, read_calibration, read_packet, read_scan
from zdlib.data.formats.pairs import first_folder, metres
from zdlib.data.sample import Frames, Sample
from zdlib.data.sequences import Clip, StereoPair
from zdlib.errors import ZDError
from zdlib.gates.opening import FRAMES, read_text

FIX = "put the raw drives and calibrations of https://www.cvlibs.net/datasets/kitti into one folder per day"
SIDES = "lr"
KittiDepth = Literal["improved", "velodyne", "velodyne_forward", "none"]


@dataclass(frozen=True)
class RawFrame:
    """One picture of a drive.

    Attributes:
        drive: its folder.
        index: number in the drive.
        side: 0 left, 1 right camera.
    """

    drive: Path
    index: int
    side: int

    @property
    def name(self) -> str:
        """Unique in KITTI."""
        return f"{self.drive.name}_{self.index:010d}" + ("_r" if self.side else "")

    def picture(self, side: int, offset: int = 0) -> Path:
        """A picture of a moment of the drive; PNG where there is neither PNG nor JPEG."""
        stem = self.drive / f"image_0{2 + side}" / "data" / f"{self.index + offset:010d}"
        jpeg = stem.with_suffix(".jpg")
        return jpeg if jpeg.is_file() else stem.with_suffix(".png")

    def scan(self) -> Path:
        """Its echoes."""
        return self.drive / "velodyne_points" / "data" / f"{self.index:010d}.bin"

    def packet(self, offset: int = 0) -> Path:
        """Position at a moment of the drive."""
        return self.drive / "oxts" / "data" / f"{self.index + offset:010d}.txt"


class KittiRawReader(Frames[Sample]):
    """A sequence of `Sample`, and of the pairs and clips around them. `Sample.scene` is the drive.

    Args:
        root: the folder of the days.
        list_file: which frames; None = all that have a depth.
        kitti_depth: `improved`: the annotated depth (652 of Eigen's 697 test frames have it); `velodyne`: the scan
            projected by the authors' rule (`zdlib.data.formats.kitti_files.project_scan`); `velodyne_forward`: the same
            with the scanner's forward coordinate for depth, as in the exported ground truth of Eigen's 697; `none`:
            frames are pairs and clips only, and no `Sample` is read.
        complete: refuse at once if a picture or a calibration is missing; else when its frame is read.

    Raises:
        ZDError: the list is missing or has another form, no frame has a depth, or a file is missing.

    Attributes:
        without_depth: names of the list's frames that have no depth, which are left out.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        list_file: str | os.PathLike[str] | None = None,
        kitti_depth: KittiDepth = "improved",
        complete: bool = True,
    ):
        self.path, self._kind, self._days = Path(root), kitti_depth, dict[Path, Calibration]()
        if not self.path.is_dir():
            raise ZDError(f"{root}: no such folder: {FIX}")
        self._raw = first_folder(self.path, ("raw_data", "raw", ""))
        self._annotated = first_folder(self.path, ("data_depth_annotated", "gts", ""))
        named = self._all_frames() if list_file is None else _listed(Path(list_file), self._raw)
        self._frames = [frame for frame in named if kitti_depth == "none" or self._depth_file(frame) is not None]
        chosen = set(self._frames)
        self.without_depth = [] if list_file is None else [frame.name for frame in named if frame not in chosen]
        self.names = [frame.name for frame in self._frames]
        self.scenes = [frame.drive.name for frame in self._frames]
        if not self._frames:
            what = "picture" if kitti_depth == "none" else f"picture with depth ({_PLACES[kitti_depth]})"
            listed = "" if list_file is None else f" of {len(named)} in {Path(list_file).name}"
            raise ZDError(f"{root}: no {what}{listed}, expected DAY/DRIVE/image_02/data/*.png: {FIX}")
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ZDError(f"{list_file or root}: names {twice} twice: remove one line or copy")
        if complete:
            self._refuse_missing()

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame; opened without depth; a file is missing, damaged or of another size than the
                calibration's; no pixel has a depth.
        """
        frame = self._frame(index)
        if self._kind == "none":
            raise ZDError(f"{self.path}: was opened without depth: read its pairs or clips, or name a depth")
        calibration = self._calibration(frame)
        depth = self._depth(frame)
        if depth is None:
            raise ZDError(f"{frame.picture(frame.side)}: has no {self._kind} depth: {FIX}")
        return Sample(
            name=frame.name,
            image=self._picture(frame, frame.side),
            depth=depth,
            scene=frame.drive.name,
            intrinsics=calibration.intrinsics(frame.side),
        )

    def pair(self, index: SupportsIndex) -> StereoPair:
        """Both colour pictures of a frame; depth is the left camera's, whichever the list names.

        Raises:
            ZDError: as for one frame.
        """
        frame = self._frame(index)
        left = RawFrame(frame.drive, frame.index, 0)
        calibration = self._calibration(frame)
        return StereoPair(
            name=left.name,
            left=self._picture(frame, 0),
            right=self._picture(frame, 1),
            intrinsics=calibration.intrinsics(0),
            baseline=calibration.baseline,
            depth=self._depth(left),
            scene=frame.drive.name,
        )

    def clip(self, index: SupportsIndex, offsets: Sequence[int] = (-1, 0, 1)) -> Clip:
        """Pictures of a frame's camera around it; poses where the drive has oxts and its day the unit's calibration.

        Raises:
            ZDError: as for one frame, or the drive has no such neighbours.
        """
        frame, chosen = self._frame(index), tuple(offsets)
        calibration = self._calibration(frame)
        if 0 not in chosen:
            raise ZDError(f"clip of {frame.name}: offsets {chosen} leave out the frame itself: add 0")
        for offset in chosen:
            if not frame.picture(frame.side, offset).is_file():
                raise ZDError(
                    f"{frame.picture(frame.side, offset)}: no such neighbour of {frame.name}: see clip_targets"
                )
        return Clip(
            name=frame.name,
            images=np.stack([self._picture(frame, frame.side, offset) for offset in chosen]),
            offsets=chosen,
            intrinsics=calibration.intrinsics(frame.side),
            depth=self._depth(frame),
            poses=self._poses(frame, chosen),
            scene=frame.drive.name,
        )

    def clip_targets(self, offsets: Sequence[int] = (-1, 0, 1)) -> list[int]:
        """Numbers of the frames whose neighbours exist."""
        held: dict[Path, set[str]] = {}
        targets = []
        for number, frame in enumerate(self._frames):
            folder = frame.picture(frame.side).parent
            if folder not in held:
                held[folder] = {path.stem for path in folder.glob("*.??g")}
            if all(f"{frame.index + offset:010d}" in held[folder] for offset in offsets):
                targets.append(number)
        return targets

    @property
    def baseline(self) -> float:
        """Metres between the colour cameras on the first frame's day."""
        return self._calibration(self._frames[0]).baseline

    # ------------------------------------------------------------------------------------------------- which frames
    def _frame(self, index: SupportsIndex) -> RawFrame:
        return self._frames[checked_index(self.path, index, len(self))]

    def _all_frames(self) -> list[RawFrame]:
        paths = sorted(self._raw.glob("*/*_sync/image_02/data/*.??g"))
        return [RawFrame(path.parents[2], int(path.stem), 0) for path in paths if path.stem.isdigit()]

    def _depth_file(self, frame: RawFrame) -> Path | None:
        """The file that a frame's depth is read from, if there is one."""
        if self._kind != "improved":
            path = frame.scan()
            return path if path.is_file() else None
        file = f"proj_depth/groundtruth/image_0{2 + frame.side}/{frame.index:010d}.png"
        for folder in (frame.drive, *self._archived):
            path = folder / file if folder is frame.drive else folder / frame.drive.name / file
            if path.is_file():
                return path
        return None

    @cached_property
    def _archived(self) -> list[Path]:
        """Folders of drives with annotated depth, as the archive unpacks."""
        return [path for part in ("", "train", "val") if (path := self._annotated / part).is_dir()]

    def _refuse_missing(self) -> None:
        for day in sorted({frame.drive.parent for frame in self._frames}):
            self._days[day] = read_calibration(day, FIX)
        pictures = (frame.picture(frame.side) for frame in self._frames)
        if missing := [path for path in pictures if not path.is_file()]:
            more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
            raise ZDError(f"{missing[0]}: no such file{more}: {FIX}")

    # ------------------------------------------------------------------------------------------------- what is read
    def _calibration(self, frame: RawFrame) -> Calibration:
        day = frame.drive.parent
        if day not in self._days:
            self._days[day] = read_calibration(day, FIX)
        return self._days[day]

    def _picture(self, frame: RawFrame, side: int, offset: int = 0) -> UInt8[np.ndarray, "h w 3"]:
        path = frame.picture(side, offset)
        image: UInt8[np.ndarray, "h w 3"] = read_picture(path, FIX, "RGB")
        self._check_size(path, image, frame)
        return image

    def _check_size(self, path: Path, picture: np.ndarray, frame: RawFrame) -> None:
        height, width = self._calibration(frame).size
        if picture.shape[:2] != (height, width):
            raise ZDError(
                f"{path}: {picture.shape[1]}×{picture.shape[0]} pixels, the day's calibration is of {width}×{height}: "
                "use pictures at their recorded size"
            )

    def _depth(self, frame: RawFrame) -> Float32[np.ndarray, "h w"] | None:
        """Metres, 0 where there is none; None where the frame has no depth."""
        path = None if self._kind == "none" else self._depth_file(frame)
        if path is None:
            return None
        if self._kind == "improved":
            depth = metres(read_units(path, FIX), 256)
            self._check_size(path, depth, frame)
        else:
            calibration = self._calibration(frame)
            depth = project_scan(read_scan(path, FIX), calibration, frame.side, self._kind == "velodyne_forward")
        if not depth.any():
            raise ZDError(f"{path}: no pixel has a depth: {FIX}")
        return depth

    def _poses(self, frame: RawFrame, offsets: tuple[int, ...]) -> Float64[np.ndarray, "n 4 4"] | None:
        """Each camera in the target camera's axes."""
        camera = self._calibration(frame).camera(frame.side)
        paths = [frame.packet(offset) for offset in offsets]
        if camera is None or not all(path.is_file() for path in paths):
            return None
        placed = poses(np.stack([read_packet(path, FIX) for path in paths])) @ np.linalg.inv(camera)
        return np.asarray(np.linalg.inv(placed[offsets.index(0)]) @ placed)


_PLACES: dict[str, str] = {
    "improved": "proj_depth/groundtruth/image_02",
    "velodyne": "velodyne_points",
    "velodyne_forward": "velodyne_points",
}


def _listed(path: Path, raw: Path) -> list[RawFrame]:
    """The frames of a list."""
    lines = read_text(path, "name a list of 'DAY/DRIVE index l' lines").splitlines()
    FRAMES.check(len(lines), path)
    frames = []
    for number, words in enumerate(map(str.split, lines), 1):
        if not words:
            continue
        plain = len(words) in (2, 3) and words[1].isdigit() and len(words[1]) < 12 and ".." not in Path(words[0]).parts
        side = words[2] if len(words) == 3 else "l"
        if not plain or Path(words[0]).is_absolute() or len(Path(words[0]).parts) != 2 or side not in SIDES:
            raise ZDError(f"{path}: line {number} is no 'DAY/DRIVE index l' line: {' '.join(words)[:80]}")
        frames.append(RawFrame(raw / words[0], int(words[1]), SIDES.index(side)))
    return frames
