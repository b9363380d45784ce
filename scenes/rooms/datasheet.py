"""The numbers and the contact sheet of data/rooms/DATASHEET.md, computed from the stores."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from zdlib.data import classes
from zdlib.data.rooms.store import Store, open_store
from zdlib.errors import ZDError
from zdlib.files import atomic_path, write_text
from zdlib.labels import CLASS_NAMES, N_CLASSES

BEGIN, END = "<!-- numbers: begin (python -m scenes.rooms datasheet) -->", "<!-- numbers: end -->"
FILES = {"Rooms-N": "rooms_n.h5", "Rooms-I": "rooms_i.h5"}
# Percent of the pixels of NYU Depth v2's 654 official test frames, counted on their published 13-class label images.
NYU_TEST = {
    "unlabelled": 17.11,
    "bed": 4.08,
    "books": 0.66,
    "ceiling": 1.28,
    "chair": 3.27,
    "floor": 9.79,
    "furniture": 13.88,
    "objects": 12.08,
    "picture": 2.20,
    "sofa": 3.07,
    "table": 3.54,
    "tv": 0.42,
    "wall": 23.55,
    "window": 5.07,
}
TILE = (160, 120)
SHEET_SCENES, SHEET_COLUMNS, SHEET_QUALITY = 48, 8, 80


def class_shares(store: Store, split: str) -> dict[str, float]:
    """Share of the pixels of one split by NYU's 13 classes and `unlabelled`."""
    ids = [0, *classes.raw_ids(list(store.label_names[1:])).values()]
    table = np.zeros(classes.N_RAW_CLASSES + 1, np.int64)
    table[classes.class_table()["id894"]] = classes.class_table()["id13"]
    to13 = table[ids]
    counts = np.zeros(N_CLASSES, np.int64)
    for i, of_split in enumerate(store.splits):
        if of_split == split:
            counts += np.bincount(to13[store.labels(i)].ravel(), minlength=N_CLASSES)
    return {name: float(count / counts.sum()) for name, count in zip(CLASS_NAMES, counts, strict=True)}


def depth_summary(store: Store, split: str) -> dict[str, float]:
    """Depths of one split, metres: smallest and largest, percentiles of all valid pixels, nearest 1 % by image."""
    near, far, pixels = [], [], []
    for i, of_split in enumerate(store.splits):
        if of_split == split:
            depth = store.depth(i)
            valid = depth[depth > 0]
            near.append(float(np.percentile(valid, 1)))
            far.append(float(valid.max()))
            pixels.append(valid[:: max(1, valid.size // 4000)])
    p1, p50, p99 = np.percentile(np.concatenate(pixels), [1, 50, 99])
    return {
        "p1": float(p1),
        "p50": float(p50),
        "p99": float(p99),
        "nearest": min(near),
        "farthest": max(far),
        "images beyond 8 m": float(sum(value > 8 for value in far)),
        "images beyond 10 m": float(sum(value > 10 for value in far)),
    }


def _markdown(frame: pd.DataFrame) -> str:
    head = "| " + " | ".join(frame.columns) + " |\n|" + "---|" * len(frame.columns)
    rows = ["| " + " | ".join(str(value) for value in row) + " |" for row in frame.itertuples(index=False)]
    return "\n".join([head, *rows])


def numbers(folder: Path) -> str:
    """The generated part of DATASHEET.md."""
    stores = {name: open_store(folder / file) for name, file in FILES.items()}
    parts = [(name, store, split) for name, store in stores.items() for split in sorted(set(store.splits))[::-1]]
    sizes, depths, shares = [], [], {}
    for name, store, split in parts:
        chosen = [i for i, of_split in enumerate(store.splits) if of_split == split]
        sizes.append(
            {
                "part": f"{name} {split}",
                "images": len(chosen),
                "scenes": len({store.scenes[i] for i in chosen}),
                "size": f"{store.width}×{store.height}",
                "names used": len(store.label_names) - 1,
            }
        )
        row = depth_summary(store, split)
        depths.append({"part": f"{name} {split}"} | {key: f"{value:.4g}" for key, value in row.items()})
        shares[f"{name} {split}"] = class_shares(store, split)
    table = pd.DataFrame({"class": CLASS_NAMES})
    for part, values in shares.items():
        table[part] = [f"{100 * values[name]:.2f}" for name in CLASS_NAMES]
    table["NYU test"] = [f"{NYU_TEST[name]:.2f}" for name in CLASS_NAMES]
    kinds = []
    for name, store in stores.items():
        scene_types = pd.Series(dict(zip(store.scenes, store.scene_types, strict=True)))
        for kind, count in scene_types.value_counts().sort_index().items():
            kinds.append({"data set": name, "room kind": kind, "scenes": count})
    blocks = [
        "Sizes.\n\n" + _markdown(pd.DataFrame(sizes)),
        "Depth in metres (percentiles over pixels; `nearest` is the smallest first percentile of an image).\n\n"
        + _markdown(pd.DataFrame(depths)),
        "Share of the pixels by class, in percent (NYU's names mapped 894 → 40 → 13); last column: NYU Depth v2's 654 "
        "official test\nframes, counted on their published 13-class label images.\n\n" + _markdown(table),
        "Scenes by room kind.\n\n" + _markdown(pd.DataFrame(kinds)),
    ]
    return "\n\n".join(blocks)


def update(folder: Path) -> None:
    """Rewrite the generated part of DATASHEET.md in `folder`.

    Raises:
        ZDError: DATASHEET.md is missing or has lost its marks.
    """
    path = folder / "DATASHEET.md"
    if not path.is_file():
        raise ZDError(f"{path}: no such file: restore it (git checkout -- {path.name})")
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ZDError(f"{path}: the marks around the numbers are gone: restore the file from git")
    before, rest = text.split(BEGIN)
    write_text(path, f"{before}{BEGIN}\n\n{numbers(folder)}\n\n{END}{rest.split(END)[1]}")


def write_contact_sheet(folder: Path, target: Path) -> None:
    """First views of the first 48 scenes of Rooms-N, none picked."""
    store = open_store(folder / FILES["Rooms-N"])
    first_of_scene = {scene: i for i, scene in reversed(list(enumerate(store.scenes)))}
    first_views = sorted(first_of_scene.values(), key=lambda i: store.seeds[i])[:SHEET_SCENES]
    rows = -(-len(first_views) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * TILE[0], rows * TILE[1]))
    for place, index in enumerate(first_views):
        small = Image.fromarray(store[index].image).resize(TILE, Image.Resampling.LANCZOS)
        sheet.paste(small, (place % SHEET_COLUMNS * TILE[0], place // SHEET_COLUMNS * TILE[1]))
    with atomic_path(target) as temporary:
        sheet.save(temporary, "JPEG", quality=SHEET_QUALITY)
