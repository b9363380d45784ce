"""Small recordings in KITTI's and Cityscapes' file formats, written without the library from their descriptions."""

import json
from pathlib import Path

import numpy as np
from trees import Tree, save_png, units

HEIGHT, WIDTH = 24, 32
FOCAL, CX, CY = 30.0, 15.25, 11.5
LEFT, RIGHT = 0.06, -0.474  # what a point's x grows by from camera 0 to the colour cameras, metres: baseline 0.534
DAY, DRIVE = "2011_09_26", "2011_09_26_drive_0002_sync"
TURN = 0.004  # radians that rectification turns camera 0 about its y axis
FIRST = 5  # number of the first of the frames
YAW = (0.30, 0.32, 0.35)
STEP = 1.25  # metres that the unit moves along its heading between frames


def rectification():
    c, s = np.cos(TURN), np.sin(TURN)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def velo_to_cam():
    """Rotation and shift from the scanner (forward, left, up) to camera 0 (right, down, forward), a bit askew."""
    c, s = np.cos(0.01), np.sin(0.01)
    return np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), [
        0.01,
        -0.07,
        -0.3,
    ]


def projection(shift):
    return np.array([[FOCAL, 0, CX, FOCAL * shift], [0, FOCAL, CY, 0.0], [0, 0, 1, 0]])


def line(key, numbers):
    return f"{key}: " + " ".join(f"{number:.10e}" for number in np.ravel(numbers)) + "\n"


def picture(number):
    """Every frame and camera has pixels of its own."""
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def point_seen_at(column, row, depth, shift=LEFT):
    """The scanner's coordinates of what the colour camera with this shift sees at a place (pixels from 0)."""
    seen = np.array([(column - CX) / FOCAL * depth - shift, (row - CY) / FOCAL * depth, depth])
    rotation, offset = velo_to_cam()
    return np.linalg.solve(rotation, np.linalg.solve(rectification(), seen) - offset)


# Column, row (from 0, after the authors' lowering by one) and depth of echoes; two share a pixel.
ECHOES = ((3, 4, 10.0), (3, 4, 6.0), (0, 0, 5.0), (31, 23, 8.0), (20, 11, 30.0))


def scan():
    inside = [point_seen_at(column + 1, row + 1, depth) for column, row, depth in ECHOES]
    outside = [point_seen_at(WIDTH + 1, 3, 9.0), point_seen_at(0, 3, 9.0), [-4.0, 0.5, 0.1]]
    return np.array([[*point, 0.5] for point in [*inside, *outside]], np.float32)


def packets():
    """Latitude, longitude, … of a unit that heads for its yaw (anticlockwise from east) and rolls a little."""
    latitude, longitude, lines = np.radians(49.0), np.radians(8.4), []
    for yaw in YAW:
        numbers = [np.degrees(latitude), np.degrees(longitude), 112.0, 0.02, -0.01, yaw]
        lines.append(" ".join(f"{number:.14f}" for number in numbers) + " 0" * 24 + "\n")
        latitude += STEP * np.sin(yaw) / 6378137.0
        longitude += STEP * np.cos(yaw) / (6378137.0 * np.cos(latitude))
    return lines


def kitti_raw(root: Path, annotated: str = "{drive}") -> Tree:
    """Three frames of one drive; the first two are annotated, in the drive's own folder unless `annotated` says."""
    day = root / DAY
    drive = day / DRIVE
    for number in range(3):
        for camera in (2, 3):
            save_png(drive / f"image_0{camera}" / "data" / f"{FIRST + number:010d}.png", picture(10 * number + camera))
        file = drive / "velodyne_points" / "data" / f"{FIRST + number:010d}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        scan().tofile(file)
        file = drive / "oxts" / "data" / f"{FIRST + number:010d}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(packets()[number])
    stored, folder = units(256), Path(annotated.format(drive=drive))
    folder = folder if folder.is_absolute() else root / folder
    for number in (FIRST, FIRST + 1):
        save_png(folder / "proj_depth" / "groundtruth" / "image_02" / f"{number:010d}.png", stored)
    size = line("S_rect_02", (WIDTH, HEIGHT)) + line("S_rect_03", (WIDTH, HEIGHT))
    (day / "calib_cam_to_cam.txt").write_text(
        "calib_time: 09-Jan-2012 13:57:47\n"
        + line("R_rect_00", rectification())
        + size
        + line("P_rect_02", projection(LEFT))
        + line("P_rect_03", projection(RIGHT))
    )
    rotation, offset = velo_to_cam()
    (day / "calib_velo_to_cam.txt").write_text(line("R", rotation) + line("T", offset))
    (day / "calib_imu_to_velo.txt").write_text(line("R", np.eye(3)) + line("T", (-0.8, 0.3, -0.7)))
    depth = folder / "proj_depth" / "groundtruth" / "image_02" / f"{FIRST:010d}.png"
    return Tree(root, drive / "image_02" / "data" / f"{FIRST:010d}.png", depth, stored / 256)


CAMERA = {
    "extrinsic": {"baseline": 0.2, "pitch": 0.03, "roll": 0.0, "x": 1.7, "y": 0.1, "yaw": 0.0, "z": 1.22},
    "intrinsic": {"fx": 40.0, "fy": 41.0, "u0": 15.5, "v0": 11.0},
}


def cityscapes(root: Path, part: str = "val") -> Tree:
    """Two labelled frames, the first with its neighbours; metres follow from a disparity of 1 to 5 pixels."""
    raw = np.tile(np.linspace(256, 1280, WIDTH).astype(np.uint16), (HEIGHT, 1)) + np.uint16(1)
    raw[0, :4], raw[1, :4] = 0, 1  # no disparity; a disparity of 0
    ids = np.full((HEIGHT, WIDTH), 7, np.uint8)
    ids[:, 8:16], ids[:, 16:24], ids[0, 30:] = 26, 4, 255
    for sequence, frame in (("000000", "000294"), ("000001", "000019")):
        name = f"{part}/frankfurt/frankfurt_{sequence}_{frame}"
        save_png(root / "leftImg8bit" / f"{name}_leftImg8bit.png", picture(int(frame)))
        save_png(root / "rightImg8bit" / f"{name}_rightImg8bit.png", picture(int(frame) + 1000))
        save_png(root / "gtFine" / f"{name}_gtFine_labelIds.png", ids)
        save_png(root / "disparity" / f"{name}_disparity.png", raw)
        file = root / "camera" / f"{name}_camera.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(CAMERA))
    for frame in (293, 294, 295):
        name = f"{part}/frankfurt/frankfurt_000000_{frame:06d}_leftImg8bit.png"
        save_png(root / "leftImg8bit_sequence" / name, picture(frame))
    metres = np.where(raw > 1, 0.2 * 40.0 * 256 / np.maximum(raw - 1.0, 1), 0)
    folder = root / "leftImg8bit" / part / "frankfurt"
    depth = root / "disparity" / part / "frankfurt" / "frankfurt_000000_000294_disparity.png"
    return Tree(root, folder / "frankfurt_000000_000294_leftImg8bit.png", depth, metres)


TREES = {"kitti_raw": kitti_raw, "cityscapes": cityscapes}
