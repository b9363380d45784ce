"""Which frames of a data set train and which are held out: by its official split, a list, scenes, or a share.

The unit of a split by share is the group: frames that show the same thing. Where a reader knows scenes, a group is a
scene. Where it does not (pictures of one folder, often frames of one video) a group is a block of consecutive frames,
a tenth of all; and of the frames beside a held-out block, a quarter of a block on either side is left out altogether.
Neighbours in a video show nearly the same picture: with one of them on each side, the held-out frames would be known.
"""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool

from zdlib.config import SplitConfig
from zdlib.data.sets.nyu import NYU_FRAMES, SPLIT_ARGUMENT, Splits, official_split, read_splits
from zdlib.errors import ZDError
from zdlib.gates.opening import first_twice, read_text
from zdlib.paths import resolve

BLOCKS = 10  # groups of a sequence without scenes
GAP = 0.25  # of a block, left out beside a held-out one


@runtime_checkable
class Named(Protocol):
    """What a split needs to know of a reader."""

    path: Path
    names: list[str]
    scenes: list[str]

    def __len__(self) -> int: ...


def has_scenes(scenes: Sequence[str]) -> bool:
    """Whether scenes say which frames belong together: there are several, and one of them has several frames."""
    return 1 < len(set(scenes)) < len(scenes)


def frame_groups(scenes: Sequence[str]) -> list[str]:
    """What each frame belongs to: its scene, or without scenes (see `has_scenes`) its block of consecutive frames."""
    if has_scenes(scenes):
        return list(scenes)
    count = min(BLOCKS, len(scenes))
    return [f"block {frame * count // len(scenes)}" for frame in range(len(scenes))]


def split_frames(
    reader: Named, split: SplitConfig | None, official: Path | None = None, argument: str = SPLIT_ARGUMENT
) -> Splits:
    """Divide the frames of a reader.

    Args:
        reader: knows its frames' names and scenes.
        split: how; None holds nothing out, unless there is an official split.
        official: of a layout that has one (NYU's), the frames' own file: the split is the `splits.mat` that is named or
            lies beside it, or for NYU's own 1449 frames the one that this library holds.
        argument: what the user named the official split by; for messages.

    Returns:
        Numbers of the frames that train and of those that are held out; frames beside a held-out block are in neither.

    Raises:
        ZDError: a file is missing or damaged, a name or scene is unknown, or one side has no frame.
    """
    count = len(reader)
    if official is not None and (split is None or (split.file or "").endswith(".mat")):
        named = official.with_name("splits.mat") if split is None else resolve(split.file or "")
        own = split is None and count == NYU_FRAMES and not named.is_file()
        return official_split() if own else read_splits(named, count, argument)
    if split is None:
        return Splits(np.arange(count), np.arange(0))
    gap = np.zeros(count, np.bool_)
    if split.file is not None:
        held_out = np.isin(reader.names, _listed(resolve(split.file), reader))
    elif split.scenes:
        held_out = _by_scenes(split.scenes, reader)
    else:
        assert split.share is not None
        held_out, gap = _by_share(split.share, reader)
    if held_out.all() or not held_out.any():
        side, mend = ("train", "less") if held_out.all() else ("be held out", "more")
        raise ZDError(f"{reader.path}: its split leaves none of {count} frames to {side}: hold out {mend}")
    return Splits(np.flatnonzero(~held_out & ~gap), np.flatnonzero(held_out))


def _listed(path: Path, reader: Named) -> list[str]:
    """Names from a text file, one per line; all are frames of the reader."""
    names = read_text(path, "name a text file of one frame per line").split("\n")
    names = [name.strip() for name in names if name.strip()]
    _refuse_unknown(names, reader.names, f"{path}: {reader.path} has no frame")
    if (twice := first_twice(names)) is not None:
        raise ZDError(f"{path}: names {twice} twice: name each frame once")
    return names


def _by_scenes(patterns: Iterable[str], reader: Named) -> Bool[np.ndarray, " n"]:
    scenes = list(dict.fromkeys(reader.scenes))
    chosen: set[str] = set()
    for pattern in patterns:
        matching = [scene for scene in scenes if fnmatchcase(scene, pattern)]
        if not matching:
            _refuse_unknown([pattern], scenes, f"{reader.path}: has no scene")
        chosen.update(matching)
    return np.array([scene in chosen for scene in reader.scenes])


def _refuse_unknown(names: Iterable[str], known: Sequence[str], problem: str) -> None:
    there = set(known)
    for name in names:
        if name not in there:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise ZDError(f"{problem} {name}: did you mean {close[0]}?")


def _by_share(share: float, reader: Named) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Whole groups, spread evenly over the order of the frames; and the frames beside held-out blocks."""
    groups = frame_groups(reader.scenes)
    ordered = list(dict.fromkeys(groups))
    count = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    chosen = {ordered[(2 * place + 1) * len(ordered) // (2 * count)] for place in range(count)}
    held_out = np.array([group in chosen for group in groups])
    gap = np.zeros(len(groups), np.bool_)
    if not has_scenes(reader.scenes):
        width = int(GAP * len(groups) / len(ordered))
        for frame in np.flatnonzero(held_out):
            gap[max(0, frame - width) : frame + width + 1] = True
    return held_out, gap & ~held_out
