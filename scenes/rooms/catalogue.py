"""The furniture models: which ones the rooms use (models.csv) and their source (Debian's sweethome3d-furniture).

The package holds four libraries (`.sh3f`, zip archives) of Wavefront models with a catalogue of real sizes, names and
creators. Model ids here are the library's letter and the number in its catalogue: `B77` is BlendSwap-CC-BY number 77.
"""

import csv
import os
import re
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from zdlib.errors import ZDError
from zdlib.files import write_csv

LIBRARIES = {"0": "BlendSwap-CC-0", "B": "BlendSwap-CC-BY", "K": "KatorLegaz", "S": "Scopia"}
LICENCES = {
    "BlendSwap-CC-0": "CC0 1.0",
    "BlendSwap-CC-BY": "CC BY 3.0",
    "KatorLegaz": "CC BY 3.0 US",
    "Scopia": "CC BY 3.0",
}
FURNITURE_VARIABLE = "ZD_FURNITURE"
DEFAULT_FOLDER = Path("/usr/share/sweethome3d/furniture")


@dataclass(frozen=True)
class Model:
    """One furniture model as the layout sees it: no geometry, only what models.csv says.

    Attributes:
        id: library letter and catalogue number.
        role: what the layout uses it for (`bed`, `desk_lamp`, …).
        label: one of NYU's 894 names.
        used_in: `rooms_n` or `rooms_i`; no model serves both.
        size: width (x), height (y), depth (z) in metres.
    """

    id: str
    role: str
    label: str
    used_in: str
    size: tuple[float, float, float]


@cache
def models() -> dict[str, Model]:
    """Every model of models.csv by id."""
    with open(Path(__file__).with_name("models.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["id"]: Model(
            row["id"],
            row["role"],
            row["label"],
            row["used_in"],
            (float(row["width_cm"]) / 100, float(row["height_cm"]) / 100, float(row["depth_cm"]) / 100),
        )
        for row in rows
    }


@cache
def models_of(role: str, used_in: str) -> tuple[Model, ...]:
    """The models that play `role` in `used_in`, in the order of models.csv; empty if there are none."""
    return tuple(model for model in models().values() if model.role == role and model.used_in == used_in)


def furniture_folder() -> Path:
    """Folder of the `.sh3f` libraries: `ZD_FURNITURE`, or where Debian's package puts them.

    Raises:
        ZDError: a library is missing.
    """
    folder = Path(os.environ.get(FURNITURE_VARIABLE, DEFAULT_FOLDER))
    for library in LIBRARIES.values():
        if not (folder / f"{library}.sh3f").is_file():
            raise ZDError(
                f"{folder / library}.sh3f: no such file: install the Debian package sweethome3d-furniture "
                f"or point {FURNITURE_VARIABLE} to the folder that holds the .sh3f files"
            )
    return folder


@cache
def archive(library: str) -> zipfile.ZipFile:
    """The opened zip archive of a library (kept open: models are read from it one by one)."""
    return zipfile.ZipFile(furniture_folder() / f"{library}.sh3f")


@cache
def entries() -> dict[str, dict[str, str]]:
    """The libraries' own catalogue entries by model id: `name`, `model`, `width`, `creator` and others."""
    found: dict[str, dict[str, str]] = {}
    for code, library in LIBRARIES.items():
        text = archive(library).read("PluginFurnitureCatalog.properties").decode("latin-1")
        for line in text.splitlines():
            if match := re.match(r"\s*(\w+)#(\d+)\s*=\s*(.*)", line):
                value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), match[3].strip())
                found.setdefault(code + match[2], {})[match[1]] = value
    return found


def write_credits(path: Path, used: dict[str, set[str]]) -> None:
    """Write CREDITS.csv: one line for each model that is in a rendered scene.

    Args:
        path: the file to write.
        used: model id -> data sets (`rooms_n`, `rooms_i`) whose rendered scenes contain it.
    """
    rows = []
    for model_id in sorted(used):
        library, entry = LIBRARIES[model_id[0]], entries()[model_id]
        rows.append(
            {
                "model_id": model_id,
                "name": entry["name"],
                "creator": entry.get("creator", library),
                "licence": LICENCES[library],
                "library": f"Sweet Home 3D {library}",
                "used_in": " ".join(sorted(used[model_id])),
            }
        )
    write_csv(path, pd.DataFrame(rows))
