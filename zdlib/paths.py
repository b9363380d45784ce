"""All folder names in one place."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from zdlib.errors import ZDError


def repo_root() -> Path:
    """The checkout: `$ZD_ROOT` if set, else the folder that holds `zdlib/` and `profiles/`.

    Raises:
        ZDError: the package was installed away from its checkout and `ZD_ROOT` is not set.
    """
    root = Path(os.environ.get("ZD_ROOT") or Path(__file__).resolve().parent.parent)
    if not (root / "profiles").is_dir():
        raise ZDError(f"{root}: not a checkout of this project (no profiles/): set ZD_ROOT to the checkout's folder")
    return root


def resolve(path: str | Path) -> Path:
    """`path` with `~` and `$ZD_DATA` expanded; a relative one is taken from the repository's root.

    Raises:
        ZDError: the path names `$ZD_DATA`, which is not set, or a user's folder that there is not.
    """
    text = str(path)
    if "$ZD_DATA" in text:
        folder = os.environ.get("ZD_DATA")
        if not folder:
            raise ZDError(f"{text}: ZD_DATA is not set: export ZD_DATA=/folder/of/the/data, or name a path without it")
        text = text.replace("$ZD_DATA", folder)
    if "\0" in text:
        raise ZDError(f"{text!r}: no possible file name: leave the NUL out")
    try:
        return repo_root() / Path(text).expanduser()
    except RuntimeError as error:  # ~name without such a user, ~ without a home
        raise ZDError(f"{text}: {' '.join(str(error).split())}: write the whole path") from error


@dataclass(frozen=True)
class RunPaths:
    """Where one profile's run reads and writes.

    Raises:
        ZDError: a name that is none, or would lead out of `results/`.
    """

    profile: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Za-z0-9_-]{1,100}", self.profile):
            raise ZDError(f"{self.profile[:100]!r}: no name for a folder of results: use letters, digits, _ and -")

    @property
    def results(self) -> Path:
        """`results/<profile>/`: everything a run computes, figures apart."""
        return repo_root() / "results" / self.profile

    @property
    def tables(self) -> Path:
        """One CSV and one JSON per table."""
        return self.results / "tables"

    @property
    def per_image(self) -> Path:
        """One CSV of per-image metrics for each run and protocol."""
        return self.results / "per_image"

    @property
    def checkpoints(self) -> Path:
        """Trained weights (`<run>.safetensors`) and training logs (`<run>.csv`)."""
        return self.results / "checkpoints"

    @property
    def notebooks(self) -> Path:
        """Executed notebooks."""
        return self.results / "notebooks"

    @property
    def provenance(self) -> Path:
        """One JSON per step: commit, parameters, input hashes, versions, hardware, seconds."""
        return self.results / "provenance"

    @property
    def figures(self) -> Path:
        """`figures/<profile>/`: every figure as a PNG and as a PDF (git keeps the PNG)."""
        return repo_root() / "figures" / self.profile
