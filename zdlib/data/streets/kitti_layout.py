"""Streets-K in the layout of KITTI's raw recordings, for the real reader to read (`zdlib.data.sets.kitti_raw`).

One day, one drive per clip, whose number is the generator's seed::

    ROOT/splits/train_files.txt, val_files.txt, test_files.txt     lines 'DAY/DRIVE index l'
    ROOT/DAY/calib_cam_to_cam.txt, calib_velo_to_cam.txt, calib_imu_to_velo.txt
    ROOT/DAY/DRIVE/image_02|image_03/data/0000000000.png, timestamps.txt
    ROOT/DAY/DRIVE/oxts/data/0000000000.txt
    ROOT/DAY/DRIVE/velodyne_points/data/0000000000.bin
    ROOT/DAY/DRIVE/proj_depth/groundtruth/image_02/0000000000.png  metres · 256, 0 = none: exact and dense here

Three things had to be decided.

* *Pixel centres.* `P_rect` holds the centre (c, c) for pixel centres at whole numbers, because whoever warps one
  picture to the other reads it so. The authors' projection of a scan lowers column and row by one; with true points the
  depth would lie a pixel up and to the left of what it measures. Here the points give way, and nothing else needs them:
  each is moved by one pixel's width to the right and down at its depth (0.24°), so that the authors' rule returns
  exactly the depth that the simulated scanner has in the pixel. Depths stay as they are.
* *Dense truth.* The annotated depth is the renderer's, not an accumulation of scans. Sky, and what is nearer than 1 m
  or beyond 250 m, has none.
* *The inertial unit* sits as it does on KITTI's car, aligned with the scanner; a drive begins in Karlsruhe.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image

from zdlib.data.formats.kitti_files import calibration_text, packets
from zdlib.data.streets.store import VELODYNE_TO_CAMERA, Store, StoredFrame

DAY = "2026_11_26"
UNITS_PER_METRE = 256
INERTIAL = np.array([-0.81, 0.32, -0.80])  # what is added to a point of the unit to have it in the scanner's axes
ORIGIN = (49.011, 8.423, 115.0)  # latitude and longitude in degrees, altitude in metres
FASTEST_PNG = 1  # zlib's level; level 6 takes three times as long for 5 % less


def drive(seed: int) -> str:
    """Folder of a clip."""
    return f"{DAY}_drive_{seed:04d}_sync"


def write_kitti(root: Path, store: Store, clips: Iterable[int]) -> None:
    """Write clips into an empty folder.

    Args:
        root: the folder.
        store: Streets-K.
        clips: their numbers.

    Raises:
        ZDError: the store is damaged.
        OSError: the folder cannot be written.
    """
    day = root / DAY
    day.mkdir(parents=True)
    _write_calibration(day, store)
    lines: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for clip in clips:
        name = drive(store.seeds[clip])
        _write_drive(day / name, store, clip)
        lines[store.splits[clip]] += [f"{DAY}/{name} {moment} l\n" for moment in range(store.frames)]
    (root / "splits").mkdir()
    for split, listed in lines.items():
        (root / "splits" / f"{split}_files.txt").write_text("".join(listed))


def _write_calibration(day: Path, store: Store) -> None:
    size, cameras = np.array([store.width, store.height], np.float64), dict[str, np.ndarray]()
    for camera, moved in (("00", 0.0), ("01", store.baseline), ("02", 0.0), ("03", store.baseline)):
        projection = store.intrinsics @ np.column_stack([np.eye(3), [-moved, 0, 0]])
        cameras |= {
            f"S_{camera}": size,
            f"K_{camera}": store.intrinsics,
            f"D_{camera}": np.zeros(5),
            f"R_{camera}": np.eye(3),
            f"T_{camera}": np.array([-moved, 0, 0]),
            f"S_rect_{camera}": size,
            f"R_rect_{camera}": np.eye(3),
            f"P_rect_{camera}": projection,
        }
    (day / "calib_cam_to_cam.txt").write_text(calibration_text({"corner_dist": np.zeros(1), **cameras}))
    nothing = np.zeros(2)
    scanner: dict[str, np.ndarray] = {
        "R": VELODYNE_TO_CAMERA,
        "T": store.scanner_position,
        "delta_f": nothing,
        "delta_c": nothing,
    }
    (day / "calib_velo_to_cam.txt").write_text(calibration_text(scanner))
    (day / "calib_imu_to_velo.txt").write_text(calibration_text({"R": np.eye(3), "T": INERTIAL}))


def _write_drive(folder: Path, store: Store, clip: int) -> None:
    frames = [store.frame(clip, moment) for moment in range(store.frames)]
    paths = {
        "image_02": folder / "image_02" / "data",
        "image_03": folder / "image_03" / "data",
        "oxts": folder / "oxts" / "data",
        "scan": folder / "velodyne_points" / "data",
        "depth": folder / "proj_depth" / "groundtruth" / "image_02",
    }
    for path in paths.values():
        path.mkdir(parents=True)
    seconds = int(clip) % 3600
    stamps = [f"2026-11-26 12:{seconds // 60:02d}:{seconds % 60:02d}.{i}00000000\n" for i in range(len(frames))]
    for name in ("image_02", "image_03", "oxts", "scan"):
        (paths[name].parent / "timestamps.txt").write_text("".join(stamps))
    for moment, frame in enumerate(frames):
        stem = f"{moment:010d}"
        write_picture(paths["image_02"] / f"{stem}.png", frame.left)
        if frame.right is not None:
            write_picture(paths["image_03"] / f"{stem}.png", frame.right)
        units = np.rint(frame.depth * UNITS_PER_METRE).astype(np.uint16)
        write_picture(paths["depth"] / f"{stem}.png", units)
        moved_scan(store, frame).tofile(paths["scan"] / f"{stem}.bin")
    for moment, numbers in enumerate(packets(_inertial_poses(store, frames), ORIGIN, 1 / store.hz)):
        text = " ".join(f"{number:.16g}" if i < 25 else f"{number:.0f}" for i, number in enumerate(numbers))
        (paths["oxts"] / f"{moment:010d}.txt").write_text(text + "\n")


def moved_scan(store: Store, frame: StoredFrame) -> Float32[np.ndarray, "n 4"]:
    """The echoes of a frame as they are written (see the module), reflectance 0."""
    points = np.zeros((0, 3)) if frame.points is None else frame.points.astype(np.float64)
    seen = points @ VELODYNE_TO_CAMERA.T + store.scanner_position
    seen[:, :2] += seen[:, 2:] / np.diag(store.intrinsics)[:2]
    moved = (seen - store.scanner_position) @ VELODYNE_TO_CAMERA
    return np.concatenate([moved, np.zeros((len(moved), 1))], axis=1).astype(np.float32)


def _inertial_poses(store: Store, frames: Sequence[StoredFrame]) -> np.ndarray:
    """From the inertial unit's axes to the world (x east, y north, z up) at each moment."""
    camera = np.eye(4)
    camera[:3, :3], camera[:3, 3] = VELODYNE_TO_CAMERA, store.scanner_position
    scanner = np.eye(4)
    scanner[:3, 3] = INERTIAL
    return np.stack([frame.pose @ camera @ scanner for frame in frames])


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """A PNG of (h, w, 3) or (h, w) uint8, or (h, w) uint16."""
    Image.fromarray(pixels).save(path, compress_level=FASTEST_PNG)
