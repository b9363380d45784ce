"""Kinds of streets: what is drawn at random, and from where. Streets-K and Streets-V share none of them."""

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """Ranges (uniform) and probabilities that make one kind of street.

    Attributes:
        weight: share of its set's clips.
        lane: its width, metres. verge: width of the grass between kerb and sidewalk. walk: of the sidewalk.
        setback: from the sidewalk to the houses.
        no_verge, no_walk, no_setback: probability that the width is 0 instead.
        four_lanes: probability of four lanes rather than two.
        parking: probability of a parking lane, left and right.
        trees: density of street trees 0..1.
        density: probability that a plot has a house.
        length, gap: of plots, metres; `no_gap`: probability that houses stand wall to wall.
        floors: least and one more than the most floors.
        crossing: probability of a crossing within view.
        straight: probability of a straight road; `bend`: standard deviation of curvature otherwise, 1/m.
        speed: of the camera, m/s.
        busy: density of traffic 0..1.
        people: mean number of pedestrians on each sidewalk, `riders`: on the road, `bicycles`: groups parked.
        walls: weights of plaster, brick, stone, cladding.
        flat_roofs, shops, strip_windows: probabilities for a house.
        background: number of trees on each side behind the first row.
    """

    weight: float
    lane: Range
    verge: Range
    no_verge: float
    walk: Range
    no_walk: float
    setback: Range
    no_setback: float
    four_lanes: float
    parking: tuple[float, float]
    trees: Range
    density: float
    length: Range
    gap: Range
    no_gap: float
    floors: tuple[int, int]
    crossing: float
    straight: float
    bend: float
    speed: Range
    busy: float
    people: float
    riders: float
    bicycles: float
    walls: tuple[float, float, float, float]
    flat_roofs: float
    shops: float
    strip_windows: float
    background: int


FAMILIES: dict[str, dict[str, Family]] = {
    "K": {
        "city": Family(
            0.34, (3.6, 4.6), (1, 2), 0.75, (2.4, 4.0), 0.0, (2, 4), 0.75, 0.25, (0.6, 0.55),
            (0.3, 1.0), 0.93,
            (10, 24), (3, 8), 0.88, (3, 7), 0.75, 0.6, 0.004, (3, 11), 0.7, 12, 2.6, 2.0,
            (0.62, 0.25, 0.13, 0),
            0.45, 0.6, 0.1, 10,
        ),
        "residential": Family(
            0.29, (3.4, 4.2), (1, 2), 0.6, (1.5, 2.3), 0.0, (3, 8), 0.0, 0.0, (0.55, 0.5), (0.4, 1.0), 0.88,
            (8, 14), (3, 8), 0.0, (2, 4), 0.6, 0.4, 0.007, (3, 9), 0.35, 5, 1.8, 1.4, (0.55, 0.33, 0.12, 0),
            0.0, 0.0, 0.0, 26,
        ),
        "avenue": Family(
            0.23, (3.5, 4.0), (1, 3), 0.1, (1.8, 2.8), 0.0, (3, 9), 0.0, 0.7, (0.25, 0.2), (0.6, 1.0), 0.7,
            (14, 35), (3, 9), 0.1, (3, 8), 0.6, 0.5, 0.004, (7, 14), 0.9, 6, 1.6, 0.4, (0.5, 0.3, 0.1, 0.1),
            0.7, 0.5, 0.4, 34,
        ),
        "rural": Family(
            0.14, (3.5, 4.2), (1.5, 3), 0.0, (1.2, 2), 0.6, (6, 14), 0.0, 0.0, (0, 0), (0.7, 1.0), 0.3,
            (9, 16), (5, 20), 0.0, (1, 3), 0.35, 0.15, 0.007, (8, 14), 0.5, 1.2, 0.8, 0.1, (0.5, 0.3, 0.2, 0),
            0.0, 0.0, 0.0, 80,
        ),
    },
    "V": {
        "village": Family(
            0.4, (2.8, 3.2), (1, 2), 0.9, (1.0, 1.6), 0.2, (1, 3), 0.5, 0.0, (0.2, 0.15), (0.1, 0.4), 0.95,
            (7, 13), (1, 5), 0.5, (2, 4), 0.5, 0.2, 0.01, (3, 9), 0.35, 4, 1.0, 1.0, (0.2, 0.15, 0.65, 0),
            0.0, 0.2, 0.0, 24,
        ),
        "industrial": Family(
            0.3, (3.8, 4.6), (1, 4), 0.2, (1.5, 2.5), 0.3, (5, 12), 0.0, 0.3, (0.4, 0.35), (0.2, 0.7), 0.85,
            (24, 48), (5, 14), 0.0, (2, 4), 0.6, 0.8, 0.003, (5, 13), 0.5, 1.5, 0.6, 0.4,
            (0.15, 0.2, 0, 0.65),
            1.0, 0.0, 0.7, 24,
        ),
        "motorway": Family(
            0.3, (3.5, 3.8), (2, 4), 0.0, (1, 1), 1.0, (10, 20), 0.0, 1.0, (0, 0), (0.3, 0.9), 0.1,
            (20, 40), (20, 60), 0.0, (2, 4), 0.0, 0.2, 0.002, (18, 30), 0.9, 0.0, 0.0, 0.0,
            (0.3, 0.2, 0, 0.5),
            0.8, 0.0, 0.5, 110,
        ),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """One drawn street: widths in metres, probabilities where the family has them.

    Attributes:
        name, family: kind of street.
        lanes, lane, half: number and width of lanes, half width of the carriageway.
        parking: a parking lane on the left, on the right.
        verge, walk, setback: see `Family`; 0 = none.
        trees: density of street trees.
        parked: share of parking places taken.
        lively: things move (in about half of the clips).
        still: the camera stands.
    """

    name: str
    family: Family
    lanes: int
    lane: float
    parking: tuple[bool, bool]
    verge: float
    walk: float
    setback: float
    trees: float
    parked: float
    lively: bool
    still: bool

    @property
    def half(self) -> float:
        """Half width of the carriageway without parking lanes."""
        return self.lane * self.lanes / 2


def draw_style(rng: np.random.Generator, used_in: str, name: str | None = None) -> Style:
    """Draw a street of a set (`K`, `V`), of a given kind or of any."""
    families = FAMILIES[used_in]
    name = name or str(rng.choice(list(families), p=[family.weight for family in families.values()]))
    family = families[name]

    def width(span: Range, absent: float) -> float:
        return 0.0 if rng.random() < absent else float(rng.uniform(*span))

    left, right = (bool(rng.random() < share) for share in family.parking)
    return Style(
        name,
        family,
        lanes=4 if rng.random() < family.four_lanes else 2,
        lane=float(rng.uniform(*family.lane)),
        parking=(left, right),
        verge=width(family.verge, family.no_verge),
        walk=width(family.walk, family.no_walk),
        setback=width(family.setback, family.no_setback),
        trees=float(rng.uniform(*family.trees)),
        parked=float(rng.uniform(0.12, 0.75)),
        lively=bool(rng.random() < 0.52),
        still=bool(rng.random() < 0.12),
    )
