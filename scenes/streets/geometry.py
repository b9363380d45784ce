"""Curves and triangle soups.

The world has x east, y north, z up, in metres. A road has coordinates s along it, t to its right, z above it.
Winding does not matter: the shader turns every normal towards the eye.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Colour = tuple[float, float, float]
WHITE: Colour = (1.0, 1.0, 1.0)


class Curve:
    """A planar centre line with an elevation profile, sampled every `step` metres.

    Args:
        start, end: range of s, metres; s = 0 is at `origin`.
        curvature: 1/m as a function of s (positive turns left).
        slope: rise per metre as a function of s.
        origin: world point of s = 0.
        heading: direction of travel at s = 0, radians from x.
        step: distance between samples, metres.
    """

    def __init__(
        self,
        start: float,
        end: float,
        curvature: Callable[[Array], Array],
        slope: Callable[[Array], Array],
        origin: Sequence[float] = (0, 0, 0),
        heading: float = np.pi / 2,
        step: float = 0.5,
    ) -> None:
        self.s = np.arange(start, end + step, step)
        bend, rise = curvature(self.s), slope(self.s)
        zero = int(np.argmin(np.abs(self.s)))
        turned = _integral(bend, step)
        self.headings = heading + turned - turned[zero]
        self.slopes = rise
        x, y, z = (
            _integral(np.cos(self.headings), step),
            _integral(np.sin(self.headings), step),
            _integral(rise, step),
        )
        self.x, self.y, self.z = (values - values[zero] + o for values, o in zip((x, y, z), origin, strict=True))

    def heading(self, s: ArrayLike) -> Any:
        """Direction of travel at s, radians."""
        return np.interp(np.asarray(s, float), self.s, self.headings)

    def point(self, s: ArrayLike, t: ArrayLike, z: ArrayLike = 0.0) -> Array:
        """(..., 3) world points."""
        along, across, above = np.broadcast_arrays(np.asarray(s, float), t, z)
        heading = self.heading(along)
        x = np.interp(along, self.s, self.x) + across * np.sin(heading)
        y = np.interp(along, self.s, self.y) - across * np.cos(heading)
        return np.stack([x, y, np.interp(along, self.s, self.z) + above], -1)

    def pose(self, s: float, t: float, z: float = 0.0, turn: float = 0.0) -> Array:
        """(4, 4) object-to-world: +y along the road, tilted with its slope; `turn` is extra yaw, radians."""
        angle = float(self.heading(s)) - np.pi / 2 + turn
        slope = float(np.interp(s, self.s, self.slopes)) * np.cos(turn)
        forward = np.array([-np.sin(angle), np.cos(angle), slope])
        forward /= np.linalg.norm(forward)
        right = np.array([np.cos(angle), np.sin(angle), 0.0])
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = right, forward, np.cross(right, forward)
        matrix[:3, 3] = self.point(s, t, z)
        return matrix


def _integral(values: Array, step: float) -> Array:
    return np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * step)])


def upright(x: float, y: float, z: float, yaw: float, scale: float = 1.0) -> Array:
    """(4, 4) transform: scaled, turned about the vertical by `yaw` radians, moved."""
    matrix = np.eye(4)
    c, s = np.cos(yaw) * scale, np.sin(yaw) * scale
    matrix[:3] = [[c, -s, 0, x], [s, c, 0, y], [0, 0, scale, z]]
    return matrix


def translation(x: float, y: float, z: float) -> Array:
    """(4, 4) transform that moves."""
    return upright(x, y, z, 0.0)


def move(points: Array, pose: Array) -> Array:
    """Points (..., 3) of an object in the world."""
    return points @ pose[:3, :3].T + pose[:3, 3]


class Soup:
    """Triangles of one material, each with a label and an instance number."""

    def __init__(self) -> None:
        self._points: list[Array] = []
        self._uv: list[Array] = []
        self._colours: list[Array] = []
        self._labels: list[NDArray[np.uint8]] = []

    def quads(self, corners: ArrayLike, uv: ArrayLike, label: int, colour: ArrayLike = WHITE) -> None:
        """Add quads: corners (m, 4, 3) in order around, uv (m, 4, 2)."""
        order = [0, 1, 2, 0, 2, 3]
        points = np.asarray(corners, np.float32).reshape(-1, 4, 3)[:, order]
        coordinates = np.asarray(uv, np.float32).reshape(-1, 4, 2)[:, order]
        self.triangles(points.reshape(-1, 3), coordinates.reshape(-1, 2), label, colour)

    def triangles(self, points: ArrayLike, uv: ArrayLike, label: int, colour: ArrayLike = WHITE) -> None:
        """Add triangles: points (3n, 3), uv (3n, 2); `colour` is sRGB 0..1."""
        points = np.asarray(points, np.float32)
        count = len(points) // 3
        self._points.append(points)
        self._uv.append(np.asarray(uv, np.float32))
        self._colours.append(np.repeat(np.asarray(colour, np.float32)[None], 3 * count, 0))
        self._labels.append(np.full(count, label, np.uint8))

    def arrays(self) -> tuple[Array, Array, Array, Array, NDArray[np.uint8]]:
        """(3n, 3) points, normals, (3n, 2) uv, (3n, 3) colours, (n,) labels."""
        points, uv, colours = (np.concatenate(part) for part in (self._points, self._uv, self._colours))
        normals = np.cross(points[1::3] - points[::3], points[2::3] - points[::3])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return points, np.repeat(normals, 3, 0), uv, colours, np.concatenate(self._labels)


def grid(points: Array, uv: Array) -> tuple[Array, Array]:
    """Quads of a grid of points (a, b, 3) and uv (a, b, 2): corners (m, 4, 3), uv (m, 4, 2)."""
    return _quads_of(points), _quads_of(uv)


def _quads_of(values: Array) -> Array:
    around = [values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1]]
    return np.stack(around, 2).reshape(-1, 4, values.shape[-1])


def box(
    size: ArrayLike, pose: Array | None = None, centre: ArrayLike = (0, 0, 0), uv_scale: float = 1.0
) -> tuple[Array, Array]:
    """Corners (6, 4, 3) of a box and uv (6, 4, 2) in metres times `uv_scale`."""
    half = np.asarray(size, float) / 2
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    corners, coordinates = np.zeros((6, 4, 3)), np.zeros((6, 4, 2))
    for axis in range(3):
        u, v = [(1, 2), (0, 2), (0, 1)][axis]
        for side in (0, 1):
            face = 2 * axis + side
            corners[face][:, axis] = half[axis] * (2 * side - 1)
            corners[face][:, [u, v]] = square * half[[u, v]]
            coordinates[face] = (square + 1) * half[[u, v]] * uv_scale
    corners += np.asarray(centre, float)
    return (corners if pose is None else move(corners, pose)), coordinates


def tube(
    start: ArrayLike, end: ArrayLike, radius: float, end_radius: float | None = None, sides: int = 8
) -> tuple[Array, Array]:
    """Corners and uv of a tapered cylinder with a cap at its end."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    last = radius if end_radius is None else end_radius
    length = float(np.linalg.norm(b - a))
    axis = (b - a) / max(length, 1e-9)
    first = np.cross(axis, [0, 0, 1] if abs(axis[2]) < 0.9 else [1, 0, 0])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    around, along = np.broadcast_arrays(angle[None] * radius, np.array([[0.0], [length]]))
    corners, uv = grid(np.stack([a + ring * radius, b + ring * last]), np.stack([around, along], -1))
    cap = np.array([[b, b + ring[i] * last, b + ring[i + 1] * last, b] for i in range(sides)])
    return np.concatenate([corners, cap]), np.concatenate([uv, np.zeros((sides, 4, 2))])


def plate(sides: int, radius: float, thickness: float = 0.02, turn: float = 0.0) -> tuple[Array, Array, Array]:
    """A flat polygon in the xz plane facing -y: front (n, 4, 3), its uv in 0..1, and back."""
    angle = np.linspace(0, 2 * np.pi, sides + 1) + turn
    ring = np.stack([np.sin(angle) * radius, 0 * angle, np.cos(angle) * radius], -1)
    ring_uv = np.stack([0.5 + np.sin(angle) / 2, 0.5 + np.cos(angle) / 2], -1)
    middle, middle_uv = np.zeros(3), np.full(2, 0.5)
    front = np.array([[middle, ring[i + 1], ring[i], middle] for i in range(sides)])
    uv = np.array([[middle_uv, ring_uv[i + 1], ring_uv[i], middle_uv] for i in range(sides)])
    return front, uv, front + np.array([0, thickness, 0])
