"""Relative depth in pictures: the decoder's own output, before metric fine-tuning and after it.

    python -m zdlib.paper.heads.relative_depth BEFORE.safetensors AFTER.safetensors

predicts a few test frames of Rooms-N and Rooms-I with both networks and keeps small maps in
`results/relative/pictures/`, with the hashes of the weights; the notebook draws them without any weights. Rendered
rooms alone are kept.
"""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8
from matplotlib.figure import Figure
from PIL import Image

from zdlib.colours import depth_picture, far_limit, relative_picture
from zdlib.config import Profile, load_profile
from zdlib.data.formats.images import read_picture, read_units
from zdlib.data.registry import open_entry
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.files import atomic_path, read_json, sha256, write_json
from zdlib.metrics import protocols
from zdlib.models.depth_model import Inference
from zdlib.models.factory import load_depth_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.paper.figures import Column, metric_scale, picture_grid
from zdlib.paper.trained_runs import open_nyu
from zdlib.paths import RunPaths

PROFILE = "relative"  # whose results hold the maps
DATA = "demo"  # the profile whose rooms are predicted
ROWS = 4  # frames of each data set
SIZE = (96, 128)  # of the pictures that are kept
MILLIMETRES = 1000
MAPS = ("before", "after")  # relative depth; 8 bit between each map's lowest and highest value
_FIX = "python -m zdlib.paper.heads.relative_depth makes it again"


def keep(before: Path, after: Path, paths: RunPaths) -> None:
    """Predict and write: per frame a JPEG of the picture, 16-bit millimetres of true and predicted depth, 8-bit maps.

    Args:
        before: a checkpoint of relative depth (`method: relative`).
        after: one of metric depth that was fine-tuned from it.
        paths: of profile `relative`.

    Raises:
        ZDError: weights or rooms are not there, or not ZoeDepth's.
    """
    models = [load_depth_model(path) for path in (before, after)]
    if not all(isinstance(model, ZoeDepthModel) for model in models):
        raise ZDError(f"{before}, {after}: relative depth is that of ZoeDepth's decoder: name two of its checkpoints")
    first, second = (model for model in models if isinstance(model, ZoeDepthModel))
    folder, frames = paths.results / "pictures", []
    for title, samples in _frames(load_profile(DATA)).items():
        pictures = [sample.image for sample in samples]
        relative = [list(model.relative().predict(pictures, Inference())) for model in (first, second)]
        metric = list(second.predict(pictures, Inference()))
        for number, sample in enumerate(samples):
            name = f"{title}_{number}"
            _save(folder / f"{name}.jpg", _small(sample.image), quality=90)
            _save(folder / f"{name}_true.png", _units(_nearest(sample.depth)))
            _save(folder / f"{name}_metric.png", _units(_resized(metric[number])))
            for kind, maps in zip(MAPS, relative, strict=True):
                _save(folder / f"{name}_{kind}.png", _stretched(_resized(maps[number])))
            frames.append({"name": name, "data": title, "frame": sample.name})
    weights = {
        path.name: {"sha256": sha256(path), "title": model.info["title"]}
        for path, model in zip((before, after), models, strict=True)
    }
    write_json(folder / "pictures.json", {"frames": frames, "weights": weights})


def grid(data: str, paths: RunPaths | None = None) -> Figure:
    """The original's columns with relative depth among them: RGB, relative depth before and after, truth, prediction.

    Args:
        data: title of the data set: a grid each.
        paths: of profile `relative`; default: this checkout's.

    Raises:
        ZDError: nothing was kept of this data set.
    """
    folder = (paths or RunPaths(PROFILE)).results / "pictures"
    names = [entry["name"] for entry in read_json(folder / "pictures.json")["frames"] if entry["data"] == data]
    if not names:
        raise ZDError(f"{folder}: has no picture of {data}: {_FIX}")
    depths = {
        kind: [read_units(folder / f"{name}_{kind}.png", _FIX).astype(np.float32) / MILLIMETRES for name in names]
        for kind in ("true", "metric")
    }
    far = far_limit(depths["true"])
    shown = {kind: [read_picture(folder / f"{name}_{kind}.png", _FIX) for name in names] for kind in MAPS}
    painted = {kind: [relative_picture(one.astype(np.float32)) for one in maps] for kind, maps in shown.items()}
    return picture_grid(
        [
            Column("RGB", [read_picture(folder / f"{name}.jpg", _FIX, "RGB") for name in names]),
            Column("relative, stage one", painted["before"]),
            Column("relative, fine-tuned", painted["after"]),
            Column("ground truth", [depth_picture(d, 0.0, far) for d in depths["true"]], metric_scale(0.0, far)),
            Column("prediction", [depth_picture(d, 0.0, far) for d in depths["metric"]], metric_scale(0.0, far)),
        ]
    )


def _frames(profile: Profile) -> dict[str, list[Sample]]:
    """Evenly spaced test frames of the data sets in NYU's and iBims-1's layouts."""
    nyu, ibims = open_nyu(profile), open_entry(profile.data.ibims)  # type: ignore[arg-type]
    test = nyu.frames(protocols.get("nyu/standard")).tolist()
    chosen = {
        profile.data.nyu.title: [nyu.readers["raw"][test[place]] for place in _spaced(len(test))],
        profile.data.ibims.title: [ibims[place] for place in _spaced(len(ibims))],
    }
    return chosen


def _spaced(count: int) -> list[int]:
    return [int((number + 0.5) * count / ROWS) for number in range(ROWS)]


def _small(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "nh nw 3"]:
    return np.asarray(Image.fromarray(picture).resize(SIZE[::-1], Image.Resampling.BOX))


def _resized(values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "nh nw"]:
    return np.asarray(Image.fromarray(values).resize(SIZE[::-1], Image.Resampling.BILINEAR))


def _nearest(depth: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "nh nw"]:
    return np.asarray(Image.fromarray(depth).resize(SIZE[::-1], Image.Resampling.NEAREST))


def _units(depth: Float[np.ndarray, "h w"]) -> np.ndarray:
    return np.clip(np.rint(depth * MILLIMETRES), 0, 2**16 - 1).astype(np.uint16)


def _stretched(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """A map without unit between 0 and 255; a flat one is 0."""
    low, high = float(values.min()), float(values.max())
    return np.rint(255 * (values - low) / max(high - low, 1e-12)).astype(np.uint8)


def _save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG" if path.suffix == ".jpg" else "PNG", optimize=True, **options)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m zdlib.paper.heads.relative_depth BEFORE.safetensors AFTER.safetensors")
    keep(Path(sys.argv[1]), Path(sys.argv[2]), RunPaths(PROFILE))
