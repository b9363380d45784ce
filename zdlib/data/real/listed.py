"""The list of real files: where each lies in public, its SHA-256 and licence, and its place in a copy.

A copy is a folder with the paths of the column `file`. `zdlib data fetch` makes one; readers open one.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from zdlib.gates.downloads import PinnedFile

LIST = Path(__file__).with_name("files.csv")
NAMES = ("real-hololens", "real-mix", "real-streets", "real-photos")


@dataclass(frozen=True)
class ListedFile(PinnedFile):
    """One file.

    Attributes:
        set: the data set it belongs to.
        repository, commit: where it lies on GitHub.
        row: of a HoloLens picture: its line in `poses.txt`, from 0; -1 elsewhere.
    """

    set: str = ""
    repository: str = ""
    commit: str = ""
    row: int = -1


@cache
def listed_files(name: str) -> tuple[ListedFile, ...]:
    """The files of one data set, in the list's order; none for an unknown name."""
    with open(LIST, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == name]
    return tuple(
        ListedFile(
            file=row["file"],
            url=f"https://raw.githubusercontent.com/{row['repository']}/{row['commit']}/{row['path']}",
            sha256=row["sha256"],
            size=int(row["size"]),
            licence=row["licence"],
            set=row["set"],
            repository=row["repository"],
            commit=row["commit"],
            row=int(row["row"]),
        )
        for row in rows
    )
