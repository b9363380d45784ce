"""The pictures of Depth Anything's study, written as folders: what is labelled, what is not, and METER's labels.

    FOLDER/streets/{rgb,depth}/CLIP/PLACE.png    labelled: 4:3 views of Streets-K's training clips
    FOLDER/pictures/real/…                       photographs without any test role, as pictures alone
    FOLDER/pictures/rendered/…                   views of the rooms and streets that nobody trains on, likewise
    FOLDER/meter/{rgb,depth}/…                   the same photographs with METER's depth, a data set of its own

Photographs are the first stretch of `real-hololens`, two views per frame, and `real-photos`: views of a panorama, two
corridors, three streets. What tests judge (the walk's last stretch, `real-mix`, `real-streets`, Rooms-I, Streets-V) is
not among them, nor are the walk's frames between the stretches. The photographs' files stay outside git.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image

from zdlib.data.formats.images import read_picture
from zdlib.data.real.hololens import HoloLensReader
from zdlib.data.registry import open_reader
from zdlib.data.sample import Frames, Sample
from zdlib.files import read_json, write_bytes, write_json
from zdlib.geometry import resize
from zdlib.models.depth_model import Inference
from zdlib.models.released import released_meter
from zdlib.paths import repo_root
from zdlib.source_closure import LIBRARY_ROOT, fingerprint_of, fingerprints
from zdlib.train.photographs.taught import FIX, INDOOR, OUTDOOR, PANORAMA, VIEWS, perspective, read_radiance

Picture = UInt8[np.ndarray, "_ _ 3"]
VIEW = (192, 256)  # height, width of a view of a photograph
ASPECT = VIEW[1] / VIEW[0]
STREETS_UNIT = 0.004  # metres per unit of the labelled streets' maps: up to 262 m
METER_UNIT = 0.001
MARK = "pictures.json"
PITCHES = (-15.0, 5.0)  # of the panorama's views, degrees


def write_pictures(folder: Path, copy: Path) -> dict[str, int]:
    """Write all of it, unless this code has done so before.

    Args:
        folder: where to.
        copy: the folder of the fetched photographs (`zdlib data fetch real-hololens`, `real-photos`).

    Returns:
        How many pictures there are: `streets`, `real`, `rendered`.

    Raises:
        ZDError: a photograph is missing; METER's weights cannot be had; the disk is full.
    """
    mark, made_by = folder / MARK, fingerprint_of(fingerprints([Path(__file__)], LIBRARY_ROOT))
    if mark.is_file() and (before := read_json(mark))["made_by"] == made_by:
        return {key: int(count) for key, count in before["counts"].items()}
    counts = {"streets": 0, "real": 0, "rendered": 0}
    for name, view in _street_views("train"):
        write_bytes(folder / "streets" / "rgb" / f"{name}.png", _png(view.image))
        write_bytes(folder / "streets" / "depth" / f"{name}.png", _png(_units(view.depth, STREETS_UNIT)))
        counts["streets"] += 1
    for name, image in _rendered():
        write_bytes(folder / "pictures" / "rendered" / f"{name}.png", _png(image))
        counts["rendered"] += 1
    teachers = {name: released_meter(name) for name in ("meter_nyu", "meter_kitti")}
    for name, image, teacher in _photographs(copy):
        depth = teachers[teacher](image, Inference(flip=True))
        whole = resize(torch.from_numpy(depth)[None, None], image.shape[:2])[0, 0].numpy()
        content = _png(image)
        write_bytes(folder / "pictures" / "real" / f"{name}.png", content)
        write_bytes(folder / "meter" / "rgb" / f"{name}.png", content)
        write_bytes(folder / "meter" / "depth" / f"{name}.png", _png(_units(np.maximum(whole, 0.1), METER_UNIT)))
        counts["real"] += 1
    write_json(mark, {"made_by": made_by, "counts": counts})
    return counts


def views(image: Picture, places: int) -> Iterator[tuple[int, slice, slice]]:
    """Number, rows and columns of 4:3 views of a picture, evenly spread over its longer side."""
    height, width = image.shape[:2]
    rows, columns = min(height, round(width / ASPECT)), min(width, round(height * ASPECT))
    for number in range(places):
        share = number / (places - 1) if places > 1 else 0.5
        top, left = round(share * (height - rows)), round(share * (width - columns))
        yield number, slice(top, top + rows), slice(left, left + columns)


def _photographs(copy: Path) -> Iterator[tuple[str, Picture, str]]:
    """Name, view, and which METER knows such places."""
    walk = HoloLensReader(copy)
    for number, scene in enumerate(walk.scenes):
        if scene == "first":
            yield from ((*view, "meter_nyu") for view in _cut(f"walk/{walk.names[number]}", walk[number].image, 2))
    for teacher, files in (("meter_nyu", INDOOR), ("meter_kitti", OUTDOOR)):
        for file in files:
            image = read_picture(copy / file, FIX, "RGB")
            places = 2 if image.shape[1] > 1.5 * ASPECT * image.shape[0] else 1
            yield from ((*view, teacher) for view in _cut(f"photos/{Path(file).stem}", image, places))
    panorama = read_radiance(copy / PANORAMA)
    for number in range(VIEWS):
        for pitch in PITCHES:
            image = perspective(panorama, 360 * number / VIEWS, pitch)
            yield from ((*view, "meter_nyu") for view in _cut(f"photos/panorama_{number}_{pitch:.0f}", image, 1))


def _cut(name: str, image: Picture, places: int) -> Iterator[tuple[str, Picture]]:
    for number, rows, columns in views(image, places):
        picture = Image.fromarray(image[rows, columns]).resize(VIEW[::-1], Image.Resampling.BILINEAR)
        yield f"{name}_{number}", np.asarray(picture)


def _rendered() -> Iterator[tuple[str, Picture]]:
    """Rooms-N's test rooms, which no test here judges, and Streets-K's clips that do not train."""
    rooms = _embedded("rooms", "rooms/rooms_n.h5")
    for number, scene in enumerate(rooms.scenes):
        if scene.startswith("test "):
            yield f"rooms/{rooms.names[number]}", rooms[number].image
    for part in ("val", "test"):
        yield from ((f"streets/{name}", view.image) for name, view in _street_views(part))


def _street_views(part: str) -> Iterator[tuple[str, Sample]]:
    """Three views of each frame of a part of Streets-K."""
    streets = _embedded("streets", "streets/streets_k.h5")
    for number, scene in enumerate(streets.scenes):
        if scene.startswith(f"{part} "):
            sample = streets[number]
            for place, rows, columns in views(sample.image, 3):
                view = Sample(sample.name, sample.image[rows, columns], sample.depth[rows, columns], scene=scene)
                yield f"{sample.name}/{place}", view


def _embedded(key: str, file: str) -> Frames[Sample]:
    return open_reader(key, repo_root() / "data" / file)


def _units(depth: Float32[np.ndarray, "h w"], metres_per_unit: float) -> np.ndarray:
    return np.clip(np.round(depth / metres_per_unit), 0, 2**16 - 1).astype(np.uint16)


def _png(values: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(content, "png")
    return content.getvalue()
