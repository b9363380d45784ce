"""Virtual KITTI 2 (Cabon et al., 2020): 21260 rendered street frames of the left camera.

`vkitti_2.0.3_rgb.tar` and `vkitti_2.0.3_depth.tar` of Naver Labs Europe's Virtual KITTI 2 page, into one folder each
(`rgb` and `depth`, as ZoeDepth has them) or both into one::

    ROOT/rgb/Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg           1242×375
    ROOT/depth/Scene01/clone/frames/depth/Camera_0/depth_00000.png     16 bit, centimetres
    ROOT/textgt/Scene01/clone/intrinsic.txt                            vkitti_2.0.3_textgt.tar.gz; optional
    ROOT/test.txt                                                      one image per line; optional

Depth is planar, metres · 100; 65535 marks the sky and becomes 0 here. Five scenes (01, 02, 06, 18, 20), ten variants.

ZoeDepth evaluates on 1701 frames drawn without a seed on its authors' machine and never published; its loader writes
its own draw, as absolute paths, to `test.txt`. With that file, the frames it names are read (wherever it was written);
without it, all. Frames are whole; the benchmark crop to 1216×352 belongs to the protocol (`Protocol.view`).
"""

import os
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from zdlib.data.formats.images import read_units
from zdlib.data.formats.pairs import FileFrame, FilesReader, first_folder, metres
from zdlib.errors import ZDError
from zdlib.gates.opening import read_text

FIX = (
    "unpack vkitti_2.0.3_rgb.tar and vkitti_2.0.3_depth.tar of the Virtual KITTI 2 page (Naver Labs Europe) as rgb/ "
    "and depth/"
)
SKY = 65535
# One camera for all of its scenes: what the data set's intrinsic.txt files say, if one lacks them.
INTRINSICS: Float64[np.ndarray, "3 3"] = np.array([[725.0087, 0.0, 620.5], [0.0, 725.0087, 187.0], [0.0, 0.0, 1.0]])
_IMAGE = re.compile(r"(Scene\d+)/([^/]+)/frames/rgb/Camera_0/rgb_(\d+)\.jpg$")


class VirtualKittiReader(FilesReader):
    """A sequence of `Sample`, whole frames of camera 0.

    `Sample.scene` is the world (`Scene01`): its variants show the same street.

    Args:
        root: the folder that holds `rgb` and `depth`, or the scenes.
        complete: refuse at once if a file is missing; else when its frame is read.

    Raises:
        ZDError: no such folder, no frame, `test.txt` names something else, or a file is missing.
    """

    def __init__(self, root: str | os.PathLike[str], complete: bool = True):
        folder = Path(root)
        self._texts = first_folder(folder, ("textgt", ""))
        images, depths = first_folder(folder, ("rgb", "")), first_folder(folder, ("depth", ""))
        listed = folder / "test.txt"
        if listed.is_file():
            texts = read_text(listed, "remove the list to read all frames").replace("\\", "/").split("\n")
            texts = [text.strip() for text in texts if text.strip()]
        else:
            texts = [path.as_posix() for path in sorted(images.glob("Scene*/*/frames/rgb/Camera_0/rgb_*.jpg"))]
        frames = []
        for text in texts:
            match = _IMAGE.search(text)
            if match is None or match[2] == "..":
                raise ZDError(
                    f"{listed}: {text!r} is no image of camera 0 (Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg): "
                    "remove the list to read all frames"
                )
            world, variant, number = match.groups()
            frames.append(
                FileFrame(
                    name=f"{world}_{variant}_{number}",
                    image=images / match[0],
                    depth=depths / world / variant / "frames" / "depth" / "Camera_0" / f"depth_{number}.png",
                    scene=world,
                )
            )
        super().__init__(root, frames, "rgb/Scene*/*/frames/rgb/Camera_0/rgb_*.jpg", FIX, complete)

    def read_depth(self, path: Path) -> Float32[np.ndarray, "h w"]:
        """Metres, up to 655; 0 in the sky."""
        units = read_units(path, self.fix)
        return metres(np.where(units == SKY, np.uint16(0), units), 100)

    def read_intrinsics(self, frame: FileFrame) -> Float64[np.ndarray, "3 3"]:
        """What `intrinsic.txt` says of camera 0 at this frame; without that file, the data set's one camera.

        Raises:
            ZDError: the file has another form, or no line for the frame.
        """
        world, _, rest = frame.name.partition("_")
        variant, _, number = rest.rpartition("_")
        path = self._texts / world / variant / "intrinsic.txt"
        if not path.is_file():
            return INTRINSICS.copy()
        for line in read_text(path, FIX).splitlines()[1:]:
            words = line.split()
            if words[:2] == [str(int(number)), "0"]:
                try:
                    fx, fy, cx, cy = map(float, words[2:])
                except ValueError as error:
                    raise ZDError(f"{path}: {line!r} is no 'frame camera fx fy cx cy' line: {FIX}") from error
                return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        raise ZDError(f"{path}: has no line for frame {int(number)} of camera 0: {FIX}")
