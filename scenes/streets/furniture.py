"""Lamps, traffic signs, traffic lights, bollards, bins, guard rails."""

import numpy as np

from scenes.streets import boards, fleet
from scenes.streets.geometry import Array, Colour, Curve, move, plate, upright
from scenes.streets.labels import FENCE, LIGHT, POLE, SIGN, VOID
from scenes.streets.ribbons import along, strip
from scenes.streets.vegetation import plant_tree
from scenes.streets.world import Branch, Side, Street

METALS: tuple[Colour, ...] = ((0.30, 0.31, 0.32), (0.45, 0.46, 0.46), (0.14, 0.20, 0.17), (0.52, 0.52, 0.50))
STEEL: Colour = (0.55, 0.56, 0.57)
SIGNS = {
    "city": 14,
    "residential": 9,
    "avenue": 12,
    "rural": 6,
    "village": 7,
    "industrial": 10,
    "motorway": 5,
}
TRIMMINGS = ("K18", "K22", "K22", "S12", "K17", "K79", "box")


def furnish_side(street: Street, curve: Curve, side: Side, *, main: bool) -> None:
    """Everything on or beside one sidewalk."""
    rng, name = street.rng, street.style.name
    metal = METALS[rng.integers(len(METALS))]
    # Where posts and street trees stand.
    row = side.walk0 + (0.35 if side.verge == 0 else side.verge / 2)
    if (name != "rural" and (side.sign > 0 or rng.random() < 0.6)) or rng.random() < 0.3:
        _lamps(street, curve, side, row, metal)
    low, high = side.spans[0][0], side.spans[-1][1]
    for s in rng.uniform(low, high, SIGNS[name] if main else 4):
        if not side.near_gap(s, 0.5):
            traffic_sign(street, curve, (s, side.sign * row), int(rng.integers(8)), side.sign)
    if not main:
        return
    if street.style.walk:
        _bollards(street, curve, side, metal)
        _trimmings(street, curve, side)
    _street_trees(street, curve, side, row)
    if name == "motorway" or (name == "rural" and rng.random() < 0.5):
        start = -38.0 if name == "motorway" else rng.uniform(-20, 60)
        _guard_rail(street, curve, side, start, 195.0 if name == "motorway" else start + rng.uniform(30, 100))


def _lamps(street: Street, curve: Curve, side: Side, row: float, metal: Colour) -> None:
    rng, sign = street.rng, side.sign
    height, arm, step = rng.uniform(5, 9), rng.uniform(0.8, 2.2), rng.uniform(20, 32)
    for s in np.arange(side.spans[0][0] + rng.uniform(0, step), side.spans[-1][1], step):
        foot, head = curve.point(s, sign * row), curve.point(s, sign * (row - arm), height + 0.3)
        if side.near_gap(s, 1.5) or not street.occupancy.claim_disc(foot, 0.15):
            continue
        top = foot + np.array([0, 0, height])
        street.add_tube("matt", (foot, top), (0.085, 0.05), POLE, metal)
        street.add_tube("matt", (top, head), (0.04, 0.035), POLE, metal)
        pose = curve.pose(s, sign * (row - arm), height + 0.3)
        street.add_box("matt", (0.7, 0.28, 0.14), pose, POLE, (0.55, 0.55, 0.55))


def _bollards(street: Street, curve: Curve, side: Side, metal: Colour) -> None:
    rng = street.rng
    if rng.random() >= 0.35:
        return
    start = rng.uniform(0, 60)
    for s in np.arange(start, start + rng.uniform(15, 40), 1.6):
        foot = curve.point(s, side.sign * (side.walk0 + 0.2), 0.1)
        if not side.near_gap(s, 5.0) and street.occupancy.claim_disc(foot, 0.1):
            colour = (0.5, 0.12, 0.1) if rng.random() < 0.1 else metal
            street.add_tube("matt", (foot, foot + np.array([0, 0, 0.9])), (0.055, 0.055), POLE, colour)


def _trimmings(street: Street, curve: Curve, side: Side) -> None:
    """Bins, benches, hydrants, electrical boxes."""
    rng = street.rng
    busy = street.style.name in ("city", "residential")
    for _ in range(rng.poisson(3 if busy else 0.8)):
        s, kind = rng.uniform(0, 90), str(rng.choice(TRIMMINGS))
        t = side.sign * (side.walk1 - 0.5)
        pose = curve.pose(s, t, 0.14, side.sign * np.pi / 2)
        size = (0.5, 1.2) if kind == "box" else fleet.models()[kind].footprint
        if side.near_gap(s, 3) or not street.occupancy.claim(pose[None], size, 0.1):
            continue
        if kind == "box":
            box = (float(rng.uniform(0.6, 1.2)), 0.45, 1.1)
            street.add_box("matt", box, pose, VOID, (0.45, 0.47, 0.43), (0, 0, 0.55))
        else:
            street.place(kind, pose, VOID)


def _street_trees(street: Street, curve: Curve, side: Side, row: float) -> None:
    rng, style = street.rng, street.style
    if not style.walk and style.name != "rural":
        return
    step = rng.uniform(7, 16)
    t = side.walk0 + 0.7 if side.verge == 0 else row
    for s in np.arange(-30 + rng.uniform(0, step), 150, step):
        if rng.random() < style.trees * (0.55 if style.name == "residential" else 0.85) and not side.near_gap(s, 6):
            plant_tree(street, curve.point(s, side.sign * t, 0.1), rng.uniform(5.5, 9.5))


def _guard_rail(street: Street, curve: Curve, side: Side, start: float, end: float) -> None:
    t, sign = side.kerb + 0.5, side.sign
    rail = ("concrete", FENCE, (1.0, 3.0))
    for z0, z1, depth in ((0.45, 0.58, 0.0), (0.58, 0.62, 0.04), (0.62, 0.75, 0.0)):
        across = (sign * (t + depth), sign * t)
        strip(street, curve, along(start, end), across, (z0, z1), rail, colour=(0.8, 0.8, 0.82))
    for s in np.arange(start, end, 2.0):
        foot = curve.point(s, sign * (t + 0.08))
        street.add_tube("matt", (foot, foot + np.array([0, 0, 0.72])), (0.05, 0.05), FENCE, (0.5, 0.5, 0.52))


def traffic_sign(street: Street, curve: Curve, place: tuple[float, float], kind: int, facing: int) -> None:
    """A sign on a post at (s, t) for the traffic of the side `facing` (+1 right)."""
    rng, foot = street.rng, curve.point(*place)
    height, radius = rng.uniform(2.1, 2.7), rng.uniform(0.28, 0.36)
    if not street.occupancy.claim_disc(foot, 0.15):
        return
    yaw = float(curve.heading(place[0])) - np.pi / 2 + (0 if facing > 0 else np.pi) + rng.normal(0, 0.08)
    street.add_tube("matt", (foot, foot + np.array([0, 0, height + radius])), (0.035, 0.035), POLE, STEEL)
    pose = upright(foot[0], foot[1], foot[2] + height + 0.1, yaw)
    pose[:3, 3] -= pose[:3, 1] * 0.05
    shape = boards.SIGN_SHAPES[kind]
    if street.style.name == "motorway" or rng.random() < 0.18:
        size = (rng.uniform(0.9, 1.8), rng.uniform(0.3, 0.7))
        _board(street, pose, size, (boards.BOARD_ROW, int(rng.choice([6, 7, 6, 2]))))
    elif shape == "square":
        _board(street, pose, (0.55, 0.55), (boards.SIGN_ROW, kind))
    else:
        sides = boards.SIDES[shape]
        larger = 1.25 if sides in (3, 4) else 1.0
        front, uv, back = plate(sides, radius * larger, turn=np.pi / 8 if sides == 8 else 0)
        cell = (uv * 0.98 + 0.01) / boards.CELLS + np.array([kind / boards.CELLS, 0])
        street.soup("atlas").quads(move(front, pose), cell, SIGN)
        street.soup("matt").quads(move(back, pose), uv, SIGN, (0.5, 0.5, 0.5))


def _board(street: Street, pose: Array, size: tuple[float, float], cell: tuple[int, int]) -> None:
    x, z = size[0] / 2, size[1] / 2
    quad = np.array([[(-x, 0, -z), (x, 0, -z), (x, 0, z), (-x, 0, z)]])
    street.soup("atlas").quads(move(quad, pose), boards.cell_uv(*cell)[None], SIGN)
    back = move(quad + np.array([0, 0.02, 0]), pose)
    street.soup("matt").quads(back, np.zeros((1, 4, 2)), SIGN, (0.5, 0.5, 0.5))


def traffic_lights(street: Street, branch: Branch) -> None:
    """Two posts with lights at the mouth of a side street, some with an arm over the road."""
    rng, curve, side = street.rng, street.curve, street.sides[branch.sign]
    grey = (0.35, 0.36, 0.37)
    for end in (-1, 1):
        s, t = branch.s + end * (branch.half + 1.2), branch.sign * (side.walk0 + 0.3 + side.gaps[0].radius)
        foot = curve.point(s, t)
        height = rng.uniform(3.1, 3.5)
        if not street.occupancy.claim_disc(foot, 0.15):
            continue
        heads, top = [foot + np.array([0, 0, height - 0.5])], foot + np.array([0, 0, height])
        street.add_tube("matt", (foot, top), (0.07, 0.07), POLE, grey)
        if rng.random() < 0.5:
            mast = foot + np.array([0, 0, 5.2])
            arm = curve.point(s, t - branch.sign * rng.uniform(2.5, 4), 5.3)
            street.add_tube("matt", (top, mast), (0.08, 0.07), POLE, grey)
            street.add_tube("matt", (mast, arm), (0.06, 0.05), POLE, grey)
            heads.append(arm)
        lit = int(rng.integers(2)) * 2
        for head in heads:
            for turn, on in ((0.0, lit), (np.pi / 2 * branch.sign, 2 - lit)):
                yaw = float(curve.heading(s)) - np.pi / 2 + turn + (np.pi if end > 0 else 0)
                _light(street, upright(head[0], head[1], head[2], yaw), on)


def _light(street: Street, pose: Array, on: int) -> None:
    pose = pose.copy()
    pose[:3, 3] -= pose[:3, 1] * 0.12
    street.add_box("matt", (0.34, 0.2, 0.95), pose, LIGHT, (0.12, 0.13, 0.13))
    for i, colour in enumerate(((1.0, 0.08, 0.05), (0.9, 0.6, 0.05), (0.05, 0.8, 0.35))):
        front, uv, _ = plate(12, 0.105)
        lens = pose.copy()
        lens[:3, 3] += pose[:3, 2] * (0.3 - 0.3 * i) - pose[:3, 1] * 0.104
        strength = np.array(colour) * (1 if i == on else 0.12)
        street.soup("lamp" if i == on else "matt").quads(move(front, lens), uv, LIGHT, strength)
