"""Cityscapes (Cordts et al., CVPR 2016): finely labelled street frames, 2975 to train, 500 to validate, 1525 to test.

Unpack `leftImg8bit`, `gtFine`, `disparity` and `camera` (`_trainvaltest.zip` each) of
https://www.cityscapes-dataset.com into one folder, and for pairs and clips also `rightImg8bit` and
`leftImg8bit_sequence`::

    ROOT/leftImg8bit/val/frankfurt/frankfurt_000000_000294_leftImg8bit.png      2048×1024
    ROOT/gtFine/val/frankfurt/frankfurt_000000_000294_gtFine_labelIds.png       ids 0..33
    ROOT/disparity/val/frankfurt/frankfurt_000000_000294_disparity.png          16 bit: 0 = none, else (p - 1) / 256 px
    ROOT/camera/val/frankfurt/frankfurt_000000_000294_camera.json
    ROOT/rightImg8bit/val/frankfurt/frankfurt_000000_000294_rightImg8bit.png
    ROOT/leftImg8bit_sequence/val/frankfurt/frankfurt_000000_000275_leftImg8bit.png     30 frames, the 20th labelled

Depth is baseline · fx / disparity; a disparity of 0 (p = 1) means infinitely far and has no depth here. Labels are
train ids 0..18, 255 = ignored. There is no pose: the vehicle's odometry is not read.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, SupportsIndex

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.formats.images import read_picture, read_units
from zdlib.data.sample import Frames, Sample
from zdlib.data.sequences import Clip, StereoPair
from zdlib.data.street_classes import to_train_ids
from zdlib.errors import ZDError
from zdlib.files import read_json

FIX = (
    "unpack leftImg8bit, gtFine, disparity and camera (_trainvaltest.zip) of https://www.cityscapes-dataset.com into "
    "one folder"
)
UNITS_PER_PIXEL = 256
_PICTURE = "_leftImg8bit.png"


@dataclass(frozen=True)
class Still:
    """A labelled frame.

    Attributes:
        root, part, city: where it lies.
        sequence, frame: its numbers.
    """

    root: Path
    part: str
    city: str
    sequence: str
    frame: str

    @property
    def name(self) -> str:
        """Unique in Cityscapes."""
        return f"{self.city}_{self.sequence}_{self.frame}"

    def file(self, kind: str, ending: str, offset: int = 0) -> Path:
        """A file of one of the data set's folders; `offset` frames later."""
        number = f"{int(self.frame) + offset:0{len(self.frame)}d}"
        return self.root / kind / self.part / self.city / f"{self.city}_{self.sequence}_{number}_{ending}"


class CityscapesReader(Frames[Sample]):
    """A sequence of `Sample`, and of the pairs and clips around them. `Sample.scene` is the city's sequence.

    Args:
        root: the folder that holds `leftImg8bit`.
        part: `train`, `val` or `test`.
        complete: refuse at once if the labels, disparity or camera of a frame are missing; else when it is read.

    Raises:
        ZDError: no such folder, no frame, or a file is missing.
    """

    def __init__(
        self, root: str | os.PathLike[str], part: Literal["train", "val", "test"] = "val", complete: bool = True
    ):
        self.path = Path(root)
        if not self.path.is_dir():
            raise ZDError(f"{root}: no such folder: {FIX}")
        folder = self.path / "leftImg8bit" / part
        self._stills = []
        for path in sorted(folder.glob(f"*/*{_PICTURE}")):
            city, _, numbers = path.name.removesuffix(_PICTURE).partition("_")
            sequence, _, frame = numbers.partition("_")
            if city != path.parent.name or not (sequence.isdigit() and frame.isdigit()):
                raise ZDError(f"{path}: is not called CITY_SEQUENCE_FRAME{_PICTURE}: restore its name")
            self._stills.append(Still(self.path, part, city, sequence, frame))
        if not self._stills:
            raise ZDError(f"{root}: no frame found, expected leftImg8bit/{part}/CITY/*{_PICTURE}: {FIX}")
        self.names = [still.name for still in self._stills]
        self.scenes = [f"{still.city}_{still.sequence}" for still in self._stills]
        if complete:
            needed = [path for still in self._stills for path in _needed(still)]
            if missing := [path for path in needed if not path.is_file()]:
                more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
                raise ZDError(f"{missing[0]}: no such file{more}: {FIX}")

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame; a file is missing, damaged or of another size than the picture; no pixel has a
                depth.
        """
        still = self._still(index)
        image = _picture(still.file("leftImg8bit", "leftImg8bit.png"))
        intrinsics, baseline = _camera(still)
        return Sample(
            name=still.name,
            image=image,
            depth=_depth(still, image, intrinsics, baseline),
            labels=_labels(still, image),
            scene=f"{still.city}_{still.sequence}",
            intrinsics=intrinsics,
        )

    def pair(self, index: SupportsIndex) -> StereoPair:
        """A labelled frame with the right camera's picture.

        Raises:
            ZDError: as for one frame.
        """
        still = self._still(index)
        left = _picture(still.file("leftImg8bit", "leftImg8bit.png"))
        path = still.file("rightImg8bit", "rightImg8bit.png")
        right = _picture(path)
        _check_size(path, right, left)
        intrinsics, baseline = _camera(still)
        depth = _depth(still, left, intrinsics, baseline)
        return StereoPair(still.name, left, right, intrinsics, baseline, depth, f"{still.city}_{still.sequence}")

    def clip(self, index: SupportsIndex, offsets: Sequence[int] = (-1, 0, 1)) -> Clip:
        """A labelled frame with its neighbours in the sequence.

        Raises:
            ZDError: as for one frame, or the sequence has no such neighbours.
        """
        still, chosen = self._still(index), tuple(offsets)
        if 0 not in chosen:
            raise ZDError(f"clip of {still.name}: offsets {chosen} leave out the frame itself: add 0")
        target = _picture(still.file("leftImg8bit", "leftImg8bit.png"))
        images = []
        for offset in chosen:
            path = still.file("leftImg8bit_sequence", "leftImg8bit.png", offset)
            if offset and not path.is_file():
                raise ZDError(f"{path}: no such neighbour of {still.name}: see clip_targets, or unpack the sequences")
            images.append(_picture(path) if offset else target)
            _check_size(path, images[-1], target)
        intrinsics, baseline = _camera(still)
        return Clip(
            name=still.name,
            images=np.stack(images),
            offsets=chosen,
            intrinsics=intrinsics,
            depth=_depth(still, target, intrinsics, baseline),
            labels=_labels(still, target),
            scene=f"{still.city}_{still.sequence}",
        )

    def clip_targets(self, offsets: Sequence[int] = (-1, 0, 1)) -> list[int]:
        """Numbers of the frames whose neighbours exist."""
        neighbours = [offset for offset in offsets if offset]
        return [
            number
            for number, still in enumerate(self._stills)
            if all(still.file("leftImg8bit_sequence", "leftImg8bit.png", o).is_file() for o in neighbours)
        ]

    def _still(self, index: SupportsIndex) -> Still:
        return self._stills[checked_index(self.path, index, len(self))]


def _needed(still: Still) -> list[Path]:
    return [
        still.file("gtFine", "gtFine_labelIds.png"),
        still.file("disparity", "disparity.png"),
        still.file("camera", "camera.json"),
    ]


def _picture(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    image: UInt8[np.ndarray, "h w 3"] = read_picture(path, FIX, "RGB")
    return image


def _check_size(path: Path, picture: np.ndarray, image: np.ndarray) -> None:
    if picture.shape[:2] != image.shape[:2]:
        found, expected = (f"{shape[1]}×{shape[0]}" for shape in (picture.shape, image.shape))
        raise ZDError(f"{path}: {found} pixels, its picture has {expected}: {FIX}")


def _labels(still: Still, image: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    path = still.file("gtFine", "gtFine_labelIds.png")
    ids = read_picture(path, FIX)
    if ids.ndim != 2 or ids.dtype != np.uint8:
        raise ZDError(f"{path}: {ids.dtype} with {ids.ndim} axes, expected a grey 8-bit PNG of label ids: {FIX}")
    _check_size(path, ids, image)
    return to_train_ids(ids)


def _depth(
    still: Still, image: np.ndarray, intrinsics: Float64[np.ndarray, "3 3"], baseline: float
) -> Float32[np.ndarray, "h w"]:
    """Metres, 0 where there is no disparity or none above 0."""
    path = still.file("disparity", "disparity.png")
    units = read_units(path, FIX)
    _check_size(path, units, image)
    product = baseline * intrinsics[0, 0] * UNITS_PER_PIXEL
    depth = np.divide(product, units - 1.0, out=np.zeros(units.shape), where=units > 1)
    if not depth.any():
        raise ZDError(f"{path}: no pixel has a disparity: {FIX}")
    return depth.astype(np.float32)


def _camera(still: Still) -> tuple[Float64[np.ndarray, "3 3"], float]:
    """Intrinsics, and metres between the cameras."""
    path = still.file("camera", "camera.json")
    content = read_json(path)
    try:
        inner = {key: float(content["intrinsic"][key]) for key in ("fx", "fy", "u0", "v0")}
        baseline = float(content["extrinsic"]["baseline"])
    except (KeyError, TypeError, ValueError) as error:
        raise ZDError(f"{path}: has no number for {error}, expected intrinsic and extrinsic: {FIX}") from error
    matrix = np.array([[inner["fx"], 0, inner["u0"]], [0, inner["fy"], inner["v0"]], [0, 0, 1.0]])
    if not (np.isfinite(matrix).all() and inner["fx"] > 0 and np.isfinite(baseline) and baseline > 0):
        raise ZDError(f"{path}: focal length {inner['fx']:g}, baseline {baseline:g}: {FIX}")
    return matrix, baseline
