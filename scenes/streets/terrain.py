"""The ground far away, and woods and hills around the scene."""

import numpy as np

from scenes.streets.geometry import grid
from scenes.streets.labels import TERRAIN, VEGETATION
from scenes.streets.world import Street

RINGS = ((175.0, 11.0), (215.0, 20.0))
"""Radius and height of the woods, metres."""


def lay_backdrop(street: Street) -> None:
    """Two rings of textured wood and a plain under everything."""
    rng, curve = street.rng, street.curve
    middle = curve.point(85.0, 0.0)
    count = 160
    for radius, height in RINGS:
        angle = np.linspace(0, 2 * np.pi, count + 1)
        wobble = 1 + 0.06 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.03 * np.sin(7 * angle)
        profile = np.convolve(np.tile(rng.normal(0, 1, count), 3), np.ones(4) / 4, "same")[count : 2 * count]
        top = height * rng.uniform(0.7, 1.5) * (1 + 0.22 * np.append(profile, profile[0]))
        x = middle[0] + radius * wobble * np.cos(angle)
        y = middle[1] + radius * wobble * np.sin(angle)
        points = np.stack([np.stack([x, y, 0 * x - 12], -1), np.stack([x, y, top + 4], -1)])
        across = np.broadcast_to(angle * radius / 14, (2, count + 1))
        corners, uv = grid(points, np.stack([across, np.stack([0 * angle, (top + 16) / 14])], -1))
        street.soup("wood").quads(corners, uv, VEGETATION)
    x, y = np.meshgrid(np.linspace(-300, 300, 31), np.linspace(-300, 300, 31), indexing="ij")
    # Lower than the lowest point of the road.
    level = min(0.0, float(curve.z.min())) - 0.45
    points = np.stack([middle[0] + x, middle[1] + y, np.full_like(x, level)], -1)
    corners, uv = grid(points, np.stack([x, y], -1) / 6)
    street.soup("grass").quads(corners, uv, TERRAIN)
