"""Carriageways, parking lanes, kerbs, sidewalks, crossings with rounded corners, markings."""

import numpy as np

from scenes.streets import furniture, plots, traffic
from scenes.streets.geometry import Array, Curve
from scenes.streets.labels import FENCE, ROAD, SIDEWALK, TERRAIN
from scenes.streets.ribbons import along, paint, strip
from scenes.streets.world import Branch, Gap, Side, Street

KERB, BRANCH_LENGTH, TERRAIN_WIDTH = 0.12, 100.0, 62.0
MAIN = (-40.0, 205.0)


def plan_main(street: Street) -> None:
    """Decide on crossings and on the course of the main road."""
    _draw_crossings(street)
    street.curve = _main_curve(street)


def lay_roads(street: Street) -> None:
    """The main road, its side streets and all that stands beside them."""
    style = street.style
    surface = ("asphalt", ROAD, (2 * style.half, 36.0))
    middle = (-style.half, style.half)
    strip(street, street.curve, along(*MAIN), middle, (0, 0), surface, uv_origin=-style.half)
    half = 3.4 if style.name in ("city", "industrial") else 3.0
    for sign in (-1, 1):
        street.sides[sign] = _main_side(street, sign, half)
    for sign in (-1, 1):
        for gap in street.sides[sign].gaps:
            origin = street.curve.point(gap.s, 0.0)
            heading = float(street.curve.heading(gap.s)) - sign * np.pi / 2
            curve = Curve(0, 110, np.zeros_like, np.zeros_like, origin.tolist(), heading)
            street.branches.append(Branch(curve, gap.half, gap.s, sign))
    for side in street.sides.values():
        _beside(street, street.curve, side, main=True)
    for branch in street.branches:
        _lay_branch(street, branch)
    _mark(street)


def _draw_crossings(street: Street) -> None:
    rng = street.rng
    if rng.random() < street.style.family.crossing:
        side = str(rng.choice(["both", "left", "right"], p=[0.4, 0.3, 0.3]))
        first = float(rng.uniform(14, 60))
        street.crossings.append((first, side))
        if rng.random() < 0.35:
            street.crossings.append((first + float(rng.uniform(55, 80)), "both"))


def _main_curve(street: Street) -> Curve:
    rng, family = street.rng, street.style.family
    knots = np.arange(-60, 261, 40.0)
    bends = rng.normal(0, family.bend, len(knots)) * (rng.random() >= family.straight)
    slopes = rng.normal(0, 0.018, len(knots)) * (rng.random() < 0.6)

    def level(s: Array) -> Array:
        """Crossings are straight and level."""
        near = [np.clip((np.abs(s - crossing) - 16) / 12, 0, 1) for crossing, _ in street.crossings]
        return np.prod([np.ones_like(s), *near], axis=0)

    return Curve(
        -45,
        215,
        lambda s: np.interp(s, knots, bends) * level(s),
        lambda s: np.interp(s, knots, slopes) * level(s),
    )


def _main_side(street: Street, sign: int, half: float) -> Side:
    style = street.style
    parking = style.parking[(sign + 1) // 2]
    kerb = style.half + (2.2 if parking else 0.0)
    walk0 = kerb + (0.15 if style.walk or style.name != "rural" else 0.0)
    walk1 = walk0 + style.verge + style.walk
    radius = float(min(street.rng.uniform(2.5, 5.0), walk1 - kerb - 0.3))
    here = ("both", "left" if sign < 0 else "right")
    gaps = [Gap(s, half, max(radius, 0.5)) for s, side in street.crossings if side in here]
    spans = _spans([(gap.s, gap.half) for gap in gaps], *MAIN)
    return Side(sign, style.half, kerb, walk0, walk1, walk1 + style.setback, style.verge, gaps, spans, parking)


def _spans(holes: list[tuple[float, float]], start: float, end: float) -> list[tuple[float, float]]:
    """What is left of start..end without holes (middle, half width)."""
    pieces = []
    for middle, half in sorted(holes):
        pieces.append((start, middle - half))
        start = middle + half
    return [(a, b) for a, b in [*pieces, (start, end)] if b - a > 1]


def _beside(street: Street, curve: Curve, side: Side, *, main: bool) -> None:
    """Parking lane, kerb, verge, sidewalk and plots of one side of a road."""
    raised = side.walk0 > side.kerb
    z = KERB if raised else 0.0
    if main:
        _strips_of_main(street, curve, side, z)
        for gap in side.gaps:
            for direction in (-1, 1):
                _corner(street, curve, side, gap, direction, z)
    elif raised:
        _strips_of_branch(street, curve, side, z)
    furniture.furnish_side(street, curve, side, main=main)
    plots.fill_side(street, curve, side, main=main)
    if side.parking:
        traffic.park(street, curve, side)


def _strips_of_main(street: Street, curve: Curve, side: Side, z: float) -> None:
    rng, style, sign = street.rng, street.style, side.sign
    urban = style.name == "city"
    bay = "parking" if rng.random() < 0.6 else "paving2"
    bay_repeat = (4.0, 4.0 if bay == "paving2" else 18.0)
    ground = "grass" if not urban or rng.random() < 0.25 else "paving2"
    bank = float(rng.uniform(-0.3, 3.0)) if style.name in ("rural", "motorway") and not street.crossings else 0.0
    for a, b in side.spans:
        if side.parking:
            t = (sign * side.edge, sign * side.kerb)
            strip(street, curve, along(a, b), t, (0, 0.02), (bay, ROAD, bay_repeat))
        yard = ("grass", TERRAIN, (5.0, 5.0)) if not urban else ("paving2", SIDEWALK, (5.0, 5.0))
        t = (sign * side.walk1, sign * (side.front + 1))
        strip(street, curve, along(a, b), t, (z + 0.02, z + 0.02), yard, rough=0.0 if urban else 0.03)
        far = (ground, TERRAIN if ground == "grass" else SIDEWALK, (5.0, 5.0))
        t = (sign * (side.front + 1), sign * (side.walk1 + TERRAIN_WIDTH))
        rough = 0.06 if style.name == "rural" else 0.0
        strip(street, curve, along(a, b, 4.0), t, (z + 0.02, z + 0.02 + bank), far, rough=rough)
    for a, b in _spans([(gap.s, gap.half + gap.radius) for gap in side.gaps], *MAIN):
        s = along(a, b)
        if z:
            bottom, kerb = 0.02 if side.parking else 0.0, ("concrete", SIDEWALK, (1.0, 2.0))
            strip(street, curve, s, (sign * side.kerb, sign * side.kerb), (bottom, z), kerb)
            strip(street, curve, s, (sign * side.kerb, sign * side.walk0), (z, z), kerb)
        if side.verge:
            t = (sign * side.walk0, sign * (side.walk0 + side.verge))
            strip(street, curve, s, t, (z, z), ("grass", TERRAIN, (5.0, 5.0)), rough=0.02)
        if style.walk:
            t = (sign * (side.walk0 + side.verge), sign * side.walk1)
            strip(street, curve, s, t, (z, z + 0.03), ("paving", SIDEWALK, (4.0, 4.0)))


def _corner(street: Street, curve: Curve, side: Side, gap: Gap, direction: int, z: float) -> None:
    """The rounded corner between the main road's kerb and that of a side street."""
    angle, sign = np.linspace(0, np.pi / 2, 8), side.sign
    s = gap.s + direction * (gap.half + gap.radius * (1 - np.cos(angle)))
    kerb = side.kerb + gap.radius * (1 - np.sin(angle))
    strip(street, curve, s, (sign * side.kerb, sign * kerb), (0.003, 0.003), ("asphalt2", ROAD, (6.0, 18.0)))
    paved = bool(street.style.walk)
    ground = ("paving", SIDEWALK, (4.0, 4.0)) if paved else ("grass", TERRAIN, (5.0, 5.0))
    if z:
        stone = ("concrete", SIDEWALK, (1.0, 2.0))
        strip(street, curve, s, (sign * kerb, sign * kerb), (0, z), stone)
        strip(street, curve, s, (sign * kerb, sign * (kerb + 0.15)), (z, z), stone)
        kerb = kerb + 0.15
    strip(street, curve, s, (sign * kerb, sign * side.walk1), (z, z + (0.03 if paved else 0.0)), ground)
    # From the end of the arc to where the side street's own kerb begins.
    if z:
        t = (sign * (side.kerb + gap.radius), sign * side.walk1)
        edge = gap.s + direction * gap.half
        ends = curve.point(np.array([edge, edge]), np.array(t))
        wall = np.stack([ends[0], ends[1], ends[1] + [0, 0, z + 0.03], ends[0] + [0, 0, z + 0.03]])
        street.soup("concrete").quads(wall[None], np.zeros((1, 4, 2)), SIDEWALK)


def _strips_of_branch(street: Street, curve: Curve, side: Side, z: float) -> None:
    """A side street lies on the main road's ground, so its sidewalks are 3 cm higher."""
    sign, top = side.sign, z + 0.05
    s = along(*side.spans[0])
    kerb = ("concrete", SIDEWALK, (1.0, 2.0))
    strip(street, curve, s, (sign * side.kerb, sign * side.kerb), (0, top), kerb)
    strip(street, curve, s, (sign * side.kerb, sign * side.walk0), (top, top), kerb)
    paved = ("paving", SIDEWALK, (4.0, 4.0))
    strip(street, curve, s, (sign * side.walk0, sign * side.walk1), (top, top), paved)


def _lay_branch(street: Street, branch: Branch) -> None:
    style, main, half = street.style, street.sides[branch.sign], branch.half
    s = along(style.half, BRANCH_LENGTH)
    surface = ("asphalt2", ROAD, (6.0, 18.0))
    strip(street, branch.curve, s, (-half, half), (0.004, 0.004), surface, uv_origin=-half)
    walk = max(1.6, style.walk) if style.name != "rural" else 0.0
    kerb = 0.15 if walk else 0.0
    for sign in (-1, 1):
        walk1 = half + kerb + walk
        span = [(main.walk1, BRANCH_LENGTH)]
        side = Side(sign, half, half, half + kerb, walk1, walk1 + style.setback, 0.0, [], span, False)
        _beside(street, branch.curve, side, main=False)
    if street.rng.random() < 0.6 and style.walk:
        for t in np.arange(-half + 0.4, half - 0.4, 1.0):
            paint(street, branch.curve, main.kerb + 0.6, t, 3.0, 0.5)
    if style.name in ("city", "avenue") and street.rng.random() < 0.75:
        furniture.traffic_lights(street, branch)


def _mark(street: Street) -> None:
    rng, style, curve = street.rng, street.style, street.curve
    zones = [(s - 6.0, s + 6.0) for s, _ in street.crossings]

    def line(t: float, start: float, length: float, step: float) -> None:
        for s in np.arange(start, 195, step):
            if all(s + length < a or s > b for a, b in zones):
                paint(street, curve, s, t - 0.06, length, 0.12)

    if style.name not in ("residential", "village") or rng.random() < 0.35:
        dash, gap = (4.0, 8.0) if style.name in ("rural", "motorway") else (3.0, 6.0)
        for k in range(1, style.lanes):
            t = -style.half + k * style.lane
            if style.lanes == 4 and k == 2:
                line(t - 0.12, -30, 6.02, 6)
                line(t + 0.12, -30, 6.02, 6)
            else:
                line(t, -30 + rng.uniform(0, 9), dash, dash + gap)
    if style.name in ("avenue", "rural", "motorway") or (style.name == "city" and rng.random() < 0.3):
        for sign in (-1, 1):
            line(sign * (style.half - 0.25), -38, 8.02, 8)
    if style.name == "motorway":
        for z0, z1, width in ((0.0, 0.3, 0.3), (0.3, 0.9, 0.12)):
            for sign in (-1, 1):
                across, rail = (sign * width, sign * min(width, 0.1)), ("concrete", FENCE, (1.0, 6.0))
                strip(street, curve, along(*MAIN), across, (z0, z1), rail)
    for s, _ in street.crossings:
        if style.walk:
            for end in (s - 7.6, s + 4.4):
                if rng.random() < 0.6:
                    for t in np.arange(-style.half + 0.3, style.half - 0.4, 1.0):
                        paint(street, curve, end, t, 3.0, 0.5)
        paint(street, curve, s - 8.6, 0.1, 0.35, style.half - 0.2)
    if rng.random() < 0.3:
        for s in (rng.uniform(15, 30), rng.uniform(35, 60)):
            _arrow(street, s)


def _arrow(street: Street, s: float) -> None:
    curve, t = street.curve, street.style.lane / 2
    paint(street, curve, s, t - 0.08, 3.2, 0.16)
    for sign in (-1, 1):
        places = np.array([s + 3.2, s + 3.2, s + 4.8, s + 4.8])
        corners = curve.point(places, np.array([t, t + sign * 0.45, t, t]), 0.006)
        street.soup("paint").quads(corners[None], np.zeros((1, 4, 2)) + 0.3, ROAD)
