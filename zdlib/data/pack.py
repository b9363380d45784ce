"""Packed frames: a reader's samples in one uncompressed HDF5 file, any of which is read in milliseconds.

NYU's `.mat` is compressed, so that one frame of it costs as much as an augmentation; a training that holds its frames
in memory instead needs 2 GB for NYU, in every process. Frames of a pack are read when they are wanted, and the
system's page cache holds them once for all processes.

NYU is packed in its own layout (`zdlib.data.sets.nyu`), one chunk per picture, so that `NYUReader` reads a pack like
the `.mat`. Other data sets, whose frames differ in size and in what they hold, have a group `frames/NNNNNN` per
frame with a dataset per picture, and `name`, `scene` and `scene_type`, a row per frame (`PackedReader`).

HDF5 itself checks what it reads: data by Fletcher-32, file structure by the checksums of format 1.10. Fletcher-32 does
not tell 16 zero bits from 16 ones; the SHA-256 of the whole, which `Pack.check` compares, does. It stands with the
file's size in HDF5's user block, which libraries skip: `zdlib pack 2 sha256 … bytes …`. The root's attributes are the
fields of `Origin`.
"""

import hashlib
import inspect
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, SupportsIndex, cast

import h5py
import numpy as np
from tqdm import tqdm

from zdlib.data import classes
from zdlib.data.formats.hdf5 import LazyFile, checked_index
from zdlib.data.formats.mat import write_cells
from zdlib.data.sample import Frames, Reader, Sample
from zdlib.data.sets.nyu import NYUReader
from zdlib.errors import ZDError
from zdlib.files import atomic_path, sha256
from zdlib.gates.opening import explained, open_regular
from zdlib.source_closure import fingerprint_of, fingerprints

FORMAT = 2
FIX = "pack again: zdlib data pack"
USERBLOCK = 512  # bytes, the least that HDF5 allows
_MAGIC = b"zdlib pack "
_MAGIC_1 = b"zdlib-pack\r\n"  # of a format before HDF5
_SEAL = re.compile(rb"zdlib pack (\d+) sha256 ([0-9a-f]{64}) bytes (\d+)\n\0*")
# Arrays of a `Sample`: type and number of axes.
_KINDS = {
    "image": (np.dtype(np.uint8), 3),
    "depth": (np.dtype(np.float32), 2),
    "labels": (np.dtype(np.uint8), 2),
    "mask": (np.dtype(np.bool_), 2),
    "intrinsics": (np.dtype(np.float64), 2),
}
_PICTURES = tuple(_KINDS)
_TEXTS = ("name", "scene", "scene_type")
_STEP = 1 << 22  # bytes that are read at once for the SHA-256


@dataclass(frozen=True)
class Origin:
    """What a pack was made from.

    Attributes:
        data_set: a name that `zdlib data list` gives.
        depth: for NYU `raw` or `inpainted`; empty where there is no choice.
        source: name of the packed file or folder.
        sha256: of the packed file; empty for a folder.
        code: fingerprint of the reader's source files, whose rules (units, classes) are packed with the frames.
    """

    data_set: str
    depth: str
    source: str
    sha256: str
    code: str


def write_pack(path: Path, reader: Reader, data_set: str, source: Path) -> None:
    """Pack every frame of a reader, with a progress bar; the file appears complete or not at all.

    Args:
        path: the pack to write.
        reader: gives the frames.
        data_set: its name.
        source: the file or folder it reads.

    Raises:
        ZDError: a frame cannot be read or holds more than a `Sample`, or the pack cannot be written.
    """
    # The source first: if it changes while it is packed, the pack is out of date and says so.
    digest = sha256(source) if source.is_file() else ""
    depth = reader.depth if isinstance(reader, NYUReader) else ""
    origin = Origin(data_set, depth, source.name, digest, _code_of(type(reader)))
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", userblock_size=USERBLOCK, libver=("v110", "v110")) as file:
            # Strings of fixed length lie in the checksummed object header; HDF5 knows none of length 0.
            file.attrs.update({key: np.bytes_(text.encode()) for key, text in asdict(origin).items() if text})
            numbers = tqdm(range(len(reader)), desc=path.name, unit="frame", mininterval=1)
            if isinstance(reader, NYUReader):
                _write_nyu(file, reader, numbers)
            else:
                _write_frames(file, reader, source, numbers)
        size = temporary.stat().st_size
        seal = b"zdlib pack %d sha256 %s bytes %d\n" % (FORMAT, _digest(temporary).encode(), size)
        with open(temporary, "r+b") as sealed:
            sealed.write(seal)


def _write_nyu(file: h5py.File, reader: NYUReader, numbers: "tqdm[int]") -> None:
    """What `NYUReader` reads of the `.mat`, under the same names."""
    stored: dict[str, h5py.Dataset] = {}
    for number in numbers:
        sample = reader[number]
        pictures = {"images": sample.image, reader.depth_key: sample.depth, "labels": reader.raw_labels(number)}
        for key, picture in pictures.items():
            values = picture.T
            if key not in stored:
                shape = values.shape
                stored[key] = file.create_dataset(
                    key, (len(reader), *shape), values.dtype, chunks=(1, *shape), fletcher32=True
                )
            stored[key][number] = values
    for key, texts in (
        ("names", list(classes.raw_names())),
        ("scenes", reader.scenes),
        ("sceneTypes", reader.scene_types),
    ):
        write_cells(file, key, texts, chunks=True, fletcher32=True)


def _write_frames(file: h5py.File, reader: Reader, source: Path, numbers: "tqdm[int]") -> None:
    """Samples of any size, with what they hold."""
    texts: dict[str, list[bytes]] = {key: [] for key in _TEXTS}
    for number in numbers:
        sample = reader[number]
        if type(sample) is not Sample:
            raise ZDError(f"{source}: {type(sample).__name__} holds more than a pack can: read it where it lies")
        group = file.create_group(_group(number))
        for key in _PICTURES:
            values = getattr(sample, key)
            if values is not None:
                group.create_dataset(key, data=values, chunks=values.shape, fletcher32=True)
        for key, column in texts.items():
            column.append(getattr(sample, key).encode())
    for key, column in texts.items():
        longest = max(1, *map(len, column))
        file.create_dataset(key, data=np.array(column, f"S{longest}"), chunks=True, fletcher32=True)


def _group(number: int) -> str:
    return f"frames/{number:06d}"


def _code_of(reader: type) -> str:
    """Fingerprint of a reader's module and of the library files it needs."""
    return fingerprint_of(fingerprints(Path(inspect.getfile(reader))))


class PackedReader(Frames[Sample]):
    """A sequence of `Sample` from the pack of another data set than NYU; safe to fork and to pickle.

    Samples are equal to those that were packed; each is checked when it is read.

    Args:
        path: the pack.

    Raises:
        ZDError: no such file, not HDF5, or its lists of names and scenes are damaged.

    Attributes:
        names, scenes, scene_types: one string per frame.
    """

    random_access = True

    def __init__(self, path: Path):
        self._source = LazyFile(path, FIX)
        self.path = self._source.path
        self.names, self.scenes, self.scene_types = (self._texts(key) for key in _TEXTS)
        if not len(self.names) == len(self.scenes) == len(self.scene_types):
            raise ZDError(f"{path}: names, scenes and their types differ in number: {FIX}")

    def _texts(self, key: str) -> list[str]:
        stored = self._source.read(self._source.dataset(key, ndim=1), ())
        with explained(self.path, f"{key} is damaged", FIX):
            return [text.decode() for text in stored]

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame, or it is not what was packed.
        """
        number = checked_index(self.path, index, len(self))
        group = self._source.group(_group(number))
        pictures: dict[str, Any] = {
            key: self._source.read(self._source.dataset(f"{group.name}/{key}"), ()) for key in _PICTURES if key in group
        }
        for key, picture in pictures.items():
            if (picture.dtype, picture.ndim) != _KINDS[key]:
                raise ZDError(f"{self.path}: {key} of frame {number} is {picture.dtype} {picture.shape}: {FIX}")
        if not pictures.keys() >= {"image", "depth"} or pictures["image"].shape != (*pictures["depth"].shape, 3):
            raise ZDError(f"{self.path}: frame {number} lacks its image or depth, or they differ in size: {FIX}")
        if not (np.isfinite(pictures["depth"]).all() and pictures["depth"].min() >= 0):
            raise ZDError(f"{self.path}: depth of frame {number} is not finite or negative: {FIX}")
        return Sample(
            name=self.names[number], scene=self.scenes[number], scene_type=self.scene_types[number], **pictures
        )


@dataclass(frozen=True)
class Pack:
    """A pack whose size and header are sound.

    Attributes:
        path: the file.
        origin: what it was made from.
        sha256: what the SHA-256 of its content must be.
    """

    path: Path
    origin: Origin
    sha256: str

    def reader(self) -> NYUReader | PackedReader:
        """A reader of its frames.

        Raises:
            ZDError: it is damaged.
        """
        if not self.origin.depth:
            return PackedReader(self.path)
        return NYUReader(self.path, cast(Literal["raw", "inpainted"], self.origin.depth), fix=FIX)

    def require(self, source: Path, digest: str, depth: str, reader: type) -> None:
        """Insist that this is the pack of that file, made by the reader as it is now.

        Args:
            source: NYU's `.mat`.
            digest: its SHA-256.
            depth: which of its depths is wanted, `raw` or `inpainted`.
            reader: the class that would read the file itself.

        Raises:
            ZDError: it is another's; the command that packs anew is named.
        """
        fix = f"{FIX} nyu {source} --depth {depth} -o {self.path}"
        if self.origin.depth != depth:
            raise ZDError(f"{self.path}: holds {self.origin.depth or 'other'} depth, not {depth}: {fix}")
        if self.origin.sha256 != digest:
            was, now = self.origin.sha256[:12] or "a folder", digest[:12]
            raise ZDError(f"{self.path}: out of date: packed from {was}, {source.name} is {now} (SHA-256): {fix}")
        if self.origin.code != _code_of(reader):
            raise ZDError(f"{self.path}: out of date: the code that reads {source.name} has changed since: {fix}")

    def check(self) -> str:
        """Read everything; a line that says what the pack is.

        Raises:
            ZDError: its SHA-256 is wrong; the first frame that cannot be read is named, if there is one.
        """
        if _digest(self.path, show=True) != self.sha256:
            frames = self.reader()
            for number in range(len(frames)):
                frames[number]
            raise ZDError(f"{self.path}: damaged (its SHA-256 does not match): {FIX}")
        made_from = " ".join(filter(None, (self.origin.source, self.origin.depth, self.origin.sha256[:12])))
        count, size = len(self.reader()), self.path.stat().st_size / 1e9
        return f"{self.path}: sound; {count} frames of {self.origin.data_set} ({made_from}), {size:.2f} GB"


def open_pack(path: str | os.PathLike[str]) -> Pack:
    """Open a pack; its size and header are checked at once, each frame when it is read, everything by `Pack.check`.

    Raises:
        ZDError: no such file; no pack, of another format, truncated, or its header is damaged.
    """
    path = Path(path)
    digest = _sealed(path)
    file = LazyFile(path, FIX).file
    with explained(path, "its header is damaged", FIX):
        attributes = {key: value.decode() for key, value in file.attrs.items()}
        origin = Origin(**{field.name: attributes.get(field.name, "") for field in fields(Origin)})
        if origin.depth not in ("", "raw", "inpainted"):
            raise ValueError(f"depth {origin.depth}")
    return Pack(path, origin, digest)


def _sealed(path: Path) -> str:
    """SHA-256 that the user block names, once the file's size is what it names."""
    with open_regular(path, "zdlib data pack writes it") as file, explained(path, "cannot be read", FIX):
        first = file.read(USERBLOCK)
        size = os.fstat(file.fileno()).st_size
    if not first.startswith((_MAGIC, _MAGIC_1)):
        raise ZDError(f"{path}: not a pack of this project: {FIX}")
    version = b"1" if first.startswith(_MAGIC_1) else first.removeprefix(_MAGIC).split(b" ")[0]
    if version.isdigit() and int(version) != FORMAT:
        raise ZDError(f"{path}: a pack of format {int(version)}, this version reads {FORMAT}: {FIX}")
    seal = _SEAL.fullmatch(first)
    expected = int(seal[3]) if seal else USERBLOCK
    if size < expected:
        raise ZDError(f"{path}: truncated: {size} bytes, expected {expected}{'' if seal else ' or more'}: {FIX}")
    if seal is None:
        raise ZDError(f"{path}: its header is damaged: {FIX}")
    if size > expected:
        raise ZDError(f"{path}: damaged: {size} bytes, expected {expected}: {FIX}")
    return seal[2].decode()


def _digest(path: Path, show: bool = False) -> str:
    """SHA-256 of what follows the user block, with a progress bar if wanted."""
    digest = hashlib.sha256()
    size = path.stat().st_size - USERBLOCK
    with open(path, "rb") as file, tqdm(total=size, desc=path.name, unit="B", unit_scale=True, disable=not show) as bar:
        file.seek(USERBLOCK)
        while part := file.read(_STEP):
            digest.update(part)
            bar.update(len(part))
    return digest.hexdigest()
