"""Triangle meshes of the rooms: plain arrays, metres, y up; every triangle has its own three corners."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

# Plain numbers, whole ones included.
Real = float | int
Pair = tuple[Real, Real]
Vector = tuple[Real, Real, Real]
Rect = tuple[Real, Real, Real, Real]
NEXT, LAST = [1, 2, 0], [2, 0, 1]  # the axes of a cross product


@dataclass(frozen=True)
class Mesh:
    """A triangle soup.

    Attributes:
        positions: (3n, 3) float32 metres, three consecutive rows a triangle.
        normals: (3n, 3) float32 unit shading normals.
        uv: (3n, 2) float32 texture coordinates, v upwards.
    """

    positions: Float32[np.ndarray, "corners 3"]
    normals: Float32[np.ndarray, "corners 3"]
    uv: Float32[np.ndarray, "corners 2"]

    @property
    def triangles(self) -> int:
        """How many."""
        return len(self.positions) // 3

    def placed(self, position: Vector, yaw: Real = 0.0, scale: Real = 1.0) -> "Mesh":
        """Scale, turn about the vertical axis by `yaw` radians, then move to `position`."""
        turn = rotation_y(yaw)
        moved = (self.positions * np.float32(scale)) @ turn.T + np.asarray(position, np.float32)
        return Mesh(moved.astype(np.float32), (self.normals @ turn.T).astype(np.float32), self.uv)


def rotation_y(yaw: Real) -> Float32[np.ndarray, "3 3"]:
    """(3, 3) float32 rotation that turns +z towards +x by `yaw` radians."""
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def concatenate(meshes: list[Mesh]) -> Mesh:
    """One mesh of several."""
    return Mesh(
        np.concatenate([mesh.positions for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


def quad(corners: Float[np.ndarray, "4 3"], uv: Float[np.ndarray, "4 2"] | None = None) -> Mesh:
    """Two triangles from four corners given anticlockwise as seen from the front; `uv` defaults to the unit square."""
    corners = np.asarray(corners, np.float32)
    if uv is None:
        uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    a, b = corners[1] - corners[0], corners[3] - corners[0]
    normal = a[NEXT] * b[LAST] - a[LAST] * b[NEXT]  # what np.cross computes, in a third of its time
    normal /= np.linalg.norm(normal)
    order = [0, 1, 2, 0, 2, 3]
    return Mesh(corners[order], normal[None].repeat(6, axis=0), np.asarray(uv, np.float32)[order])


def rectangle(center: Vector, size: Pair, axis: int, sign: int) -> Mesh:
    """Axis-aligned rectangle facing `sign` along `axis` (0 x, 1 y, 2 z); texture coordinates in metres.

    `size` is (horizontal, vertical) for walls and (x, z) for floors and ceilings.
    """
    u_axis, v_axis = {0: (2, 1), 1: (0, 2), 2: (0, 1)}[axis]
    corners = np.tile(np.asarray(center, np.float32), (4, 1))
    a, b = size[0] / 2, size[1] / 2
    corners[:, u_axis] += [-a, a, a, -a]
    corners[:, v_axis] += [-b, -b, b, b]
    uv = np.array([[0, 0], [2 * a, 0], [2 * a, 2 * b], [0, 2 * b]], np.float32)
    mesh = quad(corners, uv)
    if mesh.normals[0, axis] * sign < 0:
        mesh = quad(corners[::-1], uv[::-1])
    return mesh


def box(center: Vector, size: Vector) -> Mesh:
    """Axis-aligned box of twelve triangles, faces outwards; texture coordinates in metres on every face."""
    faces = []
    for axis in range(3):
        u_axis, v_axis = {0: (2, 1), 1: (0, 2), 2: (0, 1)}[axis]
        for sign in (-1, 1):
            middle = list(center)
            middle[axis] += sign * size[axis] / 2
            faces.append(rectangle((middle[0], middle[1], middle[2]), (size[u_axis], size[v_axis]), axis, sign))
    return concatenate(faces)


def grid_surface(points: Float[np.ndarray, "r c 3"], uv: Float[np.ndarray, "r c 2"]) -> Mesh:
    """Smooth surface through an (r, c, 3) grid of points with (r, c, 2) texture coordinates."""
    du = np.gradient(points, axis=1)
    dv = np.gradient(points, axis=0)
    normal = np.cross(du, dv)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)

    def corners(values: np.ndarray) -> np.ndarray:
        a, b, c, d = values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1]
        return np.stack([a, b, c, a, c, d], axis=2).reshape(-1, values.shape[-1]).astype(np.float32)

    return Mesh(corners(points), corners(normal), corners(uv))


def curtain(width: Real, height: Real, folds: int, amplitude: Real, phase: Real) -> Mesh:
    """Wavy cloth hanging from y = `height` to 0, centred on x = 0, folds along z."""
    x = np.linspace(-width / 2, width / 2, 6 * folds + 1)
    y = np.linspace(0, height, 3)
    grid_x, grid_y = np.meshgrid(x, y)
    wave = np.sin(2 * math.pi * folds * (grid_x / width) + phase) * amplitude * (1 - 0.25 * grid_y / height)
    return grid_surface(np.stack([grid_x, grid_y, wave], -1), np.stack([grid_x, grid_y], -1))


def pillow(width: Real, height: Real, thickness: Real) -> Mesh:
    """A cushion lying on y = 0: a superellipse in plan, thin at its border."""
    a = np.linspace(-1, 1, 9)
    grid_x, grid_z = np.meshgrid(a, a)
    bulge = np.clip((1 - grid_x**4) * (1 - grid_z**4), 0, 1) ** 0.5
    plan_x, plan_z = grid_x * (1 - 0.08 * grid_z**2) * width / 2, grid_z * (1 - 0.08 * grid_x**2) * height / 2
    uv = np.stack([grid_x * width / 2, grid_z * height / 2], -1)
    top = np.stack([plan_x, thickness / 2 * (1 + bulge), plan_z], -1)
    bottom = np.stack([plan_x, thickness / 2 * (1 - bulge), plan_z], -1)
    return concatenate([grid_surface(top[::-1], uv[::-1]), grid_surface(bottom, uv)])


def cylinder(radius: Real, height: Real, sides: int = 16) -> Mesh:
    """Upright closed cylinder standing on y = 0."""
    angle = np.linspace(0, 2 * math.pi, sides + 1)
    ring = np.stack([np.sin(angle) * radius, np.zeros_like(angle), np.cos(angle) * radius], -1)
    up = np.array([0.0, 1.0, 0.0])
    points = np.stack([ring, ring + height * up])
    uv = np.stack([np.stack([angle * radius, np.full_like(angle, level)], -1) for level in (0.0, height)])
    radial = ring / radius
    side = grid_surface(points, uv)
    smooth = np.stack([radial[:-1], radial[1:], radial[1:], radial[:-1], radial[1:], radial[:-1]], 1).reshape(-1, 3)
    side = Mesh(side.positions, smooth.astype(np.float32), side.uv)
    caps = []
    for level, sign in ((0.0, -1), (height, 1)):
        center = np.tile(level * up, (sides, 1))
        first, second = ring[:-1] + level * up, ring[1:] + level * up
        corner = np.stack([center, first, second] if sign > 0 else [center, second, first], 1).reshape(-1, 3)
        normal = np.tile(np.array([0, sign, 0], np.float32), (3 * sides, 1))
        caps.append(Mesh(corner.astype(np.float32), normal, corner[:, [0, 2]].astype(np.float32)))
    return concatenate([side, *caps])
