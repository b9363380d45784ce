"""What a network taught by pairs scores: by level, by what both cameras see, and on data it has never seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from zdlib.cameras import depth_from_disparity
from zdlib.data.street_classes import NAMES
from zdlib.losses.photometric import photometric_error, quadratic_smoothness
from zdlib.losses.stereo import photometric, warp_rows
from zdlib.metrics import protocols
from zdlib.models.depth_model import to_tensor
from zdlib.models.garg.architecture import LEVELS, GargArchitecture
from zdlib.models.garg.depth_model import GargDepthModel
from zdlib.models.garg.network import enlarge, level_sizes
from zdlib.paper.label_free.judged import (
    DENSE,
    EIGEN,
    FARTHEST,
    StreetFrame,
    baseline_depths,
    image_rows,
    street_frames,
    zero_shot,
)

ERROR_EDGES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 1.0)  # of the photometric error, for its bins
PLACES = ("all", "both cameras see", "occluded")
ROAD = NAMES.index("road")
TOO_FAR = 0.6  # of the true disparity: below it, a road is called far
Disparities = list[Float32[np.ndarray, "_ _"]]


@dataclass(frozen=True)
class StereoScores:
    """Tables of one network.

    Attributes:
        images: one row per frame, protocol and scale.
        levels: one row per test frame and level: AbsRel and δ1 of all, the disparity's error in pixels of the recorded
            picture by place, and the photometric error.
        photometric: disparity errors pooled over the pixels of each bin of the photometric error, by place.
        roads: one row per test frame: `pixels` of road that both cameras see, `far` of them that are called far
            (`TOO_FAR`), and the mean photometric error of those at the disparity `found` and at the `true` one.
    """

    images: pd.DataFrame
    levels: pd.DataFrame
    photometric: pd.DataFrame
    roads: pd.DataFrame


def score_stereo(model: GargDepthModel) -> StereoScores:
    """A trained network, on every test frame.

    Raises:
        ZDError: data are not there.
    """
    rows, levels, roads, sums = [], [], [], np.zeros((len(ERROR_EDGES) - 1, len(PLACES), 3))
    for frame in street_frames():
        disparities = predicted(model, frame.sample.image)
        maps = [_depth(model, disparity) for disparity in disparities]
        named = {"frame": frame.number, "scene": frame.sample.scene}
        for name in (EIGEN, DENSE):
            rules = protocols.get(name)
            scored = image_rows(maps[-1], frame.truth(name), rules)
            rows += [{"data": "Streets-K", "protocol": name, **named, **row} for row in scored]
        for level, (disparity, depth) in enumerate(zip(disparities, maps, strict=True)):
            scores = image_rows(depth, frame.sample, protocols.get(DENSE), ("as predicted",))[0]
            errors, unlike = disparity_errors(disparity, frame)
            row = {"level": LEVELS[level], **named, "abs_rel": scores["abs_rel"], "delta1": scores["delta1"]}
            levels.append(row | _by_place(errors, frame) | {"photometric": float(unlike.mean())})
        sums += _binned(errors, unlike, frame)
        roads.append({**named, **road_row(disparities[-1], frame)})
    for other in zero_shot():
        for number, sample in other.frames:
            scored = image_rows(_depth(model, predicted(model, sample.image)[-1]), sample, other.protocol)
            named = {"data": other.title, "protocol": other.protocol.name, "frame": number, "scene": sample.scene}
            rows += [{**named, **row} for row in scored]
    return StereoScores(pd.DataFrame(rows), pd.DataFrame(levels), _bins(sums), pd.DataFrame(roads))


def predicted(model: GargDepthModel, image: np.ndarray) -> Disparities:
    """Disparities of a picture at every level, each in widths of the picture and at its own resolution."""
    size = model.network.config.input_size
    with model.inference("fp32"):
        x = F.interpolate(to_tensor([image], model.device), size, mode="bilinear", antialias=True)
        outputs: list[Tensor] = model.network(x)
    return [(output / output.shape[3])[0, 0].cpu().numpy() for output in outputs]


def _depth(model: GargDepthModel, widths: Float32[np.ndarray, "_ _"]) -> Float32[np.ndarray, "_ _"]:
    metres = float(model.network.metres)
    depth = depth_from_disparity(torch.from_numpy(widths), metres, least=metres / FARTHEST)
    values: Float32[np.ndarray, "_ _"] = depth.numpy().astype(np.float32)
    return values


def disparity_errors(
    widths: Float32[np.ndarray, "_ _"], frame: StreetFrame
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Of each pixel of the recorded picture: |predicted - true disparity|, and how badly the right picture explains it.

    The photometric error is 0.85 · (1 - SSIM) / 2 + 0.15 · |difference|.
    """
    height, width = frame.disparity.shape
    full = enlarge(torch.from_numpy(widths)[None, None] * widths.shape[1], (height, width))
    left, right = (to_tensor([image], torch.device("cpu")) for image in (frame.sample.image, frame.right))
    unlike = photometric_error(warp_rows(right, full).image, left)[0, 0].numpy()
    return np.abs(full[0, 0].numpy() - frame.disparity), unlike


def road_row(widths: Float32[np.ndarray, "_ _"], frame: StreetFrame) -> dict[str, float]:
    """What `StereoScores.roads` says of a frame; no error where nothing is called far."""
    height, width = frame.disparity.shape
    found = enlarge(torch.from_numpy(widths)[None, None] * width, (height, width))[0, 0].numpy()
    assert frame.sample.labels is not None
    road = (frame.sample.labels == ROAD) & (frame.disparity > 0) & ~frame.occluded
    far = road & (found < TOO_FAR * frame.disparity)
    row = {"pixels": float(road.sum()), "far": float(far.sum())}
    for name, disparity in (("found", widths), ("true", frame.disparity / np.float32(width))):
        row[name] = float(disparity_errors(disparity, frame)[1][far].mean()) if far.any() else np.nan
    return row


def places(frame: StreetFrame) -> dict[str, Bool[np.ndarray, "h w"]]:
    """Pixels by whether the second camera sees them too."""
    valid = protocols.get(DENSE).valid(frame.sample)
    return dict(zip(PLACES, (valid, valid & ~frame.occluded, valid & frame.occluded), strict=True))


def _by_place(errors: Float32[np.ndarray, "h w"], frame: StreetFrame) -> dict[str, float]:
    return {
        f"px {place}": float(errors[mask].mean()) if mask.any() else np.nan for place, mask in places(frame).items()
    }


def _binned(errors: Float32[np.ndarray, "h w"], unlike: Float32[np.ndarray, "h w"], frame: StreetFrame) -> np.ndarray:
    """(bins, places, 3): pixels, sum of disparity errors, pixels with an error over one pixel."""
    sums = np.zeros((len(ERROR_EDGES) - 1, len(PLACES), 3))
    bins = np.clip(np.digitize(unlike, ERROR_EDGES) - 1, 0, len(ERROR_EDGES) - 2)
    for column, mask in enumerate(places(frame).values()):
        for number, values in enumerate((None, errors, errors > 1)):
            weights = None if values is None else values[mask]
            sums[:, column, number] = np.bincount(bins[mask], weights, minlength=len(ERROR_EDGES) - 1)
    return sums


def _bins(sums: np.ndarray) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for (low, high), parts in zip(pairwise(ERROR_EDGES), sums, strict=True):
        for place, (pixels, total, over) in zip(PLACES, parts, strict=True):
            mean, share = (total / pixels, over / pixels) if pixels else (np.nan, np.nan)
            named = {"from": low, "to": high, "place": place, "pixels": int(pixels)}
            rows.append({**named, "disparity_error": mean, "over_one_pixel": share})
    return pd.DataFrame(rows)


def score_baselines() -> pd.DataFrame:
    """What needs no picture, learnt from the training part: rows like `StereoScores.images`, of Streets-K's test."""
    rows = []
    for title, depth, frame in baseline_depths():
        for name in (EIGEN, DENSE):
            named = {"method": title, "data": "Streets-K", "protocol": name, "frame": frame.number}
            scored = image_rows(depth, frame.truth(name), protocols.get(name))
            rows += [{**named, "scene": frame.sample.scene, **row} for row in scored]
    return pd.DataFrame(rows)


FACTORS = (0.9, 0.95, 1.0, 1.05, 1.1)


def accept_pairs(parts: Sequence[str] = ("train", "val", "test")) -> pd.DataFrame:
    """Whether a true disparity explains its pair best: the photometric error at multiples of it, and without a warp.

    Over the pixels that both cameras see. One row per pair: `identity`, the error at each factor, L1 at 1, `occluded`.
    """
    rows = []
    for part in parts:
        for frame in street_frames(part):
            left, right = (to_tensor([image], torch.device("cpu")) for image in (frame.sample.image, frame.right))
            known = frame.disparity > 0
            seen = torch.from_numpy(known & ~frame.occluded)
            true = torch.from_numpy(frame.disparity)[None, None]
            error = partial(_mean_error, left, seen)
            warped = {factor: warp_rows(right, factor * true).image for factor in FACTORS}
            row = {"part": part, "scene": frame.sample.scene, "frame": frame.number, "identity": error(right)}
            row |= {f"x{factor:g}": error(image) for factor, image in warped.items()}
            rows.append({**row, "l1": error(warped[1.0], 0.0), "occluded": float(frame.occluded[known].mean())})
    return pd.DataFrame(rows)


def _mean_error(target: Tensor, seen: Tensor, image: Tensor, ssim_weight: float = 0.85) -> float:
    return float(photometric_error(image, target, ssim_weight)[0, 0][seen].mean())


COSTS = ("true disparity", "mean map", "zero")


def loss_at_levels(every: int = 4) -> pd.DataFrame:
    """The article's two terms, per pixel, of the true disparity and of maps that need no picture, level by level."""
    frames = [frame for frame in street_frames("train") if frame.number % (3 * every) == 1]
    left = to_tensor([frame.sample.image for frame in frames], torch.device("cpu"))
    right = to_tensor([frame.right for frame in frames], torch.device("cpu"))
    true = torch.from_numpy(np.stack([frame.disparity for frame in frames]))[:, None]
    mean = true.mean(0, keepdim=True).expand_as(true)
    rows = []
    for level, size in zip(LEVELS, level_sizes(GargArchitecture(input_size=(128, 416))), strict=True):
        pair = [F.interpolate(image, size, mode="area") for image in (left, right)]
        for name, disparity in zip(COSTS, (true, mean, 0 * true), strict=True):
            d = F.interpolate(disparity, size, mode="area") * size[1] / true.shape[3]
            error = photometric(warp_rows(pair[1], d), pair[0]).mean()
            smoothness = quadratic_smoothness(d).mean() / (size[0] * size[1])
            named = {"level": level, "height": size[0], "width": size[1], "disparity": name}
            rows.append({**named, "photometric": float(error), "smoothness": float(smoothness)})
    return pd.DataFrame(rows)
