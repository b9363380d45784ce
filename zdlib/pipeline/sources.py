"""The real files a profile needs, checked together before anything is computed."""

from dataclasses import dataclass
from pathlib import Path

from zdlib.config import Profile
from zdlib.errors import ZDError
from zdlib.paths import repo_root, resolve

NYU_PAGE = "the NYU Depth Dataset V2 page of Nathan Silberman, New York University: 'Labeled dataset (~2.8 GB)'"
SPLITS_PAGE = "the same page ('Train/test split'), or the repository ankurhanda/nyuv2-meta-data on GitHub"
IBIMS_PAGE = "the iBims-1 page of Tobias Koch, Technical University of Munich: 'ibims1_core_mat' or 'ibims1_core_raw'"
MIDAS_PAGE = "the repository isl-org/MiDaS on GitHub, release v3_1"
SPLITS_SHA256 = "6e081404491a8bfba2f066beaa9713ef6046f9007aa5f799f2a350506a580cee"
WEIGHTS_KEY = "model.encoder_weights"
PACKS_KEY = "data.nyu_packs"
NO_FILE = frozenset({"none", "packaged"})  # values of encoder_weights that name no file


@dataclass(frozen=True)
class Needed:
    """One file or folder of the profile.

    Attributes:
        what: what it is.
        key: the profile's key that names it.
        value: what the profile says.
        source: where to get it.
        sha256: its hash where known, else empty.
    """

    what: str
    key: str
    value: str
    source: str
    sha256: str = ""

    @property
    def path(self) -> Path | None:
        """Where it is looked for; None where the profile names `$ZD_DATA` and that is not set."""
        try:
            return resolve(self.value)
        except ZDError:
            return None

    def explain(self) -> str:
        """Which file, where it was looked for, where to get it, how to point to it."""
        where = self.path or f"{self.value} (ZD_DATA is not set)"
        digest = f"\n      SHA256  {self.sha256}" if self.sha256 else ""
        return (
            f"    {self.what}\n      looked for at  {where}\n      get it from  {self.source}{digest}\n"
            f"      or point to your copy with  {self.key}  in the profile"
        )


class MissingFilesError(ZDError):
    """Several files are missing; the message has one block for each."""

    def __str__(self) -> str:
        """The message with its line breaks kept."""
        return self.message

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


def needed_files(profile: Profile) -> list[Needed]:
    """Files that must be there before the pipeline starts (what notebook 01 writes itself is not among them)."""
    data, needed = profile.data, []
    if data.embedded is None:
        needed += [
            Needed(f"{data.nyu_name}: labelled .mat", "data.nyu_mat", data.nyu_mat, NYU_PAGE),
            Needed(f"{data.nyu_name}: official split", "data.nyu_splits", data.nyu_splits, SPLITS_PAGE, SPLITS_SHA256),
            Needed(f"{data.ibims_name}: folder", "data.ibims_root", data.ibims_root, IBIMS_PAGE),
        ]
    else:
        source = "this repository (git): git checkout -- data/rooms"
        needed.append(Needed("rendered rooms: folder", "data.embedded.source", str(data.embedded.source), source))
    for depth, pack in data.nyu_packs.items():
        source = f"zdlib data pack nyu {data.nyu_mat} --depth {depth} -o {pack}"
        needed.append(Needed(f"{data.nyu_name}: packed frames, {depth} depth", PACKS_KEY, pack, source))
    if profile.model.encoder_weights not in NO_FILE:
        weights = profile.model.encoder_weights
        needed.append(Needed("MiDaS checkpoint", WEIGHTS_KEY, weights, MIDAS_PAGE))
    return needed


def check_files(profile: Profile) -> None:
    """Name every missing file of a profile in one message.

    Raises:
        MissingFilesError: at least one is missing.
    """
    missing = [file for file in needed_files(profile) if file.path is None or not file.path.exists()]
    if not missing:
        return
    count = "one file that is" if len(missing) == 1 else f"{len(missing)} files that are"
    uses_folder = any("$ZD_DATA" in file.value for file in missing)
    hint = "\n  To point to all of them at once: export ZD_DATA=/folder/that/holds/them" if uses_folder else ""
    blocks = "\n".join(file.explain() for file in missing)
    raise MissingFilesError(f"profiles/{profile.name}.yaml needs {count} not there:\n{blocks}{hint}")


def watched_files(profile: Profile, *, weights: bool) -> list[Path]:
    """Files whose change makes results stale: the encoder's weights, or all others; folders are listed file by file.

    Packs are left out: they repeat the `.mat`, or training refuses them. Paths are relative to the repository's
    root where they are inside it.
    """
    root = repo_root()
    files: set[Path] = set()
    for file in needed_files(profile):
        path = file.path
        if file.key != PACKS_KEY and (file.key == WEIGHTS_KEY) == weights and path is not None and path.exists():
            files |= {path} if path.is_file() else {p for p in path.rglob("*") if p.is_file()}
    return sorted(path.relative_to(root) if path.is_relative_to(root) else path for path in files)
