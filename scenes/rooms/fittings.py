"""What hangs on walls and lies about, made without models: pictures, boards, rugs, cushions, papers, screens."""

import numpy as np

from scenes.rooms.finishes import FRAME_COLOURS, Colour, choice, loose_piece, random_colour, seeded
from scenes.rooms.geometry import Mesh, Pair, Real, Vector, box, concatenate, cylinder, pillow, quad
from scenes.rooms.room import Room, Stand, WallUse
from scenes.rooms.scene import Surface

BOARD_COLOURS: dict[str, Colour] = {
    "whiteboard": (0.94, 0.94, 0.94),
    "cork board": (0.6, 0.42, 0.25),
    "mirror": (0.7, 0.74, 0.76),
}


def picture_meshes(width: Real, height: Real, thickness: Real) -> tuple[Mesh, Mesh]:
    """Frame and picture, centred on the origin, facing +z."""
    border = 0.03 if width < 0.6 else 0.045
    frame = []
    for sign in (-1, 1):
        frame.append(box((0, sign * (height - border) / 2, 0), (width, border, thickness)))
        frame.append(box((sign * (width - border) / 2, 0, 0), (border, height - 2 * border, thickness)))
    x, y = width / 2 - border, height / 2 - border
    corners = np.array([[-x, -y, 0.004], [x, -y, 0.004], [x, y, 0.004], [-x, y, 0.004]], np.float32)
    return concatenate(frame), quad(corners)


def pictures(room: Room, count: int) -> None:
    """Framed pictures on the free parts of the walls."""
    for _ in range(count):
        width, height = float(room.rng.uniform(0.35, 1.1)), float(room.rng.uniform(0.35, 0.85))
        middle = float(room.rng.uniform(1.4, 1.75))
        spot = room.random_along(width)
        if spot is None or not room.wall_free(spot[0], spot[1], width, middle - height / 2, middle + height / 2, 0.06):
            continue
        picture(room, spot[0], spot[1], middle, width, height)


def picture(room: Room, wall: int, along: Real, middle: Real, width: Real, height: Real) -> None:
    """A framed picture with its centre at height `middle`."""
    room.wall_uses.append(WallUse(wall, along, width, middle - height / 2, middle + height / 2))
    instance = room.new_instance()
    (x, z), yaw = room.wall_pose(wall, along, 0.03, 0.001)
    frame, canvas = picture_meshes(width, height, 0.03)
    surface = Surface(colour=choice(room, FRAME_COLOURS), gloss=1)
    room.add(frame.placed((x, middle, z), yaw), surface, "picture", instance)
    glazed = 1 if room.chance(0.4) else 0
    room.add(
        canvas.placed((x, middle, z), yaw), Surface(texture=seeded(room, "art"), gloss=glazed), "picture", instance
    )


def board(room: Room, wall: int, along: Real, width: Real, label: str) -> None:
    """Whiteboard, mirror or cork board: a framed plain panel."""
    room.wall_uses.append(WallUse(wall, along, width, 0.9, 2.0))
    (x, z), yaw = room.wall_pose(wall, along, 0.03, 0.001)
    frame, panel = picture_meshes(width, 1.05, 0.03)
    instance = room.new_instance()
    room.add(frame.placed((x, 1.45, z), yaw), Surface(colour=(0.6, 0.6, 0.62), gloss=1), label, instance)
    room.add(panel.placed((x, 1.45, z), yaw), Surface(colour=BOARD_COLOURS[label], gloss=1), label, instance)


def rug(room: Room, center: Pair, size: Pair, yaw: Real = 0.0) -> None:
    """A rug on the floor; it lies under furniture and so takes no space."""
    x0, z0, x1, z1 = room.footprint(center, yaw, (size[0], 0, size[1]))
    x0, z0, x1, z1 = max(x0, 0.05), max(z0, 0.05), min(x1, room.width - 0.05), min(z1, room.depth - 0.05)
    mesh = box(((x0 + x1) / 2, 0.005, (z0 + z1) / 2), (x1 - x0, 0.01, z1 - z0))
    kind = ["rug", "cloth", "cloth", "carpet"][int(room.rng.integers(4))]
    label = "floor mat" if room.chance(0.7) else "rug"
    room.add(mesh, Surface(texture=seeded(room, kind), uv_scale=0.5), label, room.new_instance())


def cushion(room: Room, position: Vector, yaw: Real, size: Pair) -> None:
    """A pillow lying flat."""
    surface = Surface(texture=seeded(room, "cloth"), uv_scale=2.0)
    if room.chance(0.5):
        surface = Surface(colour=random_colour(room, 0.3, 0.92))
    mesh = pillow(size[0], size[1], float(room.rng.uniform(0.1, 0.16))).placed(position, yaw)
    room.add(mesh, surface, "pillow", room.new_instance())


def papers(room: Room, position: Vector, yaw: Real) -> None:
    """A few sheets of paper."""
    for i in range(int(room.rng.integers(1, 4))):
        mesh = box((0, 0.002 + 0.002 * i, 0), (0.21, 0.002, 0.297))
        turn = yaw + float(room.rng.uniform(-0.5, 0.5))
        loose_piece(room, mesh.placed(position, turn), Surface(colour=(0.93, 0.93, 0.9)), "paper")


def small_box(room: Room, position: Vector, yaw: Real) -> None:
    """A small plain box."""
    size = (float(room.rng.uniform(0.1, 0.3)), float(room.rng.uniform(0.05, 0.22)), float(room.rng.uniform(0.1, 0.25)))
    mesh = box((0, size[1] / 2, 0), size).placed(position, yaw)
    loose_piece(room, mesh, Surface(colour=random_colour(room), gloss=int(room.rng.integers(2))), "box")


def can(room: Room, position: Vector) -> None:
    """A jar, can or mug."""
    mesh = cylinder(float(room.rng.uniform(0.03, 0.06)), float(room.rng.uniform(0.07, 0.2))).placed(position)
    label = ["jar", "can", "container", "bottle"][int(room.rng.integers(4))]
    loose_piece(room, mesh, Surface(colour=random_colour(room), gloss=1), label)


def television(room: Room, stand: Stand, width: Real) -> None:
    """A flat television standing on `stand`."""
    height = width * 0.58
    x, z = stand.position
    instance, y = room.new_instance(), stand.top + 0.05
    black = Surface(colour=(0.04, 0.04, 0.045), gloss=2)
    body = [box((0, y + height / 2, 0), (width, height, 0.05)), box((0, stand.top + 0.01, 0), (width * 0.4, 0.02, 0.2))]
    body.append(box((0, stand.top + 0.03, 0), (0.08, 0.06, 0.04)))
    room.add(concatenate(body).placed((x, 0, z), stand.yaw), black, "television", instance)
    _screen(room, (x, y + height / 2, z), stand.yaw, (width - 0.04, height - 0.04), 0.026, "television", instance)
    room.wall_uses.append(WallUse(stand.wall, stand.along, width, stand.top, y + height))


def wall_television(room: Room, wall: int, along: Real, width: Real, low: Real) -> None:
    """A flat television on the wall."""
    height = width * 0.58
    (x, z), yaw = room.wall_pose(wall, along, 0.07, 0.0)
    instance = room.new_instance()
    black = Surface(colour=(0.04, 0.04, 0.045), gloss=2)
    room.add(box((0, low + height / 2, 0), (width, height, 0.07)).placed((x, 0, z), yaw), black, "television", instance)
    _screen(room, (x, low + height / 2, z), yaw, (width - 0.04, height - 0.04), 0.036, "television", instance)
    room.wall_uses.append(WallUse(wall, along, width, low, low + height))


def monitor(room: Room, position: Vector, yaw: Real) -> None:
    """A flat computer monitor on a desk."""
    width, height = float(room.rng.uniform(0.45, 0.62)), 0.34
    x, y, z = position
    instance = room.new_instance()
    black = Surface(colour=(0.06, 0.06, 0.065), gloss=1)
    body = [box((0, 0.11 + height / 2, 0), (width, height, 0.03)), box((0, 0.006, 0), (0.22, 0.012, 0.18))]
    body.append(box((0, 0.08, -0.01), (0.05, 0.15, 0.02)))
    room.add(concatenate(body).placed(position, yaw), black, "monitor", instance)
    _screen(room, (x, y + 0.11 + height / 2, z), yaw, (width - 0.03, height - 0.03), 0.016, "monitor", instance)


def _screen(
    room: Room,
    center: Vector,
    yaw: Real,
    size: Pair,
    front: Real,
    label: str,
    instance: int,
) -> None:
    a, b = size[0] / 2, size[1] / 2
    corners = np.array([[-a, -b, front], [a, -b, front], [a, b, front], [-a, b, front]], np.float32)
    mesh = quad(corners).placed(center, yaw)
    room.add(mesh, Surface(texture=seeded(room, "screen"), gloss=2), label, instance)
