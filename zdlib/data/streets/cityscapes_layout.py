"""Streets-K in Cityscapes' layout, for the real reader to read (`zdlib.data.sets.cityscapes`).

One city per kind of street, one sequence per clip. As in Cityscapes, one frame of a sequence is labelled and has a
disparity and a right picture; here it is the middle one of three::

    ROOT/leftImg8bit/SPLIT/CITY/CITY_001000_000001_leftImg8bit.png              rightImg8bit likewise
    ROOT/leftImg8bit_sequence/SPLIT/CITY/CITY_001000_000000_leftImg8bit.png     all three
    ROOT/gtFine/SPLIT/CITY/CITY_001000_000001_gtFine_labelIds.png
    ROOT/disparity/SPLIT/CITY/CITY_001000_000001_disparity.png                  16 bit: 256 · pixels + 1, 0 = none
    ROOT/camera/SPLIT/CITY/CITY_001000_000001_camera.json

The disparity is exact where both cameras see and none elsewhere (Cityscapes' is matched, with holes and errors). Test
frames are labelled, too.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt16

from zdlib.data.street_classes import to_file_ids
from zdlib.data.streets.kitti_layout import write_picture
from zdlib.data.streets.store import Store, StoredFrame

CAMERA_FORWARD, CAMERA_LEFT = 1.7, 0.27  # metres from the rear axle's middle: nominal, as in Cityscapes' files
UNITS_PER_PIXEL = 256


def write_cityscapes(root: Path, store: Store, clips: Iterable[int]) -> None:
    """Write clips into an empty folder.

    Args:
        root: the folder.
        store: Streets-K.
        clips: their numbers.

    Raises:
        ZDError: the store is damaged.
        OSError: the folder cannot be written.
    """
    labelled = store.frames // 2
    for clip in clips:
        city, split = store.clip(clip).style, store.splits[clip]
        stem = f"{city}_{store.seeds[clip]:06d}"

        def place(kind: str, moment: int, ending: str, folder: str = f"{split}/{city}", stem: str = stem) -> Path:
            path = root / kind / folder / f"{stem}_{moment:06d}_{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            return path

        for moment in range(store.frames):
            frame = store.frame(clip, moment)
            write_picture(place("leftImg8bit_sequence", moment, "leftImg8bit.png"), frame.left)
            if moment != labelled:
                continue
            write_picture(place("leftImg8bit", moment, "leftImg8bit.png"), frame.left)
            if frame.right is not None:
                write_picture(place("rightImg8bit", moment, "rightImg8bit.png"), frame.right)
            write_picture(place("gtFine", moment, "gtFine_labelIds.png"), to_file_ids(frame.labels))
            write_picture(place("disparity", moment, "disparity.png"), disparity_units(store, frame))
            camera = json.dumps(_camera(store, frame), indent=4)
            place("camera", moment, "camera.json").write_text(camera + "\n")


def disparity_units(store: Store, frame: StoredFrame) -> UInt16[np.ndarray, "h w"]:
    """round(256 · disparity) + 1; 0 where there is no depth or the right camera does not see."""
    seen = (frame.depth > 0) & ~frame.occluded
    pixels = store.intrinsics[0, 0] * store.baseline / np.where(seen, frame.depth, np.inf)
    return np.where(seen, np.rint(UNITS_PER_PIXEL * pixels) + 1, 0).astype(np.uint16)


def _camera(store: Store, frame: StoredFrame) -> dict[str, dict[str, float]]:
    """Intrinsics in pixels; extrinsics in metres and radians, in the car's axes (x forward, y left, z up)."""
    forward = frame.pose[:3, 2]
    extrinsic = {
        "baseline": store.baseline,
        "pitch": float(-np.arcsin(forward[2])),
        "roll": 0.0,
        "x": CAMERA_FORWARD,
        "y": CAMERA_LEFT,
        "yaw": 0.0,
        "z": float(frame.pose[2, 3]),
    }
    k = store.intrinsics
    return {
        "extrinsic": extrinsic,
        "intrinsic": {"fx": k[0, 0], "fy": k[1, 1], "u0": k[0, 2], "v0": k[1, 2]},
    }
