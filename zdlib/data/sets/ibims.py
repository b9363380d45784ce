"""iBims-1 (Koch et al., ECCV-W 2018) in both distributions: MATLAB structs, and folders of PNG files.

`ibims1_core_mat`: one `NAME.mat` an image, struct `data` with `rgb`, `depth` (metres, 0 = none), `edges`, `calib`,
`mask_invalid` and `mask_transp` (0 = exclude), and for walls, floors and tables `mask_*` (the plane's 1-based number)
and `mask_*_paras` (one row a plane, unit normal in columns 4 to 6).
`ibims1_core_raw`: `rgb/`, `depth/` (uint16, metres = value · 50/65535), `mask_invalid/`, `mask_transp/`, `edges/`,
`mask_wall/`, … as `NAME.png`, and `calib/NAME.txt` with `fx,fy,cx,cy`. `imagelist.txt`, in the folder or beside it,
names the images.

The authors' evaluation counts pixels from 1 and stores the calibration matrix transposed.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.formats.images import read_picture
from zdlib.data.formats.mat import read_mat5
from zdlib.data.sample import Frames, Sample
from zdlib.errors import ZDError, named_in_profile
from zdlib.gates.opening import FRAMES, explained, first_twice, read_text

PLANES = ("wall", "floor", "table")
DEPTH_UNIT = 50 / 65535  # metres of one unit of a depth PNG
# What messages ask for.
_FOLDER = (
    "the folder that holds iBims-1's ibims1_core_mat or ibims1_core_raw; the embedded rooms' folder is written by "
    "notebook 01"
)

_PICTURES = ("mask_invalid", "mask_transp", "edges", *(f"mask_{plane}" for plane in PLANES))

Planes = dict[str, tuple[UInt8[np.ndarray, "h w"], Float64[np.ndarray, "n p"]]]


@dataclass(frozen=True)
class IBimsSample(Sample):
    """A frame with what iBims-1's own metrics need.

    Attributes:
        edges: (h, w) bool occlusion boundaries; None where the distribution lacks them.
        planes: for `wall`, `floor` and `table` the (h, w) uint8 image of 1-based plane numbers, 0 = none, and one row
            of parameters a plane, the unit normal in columns 4 to 6 (X right, Y forward, Z up).
        calib: (3, 3) as stored: transposed, pixels counted from 1 (`intrinsics` is upright and counts from 0).
        mask_invalid, mask_transp: (h, w) bool, False = exclude (`mask` is both).
    """

    edges: Bool[np.ndarray, "h w"] | None = None
    planes: Planes = field(default_factory=dict)
    calib: Float64[np.ndarray, "3 3"] | None = None
    mask_invalid: Bool[np.ndarray, "h w"] | None = None
    mask_transp: Bool[np.ndarray, "h w"] | None = None


class IBimsReader(Frames[IBimsSample]):
    """A sequence of `IBimsSample`, from either distribution.

    Args:
        root: a distribution's folder, or the folder above both (then the `.mat` files are taken).
        layout: insist on one distribution.
        argument: what the user named the folder by; for messages.

    Raises:
        ZDError: no distribution is there, the list is empty, or a listed image lacks one of its files.

    Attributes:
        names: the images' names, in the list's order (alphabetical where there is no list).
        scenes: the scene of each.
        layout: `mat` or `raw`.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        layout: Literal["auto", "mat", "raw"] = "auto",
        argument: str = named_in_profile("the root of set ibims under data"),
    ):
        fix = f"set {argument} to {_FOLDER}"
        self.path, self.layout = _find(Path(root), layout, fix)
        listed = next(
            (p for p in (self.path / "imagelist.txt", self.path.parent / "imagelist.txt") if p.is_file()), None
        )
        if listed is not None:
            self.names = read_text(listed, "unpack it again").split()
            FRAMES.check(len(self.names), listed)
            if (twice := first_twice(self.names)) is not None:
                raise ZDError(f"{listed}: {twice} is named twice: unpack it again")
            for name in self.names:
                if "/" in name or name in (".", "..") or "\0" in name:
                    raise ZDError(f"{listed}: {name[:80]!r} is no image's name: unpack it again")
        else:
            where = self.path if self.layout == "mat" else self.path / "rgb"
            self.names = sorted(path.stem for path in where.glob("*.mat" if self.layout == "mat" else "*.png"))
        if not self.names:
            raise ZDError(f"{listed or self.path}: names no image: {fix}")
        self.scenes = [scene_of(name) for name in self.names]
        for name in self.names:
            for needed in self._needed(name):
                if not needed.is_file():
                    raise ZDError(f"{needed}: no such file, but {listed or self.path} names {name}: unpack it again")

    def __getitem__(self, index: SupportsIndex) -> IBimsSample:
        """Read one image; `index` is 0-based.

        Raises:
            ZDError: no such image; a file is damaged, lacks a field or has another shape; the depth is not finite or
                invalid everywhere.
        """
        name = self.names[checked_index(self.path, index, len(self))]
        path = self.path / (f"{name}.mat" if self.layout == "mat" else f"depth/{name}.png")
        with explained(path, "holds what is no image of iBims-1", "unpack it again"):
            return _sample(path, name, _mat_fields(path) if self.layout == "mat" else self._raw_fields(name))

    def _needed(self, name: str) -> list[Path]:
        if self.layout == "mat":
            return [self.path / f"{name}.mat"]
        return [self.path / folder / f"{name}.png" for folder in ("rgb", "depth", "mask_invalid", "mask_transp")]

    def _raw_fields(self, name: str) -> dict[str, Any]:
        """The fields of the `.mat` distribution, from PNG files; edges, planes and calibration where present."""
        fields: dict[str, Any] = {}
        for key in ("rgb", "depth", *_PICTURES):
            path = self.path / key / f"{name}.png"
            if path.is_file():
                fields[key] = read_picture(path, "unpack it again")
        fields["depth"] = fields["depth"] * np.float64(DEPTH_UNIT)
        for plane in PLANES:
            path = self.path / f"mask_{plane}_paras" / f"{name}.txt"
            if path.is_file():
                fields[f"mask_{plane}_paras"] = _read_numbers(path)
        path = self.path / "calib" / f"{name}.txt"
        if path.is_file():
            numbers = _read_numbers(path).ravel()
            if numbers.size != 4:
                raise ZDError(f"{path}: holds {numbers.size} numbers, expected fx,fy,cx,cy: unpack it again")
            fx, fy, cx, cy = numbers
            fields["calib"] = np.array([[fx, 0, 0], [0, fy, 0], [cx, cy, 1]])
        return fields


def _find(root: Path, layout: Literal["auto", "mat", "raw"], fix: str) -> tuple[Path, Literal["mat", "raw"]]:
    if layout != "raw":
        for folder in (root, root / "ibims1_core_mat"):
            if any(folder.glob("*.mat")):
                return folder, "mat"
    if layout != "mat":
        for folder in (root, root / "ibims1_core_raw"):
            if (folder / "rgb").is_dir():
                return folder, "raw"
    kind = "" if layout == "auto" else f" in its {layout} distribution"
    raise ZDError(f"{root}: no iBims-1{kind} here: {fix}")


def scene_of(name: str) -> str:
    """The scene of an image: names are type_number, to which the rooms add the number of the view."""
    return re.sub(r"^(.*\d)_\d+$", r"\1", name)


def _mat_fields(path: Path) -> dict[str, Any]:
    problem, fix = "no readable MATLAB 5 file with a struct 'data'", "unpack it again"
    data = read_mat5(path, problem, fix).get("data")
    with explained(path, problem, fix):
        return {key: data[key][0, 0] for key in data.dtype.names}  # type: ignore[index, union-attr]


def _sample(path: Path, name: str, fields: dict[str, Any]) -> IBimsSample:
    """Check the fields of one image and put them in order; `path` is for messages."""
    for key in ("rgb", "depth", "mask_invalid", "mask_transp"):
        if key not in fields:
            raise ZDError(f"{path}: field {key!r} is missing (has: {', '.join(sorted(fields))}): unpack it again")
    image, depth = fields["rgb"], np.asarray(fields["depth"], np.float32)
    if image.dtype != np.uint8 or image.shape != (*depth.shape, 3):
        raise ZDError(
            f"{path}: rgb is {image.dtype} {image.shape} and depth {depth.shape}, expected uint8 (h, w, 3) and (h, w): "
            "unpack it again"
        )
    pictures = {key: value for key in _PICTURES if (value := fields.get(key)) is not None}
    for key, picture in pictures.items():
        if picture.shape != depth.shape:
            raise ZDError(f"{path}: {key} of {name} is {picture.shape}, depth {depth.shape}: unpack it again")
    if not np.isfinite(depth).all():
        raise ZDError(f"{path}: depth holds NaN or infinity: store 0 where there is none, or drop {name} from the list")
    mask_invalid, mask_transp = pictures["mask_invalid"] > 0, pictures["mask_transp"] > 0
    if not (depth > 0).any():
        raise ZDError(f"{path}: depth has no valid pixel: drop {name} from imagelist.txt")
    planes: Planes = {}
    for plane in PLANES:
        numbers, parameters = pictures.get(f"mask_{plane}"), fields.get(f"mask_{plane}_paras")
        if numbers is not None and parameters is not None and parameters.size:
            planes[plane] = (numbers.astype(np.uint8), np.atleast_2d(np.asarray(parameters, np.float64)))
    calib = fields.get("calib")
    scene = scene_of(name)
    return IBimsSample(
        name=name,
        image=np.ascontiguousarray(image),
        depth=np.ascontiguousarray(depth),
        mask=mask_invalid & mask_transp,
        scene=scene,
        scene_type=re.sub(r"_?\d+$", "", scene),
        intrinsics=None if calib is None else _upright(calib),
        edges=None if "edges" not in pictures else pictures["edges"] > 0,
        planes=planes,
        calib=None if calib is None else np.asarray(calib, np.float64),
        mask_invalid=mask_invalid,
        mask_transp=mask_transp,
    )


def _upright(calib: np.ndarray) -> Float64[np.ndarray, "3 3"]:
    """The pinhole matrix of a stored calibration, for pixels that count from 0."""
    matrix = np.array(calib.T, np.float64)
    matrix[:2, 2] -= 1
    return matrix


def _read_numbers(path: Path) -> Float64[np.ndarray, "n p"]:
    try:
        rows = [line.split(",") for line in read_text(path, "unpack it again").split()]
        return np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else 0)
    except (ValueError, OverflowError) as error:
        raise ZDError(f"{path}: not rows of numbers with commas ({error}): unpack it again") from error
