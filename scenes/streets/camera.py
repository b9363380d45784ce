"""Pinhole cameras in axes x right, y down, z forward; pixel centres are at integers, as in the readers."""

from dataclasses import dataclass

import numpy as np

from scenes.streets.geometry import Array

KITTI_FOCAL, KITTI_CX, KITTI_CY, KITTI_SIZE = 721.5377, 609.5593, 172.854, (1242, 375)
"""KITTI's rectified colour camera, whose pixel centres are at integers."""


@dataclass(frozen=True)
class Camera:
    """Size and intrinsics in pixels; square pixels."""

    width: int
    height: int
    focal: float
    cx: float
    cy: float

    @property
    def intrinsics(self) -> Array:
        """(3, 3) matrix."""
        return np.array([[self.focal, 0, self.cx], [0, self.focal, self.cy], [0, 0, 1.0]])

    def rays(self) -> tuple[Array, Array]:
        """(h * w, 3) unit directions through the pixel centres, (h * w,) cosines with the optical axis."""
        x, y = np.meshgrid(np.arange(self.width), np.arange(self.height))
        flat = np.stack([(x - self.cx) / self.focal, (y - self.cy) / self.focal, np.ones(x.shape)], -1).reshape(-1, 3)
        length = np.linalg.norm(flat, axis=1)
        return flat / length[:, None], 1 / length

    def unproject(self, depth: Array, pose: Array) -> Array:
        """(h * w, 3) world points of a planar depth map (h, w)."""
        directions, cosine = self.rays()
        points = directions * (depth.ravel() / cosine)[:, None]
        return points @ pose[:3, :3].T + pose[:3, 3]


def kitti_camera(width: int, height: int) -> Camera:
    """KITTI's camera scaled to another width; a scaled image's pixel (0, 0) covers several of KITTI's."""
    scale_x, scale_y = width / KITTI_SIZE[0], height / KITTI_SIZE[1]
    focal = KITTI_FOCAL * scale_x
    return Camera(width, height, focal, (KITTI_CX + 0.5) * scale_x - 0.5, (KITTI_CY + 0.5) * scale_y - 0.5)


def right_of(pose: Array, baseline: float) -> Array:
    """Pose of the right camera of a rectified pair."""
    moved = pose.copy()
    moved[:3, 3] += baseline * pose[:3, 0]
    return moved
