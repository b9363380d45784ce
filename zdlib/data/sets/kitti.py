"""KITTI (Geiger et al., 2013; Uhrig et al., 2017), Eigen's test frames: 697, of which 652 have ground truth.

The raw data's `_sync` drives and the depth benchmark's annotated depth (`data_depth_annotated.zip`), both of
https://www.cvlibs.net/datasets/kitti, and the list of ZoeDepth and BTS (`train_test_inputs/` of ZoeDepth)::

    ROOT/kitti_eigen_test_files_with_gt.txt                                         lines 'image depth focal'
    ROOT/raw/2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png     about 1242×375
    ROOT/gts/2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/0000000069.png

`gts/train/…` and `gts/val/…`, as the archive unpacks, are found too, and `raw_data` and `data_depth_annotated` as names
of the two folders. Depth is a 16-bit PNG, metres · 256; 0 = none (accumulated laser points: most pixels have none).

Forty-five lines have `None` in place of the depth (most are first or last frames of a drive, which the benchmark leaves
out); they are not read, as in every evaluation with this list. Frames are whole; the benchmark crop to 1216×352 belongs
to the protocol (`Protocol.view`).
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from zdlib.data.formats.images import read_units
from zdlib.data.formats.pairs import FileFrame, FilesReader, first_folder, metres
from zdlib.errors import ZDError
from zdlib.gates.opening import FRAMES, inside, read_text

LIST = "kitti_eigen_test_files_with_gt.txt"
FIX = (
    f"put ZoeDepth's {LIST}, KITTI's raw drives (as raw/) and data_depth_annotated (as gts/) of "
    "https://www.cvlibs.net/datasets/kitti into one folder"
)


class KittiReader(FilesReader):
    """A sequence of `Sample`, whole frames of the left colour camera.

    Args:
        root: the folder that holds the list, `raw` and `gts`.
        list_file: another list of 'image depth focal' lines; None = ZoeDepth's, in the root.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: the list is missing or has another form, names no depth, or a file is missing.

    Attributes:
        without_depth: images of the list that have no ground truth.
    """

    def __init__(
        self, root: str | os.PathLike[str], list_file: str | os.PathLike[str] | None = None, complete: bool = True
    ):
        folder = Path(root)
        listed = folder / LIST if list_file is None else Path(list_file)
        images = first_folder(folder, ("raw_data", "raw"))
        depths = first_folder(folder, ("data_depth_annotated", "gts"))
        self.without_depth: list[str] = []
        frames = []
        for image, depth in _pairs(listed):
            if depth == "None":
                self.without_depth.append(image)
                continue
            path = images / image
            drive = next((part for part in path.parts if part.endswith("_sync")), path.parent.name)
            candidates = [depths / part / depth for part in ("", "train", "val")]
            found = next((candidate for candidate in candidates if candidate.is_file()), candidates[0])
            frames.append(FileFrame(f"{drive}_{path.stem}", path, found, scene=drive))
        super().__init__(root, frames, f"lines with a depth map in {listed.name}", FIX, complete)

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Metres, up to about 86."""
        return metres(read_units(path, self.fix), 256)


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Image and depth of each line, without the leading slash that some lists have."""
    lines = read_text(path, FIX).splitlines()
    FRAMES.check(len(lines), path)
    pairs = []
    for number, words in enumerate(map(str.split, lines), 1):
        if not words:
            continue
        if len(words) < 2:
            raise ZDError(f"{path}: line {number} names one file, expected 'image depth focal': {FIX}")
        for word in words[:2]:
            inside(path.parent, word, f"{path}: line {number}", FIX)
        pairs.append((words[0].lstrip("/"), words[1].lstrip("/")))
    return pairs
