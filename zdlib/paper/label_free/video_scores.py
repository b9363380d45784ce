"""What a network taught by video scores: depth up to a scale, by place and class; classes; how the camera moved."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from zdlib.cameras import pose_matrix
from zdlib.data.street_classes import FIRST_MOVABLE, NAMES
from zdlib.losses.photometric import photometric_error
from zdlib.losses.semantics import consistency_loss
from zdlib.losses.video import Reprojection, Views, moving_mask, scale_loss, warped_labels, warped_sources
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics
from zdlib.models.depth_model import to_tensor
from zdlib.models.sgdem.depth_model import SGDEMDepthModel
from zdlib.paper.label_free.judged import (
    DENSE,
    EIGEN,
    StreetFrame,
    baseline_depths,
    image_rows,
    street_frames,
    street_store,
    zero_shot,
)
from zdlib.train.methods.sgdem import pose_errors
from zdlib.train.sequences.clips import resized_intrinsics

PICTURED = (1, 19, 40)  # middle frames of test clips whose maps are kept to be looked at; in two, things move
SIGNAL_SIZES = ((64, 192), (96, 288))
SKY = 1000.0  # metres
MEAN_OUTPUT = 0.2  # of the sigmoid, where networks of the profile end
BOUNDARY_PIXELS = 3  # as near to another class is "at class boundaries"
SCALED = ("median-scaled",)


@dataclass(frozen=True)
class VideoScores:
    """Tables of one network.

    Attributes:
        images: one row per frame and protocol, after median scaling.
        places: one row per test frame and place: moving, at rest though movable, at class boundaries, elsewhere, and
            each class; the frame is scaled as a whole.
        poses: one row per test clip: degrees of error of turn and direction, the network's and that of a camera that
            goes straight ahead.
        confusion: pixels by true class and class found (`true`, `found`, `pixels`); empty of a network without classes.
    """

    images: pd.DataFrame
    places: pd.DataFrame
    poses: pd.DataFrame
    confusion: pd.DataFrame


def score_video(model: SGDEMDepthModel) -> VideoScores:
    """A trained network, on every test frame.

    Raises:
        ZDError: data are not there.
    """
    rows, places, counts = [], [], np.zeros((len(NAMES), len(NAMES)), np.int64)
    for frame in street_frames():
        inverse, classes = predicted(model, frame.sample.image)
        rows += _image_rows("Streets-K", 1 / inverse, frame)
        places += place_rows(1 / inverse, frame)
        if classes is not None:
            counts += _confusion(classes, frame)
    for other in zero_shot():
        for number, sample in other.frames:
            depth = 1 / predicted(model, sample.image)[0]
            named = {"data": other.title, "protocol": other.protocol.name, "frame": number, "scene": sample.scene}
            rows += [{**named, **row} for row in image_rows(depth, sample, other.protocol, SCALED)]
    true, guessed = np.nonzero(counts)
    confusion = pd.DataFrame({"true": true, "found": guessed, "pixels": counts[true, guessed]})
    return VideoScores(pd.DataFrame(rows), pd.DataFrame(places), pd.DataFrame(_pose_rows(model)), confusion)


def predicted(
    model: SGDEMDepthModel, image: np.ndarray
) -> tuple[Float32[np.ndarray, "h w"], Int64[np.ndarray, "h w"] | None]:
    """Inverse depth and classes of a picture at the network's size."""
    with model.inference("fp32"):
        size = model.network.config.input_size
        x = F.interpolate(to_tensor([image], model.device), size, mode="bilinear", antialias=True)
        inverse = model.forward(x)[0, 0].cpu().numpy()
        if not model.network.config.classes:
            return inverse, None
        return inverse, model.network(x, 1).logits.argmax(1)[0].cpu().numpy()


def pictures(model: SGDEMDepthModel) -> dict[str, np.ndarray]:
    """Maps of a few test frames, at the network's size.

    Of each: `frame_N_inverse`; of a network with classes also `frame_N_classes`, `frame_N_movable` (what any frame of
    the clip calls movable, placed by the network's depth and motion: what a mask leaves out) and `frame_N_agreement`,
    the intersection over union that decides whether it does.
    """
    store = street_store()
    arrays: dict[str, np.ndarray] = {}
    for number in PICTURED:
        clip = store.of_split("test")[number // store.frames]
        inverse, classes = predicted(model, store.frame(clip, number % store.frames).left)
        arrays[f"frame_{number}_inverse"] = inverse.astype(np.float16)
        if classes is not None:
            region, agreement = movable_region(model, [store.frame(clip, moment).left for moment in range(3)])
            arrays[f"frame_{number}_classes"] = classes.astype(np.uint8)
            arrays[f"frame_{number}_movable"] = region
            arrays[f"frame_{number}_agreement"] = np.array(agreement, np.float32)
    return arrays


def movable_region(
    model: SGDEMDepthModel, images: Sequence[UInt8[np.ndarray, "h w 3"]]
) -> tuple[Bool[np.ndarray, "_ _"], float]:
    """Of a clip's middle frame: what a mask would leave out, and the agreement of the frames (`moving_mask`)."""
    height, width = images[0].shape[:2]
    matrix = resized_intrinsics(street_store().intrinsics, (height, width), model.network.config.input_size)
    intrinsics = torch.from_numpy(matrix.astype(np.float32))[None].to(model.device)
    with model.inference("fp32"):
        before, here, after = _resized(model, images).split(1)
        poses = [_pose(model, before, here, True), _pose(model, here, after, False)]
        depth = 1 / model.forward(here)
        classes = [model.network(frame, 1).logits.argmax(1) for frame in (here, before, after)]
        placed = warped_sources(depth, Views(here, [before, after], intrinsics, poses))
        neighbours = [warped_labels(there, pixels) for there, (_, pixels) in zip(classes[1:], placed, strict=True)]
        keep, agreement = moving_mask(classes[0], neighbours, threshold=2.0)  # above every intersection over union
    return keep[0, 0].cpu().numpy() == 0, float(agreement[0])


def _resized(model: SGDEMDepthModel, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Float[Tensor, "n 3 _ _"]:
    size = model.network.config.input_size
    return F.interpolate(to_tensor(list(images), model.device), size, mode="bilinear", antialias=True)


def score_signal(sizes: Sequence[tuple[int, int]] = SIGNAL_SIZES) -> pd.DataFrame:
    """What the loss says of depths that are no network's, with the true motion: whether it can teach.

    Returns:
        One row per test clip, size and depth (the truth, what needs no picture): `error`, the mean of the minimum
        reprojection with auto-mask; `unmasked`, without; `teaches`, the share of pixels that a warp explains better;
        `no_warp`, the error of the frames as they are; `consistency`, the loss of depth within true classes, of an
        output with the mean `MEAN_OUTPUT`; `metres` between frames.
    """
    store, rows = street_store(), []
    depths: dict[int, dict[str, np.ndarray]] = {}
    for title, depth, frame in baseline_depths():
        truth = np.where(frame.sample.depth > 0, frame.sample.depth, SKY)
        depths.setdefault(frame.number, {"the truth": truth})[title] = depth
    for place, clip in enumerate(store.of_split("test")):
        frames = [store.frame(clip, moment) for moment in range(3)]
        motions = [np.linalg.inv(frames[moment].pose) @ frames[1].pose for moment in (0, 2)]
        named = {"scene": f"clip {store.seeds[clip]}", "metres": float(np.linalg.norm(motions[1][:3, 3]))}
        for size in sizes:
            matrix = resized_intrinsics(store.intrinsics, (store.height, store.width), size)
            before, here, after = _at_size([frame.left for frame in frames], size).split(1)
            poses = [torch.from_numpy(motion.astype(np.float32))[None] for motion in motions]
            views = Views(here, [before, after], torch.from_numpy(matrix.astype(np.float32))[None], poses)
            for title, depth in depths[store.frames * place + 1].items():
                at_size = _map_at_size(depth, size)
                losses = _loss_of(at_size, views) | {"consistency": _consistency_of(at_size, frames[1].labels)}
                rows.append({**named, "size": f"{size[0]}×{size[1]}", "depth": title, **losses})
    return pd.DataFrame(rows)


def _at_size(images: list[UInt8[np.ndarray, "h w 3"]], size: tuple[int, int]) -> Float[Tensor, "n 3 _ _"]:
    return F.interpolate(to_tensor(images, torch.device("cpu")), size, mode="bilinear", antialias=True)


def _map_at_size(values: np.ndarray, size: Sequence[int]) -> Float32[Tensor, "1 1 h w"]:
    return F.interpolate(torch.from_numpy(np.asarray(values, np.float32))[None, None], size, mode="nearest")


def _loss_of(depth: Float32[Tensor, "1 1 h w"], views: Views) -> dict[str, float]:
    options = Reprojection(nearest=0.5, farthest=2 * SKY)
    low, high = 1 / options.farthest, 1 / options.nearest
    output = (1 / depth - low) / (high - low)
    error, teaches = scale_loss(output, views, options)
    unmasked, _ = scale_loss(output, views, replace(options, auto_mask=False))
    still = torch.cat([photometric_error(source, views.target) for source in views.sources], 1).amin(1)
    means = {"error": error, "unmasked": unmasked, "teaches": teaches.float(), "no_warp": still}
    return {name: float(value.mean()) for name, value in means.items()}


def _consistency_of(depth: Float32[Tensor, "1 1 h w"], labels: UInt8[np.ndarray, "_ _"]) -> float:
    output = MEAN_OUTPUT / depth / (1 / depth).mean()
    return float(consistency_loss(output, _map_at_size(labels, depth.shape[2:])[:, 0].long()))


def _image_rows(data: str, depth: Float32[np.ndarray, "_ _"], frame: StreetFrame) -> list[dict[str, Any]]:
    rows = []
    for name in (EIGEN, DENSE):
        named = {"data": data, "protocol": name, "frame": frame.number, "scene": frame.sample.scene}
        rows += [{**named, **row} for row in image_rows(depth, frame.truth(name), protocols.get(name), SCALED)]
    return rows


def masks(frame: StreetFrame) -> Iterator[tuple[str, Bool[np.ndarray, "h w"]]]:
    """Places of a frame by what the renderer knows: motion, nearness to another class, class."""
    labels = frame.sample.labels
    assert labels is not None
    movable = (labels >= FIRST_MOVABLE) & (labels < len(NAMES))
    yield "moving", frame.moving
    yield "movable, at rest", movable & ~frame.moving
    edges = np.zeros(labels.shape, np.bool_)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    near = distance_transform_edt(~edges) <= BOUNDARY_PIXELS if edges.any() else edges
    yield "at class boundaries", near
    yield "away from them", ~near
    yield from ((f"class {name}", labels == number) for number, name in enumerate(NAMES))


def place_rows(depth: Float32[np.ndarray, "_ _"], frame: StreetFrame) -> list[dict[str, Any]]:
    """AbsRel and δ1 of each place of a frame that is scaled to its median as a whole; places of 20 pixels or more."""
    scaled, valid = replace(protocols.get(DENSE), alignment="median").prepare(depth, frame.sample)
    rows = []
    for place, mask in masks(frame):
        here = mask & valid
        if here.sum() < 20:
            continue
        scores = depth_metrics(scaled, frame.sample.depth, here)
        named = {"place": place, "frame": frame.number, "scene": frame.sample.scene, "pixels": int(here.sum())}
        rows.append({**named, "abs_rel": scores["abs_rel"], "delta1": scores["delta1"]})
    return rows


def _confusion(classes: Int64[np.ndarray, "_ _"], frame: StreetFrame) -> Int64[np.ndarray, "19 19"]:
    labels = frame.sample.labels
    assert labels is not None
    full = F.interpolate(torch.from_numpy(classes)[None, None].float(), labels.shape, mode="nearest")[0, 0].numpy()
    scored = (labels < len(NAMES)) & (full < len(NAMES))
    pairs = labels[scored].astype(np.int64) * len(NAMES) + full[scored].astype(np.int64)
    counts: Int64[np.ndarray, "19 19"] = np.bincount(pairs, minlength=len(NAMES) ** 2).reshape(len(NAMES), len(NAMES))
    return counts


def _pose_rows(model: SGDEMDepthModel) -> list[dict[str, Any]]:
    """Of each test clip, from its middle frame to both others."""
    store, rows = street_store(), []
    straight = torch.eye(4, dtype=torch.float64)[None]
    ahead, back = straight.clone(), straight.clone()
    ahead[0, 2, 3], back[0, 2, 3] = -1.0, 1.0  # what lies ahead comes nearer
    for clip in store.of_split("test"):
        frames = [store.frame(clip, moment) for moment in range(3)]
        world = np.linalg.inv(frames[1].pose)
        true = np.stack([world @ frame.pose for frame in frames])
        with model.inference("fp32"):
            before, here, after = _resized(model, [frame.left for frame in frames]).split(1)
            poses = [_pose(model, before, here, True), _pose(model, here, after, False)]
        row = {"scene": f"clip {store.seeds[clip]}", "metres": float(np.linalg.norm(true[2][:3, 3]))}
        rows.append(row | pose_errors(poses, true) | _named(pose_errors([back, ahead], true)))
    return rows


def _pose(model: SGDEMDepthModel, earlier: Tensor, later: Tensor, invert: bool) -> Tensor:
    turn, shift = model.network.motion(earlier, later)
    return pose_matrix(turn.float(), shift.float(), invert=invert)


def _named(errors: dict[str, float]) -> dict[str, float]:
    return {f"straight_{name}": value for name, value in errors.items()}


def score_baselines() -> pd.DataFrame:
    """What needs no picture, after median scaling: rows like `VideoScores.images`, and like `VideoScores.places`."""
    rows = []
    for title, depth, frame in baseline_depths():
        rows += [{"method": title, **row} for row in _image_rows("Streets-K", depth, frame)]
        rows += [{"method": title, **row} for row in place_rows(depth, frame)]
    return pd.DataFrame(rows)


def miou(confusion: pd.DataFrame) -> float:
    """Mean intersection over union of the classes that occur."""
    counts: Float64[np.ndarray, "19 19"] = np.zeros((len(NAMES), len(NAMES)))
    counts[confusion["true"], confusion["found"]] = confusion["pixels"]
    inter, present = np.diag(counts), counts.sum(1) > 0
    union = counts.sum(0) + counts.sum(1) - inter
    return float((inter[present] / union[present]).mean())
