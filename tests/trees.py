"""Small copies of data sets in their true file formats, two frames each, written without the library."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import rgbd
import scipy.io
from PIL import Image


@dataclass(frozen=True)
class Tree:
    """A copy, the files of its first frame, and the depth (metres, 0 = none) that every frame of it has."""

    root: Path
    image: Path
    depth: Path
    metres: np.ndarray


COLOUR = (200, 120, 40)


def save_image(path, height=24, width=32):
    """One colour, which survives JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), COLOUR, np.uint8)).save(path)
    return path


def save_png(path, units):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(units).save(path)
    return path


def save_npy(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def save_hdf5(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["dataset"] = array
    return path


def units(per_metre):
    """Whole units of a room, with a hole, odd everywhere else."""
    numbers = np.rint(rgbd.scene()[1] * per_metre).astype(np.uint16) | np.uint16(1)
    numbers[0, :4] = 0
    return numbers


def rotated_left(number):
    """Sixteen bits, the first three of them moved to the end."""
    bits = f"{number:016b}"
    return int(bits[3:] + bits[:3], 2)


def sunrgbd(root):
    """The authors' folders; one training frame is not listed."""
    millimetres = units(1000)
    millimetres[5, 5:7] = 9_501, 60_003  # above 8191, where the rotation wraps bits around
    stored = np.vectorize(rotated_left)(millimetres).astype(np.uint16)
    parts = (
        "kv1/NYUdata/NYU0001",
        "kv2/kinect2data/000002_2014-05-26_14-23-37_2605_rgbf000103-resize",
        "kv1/NYUdata/NYU9",
    )
    for part, stem in zip(parts, ("NYU0001", "0000103", "NYU9"), strict=True):
        folder = root / "SUNRGBD" / part
        save_image(folder / "image" / f"{stem}.jpg")
        save_png(folder / "depth" / f"{stem}.png", stored)
        save_png(folder / "depth_bfx" / f"{stem}.png", np.full((24, 32), rotated_left(2_000), np.uint16))
        (folder / "scene.txt").write_text("home_office\n")
        (folder / "intrinsics.txt").write_text("518.9 0.0 325.6\n0.0 519.5 253.7\n0.0 0.0 1.0\n")
    listed = np.empty((1, 2), object)
    listed[0] = [f"/n/fs/sun3d/data/SUNRGBD/{part}" for part in parts[:2]]
    split = root / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    split.parent.mkdir(parents=True)
    scipy.io.savemat(split, {"alltest": listed, "alltrain": listed[:, :0]})
    folder = root / "SUNRGBD" / parts[0]
    return Tree(root, folder / "image" / "NYU0001.jpg", folder / "depth" / "NYU0001.png", millimetres / 1000)


def sunrgbd_flat(root):
    millimetres = units(1000)
    for stem in ("img-000001", "img-000002"):
        image, depth = root / "rgb" / "rgb" / f"{stem}.jpg", root / "gt" / "gt" / f"{stem}.png"
        save_image(image)
        save_png(depth, millimetres)
    return Tree(
        root, root / "rgb" / "rgb" / "img-000001.jpg", root / "gt" / "gt" / "img-000001.png", millimetres / 1000
    )


def diode(root, part="indoors"):
    metres = rgbd.scene()[1]
    metres[0, :4] = 0
    mask = np.ones((24, 32), np.float32)
    mask[0, :4] = 0
    mask[7] = 0  # a row with a depth that the authors call invalid
    for number in ("000", "010"):
        stem = root / "val" / part / "scene_00019" / "scan_00183" / f"00019_00183_{part}_000_{number}"
        save_image(stem.with_suffix(".png"))
        save_npy(stem.with_name(f"{stem.name}_depth.npy"), metres[:, :, None])
        save_npy(stem.with_name(f"{stem.name}_depth_mask.npy"), mask)
    folder = root / "val" / part / "scene_00019" / "scan_00183"
    stem = f"00019_00183_{part}_000_000"
    return Tree(root, folder / f"{stem}.png", folder / f"{stem}_depth.npy", metres)


def hypersim(root):
    """A wall parallel to the image, 4 m away, with a window to nowhere."""
    rows, columns = np.mgrid[:768, :1024]
    distance = 4 * np.sqrt(1 + ((columns - 511.5) / 886.81) ** 2 + ((rows - 383.5) / 886.81) ** 2)
    distance[100:110, 200:220] = np.nan
    images = root / "ai_001_010" / "images"
    for number in (0, 7):
        save_image(images / "scene_cam_00_final_preview" / f"frame.{number:04d}.tonemap.jpg", 768, 1024)
        save_hdf5(
            images / "scene_cam_00_geometry_hdf5" / f"frame.{number:04d}.depth_meters.hdf5", distance.astype(np.float16)
        )
    metres = np.where(np.isnan(distance), 0, 4.0)
    return Tree(
        root,
        images / "scene_cam_00_final_preview" / "frame.0000.tonemap.jpg",
        images / "scene_cam_00_geometry_hdf5" / "frame.0000.depth_meters.hdf5",
        metres,
    )


def kitti(root):
    stored, lines = units(256), []
    drive = "2011_09_26_drive_0002_sync"
    for number in ("0000000069", "0000000054"):
        image = f"2011_09_26/{drive}/image_02/data/{number}.png"
        depth = f"{drive}/proj_depth/groundtruth/image_02/{number}.png"
        save_image(root / "raw" / image)
        save_png(root / "gts" / depth, stored)
        lines.append(f"{image} {depth} 721.5377")
    lines.insert(1, f"2011_09_26/{drive}/image_02/data/0000000075.png None 721.5377")
    (root / "kitti_eigen_test_files_with_gt.txt").write_text("\n".join(lines) + "\n")
    first = lines[0].split()
    return Tree(root, root / "raw" / first[0], root / "gts" / first[1], stored / 256)


def vkitti2(root):
    stored = units(100)
    stored[2, :8] = 65535  # sky
    stored[3, :8] = 65533  # no sky: a hill far away
    for number in ("00000", "00001"):
        save_image(root / "rgb" / "Scene01" / "clone" / "frames" / "rgb" / "Camera_0" / f"rgb_{number}.jpg")
        save_image(root / "rgb" / "Scene01" / "clone" / "frames" / "rgb" / "Camera_1" / f"rgb_{number}.jpg")
        save_png(root / "depth" / "Scene01" / "clone" / "frames" / "depth" / "Camera_0" / f"depth_{number}.png", stored)
    metres = stored / 100
    metres[2, :8] = 0
    return Tree(
        root,
        root / "rgb" / "Scene01" / "clone" / "frames" / "rgb" / "Camera_0" / "rgb_00000.jpg",
        root / "depth" / "Scene01" / "clone" / "frames" / "depth" / "Camera_0" / "depth_00000.png",
        metres,
    )


def ddad(root):
    metres = np.where(np.arange(32) % 3, 0, 10 * rgbd.scene()[1]).astype(np.float32)
    for name in ("000150_CAMERA_01_15616458250936496", "000151_CAMERA_01_15616458251936437"):
        save_image(root / f"{name}_rgb.png")
        save_npy(root / f"{name}_depth.npy", metres)
    name = "000150_CAMERA_01_15616458250936496"
    return Tree(root, root / f"{name}_rgb.png", root / f"{name}_depth.npy", metres)


def diml_indoor(root):
    room = root / "LR" / "12. Livingroom"
    for name in ("in_01_160217_123138", "in_01_160217_123139"):
        save_image(room / "color" / f"{name}_c.png")
        save_png(room / "depth_filled" / f"{name}_depth_filled.png", units(1000))
    name = "in_01_160217_123138"
    return Tree(
        root, room / "color" / f"{name}_c.png", room / "depth_filled" / f"{name}_depth_filled.png", units(1000) / 1000
    )


def diml_outdoor(root):
    for name in ("a_000001", "a_000002"):
        save_image(root / "LR" / "outleft" / f"{name}.png")
        save_png(root / "LR" / "depthmap" / f"{name}.png", units(10_000))
    folder = root / "LR"
    return Tree(root, folder / "outleft" / "a_000001.png", folder / "depthmap" / "a_000001.png", units(10_000) / 1000)


TREES: dict[str, Callable[[Path], Tree]] = {
    "sunrgbd": sunrgbd,
    "diode_indoor": diode,
    "diode_outdoor": lambda root: diode(root, "outdoor"),
    "hypersim": hypersim,
    "kitti": kitti,
    "vkitti2": vkitti2,
    "ddad": ddad,
    "diml_indoor": diml_indoor,
    "diml_outdoor": diml_outdoor,
}
