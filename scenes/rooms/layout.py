"""Random rooms from seeds: kind, size, openings, furniture, light."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scenes.rooms import bookcases, fittings, furnish, furnish_homes, furnish_large, shell
from scenes.rooms.room import Room
from scenes.rooms.scene import Piece, Placement


@dataclass(frozen=True)
class Kind:
    """A kind of room.

    Attributes:
        furnish: puts the furniture in.
        share: how often it comes.
        width, depth, height: ranges in metres.
        floor: floor covering, or None for any.
        walls: wall texture.
        windows: least and most number of windows.
        clutter: things standing about on the floor, least and most.
        pictures: pictures on the walls, least and most.
        sills: height of the window sills, metres.
    """

    furnish: Callable[[Room], None]
    share: float
    width: tuple[float, float]
    depth: tuple[float, float]
    height: tuple[float, float] = (2.35, 2.8)
    floor: str | None = None
    walls: str = "paint"
    windows: tuple[int, int] = (1, 2)
    clutter: tuple[int, int] = (6, 14)
    pictures: tuple[int, int] = (4, 12)
    sills: tuple[float, float] = (0.75, 1.0)


KINDS: dict[str, dict[str, Kind]] = {
    "rooms_n": {
        "bedroom": Kind(furnish_homes.bedroom, 0.26, (3.0, 4.6), (3.2, 5.2)),
        "living_room": Kind(furnish_homes.living_room, 0.27, (3.4, 5.6), (3.8, 8.4)),
        "dining_room": Kind(furnish_homes.dining_room, 0.09, (3.2, 4.8), (3.4, 6.6)),
        "kitchen": Kind(
            furnish_homes.kitchen, 0.14, (2.8, 4.6), (3.0, 6.0), pictures=(1, 3), clutter=(2, 6), sills=(1.05, 1.15)
        ),
        "home_office": Kind(furnish_homes.office, 0.08, (3.0, 4.6), (3.2, 5.4)),
        "office": Kind(furnish_homes.office, 0.05, (3.6, 6.0), (5.0, 9.0)),
        "bathroom": Kind(
            furnish_homes.bathroom,
            0.05,
            (2.2, 3.2),
            (2.4, 3.6),
            floor="tile",
            windows=(0, 1),
            clutter=(1, 4),
            pictures=(0, 2),
            sills=(1.1, 1.3),
        ),
        "playroom": Kind(furnish_homes.playroom, 0.06, (3.4, 5.0), (3.6, 6.4)),
    },
    "rooms_i": {
        "corridor": Kind(
            furnish_large.corridor, 0.2, (1.9, 2.8), (12.0, 18.0), windows=(0, 2), clutter=(2, 6), pictures=(6, 14)
        ),
        "hall": Kind(furnish_large.hall, 0.2, (7.0, 10.0), (11.0, 15.0), (3.0, 4.2), windows=(3, 6), pictures=(6, 12)),
        "library": Kind(furnish_large.library, 0.12, (5.0, 8.0), (7.0, 13.0), (2.7, 3.4), walls="brick"),
        "storage_room": Kind(furnish_large.storage_room, 0.1, (3.0, 5.0), (4.0, 8.0), walls="brick", clutter=(10, 20)),
        "conference_room": Kind(furnish_large.conference_room, 0.12, (4.0, 6.0), (5.5, 9.0), (2.6, 3.0)),
        "classroom": Kind(furnish_large.classroom, 0.12, (6.0, 8.0), (8.0, 11.5), (2.8, 3.4), windows=(2, 4)),
        "kitchen_diner": Kind(
            furnish_large.kitchen_diner, 0.14, (4.0, 5.5), (5.0, 8.0), floor="tile", pictures=(1, 4), sills=(1.05, 1.15)
        ),
    },
}


# Kinds that chance would give too seldom to be learnt, for every twenty-fifth seed.
STANDING_ORDERS = {("rooms_n", 6): "kitchen", ("rooms_n", 18): "kitchen", ("rooms_n", 12): "bathroom"}


def pick_kind(rng: np.random.Generator, used_in: str) -> str:
    """A room kind, drawn by the shares of `KINDS`."""
    kinds = KINDS[used_in]
    shares = np.array([kind.share for kind in kinds.values()])
    return list(kinds)[int(rng.choice(len(kinds), p=shares / shares.sum()))]


def build_room(seed: int, used_in: str, kind: str | None = None) -> tuple[str, Room]:
    """Build the room of a seed; needs no geometry of furniture, only models.csv.

    Args:
        seed: the same seed gives the same room.
        used_in: `rooms_n` or `rooms_i`.
        kind: a key of `KINDS[used_in]`; drawn by its shares if None.

    Returns:
        The kind and the room.
    """
    rng = np.random.default_rng([seed, 0 if used_in == "rooms_n" else 1])
    drawn = pick_kind(rng, used_in)
    name = kind or STANDING_ORDERS.get((used_in, seed % 25), drawn)
    chosen = KINDS[used_in][name]
    size = tuple(float(rng.uniform(*limits)) for limits in (chosen.width, chosen.height, chosen.depth))
    if rng.random() < 0.5 and name != "corridor":
        size = (size[2], size[1], size[0])
    room = Room(rng, used_in, (size[0], size[1], size[2]))
    lamp_lit = room.chance(0.8)
    daylight = float(rng.uniform(1.0, 2.0)) if lamp_lit else float(rng.uniform(2.0, 3.0))
    shell.windows(room, int(rng.integers(chosen.windows[0], chosen.windows[1] + 1)), daylight, chosen.sills)
    if room.chance(0.4):
        shell.doorway(room, float(rng.uniform(2.0, 3.5)), 5.0)
    elif room.chance(0.8):
        shell.door(room)
    shell.shell(room, floor=chosen.floor, walls=chosen.walls)
    chosen.furnish(room)
    if name not in ("bathroom", "kitchen", "corridor"):
        furnish.fill_walls(room)
    roomy = max(1.0, room.width * room.depth / 16)
    furnish.floor_clutter(room, int(roomy * rng.integers(chosen.clutter[0], chosen.clutter[1] + 1)))
    for _ in range(int(roomy * rng.integers(1, 5))):
        bookcases.wall_shelf(room)
    fittings.pictures(room, int(rng.integers(chosen.pictures[0], chosen.pictures[1] + 1)))
    if room.chance(0.35):
        room.against_wall("radiator", tries=6)
    lights(room, lamp_lit)
    return name, room


def lights(room: Room, lit: bool) -> None:
    """Soft panels under the ceiling, about one for every sixteen square metres; dim where only the windows light."""
    across = max(1, round(room.width / 4.0))
    along = max(1, round(room.depth / 4.0))
    radiance = float(room.rng.uniform(5.0, 9.0)) if lit else 1.2
    side = float(room.rng.uniform(0.7, 1.1))
    for i in range(across):
        for j in range(along):
            x, z = (i + 0.5) * room.width / across, (j + 0.5) * room.depth / along
            shell.ceiling_panel(room, x, z, (side, side), radiance)


def models_used(placed: list[Piece | Placement]) -> set[str]:
    """Ids of the furniture models in a room."""
    return {item.model for item in placed if isinstance(item, Placement)}
