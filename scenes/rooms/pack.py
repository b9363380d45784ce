"""Put rendered images (one .npz each) into the stores that git carries."""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenes.rooms import catalogue
from scenes.rooms.generate import PLANS, Plan
from scenes.rooms.planes import View3D, occlusion_edges, planes
from zdlib.data.rooms.store import StoredImage, StoreWriter
from zdlib.data.sets.ibims import PLANES
from zdlib.errors import ZDError

NAMES = {"rooms_n": "Rooms-N", "rooms_i": "Rooms-I"}
DEPTH_SCALES = {"rooms_n": 0.001, "rooms_i": 50 / 65535}


@dataclass(frozen=True)
class Rendered:
    """One rendered image as it lies in the work folder."""

    arrays: dict[str, np.ndarray]
    kind: str
    seed: int
    view: int
    label_names: list[str]
    models: list[str]
    spp: int


def rendered_images(plan: Plan, folder: Path) -> Iterator[Rendered]:
    """The images of a data set in order of seed and view.

    Raises:
        ZDError: there is no image, or one is damaged.
    """
    seeds = sorted({int(path.stem.split("_")[-2]) for path in folder.glob(f"{plan.name}_*.npz")})
    if not seeds:
        raise ZDError(f"{folder}: no rendered image of {plan.name}: run `python -m scenes.rooms generate` first")
    for seed in seeds:
        for path in sorted(folder.glob(f"{plan.name}_{seed:05d}_*.npz")):
            try:
                with np.load(path) as file:
                    arrays = {key: file[key] for key in file.files if key != "meta"}
                    meta = json.loads(str(file["meta"]))
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise ZDError(f"{path}: not a rendered image ({error}): delete it and run `generate` again") from error
            yield Rendered(
                arrays, meta["kind"], meta["seed"], meta["view"], meta["label_names"], meta["models"], meta["spp"]
            )


def scene_names_and_splits(kinds: dict[int, str], test_share: float) -> dict[int, tuple[str, str]]:
    """Name (`bedroom_0003`) and split of every scene: in each kind the test scenes are spread evenly over the seeds.

    Args:
        kinds: room kind by seed.
        test_share: of the scenes, 0 … 1.
    """
    numbers: Counter[str] = Counter()
    given = {}
    for seed in sorted(kinds):
        number = numbers[kinds[seed]]
        numbers[kinds[seed]] += 1
        test = int((number + 1) * test_share + 0.5) > int(number * test_share + 0.5)
        given[seed] = (f"{kinds[seed]}_{number + 1:04d}", "test" if test else "train")
    return given


def pack(name: str, folder: Path, path: Path) -> dict[str, set[str]]:
    """Write the store of a data set from its rendered images.

    Args:
        name: `rooms_n` or `rooms_i`.
        folder: the work folder of the rendering.
        path: the store to write.

    Returns:
        The models in the rendered scenes, each with the data set's name (for CREDITS.csv).
    """
    plan = PLANS[name]
    kinds: dict[int, str] = {}
    label_names: list[str] = ["unlabelled"]
    used: dict[str, set[str]] = {}
    spp: set[int] = set()
    for image in rendered_images(plan, folder):
        kinds[image.seed] = image.kind
        label_names += [label for label in image.label_names if label not in label_names]
        used |= {model: {name} for model in image.models}
        spp.add(image.spp)
    scenes = scene_names_and_splits(kinds, plan.test_share)
    generator = {
        "renderer": "Mitsuba 3.9.1, path tracer, Intel Open Image Denoise",
        "spp": sorted(spp),
        "focal": plan.focal,
        "furniture": "sweethome3d-furniture 1.8",
    }
    ids = {label: i for i, label in enumerate(label_names)}
    with StoreWriter(
        path, name=NAMES[name], depth_scale=DEPTH_SCALES[name], label_names=label_names, generator=generator
    ) as writer:
        for image in rendered_images(plan, folder):
            scene, split = scenes[image.seed]
            writer.add(_stored(image, scene, split, ids, geometry=name == "rooms_i"))
    return used


def _stored(image: Rendered, scene: str, split: str, ids: dict[str, int], *, geometry: bool) -> StoredImage:
    arrays = image.arrays
    local = np.array([ids[label] for label in image.label_names], np.uint8)
    more: dict[str, Any] = annotations(image) if geometry else {}
    return StoredImage(
        image=arrays["image"],
        depth=arrays["depth"].astype(np.float32),
        labels=local[arrays["label"]],
        scene=scene,
        scene_type=image.kind,
        split=split,
        seed=image.seed,
        view=image.view,
        intrinsics=arrays["K"],
        pose=arrays["pose"],
        **more,
    )


def annotations(image: Rendered) -> dict[str, Any]:
    """iBims-1's masks, edges and planes of an image, as fields of `StoredImage`."""
    arrays = image.arrays
    # What is seen through or reflected by glass is no plane to be judged.
    label = np.where(arrays["glass"], 0, arrays["label"])
    view = View3D(
        arrays["depth"].astype(np.float64),
        arrays["normal"].astype(np.float64),
        arrays["instance"].astype(np.int64),
        label.astype(np.int64),
        arrays["K"],
        arrays["pose"],
    )
    return {
        "mask_invalid": (arrays["depth"] > 0).astype(np.uint8),
        "mask_transp": (~arrays["glass"]).astype(np.uint8),
        "edges": occlusion_edges(view),
        "planes": {kind: planes(view, kind, image.label_names) for kind in PLANES},
    }


def pack_all(folder: Path, target: Path) -> None:
    """Write both stores and CREDITS.csv into `target`."""
    used: dict[str, set[str]] = {}
    for name in PLANS:
        for model, sets in pack(name, folder, target / f"{name}.h5").items():
            used.setdefault(model, set()).update(sets)
    catalogue.write_credits(target / "CREDITS.csv", used)
