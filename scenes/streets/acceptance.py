"""Do pairs and clips obey their own geometry? The error of pictures at the true disparity and motion.

The error of two pictures is 0.85 (1 - SSIM) / 2 + 0.15 L1: SSIM over windows of 3 by 3, colours in 0..1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, uniform_filter

from scenes.streets.geometry import Array
from zdlib.data.streets.store import Store, StoredFrame

FACTORS = (0.9, 0.95, 1.0, 1.05, 1.1)
"""Disparity (or depth) times these."""
LARGEST, IDENTITY_RATIO, SHARE = 0.08, 3.0, 0.95
"""Demanded: error at the truth, identity's error over it, share of pairs with the minimum at the truth."""


@dataclass(frozen=True)
class Errors:
    """Photometric errors of one pair of pictures.

    Attributes:
        clip, frame: which.
        identity: without any warp.
        by_factor: at `FACTORS` of the true disparity or depth.
        l1: mean absolute difference at the truth.
        pixels: how many were compared, as a share.
    """

    clip: int
    frame: int
    identity: float
    by_factor: tuple[float, ...]
    l1: float
    pixels: float

    @property
    def true(self) -> float:
        """At the truth."""
        return self.by_factor[FACTORS.index(1.0)]

    @property
    def minimum_at_truth(self) -> bool:
        """Whether no other factor is better."""
        return self.true <= min(self.by_factor)


def sample(picture: Array, x: Array, y: Array) -> Array:
    """Bilinear (h, w, 3) at pixel coordinates whose integers are pixel centres; borders are repeated."""
    return np.stack(
        [map_coordinates(picture[..., channel], [y, x], order=1, mode="nearest") for channel in range(3)], -1
    )


def photometric_error(first: Array, second: Array) -> Array:
    """(h, w) error of two pictures in 0..1."""

    def mean(values: Array) -> Array:
        return np.asarray(uniform_filter(values, (3, 3, 0), mode="reflect"))

    a, b = mean(first), mean(second)
    spread_a, spread_b = mean(first * first) - a * a, mean(second * second) - b * b
    joint = mean(first * second) - a * b
    ssim = (2 * a * b + 1e-4) * (2 * joint + 9e-4) / ((a * a + b * b + 1e-4) * (spread_a + spread_b + 9e-4))
    difference = np.abs(first - second).mean(-1)
    return 0.85 * np.clip((1 - ssim) / 2, 0, 1).mean(-1) + 0.15 * difference


def _compare(
    target: Array, source: Array, places: list[tuple[Array, Array]], where: NDArray[np.bool_]
) -> tuple[float, tuple[float, ...], float]:
    """Identity's error, the errors of the source looked up at each of `places`, L1 at the truth."""
    warped = [sample(source, x, y) for x, y in places]
    errors = tuple(float(photometric_error(image, target)[where].mean()) for image in warped)
    l1 = float(np.abs(warped[FACTORS.index(1.0)] - target)[where].mean())
    return float(photometric_error(source, target)[where].mean()), errors, l1


def stereo_errors(store: Store) -> Iterator[Errors]:
    """Left pictures against right ones, over pixels that both cameras see."""
    for clip in range(len(store)):
        for moment in range(store.frames):
            frame = store.frame(clip, moment)
            if frame.right is None:
                continue
            y, x = np.mgrid[: store.height, : store.width].astype(float)
            seen = (frame.depth > 0) & ~frame.occluded
            disparity = store.intrinsics[0, 0] * store.baseline / np.where(frame.depth > 0, frame.depth, np.inf)
            where = seen & (x - disparity * max(FACTORS) >= 0)
            places = [(x - disparity * factor, y) for factor in FACTORS]
            left, right = frame.left / 255.0, frame.right / 255.0
            yield Errors(clip, moment, *_compare(left, right, places, where), float(where.mean()))


def motion_errors(store: Store) -> Iterator[Errors]:
    """Each left picture against the next one, over static pixels that both see; still clips are left out."""
    for clip in range(len(store)):
        for moment in range(store.frames - 1):
            now, after = store.frame(clip, moment), store.frame(clip, moment + 1)
            motion = np.linalg.inv(after.pose) @ now.pose
            if np.linalg.norm(motion[:3, 3]) < 0.1:
                continue
            yield _motion(store, clip, moment, now, after, motion)


def _motion(store: Store, clip: int, moment: int, now: StoredFrame, after: StoredFrame, motion: Array) -> Errors:
    depth = now.depth.astype(float)
    places = [project(depth * factor, store.intrinsics, motion) for factor in FACTORS]
    x, y, z = places[FACTORS.index(1.0)]
    row = np.clip(np.rint(y), 0, store.height - 1).astype(int)
    column = np.clip(np.rint(x), 0, store.width - 1).astype(int)
    there = after.depth[row, column]
    inside = (x >= 0) & (x <= store.width - 1) & (y >= 0) & (y <= store.height - 1)
    where = (depth > 0) & inside & (np.abs(there - z) < 0.04 * z) & ~now.moving & ~after.moving[row, column]
    errors = _compare(now.left / 255.0, after.left / 255.0, [(u, v) for u, v, _ in places], where)
    return Errors(clip, moment, *errors, float(where.mean()))


def project(depth: Array, intrinsics: Array, motion: Array) -> tuple[Array, Array, Array]:
    """Where pixels of a depth map (h, w) lie in another camera: x, y in pixels, depth there.

    Args:
        depth: metres.
        intrinsics: (3, 3), pixel centres at integers.
        motion: (4, 4) from this camera's axes to the other's.
    """
    y, x = np.mgrid[: depth.shape[0], : depth.shape[1]]
    rays = np.stack([x, y, np.ones(x.shape)], -1) @ np.linalg.inv(intrinsics).T
    points = (rays * depth[..., None]) @ motion[:3, :3].T + motion[:3, 3]
    z = np.maximum(points[..., 2], 0.1)
    pixels = points @ intrinsics.T
    return pixels[..., 0] / z, pixels[..., 1] / z, z


def summary(errors: list[Errors]) -> dict[str, float]:
    """Means over pairs, and the shares that meet the demands."""
    true, identity = (
        np.array([error.true for error in errors]),
        np.array([error.identity for error in errors]),
    )
    table = np.array([error.by_factor for error in errors]).mean(0)
    return {
        "pairs": len(errors),
        "identity": float(identity.mean()),
        **{f"x {factor:g}": float(value) for factor, value in zip(FACTORS, table, strict=True)},
        "L1": float(np.mean([error.l1 for error in errors])),
        "minimum at the truth": float(np.mean([error.minimum_at_truth for error in errors])),
        f"at most {LARGEST}": float((true <= LARGEST).mean()),
        f"identity at least {IDENTITY_RATIO:g} x": float((identity >= IDENTITY_RATIO * true).mean()),
    }


def table(store: Store) -> pd.DataFrame:
    """Both tests, a row each."""
    rows = {"left and right": summary(list(stereo_errors(store)))}
    rows["neighbouring frames"] = summary(list(motion_errors(store)))
    return pd.DataFrame.from_dict(rows, orient="index")


def accepted(results: pd.DataFrame) -> bool:
    """Whether pairs obey: minimum at the truth in 95 %, mean error at most 0.08, identity 3 times that."""
    pairs = results.loc["left and right"]
    true = pairs["x 1"]
    return bool(
        pairs["minimum at the truth"] >= SHARE and true <= LARGEST and pairs["identity"] >= IDENTITY_RATIO * true
    )
