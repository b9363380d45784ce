"""The numbers and the contact sheet of data/streets/DATASHEET.md, computed from the stores."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from scenes.streets import acceptance, labels
from scenes.streets.generate import PLANS
from scenes.streets.geometry import Array
from zdlib.data.streets.store import Store, open_store
from zdlib.errors import ZDError

BEGIN = "<!-- numbers: begin (python -m scenes.streets datasheet) -->"
END = "<!-- numbers: end -->"
FILES = {"Streets-K": "streets_k.h5", "Streets-V": "streets_v.h5"}
PERCENTILES = (1, 5, 25, 50, 75, 90, 95, 99)
SHEET_CLIPS = {"Streets-K": 48, "Streets-V": 12}
SHEET_HEIGHT, SHEET_QUALITY, COLUMNS = 64, 82, 2
SHOWN = (3.0, 90.0)
"""Depths that the sheet shows as black and as white, metres."""


def clip_counts(store: Store) -> dict[str, str]:
    """Splits, kinds of streets, seasons, weathers, still and moving clips."""
    clips = [store.clip(number) for number in range(len(store))]

    def listed(words: list[str]) -> str:
        return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items()))

    dynamic = [any(thing["moving"] for thing in clip.objects) for clip in clips]
    objects = [thing for clip in clips for thing in clip.objects]
    return {
        "clips": listed([clip.split for clip in clips]),
        "kinds of streets": listed([clip.style for clip in clips]),
        "seasons": listed([clip.season for clip in clips]),
        "weather": listed([clip.weather for clip in clips]),
        "clips in which something moves": f"{sum(dynamic)} of {len(clips)}",
        "clips with a still camera": f"{sum(clip.speed == 0 for clip in clips)} of {len(clips)}",
        "things seen (moving)": f"{len(objects)} ({sum(thing['moving'] for thing in objects)})",
        "median things per clip": f"{np.median([len(clip.objects) for clip in clips]):.0f}",
    }


class Measured:
    """Statistics of all frames of a store.

    Attributes:
        shares: (20,) % of pixels by train id, the last one void. present: % of pictures with the class.
        depth: percentiles of depth, metres; far: share beyond 80 m; disparity: percentiles, pixels.
        occluded, moving, signal: shares of pixels (signal: horizontal gradient above 2/255).
        lidar: share of pixels with an echo, median relative error, share off by more than 10 %; or None.
    """

    def __init__(self, store: Store) -> None:
        counts, present = np.zeros(256), np.zeros(256)
        depths, occluded, moving, signal, scans = [], [], [], [], []
        for number in range(len(store)):
            for moment in range(store.frames):
                frame = store.frame(number, moment)
                share = np.bincount(frame.labels.ravel(), minlength=256) / frame.labels.size
                counts, present = counts + share, present + (share > 0)
                valid = frame.depth > 0
                depths.append(frame.depth[valid][::7])
                occluded.append(frame.occluded[valid].mean())
                moving.append(frame.moving.mean())
                grey = frame.left.mean(-1)
                signal.append((np.abs(np.diff(grey, axis=1)) > 2).mean())
                if frame.points is not None:
                    scans.append(_scan_errors(store.lidar_depth(frame.points), frame.depth))
        total = len(store) * store.frames
        order = [*range(19), labels.VOID]
        self.shares, self.present = 100 * counts[order] / total, 100 * present[order] / total
        depth = np.concatenate(depths)
        self.depth, self.far = np.percentile(depth, PERCENTILES), float((depth > 80).mean())
        disparity = store.intrinsics[0, 0] * store.baseline / depth
        self.disparity = np.percentile(disparity, (1, 50, 99)) if store.baseline else None
        self.occluded, self.moving = float(np.mean(occluded)), float(np.mean(moving))
        self.signal = float(np.mean(signal))
        self.lidar = np.mean(scans, axis=0) if scans else None


def _scan_errors(sparse: Array, depth: Array) -> tuple[float, float, float]:
    """Share of pixels with an echo, median relative error, share off by more than 10 %."""
    both = (sparse > 0) & (depth > 0)
    error = np.abs(sparse[both] / depth[both] - 1)
    return float((sparse > 0).mean()), float(np.median(error)), float((error > 0.1).mean())


def static_flow(store: Store) -> Array:
    """1st, 50th and 99th percentile of the flow of static pixels, where the camera moves, pixels."""
    lengths = []
    for number in range(len(store)):
        for moment in range(store.frames - 1):
            now, after = store.frame(number, moment), store.frame(number, moment + 1)
            motion = np.linalg.inv(after.pose) @ now.pose
            if np.linalg.norm(motion[:3, 3]) < 0.1:
                continue
            x, y, _ = acceptance.project(now.depth.astype(float), store.intrinsics, motion)
            row, column = np.mgrid[: store.height, : store.width]
            inside = (x >= 0) & (x < store.width) & (y >= 0) & (y < store.height)
            where = inside & (now.depth > 0) & ~now.moving
            lengths.append(np.hypot(x - column, y - row)[where][::7])
    return np.percentile(np.concatenate(lengths), (1, 50, 99))


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _percentiles(values: Array | None) -> str:
    return "" if values is None else " / ".join(f"{value:.3g}" for value in values)


def numbers(folder: Path) -> str:
    """The generated part of DATASHEET.md."""
    stores = {name: open_store(folder / file) for name, file in FILES.items()}
    measured = {name: Measured(store) for name, store in stores.items()}
    counts = {name: clip_counts(store) for name, store in stores.items()}
    rows = [["", *stores]]
    rows += [[key, *(counts[name][key] for name in stores)] for key in next(iter(counts.values()))]
    planned = {plan.name: len(list(plan.seeds())) for plan in PLANS.values()}
    parts_of = zip(stores.values(), planned.values(), strict=True)
    rows.append(["clips rendered of those planned", *(f"{len(store)} of {count}" for store, count in parts_of)])
    rows.append(["file, MB", *(f"{(folder / file).stat().st_size / 1e6:.1f}" for file in FILES.values())])
    classes = [["class", *(f"{name}, % of pixels (% of pictures)" for name in stores)]]
    for k, word in enumerate([*labels.NAMES, "void"]):
        cells = [f"{value.shares[k]:.2f} ({value.present[k]:.0f})" for value in measured.values()]
        classes.append([word, *cells])
    geometry = [["", *stores]]
    names = " / ".join(str(p) for p in PERCENTILES)
    geometry.append([f"depth, m: percentiles {names}", *(_percentiles(m.depth) for m in measured.values())])
    geometry.append(["pixels beyond 80 m (of those with depth)", *(f"{m.far:.1%}" for m in measured.values())])
    geometry.append(["pixels of moving things", *(f"{m.moving:.1%}" for m in measured.values())])
    signal = (f"{m.signal:.0%}" for m in measured.values())
    geometry.append(["horizontal gradient above 2/255", *signal])
    pairs, of_k = stores["Streets-K"], measured["Streets-K"]
    geometry.append(["disparity, px: percentiles 1 / 50 / 99", _percentiles(of_k.disparity), "one camera"])
    flow = _percentiles(static_flow(pairs))
    geometry.append(["flow of static pixels, px: percentiles 1 / 50 / 99", flow, "one frame"])
    geometry.append(["not seen by the right camera", f"{of_k.occluded:.1%}", ""])
    if of_k.lidar is not None:
        fill, median, off = of_k.lidar
        text = f"{fill:.1%} of the pixels, median error {median:.2%}, off by more than 10 %: {off:.1%}"
        geometry.append(["projected scan against exact depth", text, ""])
    parts = ["### Clips", _markdown(rows), "### Classes", _markdown(classes)]
    parts += ["### Geometry", _markdown(geometry), "### Acceptance (Streets-K)", _acceptance(pairs)]
    return "\n\n".join(parts)


def _acceptance(store: Store) -> str:
    results = acceptance.table(store)
    rows = [["", *results.index]]
    for key in results.columns:
        share = key.startswith(("minimum", "at most", "identity at"))
        form = "{:.0f}" if key == "pairs" else "{:.1%}" if share else "{:.4f}"
        rows.append([key, *(form.format(value) for value in results[key])])
    agreement = store.agreement()
    median, within = float(np.median(agreement[..., 0])), float(agreement[..., 1].mean())
    worst = float(agreement[..., 0].max())
    text = (
        f"Left and right depth at corresponding places: median difference {median:.3%} (worst {worst:.3%}); "
        f"{within:.1%} of the pixels that both cameras see are within 1 %."
    )
    return "\n\n".join([_markdown(rows), text])


def update(folder: Path) -> None:
    """Put today's numbers between the marks of DATASHEET.md.

    Raises:
        ZDError: it has no such marks.
    """
    path = folder / "DATASHEET.md"
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ZDError(f"{path}: has no marks {BEGIN!r} and {END!r}: put them where the numbers belong")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(f"{head}{BEGIN}\n{numbers(folder)}\n{END}{tail}", encoding="utf-8")
    temporary.replace(path)


def write_contact_sheet(folder: Path, path: Path) -> None:
    """Left picture, depth (near = dark) and labels of the first clips of both sets, in order."""
    tiles = []
    for name, file in FILES.items():
        store = open_store(folder / file)
        width = SHEET_HEIGHT * 416 // 128
        for number in range(min(SHEET_CLIPS[name], len(store))):
            frame = store.frame(number)
            near, far = SHOWN
            grey = np.clip(255 * np.log(np.clip(frame.depth, near, far) / near) / np.log(far / near), 0, 255)
            grey = np.where(frame.depth > 0, grey, 255).astype(np.uint8)
            pictures = (frame.left, np.repeat(grey[..., None], 3, -1), labels.PALETTE[frame.labels])
            shrunk = [Image.fromarray(p).resize((width, SHEET_HEIGHT), Image.Resampling.BOX) for p in pictures]
            tiles.append(np.concatenate([np.asarray(picture) for picture in shrunk], 1))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)]
    Image.fromarray(np.concatenate(rows)).save(path, "JPEG", quality=SHEET_QUALITY, optimize=True)
