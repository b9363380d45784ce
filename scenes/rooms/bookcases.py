"""Bookcases and wall shelves with books and small things."""

import itertools

import numpy as np

from scenes.rooms.finishes import FRAME_COLOURS, Colour, choice, loose_piece, random_colour, seeded
from scenes.rooms.geometry import Mesh, Real, Vector, box, concatenate
from scenes.rooms.room import Room, Stand, WallUse
from scenes.rooms.scene import Surface

BOOK_COLOURS: tuple[Colour, ...] = (
    (0.5, 0.1, 0.1),
    (0.1, 0.15, 0.4),
    (0.1, 0.3, 0.15),
    (0.7, 0.65, 0.5),
    (0.08, 0.08, 0.08),
    (0.6, 0.3, 0.1),
    (0.8, 0.8, 0.77),
)
SPINES = 24


def book_row(room: Room, length: Real, room_above: Real, depth: Real) -> Mesh:
    """Standing books from x = 0 to at most `length`, on y = 0, backs flush to z = 0, spines facing +z."""
    rows, x = [], 0.0
    end = length * float(room.rng.uniform(0.7, 1.0))
    while x < end - 0.03:
        w = float(room.rng.uniform(0.02, 0.055))
        h = room_above * float(room.rng.uniform(0.65, 0.95))
        d = depth * float(room.rng.uniform(0.7, 0.95))
        mesh = box((x + w / 2, h / 2, d / 2), (w, h, d))
        slot = int(room.rng.integers(SPINES))
        front = np.abs(mesh.normals[:, 2]) > 0.5
        across = np.where(front, (mesh.positions[:, 0] - x) / w * 0.9 + 0.05, 0.1)
        uv = np.stack([(slot + across) / SPINES, mesh.positions[:, 1] / h], 1).astype(np.float32)
        rows.append(Mesh(mesh.positions, mesh.normals, uv))
        x += w + 0.001
    return concatenate(rows)


def bookcase(room: Room, *, wall: int | None = None, width: Real | None = None, fill: Real = 0.85) -> Stand | None:
    """A bookcase with books and a few other things on its shelves."""
    w = width or float(room.rng.uniform(0.6, 1.3))
    shelves = int(room.rng.integers(2, 7))
    pitch, d = 0.34, 0.3
    h = min(shelves * pitch + 0.08, room.height - 0.1)
    for _ in range(25):
        spot = room.random_along(w, wall)
        if spot is None:
            return None
        side, along = spot
        (x, z), yaw = room.wall_pose(side, along, d)
        area = room.footprint((x, z), yaw, (w, h, d))
        if room.is_free(area) and room.wall_free(side, along, w, 0, h, gap=0.0):
            break
    else:
        return None
    room.take(area)
    room.wall_uses.append(WallUse(side, along, w, 0, h))
    if room.chance(0.6):
        timber = Surface(texture=seeded(room, "wood"), gloss=1)
    else:
        timber = Surface(colour=choice(room, FRAME_COLOURS), gloss=1)
    instance, t = room.new_instance(), 0.022
    boards = [box((sign * (w - t) / 2, h / 2, 0), (t, h, d)) for sign in (-1, 1)]
    boards.append(box((0, h / 2, -d / 2 + 0.005), (w, h, 0.01)))
    levels = [0.06 + i * (h - 0.08) / shelves for i in range(shelves + 1)]
    boards += [box((0, level, 0), (w - 2 * t, t, d - 0.01)) for level in levels]
    room.add(concatenate(boards).placed((x, 0, z), yaw), timber, "bookshelf", instance)
    stand = Stand((x, z), yaw, (w, h, d), h, instance, side, along)
    for level, above in itertools.pairwise(levels):
        _fill_shelf(room, stand, level + t / 2, above - level - t, w - 2 * t - 0.02, fill)
    return stand


def _fill_shelf(room: Room, stand: Stand, y: Real, clear: Real, width: Real, fill: Real) -> None:
    if room.chance(fill):
        start = -width / 2 + (0.0 if room.chance(0.6) else float(room.rng.uniform(0, 0.3)) * width)
        row = book_row(room, width / 2 - start, min(clear, 0.31), 0.24)
        x, z = stand.world(start, -0.13)
        spines = Surface(texture=seeded(room, "spines"), gloss=1)
        room.add(row.placed((x, y, z), stand.yaw), spines, "books", room.new_instance())
    elif room.chance(0.7):
        for slot in (-0.3, 0.0, 0.3):
            role = ["box_small", "vase", "small_plant", "stack"][int(room.rng.integers(4))]
            x, z = stand.world(slot * width, 0.0)
            if role == "stack":
                book_stack(room, (x, y, z), stand.yaw, int(min(5, clear / 0.045)))
            elif role == "box_small":
                size = (float(room.rng.uniform(0.12, 0.25)), float(room.rng.uniform(0.08, 0.2)), 0.2)
                mesh = box((0, size[1] / 2, 0), size).placed((x, y, z), stand.yaw)
                loose_piece(room, mesh, Surface(colour=random_colour(room)), "box")
            else:
                model = room.pick(role)
                if max(model.size[0], model.size[2]) < 0.28 and model.size[1] < clear - 0.01:
                    room.add_model(model, (x, y, z), stand.yaw, loose=True)


def book_stack(room: Room, position: Vector, yaw: Real, count: int) -> None:
    """Books lying on one another."""
    y, instance = 0.0, room.new_instance()
    for _ in range(max(1, count)):
        size = (
            float(room.rng.uniform(0.17, 0.28)),
            float(room.rng.uniform(0.015, 0.045)),
            float(room.rng.uniform(0.12, 0.2)),
        )
        mesh = box((0, y + size[1] / 2, 0), size)
        y += size[1]
        colour = choice(room, BOOK_COLOURS)
        turn = yaw + float(room.rng.uniform(-0.2, 0.2))
        room.add(mesh.placed(position, turn), Surface(colour=colour, gloss=1), "books", instance)


def wall_shelf(room: Room) -> None:
    """A board on the wall with books and small things."""
    width, low = float(room.rng.uniform(0.6, 1.4)), float(room.rng.uniform(1.25, 1.7))
    for _ in range(8):
        spot = room.random_along(width)
        if spot is not None and room.wall_free(spot[0], spot[1], width, low - 0.05, low + 0.36, 0.06):
            break
    else:
        return
    wall, along = spot
    room.wall_uses.append(WallUse(wall, along, width, low - 0.05, low + 0.36))
    (x, z), yaw = room.wall_pose(wall, along, 0.24, 0.0)
    plank = box((0, low, 0), (width, 0.03, 0.24)).placed((x, 0, z), yaw)
    room.add(plank, Surface(texture=seeded(room, "wood"), gloss=1), "shelves", room.new_instance())
    stand = Stand((x, z), yaw, (width, 0.03, 0.24), low, 0, wall, along)
    _fill_shelf(room, stand, low + 0.015, 0.32, width - 0.04, 0.85)
