"""Packed frames: a reader's samples in one uncompressed file, any of which is read in milliseconds.

NYU's `.mat` is compressed and stores its axes reversed, so that one frame of it costs as much as an augmentation; a
training that keeps its frames in memory instead needs 2 GB for NYU, in every process. Frames of a pack are read when
they are wanted, and the system's page cache holds them once for all processes.

Layout: a preamble of 64 bytes (`_PREAMBLE`), the frames one after the other, a header in JSON. A frame is its depth
(float32), image, labels and mask, each present one as its raw little-endian bytes, and has its CRC-32 in the header,
compared whenever it is read. The preamble holds the header's SHA-256, the header that of all frames.
"""

import hashlib
import inspect
import json
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, SupportsIndex

import numpy as np
from tqdm import tqdm

from zdlib.data.formats.hdf5 import checked_index
from zdlib.data.sample import Frames, Reader, Sample
from zdlib.errors import ZDError
from zdlib.files import atomic_path, sha256
from zdlib.source_closure import closure

MAGIC, FORMAT = b"zdlib-pack\r\n", 1
_PREAMBLE = struct.Struct("<12sIQQ32s")  # magic, format, the header's place, length and SHA-256
FIX = "pack again: zdlib data pack"


@dataclass(frozen=True)
class Origin:
    """What a pack was made from.

    Attributes:
        data_set: a name that `zdlib data list` gives.
        depth: for NYU `raw` or `inpainted`; empty where there is no choice.
        source: name of the packed file or folder.
        size: bytes of the packed file; None for a folder.
        sha256: of the packed file; empty for a folder.
        code: SHA-256 over the source files of the reader, whose rules (units, classes) are packed with the frames.
    """

    data_set: str
    depth: str
    source: str
    size: int | None
    sha256: str
    code: str


@dataclass(frozen=True)
class _Packed:
    """Where a frame lies, and its fields that are no pictures."""

    name: str
    scene: str
    scene_type: str
    intrinsics: list[list[float]] | None
    height: int
    width: int
    labels: bool
    mask: bool
    offset: int
    crc32: int

    @property
    def n_bytes(self) -> int:
        """Length of its pictures."""
        return self.height * self.width * (4 + 3 + self.labels + self.mask)


def write_pack(path: Path, reader: Reader, data_set: str, source: Path, depth: str = "") -> None:
    """Pack every frame of a reader, with a progress bar; the file appears complete or not at all.

    Args:
        path: the pack to write.
        reader: gives the frames.
        data_set: its name.
        source: the file or folder it reads.
        depth: which of NYU's depths it gives; empty for others.

    Raises:
        ZDError: a frame cannot be read or holds more than a `Sample`, or the pack cannot be written.
    """
    # The source first: if it changes while it is packed, the pack is out of date and says so.
    is_file = source.is_file()
    size, digest = (source.stat().st_size, sha256(source)) if is_file else (None, "")
    origin = Origin(data_set, depth, source.name, size, digest, _code_of(type(reader)))
    frames, content, offset = [], hashlib.sha256(), _PREAMBLE.size
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(bytes(_PREAMBLE.size))
        for index in tqdm(range(len(reader)), desc=path.name, unit="frame", mininterval=1):
            sample = reader[index]
            if type(sample) is not Sample:
                raise ZDError(f"{source}: {type(sample).__name__} holds more than a pack can: read it where it lies")
            pictures = _bytes_of(sample)
            frames.append(_describe(sample, offset, zlib.crc32(pictures)))
            content.update(pictures)
            file.write(pictures)
            offset += len(pictures)
        header = {"origin": asdict(origin), "sha256": content.hexdigest(), "frames": [asdict(f) for f in frames]}
        encoded = json.dumps(header, ensure_ascii=False).encode()
        file.write(encoded)
        file.seek(0)
        file.write(_PREAMBLE.pack(MAGIC, FORMAT, offset, len(encoded), hashlib.sha256(encoded).digest()))


def _bytes_of(sample: Sample) -> bytes:
    pictures = (sample.depth.astype("<f4", copy=False), sample.image, sample.labels, sample.mask)
    return b"".join(np.ascontiguousarray(picture).tobytes() for picture in pictures if picture is not None)


def _describe(sample: Sample, offset: int, crc32: int) -> _Packed:
    height, width = sample.depth.shape
    return _Packed(
        name=sample.name,
        scene=sample.scene,
        scene_type=sample.scene_type,
        intrinsics=None if sample.intrinsics is None else sample.intrinsics.tolist(),
        height=height,
        width=width,
        labels=sample.labels is not None,
        mask=sample.mask is not None,
        offset=offset,
        crc32=crc32,
    )


def _code_of(reader: type) -> str:
    """SHA-256 over a reader's module and the library files it needs."""
    root, module = Path(__file__).resolve().parents[3], Path(inspect.getfile(reader))
    digest = hashlib.sha256()
    for path in [module, *(root / path for path in closure(module, root))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class PackedReader(Frames[Sample]):
    """A sequence of `Sample` read from a pack, equal to those that were packed; safe to fork and to pickle.

    The file is opened for every frame and nothing stays open. Size and header are checked at once, each frame when it
    is read, everything by `check`.

    Args:
        path: the pack.

    Raises:
        ZDError: no such file; no pack, of another format, truncated, or its header is damaged.

    Attributes:
        origin: what it was made from.
        names, scenes: one string a frame.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        header = _read_header(self.path)
        self.origin = Origin(**header["origin"])
        self._sha256 = str(header["sha256"])
        self._frames: Sequence[_Packed] = [_Packed(**frame) for frame in header["frames"]]
        self.names = [frame.name for frame in self._frames]
        self.scenes = [frame.scene for frame in self._frames]

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: no such frame, or its bytes are not those that were packed.
        """
        frame = self._frames[checked_index(self.path, index, len(self))]
        pixels = frame.height * frame.width
        depth, image, *rest = np.split(self._read(frame), [4 * pixels, 7 * pixels, (7 + frame.labels) * pixels])
        shape, (labels, mask) = (frame.height, frame.width), rest
        return Sample(
            name=frame.name,
            image=image.reshape(*shape, 3),
            depth=depth.view("<f4").astype(np.float32, copy=False).reshape(shape),
            labels=labels.reshape(shape) if frame.labels else None,
            mask=mask.view(np.bool_).reshape(shape) if frame.mask else None,
            scene=frame.scene,
            scene_type=frame.scene_type,
            intrinsics=None if frame.intrinsics is None else np.array(frame.intrinsics, np.float64),
        )

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
            ZDError: a frame's checksum or that of all frames is wrong.
        """
        content = hashlib.sha256()
        for frame in tqdm(self._frames, desc=self.path.name, unit="frame", mininterval=1):
            content.update(self._read(frame).data)
        if content.hexdigest() != self._sha256:
            raise ZDError(f"{self.path}: damaged (its SHA-256 does not match): {FIX}")
        made_from = " ".join(filter(None, (self.origin.source, self.origin.depth, self.origin.sha256[:12])))
        size = self.path.stat().st_size / 1e9
        return f"{self.path}: sound; {len(self)} frames of {self.origin.data_set} ({made_from}), {size:.2f} GB"

    def _read(self, frame: _Packed) -> np.ndarray:
        try:
            content = np.fromfile(self.path, np.uint8, frame.n_bytes, offset=frame.offset)
        except OSError as error:
            raise ZDError(f"{self.path}: {frame.name} cannot be read ({error.strerror}): {FIX}") from error
        if zlib.crc32(content.data) != frame.crc32:
            raise ZDError(f"{self.path}: {frame.name} is damaged (its checksum does not match): {FIX}")
        return content


def _read_header(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return _decode_header(path, file)
    except FileNotFoundError as error:
        raise ZDError(f"{path}: no such file: zdlib data pack writes it") from error
    except OSError as error:
        raise ZDError(f"{path}: cannot be read ({error.strerror}): check its rights and the disk") from error


def _decode_header(path: Path, file: BinaryIO) -> dict[str, Any]:
    first = file.read(_PREAMBLE.size)
    if not first.startswith(MAGIC) or len(first) < _PREAMBLE.size:
        raise ZDError(f"{path}: not a pack of this project: {FIX}")
    _, version, offset, length, digest = _PREAMBLE.unpack(first)
    if version != FORMAT:
        raise ZDError(f"{path}: a pack of format {version}, this version reads {FORMAT}: {FIX}")
    size = os.fstat(file.fileno()).st_size
    if size != offset + length:
        kind = "truncated" if size < offset + length else "damaged"
        raise ZDError(f"{path}: {kind}: {size} bytes, expected {offset + length}: {FIX}")
    file.seek(offset)
    encoded = file.read(length)
    if hashlib.sha256(encoded).digest() != digest:
        raise ZDError(f"{path}: its header is damaged (its SHA-256 does not match): {FIX}")
    return dict(json.loads(encoded))
