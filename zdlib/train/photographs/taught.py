"""Photographs without depth, with METER's as the target: what they teach is shape, not scale.

The files are those of `zdlib data fetch real-photos`, each checked against its SHA-256. The panorama gives views all
around with METER's field of view; a street is shown to the KITTI weights.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from scipy.ndimage import map_coordinates

from zdlib.data.formats.images import read_picture
from zdlib.data.real.listed import listed_files
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.geometry import assumed_focal, resize, view_focal
from zdlib.models.depth_model import Inference
from zdlib.models.released import released_meter

FIX = "get it again: zdlib data fetch real-photos"
INDOOR, OUTDOOR = (
    ("photos/rtabmap/15.jpg", "photos/rtabmap/64.jpg"),
    (
        "photos/opensfm_lund/01.jpg",
        "photos/manydepth/test_sequence_source.jpg",
        "photos/manydepth/test_sequence_target.jpg",
    ),
)
PANORAMA, VIEWS, VIEW_DEGREES, VIEW_SIZE = "photos/st_fagans_interior_1k.hdr", 12, 63.4, (240, 320)


def taught_photographs(copy: Path) -> list[Sample]:
    """The photographs with the teacher's depth; `intrinsics` hold the focal length that was assumed.

    Args:
        copy: folder of the fetched files.

    Raises:
        ZDError: a file is missing, damaged, or another than the list's.
    """
    for entry in listed_files("real-photos"):
        if not entry.is_at(copy / entry.file):
            raise ZDError(f"{copy / entry.file}: missing, or another file than the listed one: {FIX}")
    teachers = {name: released_meter(name) for name in _TEACHERS}
    samples = []
    for teacher, name, image, focal in _pictures(copy):
        depth = teachers[teacher](image, Inference(flip=True))
        whole = resize(torch.from_numpy(depth)[None, None], image.shape[:2])[0, 0].numpy()
        intrinsics = np.diag([focal, focal, 1.0])
        samples.append(Sample(name, image, np.maximum(whole, 0), scene=name, intrinsics=intrinsics))
    return samples


_TEACHERS = ("meter_nyu", "meter_kitti")


def _pictures(copy: Path) -> Iterator[tuple[str, str, UInt8[np.ndarray, "_ _ 3"], float]]:
    """Teacher, name, image and focal length of each photograph."""
    for teacher, files in zip(_TEACHERS, (INDOOR, OUTDOOR), strict=True):
        for file in files:
            image = read_picture(copy / file, FIX, "RGB")
            yield teacher, Path(file).stem, image, assumed_focal(*image.shape[:2])
    panorama = read_radiance(copy / PANORAMA)
    for number in range(VIEWS):
        for pitch in (-15.0, 5.0):
            image = perspective(panorama, 360 * number / VIEWS, pitch)
            yield "meter_nyu", f"panorama_{number}_{pitch:.0f}", image, view_focal(VIEW_DEGREES, VIEW_SIZE[1])


def read_radiance(path: Path) -> Float32[np.ndarray, "h w 3"]:
    """Linear light of a run-length encoded Radiance picture (`.hdr`, Ward 1991; "new" run-length encoding).

    Raises:
        ZDError: not such a file.
    """
    data = path.read_bytes()
    try:
        header, _, rest = data.partition(b"\n\n")
        size, _, body = rest.partition(b"\n")
        words = size.split()
        if not header.startswith(b"#?") or words[0] != b"-Y" or words[2] != b"+X":
            raise ValueError("its header is another one")
        height, width = int(words[1]), int(words[3])
        place, rows = 0, np.empty((height, 4, width), np.uint8)
        for row in rows:
            if body[place : place + 4] != bytes((2, 2, width >> 8, width & 255)):
                raise ValueError("a line is not run-length encoded")
            place += 4
            for channel in row:
                place = _decode(body, place, channel)
    except (ValueError, IndexError) as error:
        raise ZDError(f"{path}: not a Radiance picture ({error}): {FIX}") from error
    exponent = np.ldexp(np.float32(1), rows[:, 3].astype(np.int32) - 136)
    return (rows[:, :3] * exponent[:, None]).transpose(0, 2, 1).astype(np.float32)


def _decode(body: bytes, place: int, line: np.ndarray) -> int:
    """One channel of one line; the place after it."""
    done = 0
    while done < len(line):
        count = body[place]
        if count > 128:
            line[done : done + count - 128] = body[place + 1]
            done, place = done + count - 128, place + 2
        else:
            line[done : done + count] = np.frombuffer(body, np.uint8, count, place + 1)
            done, place = done + count, place + 1 + count
    return place


def perspective(panorama: Float32[np.ndarray, "h w 3"], yaw: float, pitch: float) -> UInt8[np.ndarray, "_ _ 3"]:
    """A pinhole view of an equirectangular panorama, exposed so that its median is a middle grey.

    Args:
        panorama: linear light, the zenith on top.
        yaw: degrees to the right.
        pitch: degrees up.
    """
    height, width = VIEW_SIZE
    focal = view_focal(VIEW_DEGREES, width)
    rows, columns = np.mgrid[0.5:height, 0.5:width]
    x, y, z = (columns - width / 2) / focal, (rows - height / 2) / focal, np.ones(VIEW_SIZE)
    up = np.radians(pitch)
    y, z = y * np.cos(up) - z * np.sin(up), y * np.sin(up) + z * np.cos(up)
    longitude = np.arctan2(x, z) + np.radians(yaw)
    latitude = np.arctan2(-y, np.hypot(x, z))
    source = (
        (0.5 - latitude / np.pi) * panorama.shape[0] - 0.5,
        ((longitude / (2 * np.pi)) % 1) * panorama.shape[1] - 0.5,
    )
    light = np.stack([map_coordinates(panorama[..., c], source, order=1, mode="nearest") for c in range(3)], -1)
    light = np.clip(light * (0.2 / max(float(np.median(light)), 1e-6)), 0, 1)
    return np.rint(255 * light ** (1 / 2.2)).astype(np.uint8)
