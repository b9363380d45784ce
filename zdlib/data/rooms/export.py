"""Notebook 01's work: the embedded rooms in NYU's and iBims-1's own on-disk layouts, for the real readers to read."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import UInt8, UInt16
from skimage.measure import label as connected_components
from tqdm import tqdm

from zdlib.config import EmbeddedConfig
from zdlib.data import classes
from zdlib.data.folders import atomic_folder
from zdlib.data.formats import mat
from zdlib.data.rooms import ibims_layout, kinect
from zdlib.data.rooms.store import FIX, Store, open_store
from zdlib.errors import ZDError
from zdlib.files import atomic_path, write_bytes, write_text
from zdlib.paths import resolve

KINECT_SEED = 0
COMPRESSED_SHARE = 0.35  # of the arrays' bytes; measured on 300 images: 0.27


@dataclass(frozen=True)
class Frame:
    """Where a frame comes from: image `index` of `store`; `scene` and `split` say where it goes."""

    store: Store
    index: int

    @property
    def scene(self) -> str:
        """Name of its scene."""
        return self.store.scenes[self.index]

    @property
    def scene_type(self) -> str:
        """Type of its scene."""
        return self.store.scene_types[self.index]

    @property
    def split(self) -> str:
        """`train` or `test`."""
        return self.store.splits[self.index]


def materialise(embedded: EmbeddedConfig, nyu_mat: Path, nyu_splits: Path, ibims_root: Path) -> None:
    """Write the embedded rooms as NYU's `.mat`, `splits.mat` and iBims-1's two distributions.

    Each file, and each of iBims-1's folders, appears complete or not at all. The same store gives the same bytes.

    Args:
        embedded: the store's folder (`rooms_n*.h5`, `rooms_i.h5`) and how many frames to take.
        nyu_mat: the `.mat` to write.
        nyu_splits: the `splits.mat` to write.
        ibims_root: folder that gets `ibims1_core_mat/` and `ibims1_core_raw/`.

    Raises:
        ZDError: the store is missing or damaged, or a target cannot be written.
    """
    frames = chosen_frames(embedded)
    write_nyu_mat(nyu_mat, frames)
    numbers = {
        key: np.array([[i] for i, frame in enumerate(frames, 1) if frame.split == split], np.uint16)
        for key, split in (("trainNdxs", "train"), ("testNdxs", "test"))
    }
    write_bytes(nyu_splits, mat.mat5_bytes(numbers))
    store = open_store(resolve(embedded.source) / "rooms_i.h5")
    write_ibims(ibims_root, take([Frame(store, i) for i in range(len(store))], embedded.ibims_limit))


def chosen_frames(embedded: EmbeddedConfig) -> list[Frame]:
    """The frames that play NYU's part, in the order of the `.mat`.

    Raises:
        ZDError: the store is missing or damaged.
    """
    folder = resolve(embedded.source)
    paths = sorted(folder.glob("rooms_n*.h5"))
    if not paths:
        raise ZDError(f"{folder}: holds no rooms_n.h5: {FIX}")
    frames = nyu_order([Frame(store, i) for store in map(open_store, paths) for i in range(len(store))])
    limits = {"train": embedded.train_limit, "test": embedded.test_limit}
    kept = {split: take([frame for frame in frames if frame.split == split], limit) for split, limit in limits.items()}
    chosen = set(kept["train"]) | set(kept["test"])
    return [frame for frame in frames if frame in chosen]


def nyu_order(frames: Sequence[Frame]) -> list[Frame]:
    """Frames by scene type and, inside a type, by scene, with training and test scenes evenly interleaved.

    NYU's file is ordered so, which is why a contiguous 80 % of it mixes both official parts.
    """
    scenes = _by_scene(frames)
    groups: dict[tuple[str, str], list[str]] = {}
    for scene in sorted(scenes):
        first = scenes[scene][0]
        groups.setdefault((first.scene_type, first.split), []).append(scene)
    places = {
        scene: (scene_type, (rank + 0.5) / len(members), split)
        for (scene_type, split), members in groups.items()
        for rank, scene in enumerate(members)
    }
    return [frame for scene in sorted(scenes, key=places.__getitem__) for frame in scenes[scene]]


def take(frames: Sequence[Frame], limit: int | None) -> list[Frame]:
    """At most `limit` frames, whole scenes, in turn from each scene type; in their old order.

    The first scene is kept whatever its size, so that no part is empty.
    """
    if limit is None or limit >= len(frames):
        return list(frames)
    scenes = _by_scene(frames)
    types: dict[str, list[str]] = {}
    for scene, members in scenes.items():
        types.setdefault(members[0].scene_type, []).append(scene)
    # First scenes of every type, then second ones, …: a short data set still shows all types.
    turns = sorted((turn, i, scene) for i, group in enumerate(types.values()) for turn, scene in enumerate(group))
    kept: list[Frame] = []
    for _, _, scene in turns:
        if not kept or len(kept) + len(scenes[scene]) <= limit:
            kept += scenes[scene]
    chosen = set(kept)
    return [frame for frame in frames if frame in chosen]


def write_nyu_mat(path: Path, frames: Sequence[Frame]) -> None:
    """Write `frames` in the layout of `nyu_depth_v2_labeled.mat` (see `zdlib.data.sets.nyu`), one image per chunk.

    Depth is what a Kinect would have measured (`zdlib.data.rooms.kinect`). There is no accelerometer: `accelData` is
    zero. `namesToIds` (a Java object in the original) is left out.

    Raises:
        ZDError: the file cannot be written, or the stores' images differ in size.
    """
    sizes = {(frame.store.height, frame.store.width) for frame in frames}
    if len(sizes) != 1:
        raise ZDError(f"{path}: frames of {len(sizes)} sizes: NYU's layout needs exactly one")
    ((height, width),) = sizes
    layout = {
        "images": ((3, width, height), np.uint8, b"uint8"),
        "depths": ((width, height), np.float32, b"single"),
        "rawDepths": ((width, height), np.float32, b"single"),
        "labels": ((width, height), np.uint16, b"uint16"),
        "instances": ((width, height), np.uint8, b"uint8"),
    }
    raw_bytes = len(frames) * sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype, _ in layout.values())
    with atomic_path(path) as temporary:
        _check_space(path, int(raw_bytes * COMPRESSED_SHARE))
        with h5py.File(temporary, "w", userblock_size=mat.USERBLOCK) as file:
            for key, (shape, dtype, kind) in layout.items():
                data = file.create_dataset(
                    key, (len(frames), *shape), dtype, chunks=(1, *shape), compression="gzip", compression_opts=1
                )
                data.attrs["MATLAB_class"] = np.bytes_(kind)
            file.create_dataset("accelData", data=np.zeros((4, len(frames)), np.float64))
            file["accelData"].attrs["MATLAB_class"] = np.bytes_(b"double")
            stamps = [f"{frame.store.seeds[frame.index]}-{frame.store.views[frame.index]}" for frame in frames]
            texts = {
                "names": list(classes.raw_names()),
                "scenes": [frame.scene for frame in frames],
                "sceneTypes": [frame.scene_type for frame in frames],
                "rawRgbFilenames": [f"{f.scene}/r-{stamp}.ppm" for f, stamp in zip(frames, stamps, strict=True)],
                "rawDepthFilenames": [f"{f.scene}/d-{stamp}.pgm" for f, stamp in zip(frames, stamps, strict=True)],
            }
            for key, values in texts.items():
                mat.write_cells(file, key, values)
            for number, frame in enumerate(tqdm(frames, desc=path.name, unit="frame", mininterval=1)):
                for key, picture in _nyu_frame(frame).items():
                    file[key][number] = picture.T
        with open(temporary, "r+b") as header:
            header.write(mat.matlab73_header())


def write_ibims(root: Path, frames: Sequence[Frame]) -> None:
    """Write `frames` as `root/ibims1_core_mat/` and `root/ibims1_core_raw/`, each folder complete or not at all.

    `imagelist.txt` comes last, so that its presence means that all is there.

    Raises:
        ZDError: the store lacks what iBims-1's layout needs, or a folder cannot be written.
    """
    names = [f"{frame.scene}_{frame.store.views[frame.index]:02d}" for frame in frames]
    (root / "imagelist.txt").unlink(missing_ok=True)
    for layout, write in (("mat", ibims_layout.write_mat), ("raw", ibims_layout.write_raw)):
        with atomic_folder(root / f"ibims1_core_{layout}") as temporary:
            pairs = zip(names, frames, strict=True)
            for name, frame in tqdm(
                pairs, desc=f"{root.name} ({layout})", total=len(frames), unit="frame", mininterval=1
            ):
                write(temporary, name, frame.store[frame.index])
            (temporary / "imagelist.txt").write_text("".join(f"{name}\n" for name in names))
    write_text(root / "imagelist.txt", "".join(f"{name}\n" for name in names))


def _check_space(path: Path, needed: int) -> None:
    # HDF5 meets a full disk late, and prints more than the one line that a user needs.
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        wanted, left = (f"{count / 1e6:.0f} MB" for count in (needed, free))
        raise ZDError(f"{path}: needs about {wanted}, {left} are free: free space or choose another folder")


def _nyu_frame(frame: Frame) -> dict[str, np.ndarray]:
    """One frame's pictures, upright. The Kinect's noise depends on the scene's seed and the view alone."""
    stored = frame.store[frame.index]
    rng = np.random.default_rng([KINECT_SEED, stored.seed, stored.view])
    measured = kinect.simulate(stored.image, stored.depth, float(stored.intrinsics[0, 0]), rng)
    labels = frame.store.raw_labels(stored.labels)
    return {
        "images": measured.image,
        "depths": measured.depth,
        "rawDepths": measured.raw_depth,
        "labels": labels,
        "instances": instances(labels),
    }


def _by_scene(frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    scenes: dict[str, list[Frame]] = {}
    for frame in frames:
        scenes.setdefault(frame.scene, []).append(frame)
    return scenes


def instances(labels: UInt16[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Number each connected piece of a class, from 1 inside the class (at most 255); 0 where unlabelled."""
    pieces = connected_components(labels, background=0, connectivity=1)
    count = int(pieces.max())
    piece_class = np.zeros(count + 1, np.int64)
    piece_class[pieces] = labels
    order = np.argsort(piece_class, kind="stable")
    starts = np.searchsorted(piece_class[order], piece_class)
    number = np.empty(count + 1, np.int64)
    number[order] = np.arange(count + 1)
    number = np.minimum(number - starts + 1, 255)
    number[0] = 0
    return number.astype(np.uint8)[pieces]
