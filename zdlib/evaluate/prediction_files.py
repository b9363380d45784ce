"""Depth predictions in files, whatever program wrote them.

A folder holds one file per frame: `NAME.npy`, `NAME.npz` (one array, or one called `depth`) or grey 16-bit `NAME.png`.
Subfolders are a part of the name (`a/b.npy` is `a_b`), as in `zdlib.data.sets.folder`. Where a folder has files of
several kinds, as `zdlib predict` leaves it, the first of these kinds is read. One `.npz` may instead hold all frames
as arrays with their names, and one `.npy` or `.npz` a stack (n, h, w), in the order of the protocol's frames or of all.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from zdlib.data.formats.arrays import archived_arrays, mapped_array
from zdlib.data.formats.images import read_units
from zdlib.errors import ZDError
from zdlib.gates.opening import ARRAY

SUFFIXES = (".npy", ".npz", ".png")
_AGAIN = "write it again"
_LISTED = 3  # of each kind of defect, how many are named

Loader = Callable[[], np.ndarray]


class PredictionsError(ZDError):
    """Everything that is wrong with a set of predictions.

    Attributes:
        defects: kind (`missing`, `extra`, …) to names.
    """

    exit_status = 2

    def __init__(self, title: str, defects: Mapping[str, Sequence[str]], fix: str):
        parts = []
        for kind, names in defects.items():
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            parts.append(f"{len(names)} {kind} ({', '.join(names[:_LISTED])}{more})")
        super().__init__(f"{title}: {'; '.join(parts)}: {fix}")
        self.defects = {kind: list(names) for kind, names in defects.items()}


@dataclass(frozen=True)
class Source:
    """Where predictions are.

    Attributes:
        path: a folder or a file.
        suffix: the kind of file that is read.
        named: predictions that have a name.
        stack: predictions that have a place instead.
        ignored: files of other kinds beside them.
    """

    path: Path
    suffix: str
    named: dict[str, Loader] = field(default_factory=dict)
    stack: list[Loader] = field(default_factory=list)
    ignored: int = 0


def open_source(path: Path) -> Source:
    """Find the predictions in a folder or a file.

    Raises:
        ZDError: there is nothing that could be a prediction, or two files have one name.
    """
    if path.is_dir():
        return _folder(path)
    if path.suffix not in (".npy", ".npz") or not path.is_file():
        raise ZDError(f"{path}: no such folder, and no .npy or .npz file: give the folder of the predictions")
    loaders = _loaders(path)
    if len(loaders) == 1 and (only := next(iter(loaders.values()))()).ndim == 3:
        return Source(path, path.suffix, stack=[partial(_item, only, index) for index in range(len(only))])
    if path.suffix == ".npy":
        raise ZDError(f"{path}: is not a stack of depth maps (n, h, w): give a folder with one file per frame")
    return Source(path, path.suffix, named=loaders)


def _folder(path: Path) -> Source:
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise ZDError(f"{path}: holds no .npy, .npz or .png file: give the folder of the predictions")
    suffix = min((file.suffix.lower() for file in files), key=SUFFIXES.index)
    named: dict[str, Loader] = {}
    for file in files:
        if file.suffix.lower() != suffix:
            continue
        name = "_".join(file.relative_to(path).with_suffix("").parts)
        if name in named:
            raise ZDError(f"{file}: another file is called {name} too: remove one of them")
        named[name] = partial(_read, file)
    return Source(path, suffix, named, ignored=len(files) - len(named))


def _item(array: np.ndarray, index: int) -> np.ndarray:
    return np.asarray(array[index])


def _read(file: Path) -> np.ndarray:
    if file.suffix.lower() == ".png":
        return read_units(file, "write it again, as 16 bit")
    loaders = _loaders(file)
    if len(loaders) > 1 and "depth" not in loaders:
        names = ", ".join(sorted(loaders)[:_LISTED])
        raise ZDError(f"{file}: holds {len(loaders)} arrays ({names}): call the depth map 'depth'")
    return (loaders["depth"] if "depth" in loaders else next(iter(loaders.values())))()


def _loaders(file: Path) -> dict[str, Loader]:
    """What reads the arrays of an `.npy` or `.npz` file; that of an `.npy` file stays on disk until it is used."""
    if file.suffix.lower() == ".npy":
        return {"": partial(mapped_array, file, _AGAIN)}
    loaders = archived_arrays(file, _AGAIN)
    if not loaders:
        raise ZDError(f"{file}: holds no array: {_AGAIN}")
    return loaders


class Predictions(Mapping[int, Any]):
    """Predictions in metres by frame number, read when asked for.

    Args:
        source: the files.
        names: of all frames of the data set.
        frames: those that are asked for.
        numbered: whether files may be called by a frame's number instead of its name.
        first: the number of the first frame in such names.
        units_per_metre: of the stored values; None is metres, and is refused for PNG files.

    Raises:
        ZDError: PNG files without their unit, an impossible unit, or a stack of another length.

    Attributes:
        missing: names of frames that are asked for and not there.
        extra: names that are no frame's.
        unused: how many are of frames that are not asked for.
    """

    def __init__(
        self,
        source: Source,
        names: Sequence[str],
        frames: Sequence[int],
        *,
        numbered: bool = False,
        first: int = 0,
        units_per_metre: float | None = None,
    ):
        if units_per_metre is None and source.suffix == ".png":
            raise ZDError(f"{source.path}: PNG files do not say their unit: add --scale (units a metre; 1000 for mm)")
        if units_per_metre is not None and not 1e-6 < units_per_metre < 1e9:
            raise ZDError(f"--scale {units_per_metre:g}: is no unit: give how many units are a metre (1000 for mm)")
        self.source, self.names = source, names
        self._scale = 1.0 if units_per_metre is None else units_per_metre
        self._loaders: dict[int, Loader] = {}
        self.extra: list[str] = []
        if source.stack:
            self._place(frames)
        else:
            self._match(numbered, first)
        self.missing = [names[frame] for frame in frames if frame not in self._loaders]
        self.unused = len(self._loaders.keys() - set(frames))
        self._shifted = numbered and bool(self.missing) and self._would_match(frames, 1 - first)
        self._other_first = 1 - first

    def _place(self, frames: Sequence[int]) -> None:
        count = len(self.source.stack)
        order = {len(self.names): range(len(self.names)), len(frames): frames}.get(count)
        if order is None:
            raise ZDError(
                f"{self.source.path}: holds {count} depth maps, expected {len(frames)} (the protocol's frames) or "
                f"{len(self.names)} (all): predict them all, in the data set's order"
            )
        self._loaders = dict(zip(order, self.source.stack, strict=True))

    def _match(self, numbered: bool, first: int) -> None:
        numbers = {name: frame for frame, name in enumerate(self.names)}
        for name, loader in self.source.named.items():
            frame = numbers.get(name)
            if frame is None and numbered and _is_number(name):
                frame = int(name) - first
            if frame is None or not 0 <= frame < len(self.names) or frame in self._loaders:
                self.extra.append(name)
            else:
                self._loaders[frame] = loader

    def _would_match(self, frames: Sequence[int], first: int) -> bool:
        """Whether all frames asked for are there if numbers begin with `first`."""
        found = {int(name) - first for name in self.source.named if _is_number(name)}
        return set(frames) <= found

    def __getitem__(self, frame: int) -> Float32[np.ndarray, "_ _"]:
        """Metres of one frame at the stored size.

        Raises:
            KeyError: the frame has no prediction.
            ZDError: the file cannot be read, or is not one depth map.
        """
        values = self._loaders[frame]()
        ARRAY.check(values.nbytes, f"{self.source.path}: {self.names[frame]}")
        values = values.reshape([side for side in values.shape if side != 1]) if values.ndim > 2 else values
        if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
            raise ZDError(f"{self.names[frame]}: is {values.dtype} {values.shape}, not a depth map (h, w)")
        with np.errstate(all="ignore"):  # what does not fit becomes infinite, and `check` refuses that
            return np.asarray(values / self._scale, np.float32)

    def __contains__(self, frame: object) -> bool:
        return frame in self._loaders  # the inherited one would read the file

    def __iter__(self) -> Iterator[int]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def shape(self, frame: int) -> tuple[int, ...]:
        """Height and width of a prediction; empty if it is not there or unreadable (`check` tells)."""
        try:
            return tuple(self[frame].shape)
        except (KeyError, ZDError):
            return ()

    @property
    def fix(self) -> str:
        """What to do about names that do not match."""
        if self._shifted:
            return f"these files match if their numbers begin with {self._other_first}: add --first {self._other_first}"
        return "give one finite depth map for each frame, called like the frame"


@dataclass(frozen=True)
class Findings:
    """What a look at every prediction found that is no error.

    Attributes:
        sha256: of all names and values.
        sizes: how many predictions have which size, where it is not the ground truth's.
        not_positive: how many predictions hold a value that is not above zero.
        notes: the same in words.
    """

    sha256: str
    sizes: dict[tuple[int, ...], int]
    not_positive: int
    notes: list[str]


def check(
    predictions: Predictions,
    frames: Sequence[int],
    size: Callable[[int], tuple[int, ...]],
    protocol: str,
    own_size: bool,
) -> Findings:
    """Look at every prediction once.

    Args:
        predictions: what is to be judged.
        frames: the protocol's frames.
        size: of a frame's ground truth.
        protocol: its name.
        own_size: whether the protocol resizes predictions.

    Raises:
        PredictionsError: any is missing, extra, unreadable, of another size (where the protocol does not resize;
            height and width exchanged always), or not finite.
    """
    defects = {"missing": predictions.missing, "extra": predictions.extra}
    defects |= {kind: [] for kind in ("unreadable", "of another size", "not finite")}
    digest, sizes, not_positive = hashlib.sha256(), Counter[tuple[int, ...]](), 0
    for frame in tqdm([f for f in frames if f in predictions], desc="checking", unit="file", mininterval=1):
        name, expected = predictions.names[frame], tuple(size(frame))
        try:
            depth = predictions[frame]
        except ZDError as error:
            defects["unreadable"].append(str(error))
            continue
        digest.update(f"{name} {depth.shape}".encode() + depth.tobytes())
        if depth.shape != expected:
            sizes[depth.shape] += 1
            if not own_size or depth.shape == expected[::-1]:
                defects["of another size"].append(f"{name}: {_by(depth.shape)}, not {_by(expected)}")
        if not np.isfinite(depth).all():
            defects["not finite"].append(name)
        not_positive += bool((depth <= 0).any())
    if any(defects.values()):
        title = f"{predictions.source.path}: cannot be scored under {protocol} ({len(frames)} frames)"
        raise PredictionsError(title, {kind: names for kind, names in defects.items() if names}, predictions.fix)
    notes = []
    if predictions.source.ignored:
        notes.append(f"{predictions.source.ignored} files that are not {predictions.source.suffix} were not read")
    if predictions.unused:
        notes.append(f"{predictions.unused} predictions are of frames that {protocol} does not average over")
    notes += [f"{count} predictions were resized from {_by(shape)}, bilinear" for shape, count in sizes.items()]
    if not_positive:
        notes.append(f"{not_positive} predictions hold values that are zero or negative")
    return Findings(digest.hexdigest(), dict(sizes), not_positive, notes)


def _is_number(name: str) -> bool:
    return name.isdecimal() and len(name) < 10


def _by(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
