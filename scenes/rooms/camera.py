"""Pinhole cameras as held by a hand, and the choice of good views of a room."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from scenes.rooms.geometry import Rect, Vector


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in room coordinates (metres, y up).

    Attributes:
        origin: centre of projection.
        yaw: heading in radians, 0 = +z, towards +x positive.
        pitch: radians, positive looks up.
        roll: radians, positive turns the image clockwise.
        width, height: pixels.
        focal: pixels, the same along both axes; the principal point is the image centre.
    """

    origin: Vector
    yaw: float
    pitch: float
    roll: float
    width: int
    height: int
    focal: float

    @property
    def hfov_degrees(self) -> float:
        """Horizontal field of view."""
        return math.degrees(2 * math.atan(self.width / 2 / self.focal))

    def intrinsics(self) -> Float64[np.ndarray, "3 3"]:
        """(3, 3) float64 pinhole matrix, pixel centres at integer coordinates."""
        cx, cy = (self.width - 1) / 2, (self.height - 1) / 2
        return np.array([[self.focal, 0, cx], [0, self.focal, cy], [0, 0, 1]])

    def pose(self) -> Float64[np.ndarray, "4 4"]:
        """(4, 4) float64 camera-to-room transform; camera x right, y down, z forward."""
        forward = np.array(
            [
                math.sin(self.yaw) * math.cos(self.pitch),
                math.sin(self.pitch),
                math.cos(self.yaw) * math.cos(self.pitch),
            ]
        )
        level = np.cross(forward, [0.0, 1.0, 0.0])
        level /= np.linalg.norm(level)
        down = np.cross(forward, level)
        c, s = math.cos(self.roll), math.sin(self.roll)
        matrix = np.eye(4)
        matrix[:3, 0] = c * level + s * down
        matrix[:3, 1] = -s * level + c * down
        matrix[:3, 2] = forward
        matrix[:3, 3] = self.origin
        return matrix

    def resized(self, width: int, height: int) -> "Camera":
        """The same view at another resolution (same aspect)."""
        focal = self.focal * width / self.width
        return Camera(self.origin, self.yaw, self.pitch, self.roll, width, height, focal)

    def rays(self) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, " n"]]:
        """(h·w, 3) unit directions through the pixel centres in room coordinates, (h·w,) their cosine to the axis."""
        k = self.intrinsics()
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        local = np.stack(
            [(columns - k[0, 2]) / self.focal, (rows - k[1, 2]) / self.focal, np.ones(columns.shape)], -1
        ).reshape(-1, 3)
        length = np.linalg.norm(local, axis=1)
        return (local @ self.pose()[:3, :3].T) / length[:, None], 1 / length


@dataclass(frozen=True)
class Taste:
    """What makes a view a good one.

    Attributes:
        label_scores: how much a small share of these labels is worth (rare things a data set needs).
        near, far: wished-for nearest depth and limit of the farthest one, metres.
        depth_weight: worth of every metre that the far part of the view reaches beyond 3 m.
    """

    label_scores: dict[str, float]
    near: float = 0.55
    far: float = 10.0
    depth_weight: float = 0.05


def candidates(
    rng: np.random.Generator,
    size: Vector,
    footprints: list[Rect],
    count: int,
    lens: tuple[int, int, float],
) -> list[Camera]:
    """Random hand-held cameras inside a room, away from furniture.

    Args:
        rng: draws them.
        size: of the room: width, height, depth.
        footprints: taken floor (x0, z0, x1, z1).
        count: how many to find, at most.
        lens: image width and height in pixels, focal length in pixels.
    """
    found: list[Camera] = []
    width, _, depth = size
    for _ in range(40 * count):
        if len(found) == count:
            break
        x, z = float(rng.uniform(0.25, width - 0.25)), float(rng.uniform(0.25, depth - 0.25))
        if any(a - 0.12 < x < c + 0.12 and b - 0.12 < z < d + 0.12 for a, b, c, d in footprints):
            continue
        target = (float(rng.uniform(0.5, width - 0.5)), float(rng.uniform(0.5, depth - 0.5)))
        dx, dz = target[0] - x, target[1] - z
        if math.hypot(dx, dz) < 1.0:
            continue
        height = float(rng.uniform(0.9, 1.8))
        pitch = math.radians(float(rng.uniform(-26, 6)) + (1.35 - height) * 8)
        roll = math.radians(float(np.clip(rng.normal(0, 1.6), -4, 4)))
        found.append(Camera((x, height, z), math.atan2(dx, dz), pitch, roll, *lens))
    return found


@dataclass(frozen=True)
class Look:
    """What a low-resolution look through a camera shows.

    Attributes:
        depth: (n,) metres.
        shares: share of the pixels by label name.
        things: number of different objects.
    """

    depth: Float[np.ndarray, " n"]
    shares: dict[str, float]
    things: int


def view_score(look: Look, taste: Taste) -> float:
    """How good a view is: varied, not all wall, with rare things in it, neither pressed to something nor empty."""
    shares = look.shares
    values = np.array([share for share in shares.values() if share > 0.003])
    score = float(-(values * np.log(values)).sum()) + 0.05 * len(values) + 0.025 * min(look.things, 45)
    score -= 2.5 * max(0.0, shares.get("wall", 0.0) - 0.35) + 2.0 * max(0.0, shares.get("window", 0.0) - 0.12)
    score -= 2.0 * max(0.0, float(values.max()) - 0.4) + 2.0 * max(0.0, shares.get("door", 0.0) - 0.1)
    near, middle, far = np.percentile(look.depth, [1, 50, 99])
    score -= 4.0 * max(0.0, taste.near - float(near)) + 1.2 * max(0.0, 1.6 - float(middle))
    score += taste.depth_weight * min(float(far) - 3.0, 8.0) - 2.0 * max(0.0, float(far) - taste.far)
    for label, worth in taste.label_scores.items():
        score += worth * min(1.0, shares.get(label, 0.0) / 0.06)
    return score


def choose_views(
    cameras: list[Camera],
    looks: list[Look],
    taste: Taste,
    count: int,
) -> list[Camera]:
    """The best `count` cameras that differ enough from one another.

    Args:
        cameras: to choose from.
        looks: what each camera sees.
        taste: what counts.
        count: how many to choose, at most.
    """
    ranked = sorted(range(len(cameras)), key=lambda i: -view_score(looks[i], taste))
    chosen: list[Camera] = []
    for camera in (cameras[i] for i in ranked):
        if len(chosen) == count:
            break
        if all(_differ(camera, other) for other in chosen):
            chosen.append(camera)
    return chosen


def _differ(a: Camera, b: Camera) -> bool:
    turn = abs((a.yaw - b.yaw + math.pi) % (2 * math.pi) - math.pi)
    distance = math.hypot(a.origin[0] - b.origin[0], a.origin[2] - b.origin[2])
    return math.degrees(turn) > 45 or (math.degrees(turn) > 20 and distance > 1.2)
