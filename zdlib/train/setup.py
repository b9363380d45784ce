"""What a run is made of, from its profile: which frames train and which select."""

from dataclasses import dataclass

from zdlib.config import NYUConfig, Profile, RunConfig
from zdlib.data.pack import PackedReader, open_pack
from zdlib.data.sets.nyu import NYUReader
from zdlib.data.splits import split_frames
from zdlib.files import sha256
from zdlib.paths import resolve
from zdlib.train.split import FrameRoles, frame_roles


@dataclass(frozen=True)
class RunFrames:
    """The frames of a run.

    Attributes:
        reader: gives them, with the depth that the run's recipe asks for.
        roles: their numbers in the reader, by what they are used for.
    """

    reader: NYUReader | PackedReader
    roles: FrameRoles


def open_frames(profile: Profile, run: RunConfig, digest: str | None = None) -> RunFrames:
    """Open the profile's frames for a run: from the pack of its depth if there is one, else from the `.mat`.

    Args:
        profile: names the files and the share of frames that select.
        run: its recipe decides depth, split and selection.
        digest: SHA-256 of the `.mat`, against which a pack is checked; None computes it where it is needed.

    Raises:
        ZDError: a file is missing or damaged, or the pack is another file's.
    """
    entry, recipe = next(entry for entry in profile.data.train if isinstance(entry, NYUConfig)), run.settings
    mat, depth = resolve(entry.root), recipe.depth_source
    reader: NYUReader | PackedReader
    if depth in entry.packs and mat.is_file():
        pack = open_pack(resolve(entry.packs[depth]))
        pack.require(mat, digest or sha256(mat), depth, NYUReader)
        reader = pack.reader()
    else:  # the reader says that the .mat is missing
        reader = NYUReader(mat, depth=depth)
    splits = split_frames(reader, entry.split, official=mat)
    return RunFrames(reader, frame_roles(recipe, splits, reader.scenes, profile.train.validation_fraction))
