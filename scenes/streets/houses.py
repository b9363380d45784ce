"""Houses: facades with recessed windows, doors, shops, trims, balconies; roofs, chimneys, dormers."""

from dataclasses import dataclass, field

import numpy as np

from scenes.streets import boards
from scenes.streets.geometry import Array, Colour, box, move, translation
from scenes.streets.labels import BUILDING
from scenes.streets.world import Street

TRIMS: tuple[Colour, ...] = ((0.85, 0.84, 0.80), (0.70, 0.66, 0.58), (0.45, 0.32, 0.25), (0.60, 0.60, 0.58))
AWNINGS: tuple[Colour, ...] = ((0.6, 0.1, 0.1), (0.1, 0.3, 0.2), (0.7, 0.65, 0.5))
METRES = 6.4
"""Size of one repeat of a wall's texture."""


@dataclass(frozen=True)
class House:
    """What the four facades of a house share; lengths in metres.

    Attributes:
        floors, first, other: number of floors, height of the ground floor and of the others.
        wall: material. row: row of windows in the atlas.
        bay: distance between windows. width, height: of a window, shares of bay and floor. inset: its depth.
        trim: colour of sills.
        shop, shutters, band, balcony, strip: what the facade has (strip = windows in a row).
        offset: of the texture.
    """

    floors: int
    first: float
    other: float
    wall: str
    row: int
    bay: float
    width: float
    height: float
    inset: float
    trim: Colour
    shop: bool
    shutters: bool
    band: bool
    balcony: bool
    strip: bool
    offset: tuple[float, float]

    @property
    def top(self) -> float:
        """Height of the walls."""
        return self.first + self.other * (self.floors - 1) + 0.35


@dataclass
class _Facade:
    """Rectangles (x0, x1, z0, z1) of wall, panes with their cell, trims with their depth."""

    walls: list[tuple[float, float, float, float]] = field(default_factory=list)
    panes: list[tuple[float, float, float, float, int, int]] = field(default_factory=list)
    trims: list[tuple[float, float, float, float, float]] = field(default_factory=list)


def build_house(street: Street, pose: Array, length: float, depth: float) -> None:
    """A house; `pose`: middle of its footprint on the ground, front towards -y."""
    house = _draw(street)
    for side, (width, distance, turn) in enumerate(
        (
            (length, depth / 2, 0.0),
            (depth, length / 2, np.pi / 2),
            (depth, length / 2, -np.pi / 2),
            (length, depth / 2, np.pi),
        )
    ):
        c, s = np.cos(turn), np.sin(turn)
        rotation = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        _build_facade(street, pose @ rotation @ translation(0, -distance, 0), width, house, side)
    if street.rng.random() < street.style.family.flat_roofs:
        size = (length + 0.3, depth + 0.3, 0.35)
        street.add_box("concrete", size, pose, BUILDING, house.trim, (0, 0, house.top + 0.1))
    else:
        _gable_roof(street, pose, length, depth, house)


def _draw(street: Street) -> House:
    rng, family = street.rng, street.style.family
    low, high = family.floors
    urban = street.style.name == "city"
    return House(
        floors=int(rng.integers(low, high)),
        first=rng.uniform(3.4, 4.4) if urban else rng.uniform(2.8, 3.2),
        other=rng.uniform(2.7, 3.2),
        wall=str(rng.choice(street.walls)),
        row=int(rng.integers(boards.WINDOW_ROWS)),
        bay=rng.uniform(1.9, 3.2),
        width=rng.uniform(0.42, 0.66),
        height=rng.uniform(0.48, 0.66),
        inset=rng.uniform(0.08, 0.22),
        trim=TRIMS[rng.integers(len(TRIMS))],
        shop=bool(rng.random() < family.shops),
        shutters=bool(rng.random() < 0.3),
        band=bool(rng.random() < 0.5),
        balcony=bool(rng.random() < 0.3 and street.style.name in ("city", "residential", "avenue")),
        strip=bool(rng.random() < family.strip_windows),
        offset=(float(rng.random()), float(rng.random())),
    )


def _build_facade(street: Street, pose: Array, width: float, house: House, side: int) -> None:
    """A wall in the xz plane of `pose`, facing -y; side 0 is the front, 3 the back."""
    facade, bays = _Facade(), max(1, round(width / house.bay))
    door = int(street.rng.integers(bays)) if side == 0 else -1
    # Walls go on below the ground, which may slope.
    facade.walls.append((-width / 2, width / 2, -2.5, 0))
    floor = 0.0
    for number in range(house.floors):
        height = house.first if number == 0 else house.other
        for bay in range(bays):
            _bay(street, facade, house, (width, width / bays), (number, floor, height), bay, side, bay == door)
        if house.shop and number == 0 and side == 0:
            _shop_boards(street, pose, width, floor + height)
        floor += height
        if house.band and side != 3:
            facade.trims.append((-width / 2, width / 2, floor - 0.12, floor + 0.06, 0.08))
    facade.walls.append((-width / 2, width / 2, floor, house.top))
    _emit(street, facade, pose, house)


def _bay(
    street: Street,
    facade: _Facade,
    house: House,
    widths: tuple[float, float],
    level: tuple[int, float, float],
    bay: int,
    side: int,
    door: bool,
) -> None:
    """One bay of one floor: a window, the door, a shop window, or blank."""
    rng, (number, floor, height), step = street.rng, level, widths[1]
    x0 = -widths[0] / 2 + bay * step
    shop = house.shop and number == 0 and side == 0
    blank = (0.0, 0.45, 0.45, 0.3)[side]
    cell = (house.row, int(rng.integers(boards.CELLS)))
    if number == 0 and door:
        cell = (boards.DOOR_ROW, cell[1])
        opening = (step / 2 - 0.55, step / 2 + 0.55, 0.12, 2.25)
    elif rng.random() < blank:
        facade.walls.append((x0, x0 + step, floor, floor + height))
        return
    elif shop:
        opening = (0.2, step - 0.2, 0.45, height - 1.0)
    elif house.strip:
        opening = (0.04, step - 0.04, height * 0.32, height * 0.86)
    else:
        margin = step * (1 - house.width) / 2
        opening = (margin, step - margin, height * 0.30, height * (0.30 + house.height))
    a, b, low, high = x0 + opening[0], x0 + opening[1], floor + opening[2], floor + opening[3]
    facade.walls += [
        (x0, a, floor, floor + height),
        (b, x0 + step, floor, floor + height),
        (a, b, floor, low),
        (a, b, high, floor + height),
    ]
    facade.panes.append((a, b, low, high, *cell))
    if cell[0] != boards.DOOR_ROW and not house.strip:
        _window_trims(street, facade, house, (a, b, low, high), step, side, shop)
        if house.balcony and number > 0 and side == 0 and bay % 2:
            _balcony(facade, a, b, floor)


def _window_trims(
    street: Street,
    facade: _Facade,
    house: House,
    window: tuple[float, float, float, float],
    step: float,
    side: int,
    shop: bool,
) -> None:
    a, b, low, high = window
    facade.trims.append((a - 0.08, b + 0.08, low - 0.09, low, 0.09))
    if house.band:
        facade.trims += [(a - 0.1, a, low, high, 0.035), (b, b + 0.1, low, high, 0.035)]
        facade.trims.append((a - 0.14, b + 0.14, high, high + 0.13, 0.06))
    if house.shutters and not shop and side != 3:
        wide = min(0.5, (step - (b - a)) / 2 - 0.05)
        facade.trims += [
            (a - wide - 0.04, a - 0.02, low, high, 0.05),
            (b + 0.02, b + wide + 0.04, low, high, 0.05),
        ]


def _balcony(facade: _Facade, a: float, b: float, floor: float) -> None:
    facade.trims.append((a - 0.4, b + 0.4, floor - 0.02, floor + 0.12, 1.1))
    facade.trims.append((a - 0.4, b + 0.4, floor + 1.03, floor + 1.08, 1.1))
    for x in np.arange(a - 0.38, b + 0.4, 0.14):
        facade.trims.append((x, x + 0.025, floor + 0.1, floor + 1.05, 1.06))


def _shop_boards(street: Street, pose: Array, width: float, top: float) -> None:
    rng, count = street.rng, max(1, int(width / 5))
    edges = np.linspace(-width / 2 + 0.2, width / 2 - 0.2, count + 1)
    for a, b in zip(edges[:-1] + 0.1, edges[1:] - 0.1, strict=True):
        quad = np.array(
            [[(a, -0.12, top - 0.9), (b, -0.12, top - 0.9), (b, -0.12, top - 0.25), (a, -0.12, top - 0.25)]]
        )
        cell = boards.cell_uv(boards.BOARD_ROW, int(rng.integers(6)))
        street.soup("atlas").quads(move(quad, pose), cell[None], BUILDING)
    if rng.random() < 0.4:
        x, low, high = width / 2 - 0.3, top - 1.3, top - 0.8
        quad = np.array([[(-x, -1.4, low), (x, -1.4, low), (x, -0.05, high), (-x, -0.05, high)]])
        colour = AWNINGS[rng.integers(len(AWNINGS))]
        street.soup("matt").quads(move(quad, pose), np.zeros((1, 4, 2)), BUILDING, colour)


def _emit(street: Street, facade: _Facade, pose: Array, house: House) -> None:
    """The rectangles of a facade as triangles."""
    offset = np.array(house.offset)
    rects = np.array(facade.walls)
    rects = rects[(rects[:, 1] - rects[:, 0] > 1e-3) & (rects[:, 3] - rects[:, 2] > 1e-3)]
    zero = np.zeros(len(rects))
    order = ((0, 2), (1, 2), (1, 3), (0, 3))
    corners = np.stack([np.stack([rects[:, i], zero, rects[:, j]], -1) for i, j in order], 1)
    street.soup(house.wall).quads(move(corners, pose), corners[..., [0, 2]] / METRES + offset, BUILDING)
    inset = house.inset
    for a, b, low, high, row, column in facade.panes:
        quad = np.array([[(a, inset, low), (b, inset, low), (b, inset, high), (a, inset, high)]])
        street.soup("pane").quads(move(quad, pose), boards.cell_uv(row, column)[None], BUILDING)
        around = np.array([(a, low), (b, low), (b, high), (a, high), (a, low)])
        reveal = np.zeros((4, 4, 3))
        reveal[:, [0, 1]] = np.insert(around[:-1], 1, 0, axis=1)[:, None]
        reveal[:, [2, 3]] = np.insert(around[1:], 1, 0, axis=1)[:, None]
        reveal[:, 1:3, 1] = inset
        uv = reveal[..., [0, 2]] / METRES + offset + reveal[..., 1:2] / METRES
        street.soup(house.wall).quads(move(reveal, pose), uv, BUILDING)
    for a, b, low, high, depth in facade.trims:
        middle = ((a + b) / 2, -depth / 2, (low + high) / 2)
        corners, uv = box((b - a, depth, high - low), pose, middle, 0.5)
        street.soup("concrete").quads(corners, uv, BUILDING, house.trim)


def _gable_roof(street: Street, pose: Array, length: float, depth: float, house: House) -> None:
    rng, top = street.rng, house.top
    roof = f"roof{rng.integers(2)}"
    over, rise = rng.uniform(0.25, 0.6), rng.uniform(0.35, 0.55) * depth
    x, y = length / 2 + (0 if street.style.name == "city" else over), depth / 2 + over
    ridge, eaves = top + rise, top - over * rise / (depth / 2)
    slope = np.hypot(y, ridge - eaves) / 3
    blank = np.zeros((1, 4, 2))
    for side in (-1, 1):
        plane = np.array([[(-x, side * y, eaves), (x, side * y, eaves), (x, 0, ridge), (-x, 0, ridge)]])
        uv = [[(0, 0), (2 * x / 3, 0), (2 * x / 3, slope), (0, slope)]]
        street.soup(roof).quads(move(plane, pose), uv, BUILDING)
        street.soup("matt").quads(move(plane - [0, 0, 0.12], pose), blank, BUILDING, (0.45, 0.38, 0.3))
        edge = np.array([[plane[0, 0], plane[0, 1], plane[0, 1] - [0, 0, 0.12], plane[0, 0] - [0, 0, 0.12]]])
        street.soup("matt").quads(move(edge, pose), blank, BUILDING, (0.5, 0.45, 0.4))
        gable_x = length / 2 * side
        gable = np.array([(gable_x, -depth / 2, top), (gable_x, depth / 2, top), (gable_x, 0, ridge - 0.02)])
        street.soup(house.wall).triangles(move(gable, pose), gable[:, 1:] / METRES, BUILDING)
    for _ in range(rng.integers(1, 3)):
        middle = (rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.15, 0.15) * depth, ridge)
        street.add_box("stonewall", (0.6, 0.6, 1.6), pose, BUILDING, centre=middle, uv_scale=0.2)
    if rng.random() < 0.5 and length > 8:
        for x in np.arange(-length / 2 + 2, length / 2 - 1.5, rng.uniform(2.8, 4.5)):
            _dormer(street, pose, (x, -depth / 2 * 0.62, top + rise * 0.42), depth, house, roof)


def _dormer(
    street: Street, pose: Array, place: tuple[float, float, float], depth: float, house: House, roof: str
) -> None:
    x, y, z = place
    size = (1.3, depth * 0.35, 1.5)
    street.add_box(house.wall, size, pose, BUILDING, house.trim, (x, y + depth * 0.1, z), 0.16)
    quad = np.array([[(-0.45, 0, -0.5), (0.45, 0, -0.5), (0.45, 0, 0.6), (-0.45, 0, 0.6)]])
    quad = move(quad, pose @ translation(x, y - depth * 0.075 - 0.01, z))
    cell = boards.cell_uv(house.row, int(street.rng.integers(boards.CELLS)))
    street.soup("pane").quads(quad, cell[None], BUILDING)
    street.add_box(roof, (1.6, depth * 0.45, 0.1), pose, BUILDING, centre=(x, y + depth * 0.1, z + 0.8), uv_scale=0.33)
