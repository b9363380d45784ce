"""Rows of plots along a road: houses, gardens, their boundaries, trees between and behind them."""

import numpy as np

from scenes.streets import traffic, vegetation
from scenes.streets.geometry import Colour, Curve
from scenes.streets.houses import build_house
from scenes.streets.labels import FENCE, SIDEWALK, TERRAIN, WALL
from scenes.streets.ribbons import along, strip
from scenes.streets.world import Side, Street

BOUNDARIES = ("hedge", "fence", "wall", "none", "bushes")
FENCES: tuple[Colour, ...] = ((0.75, 0.74, 0.70), (0.16, 0.17, 0.17), (1.0, 1.0, 1.0))


def fill_side(street: Street, curve: Curve, side: Side, *, main: bool) -> None:
    """Plots from the beginning of a side to 165 m (75 m on side streets)."""
    rng, family = street.rng, street.style.family
    # The first house of a side street stands behind those of the main road.
    s = side.spans[0][0] + rng.uniform(0, 6) + (0 if main else 16)
    end = min(side.spans[-1][1], 165 if main else 75)
    yard = 0.0 if street.style.name == "city" else street.style.setback
    while s < end:
        length = rng.uniform(*family.length)
        gap = 0.0 if rng.random() < family.no_gap else rng.uniform(*family.gap)
        free = _free_length(side, s, length, 2.7 + yard)
        if free < 7:
            hit = next(g for g in side.gaps if g.s + g.half > s)
            s = hit.s + hit.half + 2.71 + yard
            continue
        length = min(length, free)
        _plot(street, curve, side, s, length, gap, main=main)
        s += length + gap
    _background(street, curve, side, main=main)


def _free_length(side: Side, s: float, length: float, margin: float) -> float:
    """How much of s .. s + length lies before the next side street."""
    for gap in side.gaps:
        if s + length > gap.s - gap.half - margin and s < gap.s + gap.half + margin:
            return gap.s - gap.half - margin - s
    return length


def _plot(street: Street, curve: Curve, side: Side, s: float, length: float, gap: float, *, main: bool) -> None:
    rng, style, sign = street.rng, street.style, side.sign
    urban = style.name == "city"
    depth = rng.uniform(9, 14)
    offset = rng.uniform(0, 0.4) if urban else rng.uniform(0, min(2.5, 0.5 * style.setback))
    house = rng.random() < style.family.density
    if house:
        pose = curve.pose(s + length / 2, sign * (side.front + offset + depth / 2), 0.1, sign * np.pi / 2)
        house = street.occupancy.claim(pose[None], (length, depth), -0.2)
    if house:
        build_house(street, pose, length, depth)
        if not urban:
            _garden(street, curve, side, (s - gap / 2, s + length + gap / 2), side.front + offset)
    else:
        for _ in range(rng.integers(2, 8) if style.name in ("rural", "motorway") else rng.integers(1, 6)):
            q = rng.uniform(s, s + length)
            if not side.near_gap(q, 3):
                t = side.front + rng.uniform(0, 16)
                vegetation.plant_tree(street, curve.point(q, sign * t), rng.uniform(5, 11))
        if urban and length > 8 and main:
            boundary(street, curve, sign, (s, s + length), side.walk1 + 0.3, "wall")
    if not urban and rng.random() < 0.8 and not side.near_gap(s - gap / 2, 3):
        for _ in range(rng.integers(1, 3)):
            q, t = s - gap / 2 + rng.uniform(-1, 1), side.front + rng.uniform(0, 12)
            vegetation.plant_tree(street, curve.point(q, sign * t), rng.uniform(4, 9))


def _background(street: Street, curve: Curve, side: Side, *, main: bool) -> None:
    rng, name = street.rng, street.style.name
    scattered = name in ("rural", "motorway")
    for q in rng.uniform(side.spans[0][0], side.spans[-1][1], street.style.family.background if main else 4):
        t = side.walk1 + 1.5 + rng.exponential(12) if scattered else side.front + rng.uniform(15, 45)
        if not side.near_gap(q, 6):
            vegetation.plant_tree(street, curve.point(q, side.sign * t), rng.uniform(7, 14))


def _garden(street: Street, curve: Curve, side: Side, span: tuple[float, float], front: float) -> None:
    rng, sign = street.rng, side.sign
    kind = str(rng.choice(BOUNDARIES, p=[0.32, 0.22, 0.16, 0.15, 0.15]))
    drive = rng.uniform(span[0], span[1] - 3) if span[1] - span[0] > 6 else span[0]
    for a, b in ((span[0], drive), (drive + 3, span[1])):
        if b - a > 1 and not side.near_gap((a + b) / 2, (b - a) / 2 + 2.3):
            boundary(street, curve, sign, (a, b), side.walk1 + 0.25, kind)
    if front - side.walk1 <= 2.5 or side.near_gap(drive + 1.5, 4):
        return
    material = "gravel" if rng.random() < 0.4 else "paving2"
    surface = (material, SIDEWALK if rng.random() < 0.5 else TERRAIN, (4.0, 4.0))
    t = (sign * side.walk1, sign * (front + 0.5))
    strip(street, curve, along(drive, drive + 3, 1.0), t, (0.17, 0.17), surface)
    if rng.random() < 0.35 and front - side.walk1 > 5:
        turn = sign * np.pi / 2 * rng.choice([-1, 1])
        middle = side.walk1 + (front - side.walk1) / 2 + 0.2
        traffic.add_vehicle(street, traffic.pick_car(street), curve.pose(drive + 1.5, sign * middle, 0.17, turn)[None])
    for _ in range(rng.poisson(1.2)):
        q = rng.uniform(*span)
        if abs(q - drive - 1.5) > 3 and not side.near_gap(q, 4) and front - side.walk1 > 2.5:
            point = curve.point(q, sign * rng.uniform(side.walk1 + 1.2, front - 0.8), 0.1)
            if rng.random() < 0.5:
                vegetation.plant_tree(street, point, rng.uniform(2.5, 6))
            else:
                vegetation.bush(street, point)


def boundary(street: Street, curve: Curve, sign: int, span: tuple[float, float], t: float, kind: str) -> None:
    """Hedge, fence, wall, bushes or nothing along a road, `t` metres from its middle."""
    if kind == "hedge":
        vegetation.hedge(street, curve, sign, span, t)
    elif kind == "bushes":
        vegetation.bushes(street, curve, sign, span, t)
    elif kind == "wall":
        _wall(street, curve, sign, span, t)
    elif kind == "fence":
        _fence(street, curve, sign, span, t)


def _wall(street: Street, curve: Curve, sign: int, span: tuple[float, float], t: float) -> None:
    height, s = street.rng.uniform(0.7, 2.2), along(*span, 1.5)
    stone, coping = ("stonewall", WALL, (5.12, 5.12)), ("concrete", WALL, (1.0, 2.0))
    for across in (t, t + 0.25):
        strip(street, curve, s, (sign * across, sign * across), (0, height), stone)
    strip(street, curve, s, (sign * (t - 0.04), sign * (t + 0.29)), (height, height), coping)
    strip(street, curve, s, (sign * (t - 0.04), sign * (t - 0.04)), (height - 0.08, height), coping)


def _fence(street: Street, curve: Curve, sign: int, span: tuple[float, float], t: float) -> None:
    """Pales, bars or closed boards between posts, with two rails."""
    rng, (a, b) = street.rng, span
    height, style = rng.uniform(0.9, 1.7), int(rng.integers(3))
    colour = FENCES[style]
    if style == 2:
        boards = ("planks", FENCE, (1.4, 1.4))
        strip(street, curve, along(a, b), (sign * t, sign * t), (0.15, height), boards)
    else:
        material, size = ("planks", (0.03, 0.085, height)) if style == 0 else ("matt", (0.02, 0.02, height))
        for s in np.linspace(a, b, max(2, int((b - a) / 0.14))):
            pose = curve.pose(s, sign * t, 0.1 + height / 2)
            street.add_box(material, size, pose, FENCE, colour, uv_scale=0.7)
    for s in np.linspace(a, b, max(2, int((b - a) / 2.2))):
        pose = curve.pose(s, sign * (t + 0.05), 0.1 + height / 2)
        street.add_box("matt" if style == 1 else "planks", (0.1, 0.1, height + 0.1), pose, FENCE, colour, uv_scale=0.7)
    dark = (colour[0] * 0.7, colour[1] * 0.7, colour[2] * 0.7)
    for z in (0.3, height - 0.1):
        for s in np.arange(a, b - 0.5, 2.0):
            long = min(2.0, b - s)
            pose = curve.pose(s + long / 2, sign * (t + 0.03), z + 0.1)
            street.add_box("matt", (0.03, long, 0.05), pose, FENCE, dark)
