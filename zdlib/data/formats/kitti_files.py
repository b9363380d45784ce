"""The text and binary files of KITTI's raw recordings: calibration, positions (oxts), laser scans (velodyne).

Formulas and names are those of the development kit (Geiger et al., IJRR 2013); the projection of a scan is that of the
authors whose exported maps became "Eigen's" ground truth (Garg et al., 2016; Godard et al., 2017).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from zdlib.errors import ZDError
from zdlib.gates.opening import ARRAY, explained, open_regular, read_text

Pose = Float64[np.ndarray, "4 4"]

EARTH_RADIUS = 6378137.0  # metres
OXTS_NUMBERS = 30  # of a packet: lat, lon, alt, roll, pitch, yaw, then velocities, accelerations, rates, accuracies


@dataclass(frozen=True)
class Calibration:
    """The cameras, the scanner and the inertial unit of one day of recording.

    Attributes:
        size: height and width of rectified pictures.
        projections: (2, 3, 4) `P_rect` of the left and the right colour camera, in rectified axes of camera 0.
        scanner: from the scanner's axes (x forward, y left, z up) to the rectified ones of camera 0 (x right, y down,
            z forward).
        inertial: from the inertial unit's axes to the scanner's; None where the day has no such file.
    """

    size: tuple[int, int]
    projections: Float64[np.ndarray, "2 3 4"]
    scanner: Pose
    inertial: Pose | None

    def intrinsics(self, side: int) -> Float64[np.ndarray, "3 3"]:
        """The pinhole matrix of the left (0) or right (1) camera."""
        return self.projections[side, :, :3].copy()

    @property
    def baseline(self) -> float:
        """Metres between the two colour cameras."""
        shifts = self.projections[:, 0, 3] / self.projections[:, 0, 0]
        return float(shifts[0] - shifts[1])

    def camera(self, side: int) -> Pose | None:
        """From the inertial unit's axes to the left (0) or right (1) camera's; None without the inertial unit."""
        if self.inertial is None:
            return None
        moved = np.eye(4)
        moved[:3, 3] = np.linalg.solve(self.projections[side, :, :3], self.projections[side, :, 3])
        return np.asarray(moved @ self.scanner @ self.inertial)


def read_calibration(day: Path, fix: str) -> Calibration:
    """The calibration files of a day's folder.

    Args:
        day: holds `calib_cam_to_cam.txt`, `calib_velo_to_cam.txt` and perhaps `calib_imu_to_velo.txt`.
        fix: what to do about a missing or damaged file; ends the error's line.

    Raises:
        ZDError: a file or a line of it is missing, or a line is no list of numbers.
    """
    cameras, path = _Lines(day / "calib_cam_to_cam.txt", fix), day / "calib_imu_to_velo.txt"
    rectified = np.eye(4)
    rectified[:3, :3] = cameras.array("R_rect_00", (3, 3))
    width, height = cameras.array("S_rect_02", (2,))
    projections = np.stack([cameras.array(f"P_rect_0{camera}", (3, 4)) for camera in (2, 3)])
    if not (projections[:, 0, 0] > 0).all():
        raise ZDError(f"{cameras.path}: P_rect_02 or P_rect_03 has no focal length: {fix}")
    scanner = rectified @ _Lines(day / "calib_velo_to_cam.txt", fix).rigid()
    return Calibration(
        (int(height), int(width)), projections, scanner, _Lines(path, fix).rigid() if path.is_file() else None
    )


class _Lines:
    """The `key: numbers` lines of a calibration file."""

    def __init__(self, path: Path, fix: str):
        self.path, self._fix = path, fix
        lines = read_text(path, fix).splitlines()
        self._values = dict(line.split(":", 1) for line in lines if ":" in line)

    def array(self, key: str, shape: tuple[int, ...]) -> Float64[np.ndarray, "..."]:
        if key not in self._values:
            raise ZDError(f"{self.path}: has no line {key}: {self._fix}")
        try:
            numbers = np.array(self._values[key].split(), np.float64).reshape(shape)
        except ValueError as error:
            raise ZDError(
                f"{self.path}: {key} is not {' times '.join(map(str, shape))} numbers: {self._fix}"
            ) from error
        if not np.isfinite(numbers).all():
            raise ZDError(f"{self.path}: {key} holds NaN or infinity: {self._fix}")
        return numbers

    def rigid(self) -> Pose:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = self.array("R", (3, 3)), self.array("T", (3,))
        return pose


def read_packet(path: Path, fix: str) -> Float64[np.ndarray, "30"]:
    """The numbers of one oxts file.

    Raises:
        ZDError: missing, or not 30 finite numbers.
    """
    with explained(path, "is no list of numbers", fix):
        numbers = np.array(read_text(path, fix).split(), np.float64)
    if numbers.shape != (OXTS_NUMBERS,) or not np.isfinite(numbers).all():
        raise ZDError(f"{path}: expected {OXTS_NUMBERS} finite numbers: {fix}")
    return numbers


def poses(packets: Float64[np.ndarray, "n 30"]) -> Float64[np.ndarray, "n 4 4"]:
    """From the inertial unit's axes at each moment to a level frame (x east, y north, z up), metres.

    The position is Mercator's at the scale of the first packet's latitude, from where the first packet is.
    """
    scale = np.cos(np.radians(packets[0, 0])) * EARTH_RADIUS
    first = packets[0, :3]
    placed = np.tile(np.eye(4), (len(packets), 1, 1))
    for pose, (latitude, longitude, altitude, roll, pitch, yaw) in zip(placed, packets[:, :6], strict=True):
        pose[:3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
        north = _mercator(latitude) - _mercator(first[0])
        pose[:3, 3] = scale * np.radians(longitude - first[1]), scale * north, altitude - first[2]
    return placed


def _mercator(latitude: float) -> float:
    """Distance from the equator on Mercator's map of the unit sphere; `latitude` in degrees."""
    return float(np.log(np.tan((90 + latitude) * np.pi / 360)))


def packets(
    placed: Float64[np.ndarray, "n 4 4"], first: tuple[float, float, float], seconds: float
) -> Float64[np.ndarray, "n 30"]:
    """What an inertial unit that moves like this would have written: the inverse of `poses`.

    Velocities are differences of neighbours; accelerations and accuracies are zero.

    Args:
        placed: from its axes to a level frame (x east, y north, z up), metres.
        first: latitude and longitude (degrees) and altitude (metres) of the first moment.
        seconds: between moments.
    """
    scale = np.cos(np.radians(first[0])) * EARTH_RADIUS
    moved = placed[:, :3, 3] - placed[0, :3, 3]
    numbers = np.zeros((len(placed), OXTS_NUMBERS))
    north = _mercator(first[0]) + moved[:, 1] / scale
    numbers[:, 0] = np.degrees(2 * np.arctan(np.exp(north))) - 90
    numbers[:, 1] = first[1] + np.degrees(moved[:, 0] / scale)
    numbers[:, 2] = first[2] + moved[:, 2]
    rotations = placed[:, :3, :3]
    numbers[:, 3] = np.arctan2(rotations[:, 2, 1], rotations[:, 2, 2])
    numbers[:, 4] = -np.arcsin(np.clip(rotations[:, 2, 0], -1, 1))
    numbers[:, 5] = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    if len(placed) > 1:
        velocity = np.gradient(placed[:, :3, 3], seconds, axis=0)
        numbers[:, 6], numbers[:, 7] = velocity[:, 1], velocity[:, 0]  # north, east
        numbers[:, 8:11] = np.einsum("nij,ni->nj", rotations, velocity)  # forward, left, up
    numbers[:, 25] = 4  # position mode: as of a full GPS
    return numbers


def _about(axis: int, angle: float) -> Float64[np.ndarray, "3 3"]:
    """The rotation about one axis."""
    first, second = (i for i in range(3) if i != axis)
    sine = np.sin(angle) * (-1 if axis == 1 else 1)
    turned = np.eye(3)
    turned[[first, second], [first, second]] = np.cos(angle)
    turned[first, second], turned[second, first] = -sine, sine
    return turned


def read_scan(path: Path, fix: str) -> Float32[np.ndarray, "n 4"]:
    """Echoes of a scan: x forward, y left, z up (metres), reflectance.

    Raises:
        ZDError: missing, empty, or no list of four numbers each.
    """
    with open_regular(path, fix, ARRAY) as file, explained(path, "is no list of float32", fix):
        content = file.read()
        numbers = np.frombuffer(content[: len(content) // 4 * 4], "<f4")
    if numbers.size == 0 or len(content) % 16 or not np.isfinite(numbers).all():
        raise ZDError(f"{path}: {len(content)} bytes, expected four finite float32 per echo: {fix}")
    return np.ascontiguousarray(numbers.reshape(-1, 4), np.float32)


def project_scan(
    scan: Float32[np.ndarray, "n 4"], calibration: Calibration, side: int, forward: bool
) -> Float32[np.ndarray, "h w"]:
    """Sparse depth of a camera, by the authors' rule: column and row are rounded and lowered by one.

    The one is the development kit's (its MATLAB counts from 1). Of several echoes in a pixel the nearest stays. (The
    authors' search for such echoes numbers the pixels of a row one short, so that it takes the last pixel of a row for
    the first of the next; that is not repeated.)

    Args:
        scan: echoes.
        calibration: of its day.
        side: 0 left, 1 right camera.
        forward: depth is the scanner's own forward coordinate, as in the exported Eigen ground truth, and not the
            camera's.

    Returns:
        Metres; 0 where no echo fell.
    """
    ahead = scan[scan[:, 0] >= 0].astype(np.float64)
    points = np.concatenate([ahead[:, :3], np.ones((len(ahead), 1))], axis=1)
    seen = points @ (calibration.projections[side] @ calibration.scanner).T
    ahead, seen = ahead[seen[:, 2] > 0], seen[seen[:, 2] > 0]
    column, row = (np.round(seen[:, axis] / seen[:, 2]).astype(np.int64) - 1 for axis in (0, 1))
    height, width = calibration.size
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    distance = (ahead[:, 0] if forward else seen[:, 2])[inside].astype(np.float32)
    depth = np.full((height, width), np.inf, np.float32)
    np.minimum.at(depth, (row[inside], column[inside]), distance)
    return np.where(np.isfinite(depth), depth, np.float32(0))


def calibration_text(values: Mapping[str, Sequence[float] | np.ndarray]) -> str:
    """The lines of a calibration file."""
    lines = [f"{key}: {' '.join(f'{number:.12e}' for number in np.ravel(numbers))}" for key, numbers in values.items()]
    return "\n".join(["calib_time: 26-Nov-2026 12:00:00", *lines]) + "\n"
