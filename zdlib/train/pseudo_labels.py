"""A teacher's maps of unlabelled pictures, written once, as a data set like any other.

The set is a folder that `zdlib.data.sets.folder` reads: `rgb/` holds the pictures as they were, `depth/` a map of each,
`pseudo_labels.json` where they come from. A teacher's inverse depth has no scale and no shift, and a depth map needs
both: the map's own range is laid onto the disparities ⅕ … 1. So its depths lie between 1 and 5 in no unit, in steps of
1/10000. A loss that is blind to scale and shift of inverse depth learns from them what the teacher said.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16
from PIL import Image
from tqdm import tqdm

from zdlib.data.formats.images import read_picture
from zdlib.data.sets.folder import IMAGE_SUFFIXES
from zdlib.errors import ZDError
from zdlib.files import read_json, sha256, write_bytes, write_json
from zdlib.gates.outputs import plan_outputs
from zdlib.models.depth_model import DepthModel, Inference

FORMAT = "zdlib-pseudo-labels-1"
RECORD = "pseudo_labels.json"
METRES_PER_UNIT = 1e-4  # what a folder's entry in a profile says of the maps; the metres are none
FARTHEST = 0.2  # disparity of the farthest pixel of a map; that of the nearest is 1
CLEAN = Inference(flip=False, full_size=True)


def write_pseudo_labels(teacher: DepthModel, weights: Path, pictures: Path, out: Path) -> tuple[int, int]:
    """Label every picture of a folder; one at a time is in memory, and every file is written whole or not at all.

    What an earlier call with the same teacher has finished is kept: killed and begun again, the files are the same.

    Args:
        teacher: gives relative inverse depth.
        weights: its file, for the record.
        pictures: the folder; subfolders are kept.
        out: the data set.

    Returns:
        How many pictures were labelled now, and how many there are.

    Raises:
        ZDError: the teacher gives metres; no picture; two that differ in their endings alone; one cannot be read; `out`
            is or holds something else.
    """
    if teacher.convention.kind != "relative":
        raise ZDError(f"{weights}: gives metres: a teacher gives relative inverse depth, take its checkpoint")
    names = _names(pictures)
    files = {name: (out / "depth" / name.with_suffix(".png"), out / "rgb" / name) for name in names}
    plan_outputs(((pictures / name, both) for name, both in files.items()), [weights, pictures])
    record = {
        "format": FORMAT,
        "teacher": {"file": weights.name, "sha256": sha256(weights), **_training(teacher.info)},
        "inference": {"flip": CLEAN.flip, "pad": CLEAN.pad, "precision": CLEAN.precision},
        "encoding": {"metres_per_unit": METRES_PER_UNIT, "farthest": FARTHEST, "nearest": 1.0},
    }
    _claim(out, record)
    new = 0
    for name in tqdm(names, desc="labelling", unit="picture", disable=len(names) == 1):
        depth, picture = files[name]
        if depth.is_file() and picture.is_file():
            continue
        image = read_picture(pictures / name, "remove or replace it", "RGB")
        write_bytes(depth, _encoded(teacher(image, CLEAN)))
        write_bytes(picture, (pictures / name).read_bytes())  # last: a picture that is there has its label
        new += 1
    write_json(out / RECORD, {**record, "pictures": len(names)})
    return new, len(names)


def pseudo_depth(inverse: Float32[np.ndarray, "h w"]) -> UInt16[np.ndarray, "h w"]:
    """Relative inverse depth as units of a depth map."""
    low, extent = float(inverse.min()), float(inverse.max() - inverse.min())
    share = (inverse.astype(np.float64) - low) / extent if extent else np.zeros(inverse.shape)
    depth = 1 / (FARTHEST + (1 - FARTHEST) * share)
    units: np.ndarray = np.round(depth / METRES_PER_UNIT).astype(np.uint16)
    return units


def _encoded(inverse: Float32[np.ndarray, "h w"]) -> bytes:
    content = BytesIO()
    Image.fromarray(pseudo_depth(inverse)).save(content, "png")
    return content.getvalue()


def _names(folder: Path) -> Sequence[Path]:
    """The pictures, relative to their folder."""
    if not folder.is_dir():
        raise ZDError(f"{folder}: no such folder: give the folder that holds the pictures")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not names:
        raise ZDError(
            f"{folder}: no {', '.join(sorted(IMAGE_SUFFIXES))} in it: give the folder that holds the pictures"
        )
    return names


def _training(info: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its training, as far as the record keeps it."""
    return {key: info[key] for key in ("profile", "run", "title", "seed") if key in info}


def _claim(out: Path, record: dict[str, Any]) -> None:
    """Begin a data set, or find the same teacher's there.

    Raises:
        ZDError: it is another's.
    """
    path = out / RECORD
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise ZDError(f"{out}: holds something else (no {RECORD}): name another folder")
        write_json(path, record)
        return
    before = read_json(path)
    for key, value in _flat(record):
        if (old := dict(_flat(before)).get(key)) != value:
            raise ZDError(f"{path}: its labels have {key} {old}, not {value}: name another folder")


def _flat(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
