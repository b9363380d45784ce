"""Opening what a profile trains on: every data set of its list, with its split, as one reader and the frames' roles."""

from typing import Any

import numpy as np

from zdlib.config import DataSetConfig, NYUConfig, Profile, RunConfig
from zdlib.data.collection import Joined, Resized
from zdlib.data.pack import open_pack
from zdlib.data.registry import open_entry
from zdlib.data.sample import Frames
from zdlib.data.sets.nyu import NYUReader, mat_file
from zdlib.data.splits import frame_groups, split_frames
from zdlib.errors import ZDError
from zdlib.files import sha256
from zdlib.paths import resolve
from zdlib.recipes import Recipe
from zdlib.train.split import FrameRoles, RunFrames, UsedSet, frame_roles


def open_frames(profile: Profile, run: RunConfig, digest: str | None = None) -> RunFrames:
    """Open the frames of `data.train` for a run.

    Args:
        profile: names the data sets and the share of frames that select.
        run: its recipe decides depth, split and selection.
        digest: SHA-256 of the first data set's `.mat`, against which a pack is checked; None computes it where it is
            needed.

    Raises:
        ZDError: there is no data set; a file is missing or damaged; a pack is another file's; no frame is left to train
            or to select; the run trains a segmentation head and a data set has no labels.
    """
    if not profile.data.train:
        raise ZDError(f"profiles/{profile.name}.yaml: data.train: names no data set: add {{set: folder, root: …}}")
    opened = [
        _open_set(entry, run, profile.train.validation_fraction, digest if number == 0 else None)
        for number, entry in enumerate(profile.data.train)
    ]
    readers, roles = [reader for reader, _ in opened], [roles for _, roles in opened]
    used = [
        UsedSet(entry.set, entry.frames_of, entry.title, len(reader))
        for entry, reader in zip(profile.data.train, readers, strict=True)
    ]
    joined = Joined(readers)
    frames = RunFrames(
        readers[0] if len(readers) == 1 else joined,
        FrameRoles(
            np.concatenate([part.train + offset for part, offset in zip(roles, joined.offsets, strict=True)]),
            np.concatenate([part.selection + offset for part, offset in zip(roles, joined.offsets, strict=True)]),
            all(part.selection_is_held_out for part in roles),
        ),
        joined.path,
        tuple(used),
    )
    for what, numbers in (("train", frames.roles.train), ("choose the weights", frames.roles.selection)):
        if not len(numbers):
            raise ZDError(f"{joined.path}: no frame is left to {what}: hold out fewer, or add frames")
    return frames


def _open_set(
    entry: DataSetConfig, run: RunConfig, validation_fraction: float, digest: str | None
) -> tuple[Frames[Any], FrameRoles]:
    """The reader of one data set, and its frames' roles.

    NYU's layout has an official split and the original's contiguous one, of which the recipe chooses; other data sets
    have the one that the profile names. Without scenes, the frames that select are whole blocks, too.
    """
    recipe: Recipe = run.settings
    reader: Frames[Any]
    if isinstance(entry, NYUConfig):
        reader, official = _open_nyu(entry, run, digest), mat_file(resolve(entry.root))
        groups = reader.scenes
    else:
        reader, official = open_entry(entry), None
        groups = frame_groups(reader.scenes)
        recipe = recipe.model_copy(update={"split": "official"})
    if run.segments and reader[0].labels is None:
        raise ZDError(
            f"run {run.title!r}: trains a segmentation head, but {entry.title} has no labels: set its seg_weight to 0, "
            "or train on other data"
        )
    roles = frame_roles(recipe, split_frames(reader, entry.split, official), groups, validation_fraction)
    return reader if entry.size is None else Resized(reader, entry.size), roles


def _open_nyu(entry: NYUConfig, run: RunConfig, digest: str | None) -> Frames[Any]:
    """NYU's frames with the recipe's depth: from their pack if there is one, else from the `.mat`."""
    mat, depth = mat_file(resolve(entry.root)), run.settings.depth_source
    if depth not in entry.packs or not mat.is_file():  # the reader says that the .mat is missing
        return open_entry(entry, depth)
    pack = open_pack(resolve(entry.packs[depth]))
    known = digest if resolve(entry.root).is_file() else None  # of a folder, more than the .mat is hashed
    pack.require(mat, known or sha256(mat), depth, NYUReader)
    return pack.reader()
