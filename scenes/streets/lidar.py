"""A simulated Velodyne HDL-64E on the roof of the camera's car."""

from typing import Protocol

import numpy as np

from scenes.streets.geometry import Array

ELEVATIONS = np.radians(np.concatenate([2 - np.arange(32) / 3, -8.83 - np.arange(32) / 2]))
"""Two blocks of 32 lasers."""
AZIMUTHS = np.radians(np.arange(-43, 43.01, 0.1728 * 1242 / 416))
"""The step of KITTI's 10 Hz scans times 1242/416, so that the scan is as dense in the image as KITTI's is."""
POSITION = np.array([0.0, -0.08, -0.27])
"""In the axes of the left camera: 8 cm above and 27 cm behind, metres."""
NOISE, LOST, LOST_ON_GLASS = 0.02, 0.02, 0.5
NEAREST, FARTHEST = 0.9, 120.0


class Caster(Protocol):
    """What answers rays: see `render.Scene`."""

    def cast(self, origin: Array, directions: Array) -> tuple[Array, Array, Array, Array]:
        """Distance (0 = nothing), label, instance, glass of rays from one point."""
        ...


def beams() -> Array:
    """(64, n, 3) unit vectors in the left camera's axes."""
    elevation, azimuth = ELEVATIONS[:, None], AZIMUTHS[None]
    across = np.cos(elevation)
    down = np.broadcast_to(-np.sin(elevation), (len(ELEVATIONS), len(AZIMUTHS)))
    return np.stack([across * np.sin(azimuth), down, across * np.cos(azimuth)], -1)


def scan(scene: Caster, pose: Array, rng: np.random.Generator) -> Array:
    """(64, n) float32 ranges in metres; 0 = no echo: 2 % are lost at random, half of those on glass."""
    directions = beams()
    origin = pose[:3, :3] @ POSITION + pose[:3, 3]
    distance, _, _, glass = scene.cast(origin, directions.reshape(-1, 3) @ pose[:3, :3].T)
    lost = rng.random(len(distance)) < np.where(glass, LOST_ON_GLASS, LOST)
    lost |= (distance > FARTHEST) | (distance < NEAREST)
    noisy = np.maximum(distance + rng.normal(0, NOISE, len(distance)), NEAREST)
    return np.where(lost, 0, noisy).reshape(directions.shape[:2]).astype(np.float32)
