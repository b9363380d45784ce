"""Tiny RGB-D scenes for tests, made with NumPy alone so that a reader is never tested against its own writer."""

import h5py
import numpy as np
import scipy.io

# Raw ids of NYU's list (`names` is 1-based): what tests need, spelled out.
RAW = {"wall": 21, "floor": 11, "table": 19, "bed": 157, "book": 1, "unlabelled": 0}


def scene(height=24, width=32, seed=0):
    """`image` uint8 (h, w, 3), `depth` float32 metres (h, w), `labels` uint16 raw ids (h, w) of a box in a room.

    A wall at 3 m, a floor that comes nearer towards the lower edge, a box at 1.5 m, one unlabelled corner.
    """
    rng = np.random.default_rng(seed)
    depth = np.full((height, width), 3.0, np.float32)
    labels = np.full((height, width), RAW["wall"], np.uint16)
    floor = np.arange(height // 2, height)
    depth[floor] = (3.0 - 2.0 * (floor - height // 2) / height)[:, None]
    labels[floor] = RAW["floor"]
    box = np.s_[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    depth[box] = 1.5
    labels[box] = RAW["bed"]
    labels[:3, :3] = RAW["unlabelled"]
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image, depth + np.float32(0.01) * rng.random((height, width), np.float32), labels


def write_nyu_mat(path, frames, names, *, scenes=None, types=None):
    """Write `frames` (as `scene` gives them) with h5py, from NYU's list of keys alone."""
    count = len(frames)
    texts = {
        "names": names,
        "scenes": scenes or [f"bedroom_{i:04d}" for i in range(count)],
        "sceneTypes": types or ["bedroom"] * count,
        "rawRgbFilenames": [f"bedroom/r-{i}.ppm" for i in range(count)],
        "rawDepthFilenames": [f"bedroom/d-{i}.pgm" for i in range(count)],
    }
    with h5py.File(path, "w") as file:
        file["images"] = np.stack([image.transpose(2, 1, 0) for image, _, _ in frames])
        file["depths"] = np.stack([depth.T for _, depth, _ in frames])
        # A sensor's hole, so that the two depths differ.
        file["rawDepths"] = np.stack([np.where(depth < 1.6, 0, depth).astype(np.float32).T for _, depth, _ in frames])
        file["labels"] = np.stack([labels.T for _, _, labels in frames])
        file["instances"] = np.stack([(labels.T > 0).astype(np.uint8) for _, _, labels in frames])
        file["accelData"] = np.zeros((4, count))
        for key, values in texts.items():
            cells = file.create_dataset(key, (1, len(values)), h5py.ref_dtype)
            for i, text in enumerate(values):
                stored = file.create_dataset(
                    f"#refs#/{key}{i}", data=np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None]
                )
                cells[0, i] = stored.ref
    return path


def write_ibims(folder, height=48, width=64):
    """Two halls with a floor and edges in `ibims1_core_mat`'s layout."""
    for seed in range(2):
        image, depth, _ = scene(height, width, seed)
        keep = np.ones(depth.shape, np.uint8)
        floor = np.zeros(depth.shape, np.uint8)
        floor[height // 2 :] = 1
        data = {"rgb": image, "depth": depth.astype(float), "mask_invalid": keep, "mask_transp": keep}
        calib = np.array([[width / 1.28, 0, 0], [0, width / 1.28, 0], [width / 2, height / 2, 1.0]])
        data |= {"edges": np.eye(height, width, dtype=np.uint8), "calib": calib}
        data |= {"mask_floor": floor, "mask_floor_paras": np.array([[0, 0, 1, 1, 0, 0, 1.0, 100]])}
        scipy.io.savemat(folder / f"hall_{seed:02d}.mat", {"data": data})
