"""The compact store that git carries: JPEG images, delta-coded depth, PNG labels, one HDF5 file per part.

`Rooms-N` holds what NYU's layout needs, `Rooms-I` also what iBims-1's needs (masks, planes, occlusion edges).
"""

import io
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, SupportsIndex

import h5py
import numpy as np
from jaxtyping import Float32, Float64, Integer, UInt8, UInt16
from PIL import Image

from zdlib.data import classes
from zdlib.data.formats.hdf5 import LazyFile, checked_index
from zdlib.data.formats.images import decode_picture
from zdlib.data.sets.ibims import PLANES
from zdlib.errors import ZDError
from zdlib.files import atomic_path

FIX = "restore data/rooms/ (git checkout -- data/rooms)"


@dataclass(frozen=True)
class StoredImage:
    """One rendered image with its exact geometry.

    Attributes:
        image: (h, w, 3) uint8 RGB without sensor noise.
        depth: (h, w) float32 planar depth in metres, exact up to the store's quantisation; 0 = no surface.
        labels: (h, w) uint8 indices into the store's `label_names`, 0 = unlabelled.
        scene, scene_type: NYU's words (`bedroom_0003`, `bedroom`).
        split: `train` or `test`.
        seed, view: what regenerates the scene, and the camera's number in it.
        intrinsics: (3, 3) pinhole matrix in pixels, pixel centres at integer coordinates.
        pose: (4, 4) camera-to-room transform, camera axes x right, y down, z forward.
        mask_invalid, mask_transp: (h, w) uint8, 0 = exclude, 1 = keep (Rooms-I only).
        edges: (h, w) uint8, 1 on occlusion boundaries (Rooms-I only).
        planes: for each of `PLANES` the (h, w) uint8 image of 1-based plane numbers and the (n, 8) parameters: plane
            (a, b, c, d) with aX+bY+cZ+d = 0, unit normal, number of pixels; X right, Y forward, Z up, in metres
            (Rooms-I only).
    """

    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    labels: UInt8[np.ndarray, "h w"]
    scene: str
    scene_type: str
    split: str
    seed: int
    view: int
    intrinsics: Float64[np.ndarray, "3 3"]
    pose: Float64[np.ndarray, "4 4"]
    mask_invalid: UInt8[np.ndarray, "h w"] | None = None
    mask_transp: UInt8[np.ndarray, "h w"] | None = None
    edges: UInt8[np.ndarray, "h w"] | None = None
    planes: dict[str, tuple[UInt8[np.ndarray, "h w"], Float64[np.ndarray, "n 8"]]] | None = None


class StoreWriter:
    """Collects images and writes them as one store, atomically, when its `with` block ends without an error.

    Args:
        path: the file to write.
        name: `Rooms-N` or `Rooms-I`.
        depth_scale: metres of one stored unit (uint16).
        label_names: NYU's name of each local label id; the first is "unlabelled".
        generator: how the images were made (renderer, version, samples a pixel, …).
        version: of the content.

    Raises:
        ZDError: a label name is not one of NYU's 894.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str,
        depth_scale: float,
        label_names: list[str],
        generator: dict[str, Any],
        version: str = "1",
    ):
        if label_names[0] != "unlabelled":
            raise ZDError(f"{path}: label_names starts with {label_names[0]!r}: put 'unlabelled' first")
        classes.raw_ids(label_names[1:])
        self.path = Path(path)
        self.depth_scale = depth_scale
        self.attributes: dict[str, Any] = {
            "name": name,
            "version": version,
            "depth_scale": depth_scale,
            "label_names": json.dumps(label_names),
            "generator": json.dumps(generator, sort_keys=True),
        }
        self._n_labels = len(label_names)
        self._columns: dict[str, list[Any]] = {}
        self._shape: tuple[int, int] | None = None

    def add(self, item: StoredImage) -> None:
        """Append one image; all have one size, and those of one scene follow each other.

        Raises:
            ZDError: another size, a scene that was left and comes again, a label without a name, a depth that the
                store cannot hold.
        """
        scenes = self._columns.get("scene", [])
        here = f"{self.path}: image {len(scenes)} ({item.scene})"
        self._shape = self._shape or item.depth.shape
        if item.depth.shape != self._shape:
            raise ZDError(f"{here}: size {item.depth.shape}, the first has {self._shape}: render all at one size")
        if item.scene in scenes and scenes[-1] != item.scene:
            raise ZDError(f"{here}: the scene was left and comes again: sort the images by scene")
        if item.labels.max() >= self._n_labels:
            raise ZDError(f"{here}: label {item.labels.max()} has no name: extend label_names")
        row: dict[str, Any] = {
            "image": _encode_image(item.image, "JPEG", quality=95, subsampling=0),
            "depth": _encode_depth(item.depth, self.depth_scale, here),
            "labels": _encode_image(item.labels, "PNG", optimize=True),
            "scene": item.scene,
            "scene_type": item.scene_type,
            "split": item.split,
            "seed": item.seed,
            "view": item.view,
            "K": item.intrinsics,
            "pose": item.pose,
        }
        for key in ("mask_invalid", "mask_transp", "edges"):
            if (picture := getattr(item, key)) is not None:
                row[key] = _encode_image(picture, "PNG", optimize=True)
        for key, (picture, parameters) in (item.planes or {}).items():
            row[f"mask_{key}"] = _encode_image(picture, "PNG", optimize=True)
            row[f"paras_{key}"] = parameters.ravel()
        if scenes and set(row) != set(self._columns):
            raise ZDError(f"{here}: has other fields than the first image: give every image the same")
        for key, value in row.items():
            self._columns.setdefault(key, []).append(value)

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write()

    def _write(self) -> None:
        if self._shape is None:
            raise ZDError(f"{self.path}: no image was added: nothing to write")
        with atomic_path(self.path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs.update(self.attributes | {"height": self._shape[0], "width": self._shape[1]})
            for key, values in self._columns.items():
                if isinstance(values[0], np.ndarray) and values[0].ndim == 1:
                    data = file.create_dataset(key, (len(values),), h5py.vlen_dtype(values[0].dtype))
                    for i, value in enumerate(values):
                        data[i] = value
                elif isinstance(values[0], str):
                    file.create_dataset(key, data=values, dtype=h5py.string_dtype())
                else:
                    file.create_dataset(key, data=np.stack([np.asarray(value) for value in values]))


class Store:
    """Read access to a store; a sequence of `StoredImage`. Safe to fork and to pickle.

    Attributes:
        name, version, depth_scale, label_names, generator: as written.
        height, width: of every image.
        scenes, scene_types, splits, seeds, views: one entry per image.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._source = LazyFile(path, FIX)
        self.path = self._source.path
        file = self._source.file
        try:
            attributes = dict(file.attrs)
            self.name = str(attributes["name"])
            self.version = str(attributes["version"])
            self.depth_scale = float(attributes["depth_scale"])
            self.height, self.width = int(attributes["height"]), int(attributes["width"])
            self.label_names: tuple[str, ...] = tuple(json.loads(attributes["label_names"]))
            self.generator: dict[str, Any] = json.loads(attributes["generator"])
        except KeyError as error:
            raise ZDError(f"{path}: attribute {error} is missing, so this is no store of rooms: {FIX}") from error
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise ZDError(f"{path}: no store of rooms ({error}): {FIX}") from error
        self._raw_ids = np.array([0, *classes.raw_ids(list(self.label_names[1:])).values()], np.uint16)
        self.scenes = self._strings("scene")
        self.scene_types = self._strings("scene_type")
        self.splits = self._strings("split")
        self.seeds: list[int] = self._value("seed", ()).tolist()
        self.views: list[int] = self._value("view", ()).tolist()

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: SupportsIndex) -> StoredImage:
        """Decode one image.

        Raises:
            ZDError: outside the store, or the file is damaged.
        """
        index = checked_index(self.path, index, len(self))
        stored = self._source.file
        optional = {key: self._picture(key, index) for key in ("mask_invalid", "mask_transp", "edges") if key in stored}
        planes = {
            key: (self._picture(f"mask_{key}", index), self._value(f"paras_{key}", index).reshape(-1, 8))
            for key in PLANES
            if f"mask_{key}" in stored
        }
        return StoredImage(
            image=self._picture("image", index),
            depth=self._depth(index),
            labels=self._picture("labels", index),
            scene=self.scenes[index],
            scene_type=self.scene_types[index],
            split=self.splits[index],
            seed=self.seeds[index],
            view=self.views[index],
            intrinsics=self._value("K", index),
            pose=self._value("pose", index),
            planes=planes or None,
            **optional,
        )

    def __iter__(self) -> Iterator[StoredImage]:
        return (self[i] for i in range(len(self)))

    def depth(self, index: int) -> Float32[np.ndarray, "h w"]:
        """The depth of one image alone, in metres, 0 = no surface."""
        return self._depth(checked_index(self.path, index, len(self)))

    def labels(self, index: int) -> UInt8[np.ndarray, "h w"]:
        """The labels of one image alone: indices into `label_names`."""
        return self._picture("labels", checked_index(self.path, index, len(self)))

    def raw_labels(self, labels: UInt8[np.ndarray, "h w"]) -> UInt16[np.ndarray, "h w"]:
        """Local label ids -> NYU's raw ids 0..894."""
        return self._raw_ids[labels]

    def _strings(self, key: str) -> list[str]:
        return [text.decode() for text in self._source.read(self._source.dataset(key, ndim=1), ())]

    def _value(self, key: str, index: Any) -> Any:
        return self._source.read(self._source.dataset(key), index)

    def _picture(self, key: str, index: int) -> UInt8[np.ndarray, "..."]:
        content = self._value(key, index).tobytes()
        try:
            return decode_picture(content, f"{self.path}: {key}", FIX)
        except ZDError as error:
            raise ZDError(f"{self.path}: {key} of image {index} is damaged ({error.__cause__}): {FIX}") from error

    def _depth(self, index: int) -> Float32[np.ndarray, "h w"]:
        try:
            differences = np.frombuffer(zlib.decompress(self._value("depth", index).tobytes()), "<u2")
            units = np.cumsum(differences.reshape(self.height, self.width), axis=1, dtype=np.uint16)
        except (zlib.error, ValueError) as error:
            raise ZDError(f"{self.path}: depth of image {index} is damaged ({error}): {FIX}") from error
        return (units * self.depth_scale).astype(np.float32)


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a store for reading.

    Raises:
        ZDError: missing, truncated, or no store of rooms.
    """
    return Store(path)


def _encode_image(picture: Integer[np.ndarray, "..."], kind: str, **options: Any) -> UInt8[np.ndarray, " n"]:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def _encode_depth(depth: Float32[np.ndarray, "h w"], scale: float, here: str) -> UInt8[np.ndarray, " n"]:
    """The horizontal first difference, modulo 2^16 (the first column stays absolute), compressed."""
    if not np.isfinite(depth).all() or depth.min() < 0 or depth.max() > 65535 * scale:
        raise ZDError(f"{here}: depth outside 0..{65535 * scale:g} m or not finite: clip it (0 = no surface)")
    units = np.rint(depth.astype(np.float64) / scale).astype(np.uint16)
    differences = np.diff(units, axis=1, prepend=np.zeros((len(units), 1), np.uint16)).astype("<u2")
    return np.frombuffer(zlib.compress(differences.tobytes(), 9), np.uint8)
