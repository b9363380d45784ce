"""What a room is made of: walls around their openings, floor, ceiling, lights, windows, doors, the room next door."""

import numpy as np

from scenes.rooms.catalogue import Model
from scenes.rooms.finishes import FRAME_COLOURS, choice, random_colour, seeded
from scenes.rooms.fittings import picture_meshes
from scenes.rooms.geometry import Mesh, Pair, Real, box, concatenate, curtain, quad, rectangle
from scenes.rooms.room import Room, WallUse
from scenes.rooms.scene import Surface

DOORWAY = (0.95, 2.05)


def shell(room: Room, *, floor: str | None = None, walls: str = "paint") -> None:
    """Floor, ceiling, four walls around the holes, skirting boards, a soft light under the ceiling."""
    w, h, d = room.width, room.height, room.depth
    kind = floor or ["planks", "planks", "carpet", "tile"][int(room.rng.integers(4))]
    gloss = 0 if kind == "carpet" else 1
    surface = Surface(texture=seeded(room, kind), uv_scale=0.65, gloss=gloss)
    room.add(rectangle((w / 2, 0, d / 2), (w, d), 1, 1), surface, "floor", room.new_instance())
    white = Surface(colour=(0.92, 0.92, 0.9))
    room.add(rectangle((w / 2, h, d / 2), (w, d), 1, -1), white, "ceiling", room.new_instance())
    paint = seeded(room, walls)
    accent, accent_wall = (seeded(room, "paint") if room.chance(0.35) else paint), int(room.rng.integers(4))
    skirting = Surface(colour=(0.9, 0.88, 0.85) if room.chance(0.7) else (0.35, 0.22, 0.14), gloss=1)
    for wall in range(4):
        surface = Surface(texture=accent if wall == accent_wall else paint, uv_scale=0.5)
        room.add(_wall_mesh(room, wall), surface, "wall", room.new_instance())
        boards = _skirting(room, wall)
        if boards:
            room.add(concatenate(boards), skirting, "wall", room.new_instance())


def _on_wall(room: Room, wall: int, mesh: Mesh, along: Real, depth: Real = 0.0, gap: Real = 0.0) -> Mesh:
    """Move a mesh (own frame: x along the wall, z into the room) to its place on a wall."""
    (x, z), yaw = room.wall_pose(wall, along, depth, gap)
    return mesh.placed((x, 0.0, z), yaw)


def _wall_mesh(room: Room, wall: int) -> Mesh:
    length, height = room.wall_length(wall), room.height
    pieces, cursor = [], 0.0
    spans: list[Rect] = []
    for hole in sorted((hole for hole in room.holes if hole.wall == wall), key=lambda hole: hole.along):
        left, right = hole.along - hole.length / 2, hole.along + hole.length / 2
        spans += [(cursor, left, 0, height), (left, right, 0, hole.low), (left, right, hole.high, height)]
        cursor = right
    spans.append((cursor, length, 0, height))
    for left, right, low, high in spans:
        if right - left > 0.004 and high - low > 0.004:
            center = ((left + right) / 2, (low + high) / 2, 0.0)
            span = rectangle(center, (right - left, high - low), 2, 1)
            shift = np.array([left, low], np.float32)
            pieces.append(Mesh(span.positions, span.normals, span.uv + shift))
    # `wall_pose` turns walls 1 and 2 so that their x runs against the room's; mirror positions to match.
    flipped = [_along_frame(room, wall, piece) for piece in pieces]
    return concatenate(flipped)


def _along_frame(room: Room, wall: int, mesh: Mesh) -> Mesh:
    """Mesh with x = position along the wall (room coordinate), placed on that wall's plane."""
    x, y, z = mesh.positions.T
    along, into = x, z
    if wall == 0:
        moved, normal = np.stack([along, y, into], 1), (0, 0, 1)
    elif wall == 1:
        moved, normal = np.stack([along, y, room.depth - into], 1), (0, 0, -1)
    elif wall == 2:
        moved, normal = np.stack([into, y, along], 1), (1, 0, 0)
    else:
        moved, normal = np.stack([room.width - into, y, along], 1), (-1, 0, 0)
    normals = np.tile(np.array(normal, np.float32), (len(moved), 1))
    return Mesh(moved.astype(np.float32), normals, mesh.uv)


def _skirting(room: Room, wall: int) -> list[Mesh]:
    doors = sorted(
        (hole.along - hole.length / 2, hole.along + hole.length / 2)
        for hole in room.holes
        if hole.wall == wall and hole.low < 0.02
    )
    cursor, boards = 0.0, []
    for left, right in [*doors, (room.wall_length(wall), room.wall_length(wall))]:
        if left - cursor > 0.05:
            mesh = box((0, 0.045, 0), (left - cursor, 0.09, 0.014))
            boards.append(_on_wall(room, wall, mesh, (cursor + left) / 2, 0.014))
        cursor = right
    return boards


def ceiling_panel(room: Room, x: Real, z: Real, side: Pair, radiance: Real) -> None:
    """A large soft lamp flush with the ceiling: no hot spot above or below it."""
    warm = float(room.rng.uniform(0.6, 1.0))
    light = (radiance, radiance * (0.8 + 0.18 * warm), radiance * (0.55 + 0.42 * warm))
    mesh = rectangle((x, room.height - 0.025, z), side, 1, -1)
    instance = room.new_instance()
    room.add(mesh, Surface(radiance=light), "light", instance)
    frame = box((x, room.height - 0.0125, z), (side[0] + 0.06, 0.02, side[1] + 0.06))
    room.add(frame, Surface(colour=(0.85, 0.85, 0.85)), "light", instance)


def windows(room: Room, count: int, brightness: Real, sills: Pair) -> None:
    """Windows with the outdoors behind the pane, some with curtains or blinds."""
    for _ in range(count):
        model = room.pick("window")
        width, height = model.size[0], min(model.size[1], 1.5)
        sill = float(room.rng.uniform(*sills))
        height = min(height, room.height - sill - 0.2)
        for _ in range(12):
            spot = room.random_along(width + 0.5)
            if spot is None or not room.wall_free(spot[0], spot[1], width + 0.3, 0.1, room.height):
                continue
            _window(room, model, spot[0], spot[1], (width, height), sill, brightness)
            break


def _window(room: Room, model: Model, wall: int, along: Real, size: Pair, sill: Real, brightness: Real) -> None:
    width, height = size
    hole = WallUse(wall, along, width, sill, sill + height)
    room.holes.append(hole)
    room.wall_uses.append(hole)
    instance, reveal = room.new_instance(), 0.11
    corners = np.array(
        [[-width / 2, sill, 0], [width / 2, sill, 0], [width / 2, sill + height, 0], [-width / 2, sill + height, 0]],
        np.float32,
    )
    radiance = (brightness, brightness, brightness)
    pane = Surface(texture=seeded(room, "outdoor"), radiance=radiance)
    room.add(_on_wall(room, wall, quad(corners), along, 0, -reveal), pane, "window", instance)
    white = Surface(colour=(0.9, 0.9, 0.88), gloss=1)
    sides = [
        rectangle((0, sill, reveal / 2), (width, reveal), 1, 1),
        rectangle((0, sill + height, reveal / 2), (width, reveal), 1, -1),
        rectangle((-width / 2, sill + height / 2, reveal / 2), (reveal, height), 0, 1),
        rectangle((width / 2, sill + height / 2, reveal / 2), (reveal, height), 0, -1),
    ]
    # Frame and bars instead of the model: its own glass would be a second, undefined surface.
    bar, panes = 0.05, 2 if width < 1.3 else 3
    for i in range(panes + 1):
        x = -width / 2 + bar / 2 + i * (width - bar) / panes
        sides.append(box((x, sill + height / 2, 0.03), (bar, height, 0.05)))
    rows = [0.0, 1.0] + ([0.5] if model.size[1] > 1.5 or room.chance(0.3) else [])
    for row in rows:
        y = sill + bar / 2 + row * (height - bar)
        sides.append(box((0, y, 0.03), (width, bar, 0.05)))
    room.add(_on_wall(room, wall, concatenate(sides), along, 0, -reveal), white, "window", instance)
    board = box((0, sill - 0.015, 0.06), (width + 0.12, 0.03, 0.16))
    room.add(_on_wall(room, wall, board, along), white, "window", instance)
    if room.chance(0.55 if sill < 1.0 else 0.2):
        _curtains(room, wall, along, width, sill + height)
    elif room.has("blinds") and room.chance(0.5):
        blind = room.pick("blinds")
        (x, z), yaw = room.wall_pose(wall, along, blind.size[2], 0.0)
        drop = sill + height - blind.size[1] * 0.98
        if abs(blind.size[0] - width) < 0.5:
            room.add_model(blind, (x, max(drop, sill), z), yaw)


def _curtains(room: Room, wall: int, along: Real, width: Real, top: Real) -> None:
    low = 0.03 if room.chance(0.7) else 0.7
    high, cover = min(top + 0.12, room.height - 0.04), float(room.rng.uniform(0.25, 0.42))
    surface = Surface(texture=seeded(room, "cloth"), uv_scale=1.5)
    if room.chance(0.5):
        surface = Surface(colour=random_colour(room, 0.3, 0.9))
    for side in (-1, 1):
        wide = width * cover
        mesh = curtain(wide, high - low, max(3, int(wide / 0.09)), 0.03, float(room.rng.uniform(0, 6)))
        place = along + side * (width / 2 + 0.1 - wide / 2)
        (x, z), yaw = room.wall_pose(wall, place, 0.1, 0.01)
        room.add(mesh.placed((x, low, z), yaw), surface, "curtain", room.new_instance())
    rod = box((0, high, 0.06), (width + 0.4, 0.025, 0.025))
    room.add(
        _on_wall(room, wall, rod, along), Surface(colour=(0.3, 0.25, 0.2), gloss=1), "curtain rod", room.new_instance()
    )
    room.wall_uses.append(WallUse(wall, along, width + 0.3, low, high))
    area = room.footprint(
        room.wall_pose(wall, along, 0.16, 0.0)[0], room.wall_pose(wall, along, 0.16)[1], (width, 1, 0.16)
    )
    if low < 0.1:
        room.take(area, furniture=False)


def door(room: Room, *, wall: int | None = None) -> bool:
    """A closed door; the floor before it stays free."""
    model = room.pick("door")
    width, height = model.size[0], min(model.size[1], room.height - 0.1)
    for _ in range(15):
        spot = room.random_along(width + 0.1, wall)
        if spot is None or not room.wall_free(spot[0], spot[1], width, 0, height):
            continue
        (x, z), yaw = room.wall_pose(spot[0], spot[1], model.size[2], -0.7 * model.size[2])
        room.wall_uses.append(WallUse(spot[0], spot[1], width, 0, height))
        room.add_model(model, (x, 0.0, z), yaw)
        swing, _ = room.wall_pose(spot[0], spot[1], 0.7, 0.0)
        room.take(room.footprint(swing, yaw, (width, 1, 0.7)), furniture=False)
        return True
    return False


def doorway(room: Room, depth: Real, brightness: Real, *, wall: int | None = None) -> bool:
    """An open doorway with a lit room of `depth` metres behind it."""
    width, height = DOORWAY
    for _ in range(15):
        spot = room.random_along(width + 0.3, wall)
        if spot is None or not room.wall_free(spot[0], spot[1], width + 0.2, 0, height + 0.1):
            continue
        side, along = spot
        hole = WallUse(side, along, width, 0.0, height)
        room.holes.append(hole)
        room.wall_uses.append(WallUse(side, along, width + 0.16, 0.0, height + 0.08))
        _annex(room, side, along, depth, brightness)
        (x, z), yaw = room.wall_pose(side, along, 0.8, 0.0)
        room.take(room.footprint((x, z), yaw, (width, 1, 0.8)), furniture=False)
        return True
    return False


def _annex(room: Room, wall: int, along: Real, depth: Real, brightness: Real) -> None:
    """The part of the next room that shows through a doorway (own frame: z into this room, so it lies at z < 0)."""
    width, high = float(room.rng.uniform(2.2, 3.2)), 2.4
    far, near, thick = -depth, -0.14, 0.14
    paint = Surface(texture=seeded(room, "paint"), uv_scale=0.5)
    floor = Surface(texture=seeded(room, "planks"), uv_scale=0.65, gloss=1)

    def put(meshes: list[Mesh], surface: Surface, label: str) -> None:
        room.add(_on_wall(room, wall, concatenate(meshes), along), surface, label, room.new_instance())

    middle = (far + near) / 2
    put([rectangle((0, 0, middle + near / 2), (width, depth), 1, 1)], floor, "floor")
    put([rectangle((0, high, middle), (width, depth), 1, -1)], Surface(colour=(0.9, 0.9, 0.88)), "ceiling")
    put([rectangle((0, high / 2, far), (width, high), 2, 1)], paint, "wall")
    put([rectangle((-width / 2, high / 2, middle), (depth, high), 0, 1)], paint, "wall")
    put([rectangle((width / 2, high / 2, middle), (depth, high), 0, -1)], paint, "wall")
    door_width, door_height = DOORWAY
    margin = (width - door_width) / 2
    back = [rectangle((sign * (door_width + margin) / 2, high / 2, near), (margin, high), 2, -1) for sign in (-1, 1)]
    back.append(rectangle((0, (door_height + high) / 2, near), (door_width, high - door_height), 2, -1))
    put(back, paint, "wall")
    frame = [
        box((sign * (door_width / 2 - 0.02), door_height / 2, -thick / 2), (0.04, door_height, thick + 0.03))
        for sign in (-1, 1)
    ]
    frame.append(box((0, door_height - 0.02, -thick / 2), (door_width, 0.04, thick + 0.03)))
    put(frame, Surface(colour=(0.9, 0.88, 0.85), gloss=1), "door frame")
    light = Surface(radiance=(brightness, brightness * 0.95, brightness * 0.85))
    put([rectangle((0, high - 0.02, middle), (0.7, 0.7), 1, -1)], light, "light")
    art = picture_meshes(float(room.rng.uniform(0.5, 0.9)), float(room.rng.uniform(0.4, 0.7)), 0.03)
    shift = (float(room.rng.uniform(-0.4, 0.4)), 1.5, far + 0.016)
    put([art[0].placed(shift)], Surface(colour=choice(room, FRAME_COLOURS), gloss=1), "picture")
    put([art[1].placed(shift)], Surface(texture=seeded(room, "art")), "picture")
    model = room.pick(["dresser", "floor_plant", "wardrobe", "chair"][int(room.rng.integers(4))])
    if model.size[0] < width - 0.2:
        (x, z), yaw = room.wall_pose(wall, along, 0.0, far + model.size[2] / 2 + 0.03)
        room.add_model(model, (x, 0.0, z), yaw)
