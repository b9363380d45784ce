"""Pictures as cameras write them (turned, with a lens in EXIF), folders and patterns of them, and frames of videos."""

import glob
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from zdlib.data.formats.images import FORMATS, read_picture
from zdlib.errors import ZDError
from zdlib.gates.opening import PIXELS, Limit, open_regular
from zdlib.geometry import film_focal, view_focal

FIX = "name an image file"
VIDEO_SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}
_INCHES = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # EXIF's FocalPlaneResolutionUnit in millimetres


@dataclass(frozen=True)
class Photograph:
    """One picture, upright.

    Attributes:
        image: (h, w, 3) RGB.
        focal: pixels, by its EXIF; None where that says nothing.
    """

    image: UInt8[np.ndarray, "_ _ 3"]
    focal: float | None


def read_photograph(path: Path, limit: Limit = PIXELS) -> Photograph:
    """A picture as it is meant to be looked at, and its lens.

    Args:
        path: the file.
        limit: of its pixels.

    Raises:
        ZDError: missing, damaged, no image, or too large.
    """
    image = read_picture(path, FIX, "RGB", limit)
    try:
        with open_regular(path, FIX) as file, Image.open(file, formats=FORMATS) as picture:
            exif = picture.getexif()
            focal = exif_focal(exif, *image.shape[:2])
            orientation = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF is written by anybody: a picture without it is a picture all the same
        focal, orientation = None, 1
    return Photograph(upright(image, orientation), focal)


def upright(image: UInt8[np.ndarray, "_ _ 3"], orientation: object) -> UInt8[np.ndarray, "_ _ 3"]:
    """A picture turned and mirrored as EXIF's orientation, 1 to 8, says; any other says nothing."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def exif_focal(exif: Image.Exif, height: int, width: int) -> float | None:
    """Focal length in pixels by a picture's EXIF: the 35 mm equivalent, or millimetres and the sensor's resolution.

    The second holds for the picture as it left the camera: a reduced one keeps its numbers. Its size is compared.
    """
    tags: dict[int, Any] = exif.get_ifd(ExifTags.IFD.Exif)
    film = _number(tags.get(ExifTags.Base.FocalLengthIn35mmFilm))
    if film:
        return film_focal(film, height, width)
    millimetres = _number(tags.get(ExifTags.Base.FocalLength))
    per_unit = _number(tags.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _INCHES.get(int(_number(tags.get(ExifTags.Base.FocalPlaneResolutionUnit)) or 2))
    columns = _number(tags.get(ExifTags.Base.ExifImageWidth))
    if millimetres and per_unit and unit and columns:
        return millimetres * per_unit / unit * width / columns
    return None


def _number(value: Any) -> float | None:
    """A positive finite number, or None: EXIF is written by anybody."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def focal_in_use(photograph: Photograph, fov: float | None) -> float | None:
    """`--fov` before EXIF; None leaves the network's assumption."""
    return photograph.focal if fov is None else view_focal(fov, photograph.image.shape[1])


def picture_files(names: Sequence[Path]) -> list[Path]:
    """The files among the names, those that a pattern matches (`*.jpg`), and the pictures and videos of folders.

    Raises:
        ZDError: a folder has none, or a pattern matches nothing.
    """
    files: list[Path] = []
    for name in names:
        if os.path.isdir(name):
            inside = _pictures_inside(name)
        elif not os.path.exists(name) and glob.has_magic(str(name)):
            inside = [Path(match) for match in sorted(glob.glob(str(name), recursive=True)) if Path(match).is_file()]
            if not inside:
                raise ZDError(f"{name}: no file has such a name: check the pattern")
        else:
            inside = [name]
        files.extend(inside)
    return files


def _pictures_inside(folder: Path) -> list[Path]:
    from zdlib.data.sets.folder import IMAGE_SUFFIXES  # HDF5 comes with it: pictures by name do without

    inside = sorted(path for path in folder.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES)
    if not inside:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ZDError(f"{folder}: no {kinds} in this folder: name image files, or another")
    return inside


# ----------------------------------------------------------------------------------------------------------- videos
def is_video(path: Path) -> bool:
    """By its ending."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def require_av() -> Any:
    """The library that decodes videos.

    Raises:
        ZDError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ZDError("videos need the extra video: pip install 'zdlib[video]'") from error
    return av


VIDEO_RATE = 25  # frames per second of what is written


def video_frames(path: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of a video one after the other: memory does not grow with its length.

    Raises:
        ZDError: no such file, none that can be decoded, or damaged on the way.
    """
    av = require_av()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ZDError(f"{path}: has no pictures in it: name a video")
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ZDError(f"{path}: not a readable video ({error}): name another, or convert it") from error


@contextmanager
def video_writer(path: Path, rate: int) -> Iterator[Any]:
    """Gives a function that appends a frame to an MP4.

    Args:
        path: the file.
        rate: frames per second.
    """
    av = require_av()
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.bit_rate = 8_000_000

        def append(image: UInt8[np.ndarray, "h w 3"]) -> None:
            even = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
            if not stream.codec_context.is_open:  # the first frame decides
                stream.height, stream.width = even.shape[:2]
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                container.mux(packet)

        yield append
        for packet in stream.encode():
            container.mux(packet)
