"""A small store of rooms, for tests."""

import numpy as np
import rgbd

from zdlib.data.rooms.store import StoredImage, StoreWriter

NAMES = ["unlabelled", "wall", "floor", "bed"]


def stored(seed=0, scene="bedroom_0001", *, ibims=False, **changes):
    _, depth, raw = rgbd.scene(seed=seed)
    # Smooth, so that JPEG's loss stays small.
    ramp = np.linspace(40, 200, depth.shape[1])[None, :, None] * np.ones((depth.shape[0], 1, 3))
    labels = np.select([raw == rgbd.RAW[name] for name in NAMES[1:]], [1, 2, 3], 0).astype(np.uint8)
    fields = {
        "image": ramp.astype(np.uint8),
        "depth": depth,
        "labels": labels,
        "scene": scene,
        "scene_type": "bedroom",
        "split": "train",
        "seed": seed,
        "view": 1,
        "intrinsics": np.array([[26.0, 0, 15.5], [0, 26, 11.5], [0, 0, 1]]),
        "pose": np.eye(4),
    }
    if ibims:
        ones = np.ones(depth.shape, np.uint8)
        empty = (0 * ones, np.zeros((0, 8)))
        fields |= {"mask_invalid": ones, "mask_transp": 0 * ones, "edges": (labels == 3).astype(np.uint8)}
        fields["planes"] = {"wall": (ones, np.arange(16.0).reshape(2, 8)), "floor": empty, "table": empty}
    return StoredImage(**(fields | changes))


def write(path, items, **options):
    settings = {"name": "Rooms-N", "depth_scale": 0.001, "label_names": NAMES, "generator": {"spp": 16}}
    with StoreWriter(path, **(settings | options)) as writer:
        for item in items:
            writer.add(item)
    return path
