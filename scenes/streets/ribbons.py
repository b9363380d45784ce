"""Strips along a road: lanes, kerbs, sidewalks, verges, walls."""

import numpy as np
from numpy.typing import ArrayLike

from scenes.streets.geometry import WHITE, Array, Colour, Curve, grid
from scenes.streets.labels import ROAD
from scenes.streets.world import Street


def along(start: float, end: float, step: float = 2.0) -> Array:
    """Places from start to end, `step` metres apart, both ends included."""
    return np.append(np.arange(start, end, step), end)


def strip(
    street: Street,
    curve: Curve,
    s: Array,
    across: tuple[ArrayLike, ArrayLike],
    height: tuple[float, float],
    surface: tuple[str, int, tuple[float, float]],
    *,
    uv_origin: float = 0.0,
    colour: Colour = WHITE,
    rough: float = 0.0,
) -> None:
    """Add a strip along s.

    Args:
        street: gets the triangles.
        curve: the road.
        s: (n,) places along it.
        across: both edges as distances from the middle line (numbers, or one for each s).
        height: of both edges above the road.
        surface: material, label, metres of one repeat of its texture across and along.
        uv_origin: distance from the middle line where the texture begins.
        colour: sRGB factor.
        rough: standard deviation of bumps, metres.
    """
    material, label, (repeat_across, repeat_along) = surface
    t0, t1 = (np.broadcast_to(np.asarray(edge, float), s.shape) for edge in across)
    width, rise = float(np.abs(t1 - t0).max()), abs(height[1] - height[0])
    parts = max(2, int(width)) if rough else max(1, int(width / 3))
    fraction = np.linspace(0, 1, parts + 1)
    t = t0[:, None] + (t1 - t0)[:, None] * fraction
    z = np.broadcast_to(height[0] + (height[1] - height[0]) * fraction, t.shape)
    if rough:
        # Both edges stay where the neighbours begin.
        z = z + rough * street.rng.normal(size=t.shape) * np.minimum(1, np.minimum(fraction, 1 - fraction)[None] * 8)
    places = np.broadcast_to(s[:, None], t.shape)
    first = t - uv_origin if rise < width else z
    corners, uv = grid(curve.point(places, t, z), np.stack([first / repeat_across, places / repeat_along], -1))
    street.soup(material).quads(corners, uv, label, colour)


def paint(street: Street, curve: Curve, s: float, t: float, length: float, width: float) -> None:
    """A rectangle of road paint whose near left corner is at (s, t)."""
    places, across = np.meshgrid(np.linspace(s, s + length, max(2, int(length / 2) + 1)), [t, t + width], indexing="ij")
    offset = street.rng.random(2)
    uv = np.stack([(across - t) / 1.2 + offset[0], (places - s) / 1.2 + offset[1]], -1)
    corners, uv = grid(curve.point(places, across, 0.006), uv)
    street.soup("paint").quads(corners, uv, ROAD)
