"""Folders of images and depth maps: ZoeDepth's NYU layout, and anyone's own data.

Depth maps are 16-bit PNG files, metres = value · `metres_per_unit` (millimetres by default), 0 = none. Images and
depth maps are paired in one of three ways:

* a list file, a line per image: `rgb.jpg depth.png [focal]`, relative to the root (`nyudepthv2_train_files_with_gt.txt`
  of BTS and ZoeDepth; a leading slash is ignored);
* `rgb_00045.jpg` beside `sync_depth_00045.png`, in the root or in a folder for each scene (the same data without list);
* a folder of images and a folder of depth maps whose files have the same stem.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsIndex

import numpy as np

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.formats.images import read_picture, read_units
from zdlib.data.sample import Frames, Sample
from zdlib.errors import ZDError
from zdlib.gates.opening import FRAMES, inside, read_text

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class _Pair:
    image: Path
    depth: Path


class FolderReader(Frames[Sample]):
    """A sequence of `Sample` read from files.

    `Sample.scene` is the image's folder in the root (`basement_0001a`), or its own name where all lie in one folder.

    Args:
        root: the folder that everything is relative to.
        list_file: pairs, one a line; None = pair by name.
        image_folder, depth_folder: subfolders whose files are paired by stem, where there is no `list_file`. Where the
            root has no such folders, `rgb_*` and `sync_depth_*` files are looked for.
        metres_per_unit: of the depth maps.

    Raises:
        ZDError: nothing is found, a listed file is missing, or an image has no depth map.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        list_file: str | os.PathLike[str] | None = None,
        *,
        image_folder: str = "rgb",
        depth_folder: str = "depth",
        metres_per_unit: float = 0.001,
    ):
        self.path = Path(root)
        self.metres_per_unit = metres_per_unit
        if not self.path.is_dir():
            raise ZDError(f"{root}: no such folder: give the folder that holds the images")
        if list_file is not None:
            self._pairs = _listed(self.path, Path(list_file))
        elif (self.path / image_folder).is_dir():
            self._pairs = _by_stem(self.path / image_folder, self.path / depth_folder)
        else:
            self._pairs = _by_number(self.path)
        if not self._pairs:
            raise ZDError(
                f"{list_file or root}: no image found: expected a list file, {image_folder}/ and {depth_folder}/, or "
                "rgb_*.jpg beside sync_depth_*.png"
            )
        relative = [pair.image.relative_to(self.path).with_suffix("") for pair in self._pairs]
        # The folder that holds all images says nothing about a scene.
        common = Path(os.path.commonpath([path.parent for path in relative]))
        self.names = ["_".join(path.relative_to(common).parts) for path in relative]
        self.scenes = ["_".join(path.relative_to(common).parts[:-1]) or path.name for path in relative]

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame; a file is damaged; the depth map is not 16 bit, has another size than the image, or
                no valid pixel.
        """
        index = checked_index(self.path, index, len(self))
        pair = self._pairs[index]
        image = read_picture(pair.image, "replace it", "RGB")
        units = read_units(pair.depth, "write millimetres as 16 bit")
        if units.shape != image.shape[:2]:
            raise ZDError(
                f"{pair.depth}: {units.shape[1]}×{units.shape[0]} pixels, {pair.image.name} has {image.shape[1]}×"
                f"{image.shape[0]}: align the depth to the image"
            )
        if not units.any():
            raise ZDError(f"{pair.depth}: no valid pixel: remove it and {pair.image.name}")
        in_folder = self.scenes[index] != pair.image.stem
        return Sample(
            name=self.names[index],
            image=image,
            depth=(units * self.metres_per_unit).astype(np.float32),
            scene=self.scenes[index],
            scene_type=re.sub(r"_\d+[a-z]?$", "", self.scenes[index]) if in_folder else "",
        )


def _listed(root: Path, list_file: Path) -> list[_Pair]:
    lines = read_text(list_file, "give a text file of 'rgb depth focal' lines").splitlines()
    FRAMES.check(len(lines), list_file)
    pairs = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2:
            raise ZDError(f"{list_file}: line {number} names one file, expected 'rgb depth [focal]'")
        pair = _Pair(*(inside(root, word, f"{list_file}: line {number}", "correct the list") for word in words[:2]))
        for path in (pair.image, pair.depth):
            if not path.is_file():
                raise ZDError(f"{path}: no such file, but line {number} of {list_file} names it: correct the list")
        pairs.append(pair)
    return pairs


def _by_stem(image_folder: Path, depth_folder: Path) -> list[_Pair]:
    images = sorted(path for path in image_folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return [
        _with_depth(image, (depth_folder / image.relative_to(image_folder)).with_suffix(".png")) for image in images
    ]


def _by_number(root: Path) -> list[_Pair]:
    images = sorted(path for path in root.rglob("rgb_*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return [
        _with_depth(image, image.with_name(f"sync_depth_{image.stem.removeprefix('rgb_')}.png")) for image in images
    ]


def _with_depth(image: Path, depth: Path) -> _Pair:
    if not depth.is_file():
        raise ZDError(f"{image}: has no depth map ({depth} is missing): add it, or remove the image")
    return _Pair(image, depth)
