"""Which ground is taken: oriented rectangles that may move, tested for overlap in every frame."""

import numpy as np
from numpy.typing import NDArray

from scenes.streets.geometry import Array


class Occupancy:
    """Footprints of everything solid; nothing may be put where something already is in any frame.

    Args:
        frames: number of frames; poses with one entry stand still.
    """

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self._centres = np.zeros((0, frames, 2))
        self._axes = np.zeros((0, frames, 2, 2))
        self._halves = np.zeros((0, 2))

    def __len__(self) -> int:
        return len(self._centres)

    def free(self, poses: Array, size: tuple[float, float], margin: float = 0.3) -> bool:
        """Whether a footprint of `size` (x, y metres), grown by `margin` on all sides, touches nothing."""
        if not len(self):
            return True
        centre, axes, half = self._footprint(poses, size, margin)
        return not bool(_overlap(centre, axes, half, self._centres, self._axes, self._halves).any())

    def take(self, poses: Array, size: tuple[float, float]) -> None:
        """Mark the footprint of poses (frames or 1, 4, 4) as taken."""
        centre, axes, half = self._footprint(poses, size, 0.0)
        self._centres = np.concatenate([self._centres, centre[None]])
        self._axes = np.concatenate([self._axes, axes[None]])
        self._halves = np.concatenate([self._halves, half[None]])

    def claim(self, poses: Array, size: tuple[float, float], margin: float = 0.3) -> bool:
        """`free`, and `take` if so."""
        if not self.free(poses, size, margin):
            return False
        self.take(poses, size)
        return True

    def claim_disc(self, point: Array, radius: float) -> bool:
        """`claim` for something round that stands still at a world point, without any margin."""
        pose = np.eye(4)
        pose[:2, 3] = point[:2]
        return self.claim(pose[None], (2 * radius, 2 * radius), 0.0)

    def _footprint(self, poses: Array, size: tuple[float, float], margin: float) -> tuple[Array, Array, Array]:
        poses = np.broadcast_to(poses, (self.frames, 4, 4))
        axes = np.swapaxes(poses[:, :2, :2], 1, 2)
        axes = axes / np.linalg.norm(axes, axis=-1, keepdims=True)
        return poses[:, :2, 3], axes, np.array(size) / 2 + margin


def _overlap(centre: Array, axes: Array, half: Array, others: Array, axes2: Array, halves: Array) -> NDArray[np.bool_]:
    """Separating-axis test of one moving rectangle with n others: (n,) whether they overlap in any frame."""
    gap = others - centre
    corner = np.einsum("fij,nfkj->nfik", axes, axes2)
    # Along each axis: distance of the centres against the sum of both extents.
    along = np.abs(np.einsum("fij,nfj->nfi", axes, gap))
    apart = along > half + np.einsum("nfik,nk->nfi", np.abs(corner), halves)
    along2 = np.abs(np.einsum("nfkj,nfj->nfk", axes2, gap))
    apart2 = along2 > halves[:, None] + np.einsum("nfik,i->nfk", np.abs(corner), half)
    return (~(apart.any(-1) | apart2.any(-1))).any(-1)
