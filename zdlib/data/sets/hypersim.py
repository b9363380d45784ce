"""HyperSim (Roberts et al., ICCV 2021), test part: 7690 rendered indoor frames.

From https://github.com/apple/ml-hypersim (its download scripts; only the files named here are needed)::

    ROOT/ai_001_010/images/scene_cam_00_final_preview/frame.0000.tonemap.jpg            1024×768
                           scene_cam_00_geometry_hdf5/frame.0000.depth_meters.hdf5      `dataset` (768, 1024) float16
    ROOT/metadata_images_split_scene_v1.csv                                             the authors' split; optional

With the list, its public test frames are read, and every one of them must be there; without it, all frames found.

`depth_meters` is not depth: it is the distance from the camera's centre along the pixel's ray, in metres, NaN where the
ray meets nothing. Planar depth is distance · f / |(x, y, f)| with f = 886.81 pixels and (x, y) the pixel's centre from
the image's, as in ZoeDepth's loader. The true camera differs a little in some scenes (a shifted lens); ZoeDepth ignores
it, and so does this reader. ZoeDepth resizes the image to 640×480 before it meets the network, whose own resizing
follows; the reader does not.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64

from zdlib.data.formats.hdf5 import LazyFile
from zdlib.data.formats.pairs import FileFrame, FilesReader
from zdlib.errors import ZDError
from zdlib.gates.opening import explained, read_text

FIX = "get the test scenes' final_preview and geometry_hdf5 files from https://github.com/apple/ml-hypersim"
SPLIT = "metadata_images_split_scene_v1.csv"
SIZE, FOCAL = (768, 1024), 886.81  # rows and columns; pixels
INTRINSICS: Float64[np.ndarray, "3 3"] = np.array([[FOCAL, 0.0, 511.5], [0.0, FOCAL, 383.5], [0.0, 0.0, 1.0]])


class HyperSimReader(FilesReader):
    """A sequence of `Sample` with planar depth.

    Args:
        root: the folder that holds the scenes (`ai_001_010`, …).
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, no frame, the list is damaged, or a file is missing.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        folder = Path(root)
        if (folder / SPLIT).is_file():
            keys = _test_frames(folder / SPLIT)
        else:
            found = folder.glob("ai_*/images/scene_cam_*_final_preview/frame.*.tonemap.jpg")
            keys = sorted(
                (
                    path.parts[-4],
                    path.parent.name.removeprefix("scene_").removesuffix("_final_preview"),
                    path.name.split(".")[1],
                )
                for path in found
            )
        super().__init__(
            root, _frames(folder, keys), "ai_*/images/scene_cam_*_final_preview/frame.*.tonemap.jpg", FIX, complete
        )

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Planar metres; 0 where the file has NaN."""
        source = LazyFile(path, self.fix)
        dataset = source.dataset("dataset", ndim=2)
        if not np.issubdtype(dataset.dtype, np.floating) or dataset.shape != SIZE:
            raise ZDError(
                f"{path}: dataset is {dataset.dtype} {dataset.shape}, expected floating-point metres {SIZE}, for "
                f"which the focal length holds: {self.fix}"
            )
        distance = source.read(dataset, ())
        source.file.close()
        return planar_depth(np.where(np.isfinite(distance), distance, 0))

    def read_intrinsics(self, frame: FileFrame) -> Float64[np.ndarray, "3 3"]:
        """The camera that ZoeDepth takes for every scene."""
        return INTRINSICS.copy()


def planar_depth(distance: Float[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Distance along the ray to distance from the image plane, for HyperSim's camera."""
    height, width = distance.shape
    x, y = np.arange(width) - (width - 1) / 2, np.arange(height)[:, None] - (height - 1) / 2
    return (distance * (FOCAL / np.sqrt(x**2 + y**2 + FOCAL**2))).astype(np.float32)


def _test_frames(path: Path) -> list[tuple[str, str, str]]:
    """Scene, camera and four-digit frame of the public test part."""
    fix = "replace it, or remove it"
    with explained(path, "not the authors' list of the split", fix):
        keys = [
            (row["scene_name"], row["camera_name"], f"{int(row['frame_id']):04d}")
            for row in csv.DictReader(read_text(path, fix).splitlines())
            if row["split_partition_name"] == "test" and row["included_in_public_release"] == "True"
        ]
        for scene, camera, _ in keys:
            if "/" in scene + camera or scene in (".", ".."):
                raise ValueError(f"{scene} {camera}")
        return keys


def _frames(root: Path, keys: Sequence[tuple[str, str, str]]) -> list[FileFrame]:
    frames = []
    for scene, camera, number in keys:
        images = root / scene / "images"
        frames.append(
            FileFrame(
                name=f"{scene}_{camera}_{number}",
                image=images / f"scene_{camera}_final_preview" / f"frame.{number}.tonemap.jpg",
                depth=images / f"scene_{camera}_geometry_hdf5" / f"frame.{number}.depth_meters.hdf5",
                scene=scene,
            )
        )
    return frames
