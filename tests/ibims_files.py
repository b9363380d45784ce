"""Small images in iBims-1's two layouts, for tests."""

import numpy as np
import rgbd
import scipy.io
from PIL import Image

CALIB = np.array([[26.0, 0, 0], [0, 27, 0], [16.5, 12.5, 1]])  # transposed, pixels from 1
PARAS = np.array([[0, 1.0, 0, -3, 0, 1, 0, 40]])


def fields(seed=0, **changes):
    image, depth, raw = rgbd.scene(seed=seed)
    depth = np.rint(depth * 65535 / 50) * 50 / 65535
    depth[0, :4] = 0
    keep = np.ones(depth.shape, np.uint8)
    invalid, transp = keep.copy(), keep.copy()
    invalid[2], transp[:, 3] = 0, 0
    return {
        "rgb": image,
        "depth": depth.astype(np.float32),
        "edges": (raw == rgbd.RAW["bed"]).astype(np.uint8),
        "calib": CALIB,
        "mask_invalid": invalid,
        "mask_transp": transp,
        "mask_wall": (raw == rgbd.RAW["wall"]).astype(np.uint8),
        "mask_wall_paras": PARAS,
        "mask_floor": 0 * keep,
        "mask_floor_paras": np.zeros((0, 0)),
        "mask_table": 0 * keep,
        "mask_table_paras": np.zeros((0, 0)),
    } | changes


def write_mat(folder, name, content):
    folder.mkdir(exist_ok=True)
    scipy.io.savemat(folder / f"{name}.mat", {"data": {k: v for k, v in content.items() if v is not None}})


def write_raw(folder, name, content):
    for key in ("rgb", "mask_invalid", "mask_transp", "edges", "mask_wall"):
        (folder / key).mkdir(parents=True, exist_ok=True)
        picture = content[key] if key in ("rgb", "mask_wall") else content[key] > 0
        Image.fromarray(picture).save(folder / key / f"{name}.png")
    for key in ("depth", "calib", "mask_wall_paras"):
        (folder / key).mkdir(parents=True, exist_ok=True)
    units = np.rint(content["depth"].astype(np.float64) * 65535 / 50).astype(np.uint16)
    Image.fromarray(units).save(folder / "depth" / f"{name}.png")
    (folder / "calib" / f"{name}.txt").write_text("26.0,27.0,16.5,12.5\n")
    (folder / "mask_wall_paras" / f"{name}.txt").write_text("0,1,0,-3,0,1,0,40\n")
