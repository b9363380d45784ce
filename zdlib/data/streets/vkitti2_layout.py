"""Streets-V in Virtual KITTI 2's layout, for the real reader to read (`zdlib.data.sets.vkitti2`).

One scene per frame, whose number is the generator's seed; the variant is the weather::

    ROOT/rgb/Scene5000/clear/frames/rgb/Camera_0/rgb_00000.jpg             the bytes of the store
    ROOT/depth/Scene5000/clear/frames/depth/Camera_0/depth_00000.png       16 bit, centimetres, 65535 = sky
    ROOT/textgt/Scene5000/clear/intrinsic.txt                              one row per frame and camera

What is nearer than 1 m or beyond 250 m has no depth in the store, and is 65535 like the sky.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from zdlib.data.streets.kitti_layout import write_picture
from zdlib.data.streets.store import Store

SKY = 65535


def write_vkitti2(root: Path, store: Store, clips: Iterable[int]) -> None:
    """Write frames into an empty folder.

    Args:
        root: the folder.
        store: Streets-V.
        clips: numbers of its frames.

    Raises:
        ZDError: the store is damaged.
        OSError: the folder cannot be written.
    """
    fx, fy, cx, cy = (float(store.intrinsics[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    for clip in clips:
        scene = f"Scene{store.seeds[clip]}/{store.clip(clip).weather.replace(' ', '-')}"
        colour = root / "rgb" / scene / "frames/rgb/Camera_0/rgb_00000.jpg"
        depth = root / "depth" / scene / "frames/depth/Camera_0/depth_00000.png"
        camera = root / "textgt" / scene / "intrinsic.txt"
        for path in (colour, depth, camera):
            path.parent.mkdir(parents=True)
        colour.write_bytes(store.jpeg(clip))
        metres = store.frame(clip).depth
        write_picture(depth, np.where(metres > 0, np.rint(metres * 100), SKY).astype(np.uint16))
        camera.write_text(f"frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]\n0 0 {fx!r} {fy!r} {cx!r} {cy!r}\n")
