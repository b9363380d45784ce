"""iBims-1's annotations from exact geometry: planes of walls, floors and tables, occlusion boundaries, masks.

Coordinates are those of iBims-1's evaluation code: X right, Y forward, Z up, in metres, seen from the camera.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

# Labels (of NYU's 894) whose surfaces are annotated, by iBims-1's three kinds.
PLANE_LABELS = {"wall": ("wall",), "floor": ("floor",), "table": ("table", "desk")}
SMALLEST_PLANE = 0.005  # of the image
OFF_PLANE = 0.0015  # metres
OCCLUSION_STEP, OCCLUSION_RELATIVE = 0.03, 0.015  # metres, share of the depth


@dataclass(frozen=True)
class View3D:
    """A view with its exact geometry: what the annotations are made from.

    Attributes:
        depth: metres along the optical axis, 0 = nothing. normal: unit, room coordinates, towards the camera.
        instance, label: ids. intrinsics: pixel centres at integer coordinates. pose: camera to room.
    """

    depth: Float[np.ndarray, "h w"]
    normal: Float[np.ndarray, "h w 3"]
    instance: Int[np.ndarray, "h w"]
    label: Int[np.ndarray, "h w"]
    intrinsics: Float[np.ndarray, "3 3"]
    pose: Float[np.ndarray, "4 4"]

    def rays(self) -> Float[np.ndarray, "h w 3"]:
        """Directions with unit Y: multiplied with the depth they are the points."""
        rows, columns = np.indices(self.depth.shape)
        k = self.intrinsics
        x, z = (columns - k[0, 2]) / k[0, 0], -(rows - k[1, 2]) / k[1, 1]
        return np.stack([x, np.ones(self.depth.shape), z], -1)

    def normals(self) -> Float[np.ndarray, "h w 3"]:
        """Normals in iBims-1's coordinates."""
        x, y, z = np.moveaxis(self.normal.astype(np.float64) @ self.pose[:3, :3], -1, 0)
        unit = np.stack([x, z, -y], -1)
        return unit / np.maximum(np.linalg.norm(unit, axis=-1, keepdims=True), 1e-12)


def planes(
    view: View3D, kind: str, label_names: list[str]
) -> tuple[UInt8[np.ndarray, "h w"], Float[np.ndarray, "n 8"]]:
    """All planes of one kind, largest first.

    Args:
        view: what is annotated.
        kind: key of `PLANE_LABELS`.
        label_names: names of `view.label`.

    Returns:
        1-based plane numbers (0 = none) and rows a, b, c, d (aX + bY + cZ + d = 0), the unit normal towards the camera,
        the number of pixels.
    """
    wanted = [i for i, name in enumerate(label_names) if name in PLANE_LABELS[kind]]
    candidates = np.isin(view.label, wanted) & (view.depth > 0)
    if kind != "wall":
        candidates &= view.normal[..., 1] > 0.999
    points, normals = view.rays() * view.depth[..., None], view.normals()
    found = []
    for instance in np.unique(view.instance[candidates]):
        of_instance = candidates & (view.instance == instance)
        while np.count_nonzero(of_instance) >= SMALLEST_PLANE * of_instance.size:
            mask, row = _largest_plane(of_instance, points, normals)
            of_instance &= ~mask
            if row is None:
                break
            if row[7] >= SMALLEST_PLANE * mask.size:
                found.append((mask, row))
    found.sort(key=lambda item: -item[1][7])
    numbers = np.zeros(view.depth.shape, np.uint8)
    for number, (mask, _) in enumerate(found, 1):
        numbers[mask] = number
    return numbers, np.array([row for _, row in found]).reshape(-1, 8)


def _largest_plane(among: np.ndarray, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The plane that holds most of the pixels `among`: normal and offset that come most often."""
    keys = np.round(normals[among], 2)
    _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    common = inverse.ravel() == counts.argmax()
    parallel = np.zeros_like(among)
    parallel[among] = common
    normal = normals[parallel].mean(0)
    normal /= np.linalg.norm(normal)
    offsets = points[parallel] @ normal
    bins = np.round(offsets / OFF_PLANE).astype(np.int64)
    levels, level_counts = np.unique(bins, return_counts=True)
    offset = np.median(offsets[np.abs(bins - levels[level_counts.argmax()]) <= 1])
    mask = parallel.copy()
    mask[parallel] = np.abs(offsets - offset) < OFF_PLANE
    if not mask.any():
        return parallel, None
    d = -float(offset)
    if d < 0:
        normal, d = -normal, -d
    return mask, np.array([*normal, d, *normal, np.count_nonzero(mask)])


def occlusion_edges(view: View3D) -> UInt8[np.ndarray, "h w"]:
    """1 on pixels whose surface ends before a farther one.

    Two neighbours belong to one surface if either lies on the other's tangent plane, and to surfaces that touch if the
    two planes meet between them: neither a slanted floor nor the corner of a room is an edge.
    """
    rays, normals, depth = view.rays(), view.normals(), view.depth
    offset = np.where(depth > 0, (normals * rays).sum(-1) * depth, 1.0)
    offset = np.where(np.abs(offset) < 1e-9, 1e-9, offset)
    edges = np.zeros(depth.shape, np.uint8)
    height, width = depth.shape
    for a, b in ((np.s_[:, : width - 1], np.s_[:, 1:]), (np.s_[: height - 1], np.s_[1:])):
        both = (depth[a] > 0) & (depth[b] > 0)
        here, there = np.where(both, depth[a], 1.0), np.where(both, depth[b], 1.0)
        tolerance = np.maximum(OCCLUSION_STEP, OCCLUSION_RELATIVE * np.minimum(here, there))
        # Inverse depth is linear in the image on a plane: of a's plane at b, and of b's plane at a.
        a_at_b = (normals[a] * rays[b]).sum(-1) / offset[a]
        b_at_a = (normals[b] * rays[a]).sum(-1) / offset[b]
        meet = (1 / here - b_at_a) * (a_at_b - 1 / there) <= 0
        slanted = (np.abs(a_at_b - 1 / there) < tolerance / there**2) | (
            np.abs(b_at_a - 1 / here) < tolerance / here**2
        )
        apart = both & (np.abs(here - there) > tolerance) & ~meet & ~slanted
        edges[a] |= (apart & (here < there)).astype(np.uint8)
        edges[b] |= (apart & (here >= there)).astype(np.uint8)
    return edges
