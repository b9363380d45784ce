"""Trees, bushes and hedges, and what the season does to them."""

import numpy as np

from scenes.streets import fleet
from scenes.streets.geometry import Array, Colour, Curve, grid, upright
from scenes.streets.labels import VEGETATION
from scenes.streets.world import Street

LEAF_COLOURS: dict[str, tuple[Colour | None, ...]] = {
    "spring": ((0.50, 0.80, 0.22), (0.62, 0.80, 0.26), (0.55, 0.75, 0.30), (0.70, 0.78, 0.40)),
    "summer": ((0.42, 0.70, 0.25), (0.36, 0.62, 0.22), (0.45, 0.68, 0.20), (0.33, 0.52, 0.22)),
    "autumn": (
        (0.85, 0.62, 0.12),
        (0.80, 0.40, 0.12),
        (0.55, 0.24, 0.10),
        (0.60, 0.58, 0.20),
        (0.72, 0.50, 0.20),
    ),
    "winter": ((0.50, 0.36, 0.20), (0.42, 0.30, 0.18)),
}
EVERGREEN = {"S366", "S382"}
"""Cypress and pine keep their needles as they are."""
FREQUENCY = {
    "S351": 1.0,
    "S353": 1.2,
    "S365": 1.8,
    "S366": 0.4,
    "S375": 1.0,
    "S378": 1.8,
    "S382": 1.2,
    "S394": 1.6,
}


def choose_trees(street: Street) -> None:
    """The three kinds that grow in this street, and the colour of each kind's leaves."""
    rng = street.rng
    weights = np.array(list(FREQUENCY.values()))
    street.trees = [str(kind) for kind in rng.choice(list(FREQUENCY), 3, replace=False, p=weights / weights.sum())]
    colours = LEAF_COLOURS[street.light.season]
    for kind in FREQUENCY:
        colour = colours[rng.integers(len(colours))]
        street.tints[kind] = None if kind in EVERGREEN else colour


def plant_tree(street: Street, point: Array, height: float) -> None:
    """A tree of one of the street's kinds with its foot at a world point, unless the ground is taken."""
    rng = street.rng
    kind = str(rng.choice(street.trees))
    yaw, wider = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.15)
    bare = street.light.season == "winter" and kind not in EVERGREEN and rng.random() < 0.8
    if not street.occupancy.claim_disc(point, 0.45):
        return
    pose = upright(point[0], point[1], point[2], yaw, height / fleet.models()[kind].height)
    pose[:3, 0] *= wider
    street.place(kind, pose, paint=street.tints[kind], bare=bool(bare))


def hedge(street: Street, curve: Curve, sign: int, span: tuple[float, float], t: float) -> None:
    """A clipped hedge along a road, `t` metres from its middle."""
    rng = street.rng
    height, width = rng.uniform(0.8, 2.0), rng.uniform(0.6, 0.9)
    s = np.linspace(*span, max(3, int((span[1] - span[0]) / 0.22)))
    profile = np.array(
        [
            (0, 0),
            (-0.02, height * 0.3),
            (0, height * 0.65),
            (0.04, height * 0.95),
            (width * 0.5, height * 1.03),
            (width - 0.04, height * 0.95),
            (width, height * 0.5),
            (width, 0),
        ]
    )
    places = np.broadcast_to(s[:, None], (len(s), len(profile)))
    bumps = rng.normal(0, 0.035, (*places.shape, 2)) * (np.arange(len(profile)) > 0)[None, :, None]
    across = sign * (t + profile[None, :, 0] + bumps[..., 0])
    points = curve.point(places, across, 0.1 + profile[None, :, 1] + bumps[..., 1])
    around = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    corners, uv = grid(points, np.stack([places / 1.6, np.broadcast_to(around / 1.6, places.shape)], -1))
    street.soup("hedge").quads(corners, uv, VEGETATION)


def bushes(street: Street, curve: Curve, sign: int, span: tuple[float, float], t: float) -> None:
    """A row of bushes along a road."""
    rng = street.rng
    for s in np.arange(span[0] + 0.8, span[1] - 0.5, rng.uniform(1.2, 2.2)):
        x, y, z = curve.point(s, sign * (t + 0.6), 0.05)
        yaw = float(curve.heading(s)) + (np.pi / 2 if rng.random() < 0.8 else 0)
        street.place(str(rng.choice(["S339", "S347", "S334"])), upright(x, y, z, yaw, rng.uniform(0.75, 1.1)))


def bush(street: Street, point: Array) -> None:
    """A single bush in a garden."""
    rng = street.rng
    x, y, z = point
    street.place(str(rng.choice(["S339", "S334"])), upright(x, y, z, rng.uniform(0, 6), rng.uniform(0.7, 1.2)))
