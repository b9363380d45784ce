"""Fetching the real pictures: from their public addresses, or from a copy that the environment names."""

import csv
import hashlib
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from zdlib.data.real.listed import NAMES, ListedFile, listed_files
from zdlib.errors import ZDError
from zdlib.files import atomic_path
from zdlib.gates.downloads import TIMEOUT, copies, obtain

POSES = "hololens/poses.txt"  # whose lines for the listed frames are pinned, not the file


def fetch(name: str, root: Path, sources: Sequence[Path] | None = None) -> int:
    """Bring all files of a data set into a folder; those that are there and sound stay.

    Args:
        name: one of `NAMES`.
        root: the folder.
        sources: folders with copies; None: those of the environment.

    Returns:
        The number of files.

    Raises:
        ZDError: no such data set; a file cannot be had.
    """
    files = listed_files(name)
    if not files:
        raise ZDError(f"{name}: not among the data sets that can be fetched: choose one of {', '.join(NAMES)}")
    sources = [folder for folder in (copies() if sources is None else sources) if folder != root]
    for entry in tqdm(files, desc=name, unit="file", mininterval=1):
        try:
            if entry.file == POSES:
                _obtain_poses(entry, root, sources, [file.row for file in files if file.row >= 0])
            else:
                obtain(entry, root, sources)
        except ZDError as error:
            raise ZDError(
                f"{error}; or take all {len(files)} files of {name} by hand from {', '.join(_addresses(files))} into "
                f"{root} (names: zdlib/data/real/files.csv), or point ZD_REAL_DATA at a copy"
            ) from error
    return len(files)


def _addresses(files: Sequence[ListedFile]) -> list[str]:
    pages = dict.fromkeys(f"https://github.com/{file.repository}/tree/{file.commit}" for file in files)
    return list(pages)


def _obtain_poses(entry: ListedFile, root: Path, sources: Sequence[Path], rows: list[int]) -> None:
    """The poses: the authors' file of all frames, or the list of a copy that holds those of the listed ones."""
    target = root / entry.file
    listed = target.with_name("frames.csv")
    if _digest(_pose_lines(target, rows)) == entry.sha256 or _digest(_listed_lines(listed)) == entry.sha256:
        return
    for source in sources:
        for path in (source / entry.file, (source / entry.file).with_name("frames.csv")):
            lines = _listed_lines(path) if path.suffix == ".csv" else _pose_lines(path, rows)
            if _digest(lines) == entry.sha256:
                with atomic_path(target.with_name(path.name)) as temporary:
                    shutil.copyfile(path, temporary)
                return
    try:
        with urllib.request.urlopen(entry.url, timeout=TIMEOUT) as answer, atomic_path(target) as temporary:
            temporary.write_bytes(answer.read(1 << 24))
            if _digest(_pose_lines(temporary, rows)) != entry.sha256:
                raise ZDError(f"{entry.url}: has other poses than the pinned ones: put the right file at {target}")
    except OSError as error:
        raise ZDError(f"{entry.url}: cannot be downloaded ({error}): put the file at {target}") from error


def _pose_lines(path: Path, rows: list[int]) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [" ".join(lines[row].split()) for row in rows]
    except (OSError, UnicodeDecodeError, IndexError):
        return []


def _listed_lines(path: Path) -> list[str]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [row["pose_camera_to_world_row_major_4x4"] for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, KeyError):
        return []


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
