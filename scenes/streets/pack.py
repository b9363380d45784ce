"""Put rendered clips (one .npz each) into the stores that git carries, and name whose models they show."""

import csv
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scenes.streets import assets, labels, lidar
from scenes.streets.generate import PLANS, STEPS, Plan, clip_path
from scenes.streets.layout import HZ
from zdlib.errors import ZDError

NAMES = {"streets_k": "Streets-K", "streets_v": "Streets-V"}
QUALITY = 92
LIDAR_UNIT = 0.02
"""Metres of one stored unit of range: as much as the scanner's noise."""
ORDER = ("train", "val", "test")
ABOUT = {
    "image": "(clip, frame, camera: 0 left, 1 right) JPEG, sRGB, one exposure per clip",
    "depth": "(clip, frame) PNG16 of codes: metres = exp(code / depth_steps), planar depth of the left "
    "camera through the pixel centre; 0 = sky, nearer than 1 m or beyond 250 m; "
    "disparity = K[0, 0] * baseline / metres",
    "label": "(clip, frame, h, w) left camera: Cityscapes train ids 0-18, 255 = void",
    "instance": "(clip, frame, h, w) left camera: id of a thing, see objects; 0 = stuff",
    "mask": "(clip, frame, h, w) left camera: bit 0 = the right camera does not see it (sky is never "
    "marked), bit 1 = it moves",
    "lidar": "(clip, frame, beam, azimuth) range in units of lidar_unit metres; 0 = no echo; scanner at "
    "scanner_position in the left camera's axes, looking ahead",
    "agreement": "(clip, frame, 2) left and right depth at corresponding places, before they were coded: "
    "median relative difference, share within 1 %",
    "pose": "(clip, frame, 4, 4) left camera to world, metres, axes x right, y down, z forward",
    "objects": "(clip) zlib-compressed JSON list of what is seen: id, class, model, moving, size (x, y, z), "
    "pose (object to world, one per frame or one if it stands; front +y, z up, origin on the ground)",
    "seed": "(clip) seed of the generator",
    "split": "(clip) train, val or test",
    "style": "(clip) kind of street",
    "season": "(clip) spring, summer, autumn or winter",
    "weather": "(clip) clear, cloudy, overcast, low sun or wet",
    "speed": "(clip) of the camera in frame 0, m/s",
}


def rendered(plan: Plan, folder: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Seed, split and arrays (with `meta` decoded) of every clip that was rendered, training clips first.

    Raises:
        ZDError: there is none, or one is damaged.
    """
    clips = sorted(plan.seeds(), key=lambda clip: (ORDER.index(clip[1]), clip[0]))
    present = [clip for clip in clips if clip_path(plan, folder, clip[0]).exists()]
    if not present:
        raise ZDError(f"{folder}: no clip of {plan.name}: run `python -m scenes.streets generate` first")
    for seed, split in present:
        path = clip_path(plan, folder, seed)
        try:
            with np.load(path) as file:
                arrays: dict[str, Any] = {key: file[key] for key in file.files}
            arrays["meta"] = json.loads(str(arrays["meta"]))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ZDError(f"{path}: not a rendered clip ({error}): delete it and run `generate` again") from error
        yield seed, split, arrays


def encode(picture: NDArray[Any], kind: str) -> NDArray[np.uint8]:
    """Bytes of a JPEG (3 channels) or PNG (8 or 16 bits)."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": QUALITY, "progressive": True} if kind == "JPEG" else {}
    Image.fromarray(picture).save(buffer, kind, optimize=True, **options)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def pack(name: str, folder: Path, path: Path) -> dict[str, set[str]]:
    """Write the store of a set from its rendered clips.

    Returns:
        The models that were used, each with the set's name (for CREDITS.csv).
    """
    plan, used = PLANS[name], set()
    count = sum(1 for seed, _ in plan.seeds() if clip_path(plan, folder, seed).exists())
    with _atomic(path) as temporary, h5py.File(temporary, "w") as file:
        _describe(file, plan)
        _create(file, plan, count)
        for number, (seed, split, arrays) in enumerate(rendered(plan, folder)):
            meta = arrays["meta"]
            used |= set(meta["models"])
            for frame in range(plan.frames):
                for side, picture in enumerate(arrays["image"][frame]):
                    file["image"][number, frame, side] = encode(picture, "JPEG")
                file["depth"][number, frame] = encode(arrays["depth"][frame], "PNG")
            if plan.scanner:
                ranges = np.where(arrays["lidar"] > 0, np.exp(arrays["lidar"] / STEPS), 0)
                file["lidar"][number] = np.rint(ranges / LIDAR_UNIT).astype(np.uint16)
            for key in ("label", "instance", "mask", "pose", *(["agreement"] if plan.baseline else [])):
                file[key][number] = arrays[key]
            file["seed"][number], file["split"][number] = seed, split
            for key in ("style", "season", "weather", "speed"):
                file[key][number] = meta[key]
            objects = json.dumps(meta["objects"], separators=(",", ":")).encode()
            file["objects"][number] = np.frombuffer(zlib.compress(objects, 9), np.uint8)
    return {model: {name} for model in used}


def _describe(file: h5py.File, plan: Plan) -> None:
    camera = plan.camera
    file.attrs.update(
        name=NAMES[plan.name],
        version="1",
        about="Procedurally built road scenes, rendered; nothing picked. See data/streets/DATASHEET.md.",
        width=camera.width,
        height=camera.height,
        frames=plan.frames,
        K=camera.intrinsics,
        K_about="pixels; pixel centres at integer coordinates; both cameras",
        baseline=plan.baseline,
        camera_height=plan.mount.height,
        hz=HZ,
        depth_steps=STEPS,
        classes=json.dumps(labels.NAMES),
        scanner_position=lidar.POSITION,
        lidar_unit=LIDAR_UNIT,
        generator=json.dumps({"renderer": "Mitsuba 3.9.1 (LLVM), Open Image Denoise", "samples": plan.samples}),
    )


def _create(file: h5py.File, plan: Plan, count: int) -> None:
    """Empty arrays with what explains them."""
    frames, cameras = plan.frames, 2 if plan.baseline else 1
    binary, text = h5py.vlen_dtype(np.uint8), h5py.string_dtype()
    file.create_dataset("image", (count, frames, cameras), binary)
    file.create_dataset("depth", (count, frames), binary)
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
    size = (plan.camera.height, plan.camera.width)
    for key in ("label", "instance", "mask"):
        file.create_dataset(key, (count, frames, *size), "u1", chunks=(1, 1, *size), **packed)
    if plan.scanner:
        size = (len(lidar.ELEVATIONS), len(lidar.AZIMUTHS))
        scans = file.create_dataset("lidar", (count, frames, *size), "u2", chunks=(1, 1, *size), **packed)
        scans.attrs["elevation_degrees"] = np.degrees(lidar.ELEVATIONS)
        scans.attrs["azimuth_degrees"] = np.degrees(lidar.AZIMUTHS)
    file.create_dataset("pose", (count, frames, 4, 4), "f8")
    if plan.baseline:
        file.create_dataset("agreement", (count, frames, 2), "f4")
    file.create_dataset("objects", (count,), binary)
    for key in ("split", "style", "season", "weather"):
        file.create_dataset(key, (count,), text)
    file.create_dataset("seed", (count,), "i4")
    file.create_dataset("speed", (count,), "f4")
    for key in file:
        file[key].attrs["about"] = ABOUT[key]


@contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def pack_all(folder: Path, stores: Path) -> None:
    """Write both stores and CREDITS.csv."""
    used: dict[str, set[str]] = {}
    for name in PLANS:
        for model, sets in pack(name, folder, stores / f"{name}.h5").items():
            used.setdefault(model, set()).update(sets)
    with (
        _atomic(stores / "CREDITS.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model_id", "name", "creator", "licence", "library", "used_in"])
        for model in sorted(used):
            writer.writerow([model, *assets.credit(model), " ".join(sorted(used[model]))])
