"""The real files a profile needs, checked together before anything is computed."""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zdlib.config import DataSetConfig, NYUConfig, Profile
from zdlib.data.registry import READERS
from zdlib.errors import ZDError
from zdlib.paths import repo_root, resolve

SPLITS_PAGE = (
    f"{READERS['nyu'].source.partition(':')[0]} ('Train/test split'), or the repository ankurhanda/nyuv2-meta-data on "
    "GitHub"
)
MIDAS_PAGE = "the repository isl-org/MiDaS on GitHub, release v3_1"
SPLITS_SHA256 = "6e081404491a8bfba2f066beaa9713ef6046f9007aa5f799f2a350506a580cee"
_OWN_LIST = "a text file that you write"
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
        kind: what it is good for; a pack repeats other data.
    """

    what: str
    key: str
    value: str
    source: str
    sha256: str = ""
    kind: Literal["data", "weights", "pack"] = "data"

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
    """Files that must be there before anything is computed (what notebook 01 writes itself is not among them)."""
    data, needed = profile.data, []
    written = set() if data.embedded is None else set(data.embedded_files)
    if data.embedded is not None:
        source = "this repository (git): git checkout -- data/rooms"
        needed.append(Needed("rendered rooms: folder", "data.embedded.source", str(data.embedded.source), source))
    if data.streets is not None:
        source = "this repository (git): git checkout -- data/streets"
        needed += [Needed("rendered streets", "data.streets.source", str(path), source) for path in data.streets.stores]
        files = [value for entry in (*data.train, *data.tests) for value in entry.files.values()]
        written |= {value for value in files if value.startswith(f"{data.streets.root}/")}
    for part, entries in (("train", data.train), ("tests", data.tests)):
        for number, entry in enumerate(entries):
            needed += _of_entry(entry, f"data.{part}.{number}", written)
            written |= set(entry.files.values())  # a test often reads what trains
    if profile.model.encoder_weights not in NO_FILE:
        weights = profile.model.encoder_weights
        needed.append(Needed("MiDaS checkpoint", "model.encoder_weights", weights, MIDAS_PAGE, kind="weights"))
    arms = {} if profile.study is None else profile.study.arms
    began_with = {arm.model.get("encoder_weights", "none"): key for key, arm in reversed(arms.items())}
    for weights, key in began_with.items():
        if weights not in NO_FILE:
            where, source = f"study.arms.{key}.model.encoder_weights", "the training that writes them"
            needed.append(Needed("weights that arms begin with", where, weights, source, kind="weights"))
    for name, run in profile.runs.items():
        if run.start_from is not None:
            what, source = "weights to start from", "the training that writes them"
            needed.append(Needed(what, f"runs.{name}.start_from", run.start_from, source, kind="weights"))
    return needed


def _of_entry(entry: DataSetConfig, place: str, known: Set[str]) -> list[Needed]:
    """What one data set of the profile needs, apart from the files that are known already."""
    official = entry.set == "nyu"
    kinds = {
        "root": ("file or folder", READERS[entry.set].source, ""),
        "split": ("official split", SPLITS_PAGE, SPLITS_SHA256) if official else ("held-out frames", _OWN_LIST, ""),
        "list_file": ("list of frames", _OWN_LIST, ""),
    }
    needed = []
    for key, value in entry.files.items():
        what, source, digest = kinds[key]
        if value not in known:
            needed.append(Needed(f"{entry.title}: {what}", f"{place}.{key}", value, source, digest))
    for depth, pack in (entry.packs if isinstance(entry, NYUConfig) else {}).items():
        source = f"zdlib data pack nyu {entry.root} --depth {depth} -o {pack}"
        what = f"{entry.title}: packed frames, {depth} depth"
        needed.append(Needed(what, f"{place}.packs", pack, source, kind="pack"))
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
        if file.kind == ("weights" if weights else "data") and path is not None and path.exists():
            files |= {path} if path.is_file() else {p for p in path.rglob("*") if p.is_file()}
    return sorted(path.relative_to(root) if path.is_relative_to(root) else path for path in files)
