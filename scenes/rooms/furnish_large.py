"""Furniture by room kind: the rooms of Rooms-I (corridors, halls, rooms with rows of tables)."""

import math

from scenes.rooms import bookcases, fittings, furnish, furnish_homes, shell
from scenes.rooms.geometry import Real
from scenes.rooms.room import Room, Stand


def corridor(room: Room) -> None:
    """A long narrow room with doors, cupboards and boxes along its sides and light at its end."""
    for _ in range(int(room.rng.integers(3, 7))):
        shell.door(room, wall=2 + int(room.rng.integers(2)))
    roles = ("dresser", "chair", "floor_plant", "extinguisher", "watercooler", "bin", "night", "box", "coffee")
    for _ in range(int(room.rng.integers(6, 14))):
        role = roles[int(room.rng.integers(len(roles)))]
        stand = room.against_wall(role, wall=2 + int(room.rng.integers(2)), tries=8)
        if stand is not None and role in ("dresser", "coffee"):
            furnish.clutter(room, stand, furnish.SURFACE_ROLES, 5)
    if room.chance(0.5):
        bookcases.bookcase(room, wall=2 + int(room.rng.integers(2)))
    fittings.rug(room, (room.width / 2, room.depth / 2), (1.0, room.depth * 0.7))


def hall(room: Room) -> None:
    """A large hall: groups of sofas and tables, plants, a piano, a pool table."""
    for role in ("pooltable", "piano"):
        if room.chance(0.5):
            room.on_floor(role, margin=0.5, yaw=float(room.rng.choice([0.0, math.pi / 2])))
    for _ in range(int(room.rng.integers(2, 5))):
        sofa = room.against_wall("sofa", clear=1.0, tries=20, tint=room.tint())
        if sofa is not None:
            furnish.on_seat(room, sofa, int(room.rng.integers(0, 4)), 0.42)
            furnish.coffee_table(room, sofa)
    for _ in range(int(room.rng.integers(2, 5))):
        furnish.table_group(room)
    for _ in range(int(room.rng.integers(2, 6))):
        stand = room.against_wall(
            ["cabinet", "dresser", "armchair", "floor_plant"][int(room.rng.integers(4))], tries=10
        )
        if stand is not None and 0.5 < stand.top < 1.3:
            furnish.clutter(room, stand, furnish.SURFACE_ROLES, 4)
    bookcases.bookcase(room)
    furnish.television_corner(room)


def library(room: Room) -> None:
    """Bookcases along the walls, reading tables between."""
    for _ in range(int(room.rng.integers(8, 16))):
        bookcases.bookcase(room, width=float(room.rng.uniform(0.9, 1.6)), fill=0.95)
    for _ in range(int(room.rng.integers(1, 4))):
        furnish.table_group(room, laid=("books", "books", "papers", "desk_lamp", "laptop"))
    for role in ("armchair", "armchair", "shelf", "sofa"):
        room.against_wall(role, clear=0.3, tint=room.tint())


def storage_room(room: Room) -> None:
    """Shelves, wardrobes, boxes in piles."""
    for role in ("shelf", "shelf", "wardrobe", "washer", "ladder", "wardrobe", "safe", "exercise"):
        if room.chance(0.75):
            room.against_wall(role, tries=15)
    for _ in range(int(room.rng.integers(4, 9))):
        stand = room.against_wall("box", tries=10)
        if stand is not None and room.chance(0.6):
            furnish.clutter(room, stand, ("box", "box", "books", "can"), 3)
    bookcases.bookcase(room, fill=0.4)
    for _ in range(2):
        desk = room.against_wall("desk", tries=15)
        if desk is not None:
            furnish.clutter(room, desk, (*furnish.SURFACE_ROLES, "box"), 7)


def conference_room(room: Room) -> None:
    """A row of tables pushed together with chairs on both long sides, a board, a screen."""
    table_rows(room, rows=1, role="desk", gap=0.0)
    spot = room.random_along(2.0)
    if spot is not None and room.wall_free(spot[0], spot[1], 2.0, 0.9, 2.0):
        fittings.board(room, spot[0], spot[1], 2.0, "whiteboard")
    furnish.television_corner(room)
    for role in ("floor_plant", "dresser", "bin", "watercooler", "cabinet"):
        stand = room.against_wall(role, tries=10)
        if stand is not None and role == "dresser":
            furnish.clutter(room, stand, furnish.COUNTER_ROLES, 4)


def classroom(room: Room) -> None:
    """Rows of tables with chairs, a whiteboard at the front, shelves at the sides."""
    wall = 0
    width = min(3.0, room.wall_length(wall) - 0.6)
    for candidate in (0, 1):
        if room.wall_free(candidate, room.wall_length(candidate) / 2, width, 0.9, 2.0):
            fittings.board(room, candidate, room.wall_length(candidate) / 2, width, "whiteboard")
            break
    table_rows(room, rows=max(2, int((room.depth - 2.5) / 1.7)), role="dining", gap=0.5)
    for _ in range(3):
        bookcases.bookcase(room)


def table_rows(room: Room, *, rows: int, role: str, gap: Real) -> None:
    """`rows` rows of equal tables along x, chairs on their +z side (both sides where there is one row)."""
    model, chair = room.pick(role), room.pick("chair")
    w, _, d = model.size
    columns = max(1, int((room.width - 1.4 + gap) / (w + gap)))
    pitch = (room.depth - 2.0) / rows
    for row in range(rows):
        z = 1.2 + (row + 0.5) * pitch if rows > 1 else room.depth / 2
        for column in range(columns):
            x = room.width / 2 + (column - (columns - 1) / 2) * (w + gap)
            area = room.footprint((x, z), 0.0, model.size)
            if not room.is_free(area, 0.0 if gap == 0 else 0.02):
                continue
            room.take(area)
            instance = room.add_model(model, (x, 0.0, z), 0.0)
            table = Stand((x, z), 0.0, model.size, model.size[1], instance)
            furnish.clutter(room, table, ("papers", "laptop", "books", "can", "cup", "papers"), 4, region=0.9)
            for side in (1, -1) if rows == 1 else (1,):
                for offset in (-w / 4, w / 4):
                    turn = (math.pi if side > 0 else 0.0) + float(room.rng.uniform(-0.3, 0.3))
                    spot = (x + offset, z + side * (d / 2 + chair.size[2] * float(room.rng.uniform(0.2, 0.7))))
                    if not room.chance(0.12):
                        room.take(room.footprint(spot, turn, chair.size), furniture=False)
                        room.add_model(chair, (spot[0], 0.0, spot[1]), turn)


def kitchen_diner(room: Room) -> None:
    """A kitchen with a dining table and a place to sit."""
    first, second = furnish_homes.longest_free_walls(room)[:2]
    tint = room.tint() if room.chance(0.5) else None
    units = ["fridge", "lower", "lower", "sinkcab", "lower", "stove", "lower", "lower", "lower"]
    furnish_homes.kitchen_row(room, first, units, tint)
    furnish_homes.kitchen_row(room, second, ["lower", "lower", "lower", "washer"], tint)
    furnish.table_group(room, laid=(*furnish.COUNTER_ROLES, *furnish.SURFACE_ROLES))
    sofa = room.against_wall("sofa", clear=0.6, tint=room.tint())
    if sofa is not None:
        furnish.coffee_table(room, sofa)
    for _ in range(3):
        room.on_floor("stool")
