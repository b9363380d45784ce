"""Groups of furniture that many room kinds share: clutter, seats, tables with chairs, work places, televisions."""

import math

from scenes.rooms import bookcases, fittings
from scenes.rooms.geometry import Real, Rect
from scenes.rooms.room import Room, Stand, WallUse

SURFACE_ROLES = (
    "vase", "table_lamp", "fruit", "teapot", "cup", "bottle", "bowl", "radio", "small_plant", "candle", "gift", "photo",
    "newspaper", "box", "books", "books", "papers", "can", "can", "box",
)  # fmt: skip
DESK_ROLES = (
    "laptop", "computer", "desk_lamp", "telephone", "printer", "monitor", "monitor", "papers", "papers", "books",
    "books", "cup", "can", "box",
)  # fmt: skip
COUNTER_ROLES = (
    "microwave", "coffeemaker", "toaster", "pot", "kettle", "breadbox", "board", "papertowel", "knives", "bottle",
    "bowl", "can", "can", "fruit", "box", "can", "cup",
)  # fmt: skip
BATH_ROLES = ("soap", "can", "can", "cup", "candle", "box", "small_plant")
FLOOR_ROLES = (
    "floor_plant", "floor_plant", "suitcase", "bag", "bin", "box", "box", "crate", "toy", "ball", "shoes", "basket",
    "speaker", "beanbag", "guitar", "clothes", "books", "stool", "chair",
)  # fmt: skip
OWN_SIZES = {
    "box": (0.3, 0.25),
    "books": (0.3, 0.22),
    "papers": (0.3, 0.34),
    "can": (0.12, 0.12),
    "monitor": (0.62, 0.2),
}


def clutter(
    room: Room, stand: Stand, roles: tuple[str, ...], count: int, *, region: Real = 1.0, top: Real | None = None
) -> None:
    """Put up to `count` small things on a piece of furniture, where they fit."""
    height = stand.top if top is None else top
    things = []
    for _ in range(count):
        role = roles[int(room.rng.integers(len(roles)))]
        model = None if role in OWN_SIZES else room.pick(role)
        width, depth = OWN_SIZES[role] if model is None else (model.size[0], model.size[2])
        things.append((role, model, width, depth))
    # A thing turned a little needs a little more room than its own outline.
    sizes = [(1.15 * width, 1.15 * depth) for _, _, width, depth in things]
    for index, x, z in room.spots_on(stand, sizes, region=region):
        role, model, _, _ = things[index]
        wx, wz = stand.world(x, z)
        position, yaw = (wx, height + 0.002, wz), stand.yaw + float(room.rng.uniform(-0.12, 0.12))
        if model is not None:
            room.add_model(model, position, yaw, loose=role not in ("table_lamp", "desk_lamp"))
        elif role == "books":
            bookcases.book_stack(room, position, yaw, int(room.rng.integers(1, 7)))
        elif role == "papers":
            fittings.papers(room, position, yaw)
        elif role == "monitor":
            fittings.monitor(room, position, yaw)
        elif role == "can":
            fittings.can(room, position)
        else:
            fittings.small_box(room, position, yaw)


def floor_clutter(room: Room, count: int) -> None:
    """Plants, bags, boxes, toys, shoes and piles of books standing about."""
    for _ in range(count):
        role = FLOOR_ROLES[int(room.rng.integers(len(FLOOR_ROLES)))]
        if role == "books":
            x, z = (float(room.rng.uniform(0.2, side - 0.2)) for side in (room.width, room.depth))
            area = room.footprint((x, z), 0.0, (0.34, 0, 0.34))
            if room.is_free(area):
                room.take(area)
                bookcases.book_stack(room, (x, 0.0, z), float(room.rng.uniform(-3, 3)), int(room.rng.integers(2, 9)))
        elif room.chance(0.6):
            room.against_wall(role, tries=10, loose=True)
        else:
            room.on_floor(role, tries=8, loose=True)


def fill_walls(room: Room) -> None:
    """Furniture along the walls that are still bare, with things on it."""
    roles = (
        "bookcase",
        "bookcase",
        "dresser",
        "night",
        "armchair",
        "chair",
        "shelf",
        "tvstand",
        "floor_plant",
        "box",
        "desk",
    )
    perimeter = 2 * (room.width + room.depth)
    for _ in range(int(perimeter * float(room.rng.uniform(0.5, 0.95)))):
        role = roles[int(room.rng.integers(len(roles)))]
        if role == "bookcase":
            stand = bookcases.bookcase(room)
            if stand is not None and stand.top < 1.6:
                clutter(room, stand, SURFACE_ROLES, 4)
            continue
        stand = room.against_wall(role, tries=8, tint=room.tint() if role == "armchair" else None)
        if stand is not None and role in ("dresser", "night", "tvstand", "desk"):
            clutter(room, stand, DESK_ROLES if role == "desk" else SURFACE_ROLES, int(room.rng.integers(3, 8)))
        elif stand is not None and role == "armchair" and room.chance(0.4):
            on_seat(room, stand, 1, 0.42)


def on_seat(room: Room, stand: Stand, count: int, seat: Real) -> None:
    """Cushions on a sofa or bed."""
    for i in range(count):
        across = (i - (count - 1) / 2) * min(0.5, stand.size[0] / max(count, 1))
        x, z = stand.world(across, float(room.rng.uniform(-0.05, 0.1)) * stand.size[2])
        fittings.cushion(room, (x, seat, z), stand.yaw + float(room.rng.uniform(-0.5, 0.5)), (0.42, 0.4))


def television_corner(room: Room, wall: int | None = None) -> None:
    """A television on a stand or dresser, or on the wall."""
    width = float(room.rng.uniform(0.8, 1.35))
    role = "tvstand" if room.chance(0.65) else "dresser"
    stand = room.against_wall(role, wall=wall, clear=0.3, tries=20)
    if stand is not None:
        if room.chance(0.45):
            model = room.pick("tv")
            scale = min(width / model.size[0], 1.3)
            x, z = stand.position
            if room.used_in == "rooms_n" and model.size[0] * scale < stand.size[0]:
                room.add_model(model, (x, stand.top, z), stand.yaw, scale=scale)
                high = stand.top + model.size[1] * scale
                room.wall_uses.append(WallUse(stand.wall, stand.along, model.size[0] * scale, stand.top, high))
                return
        fittings.television(room, stand, min(width, stand.size[0] - 0.05))
        return
    for _ in range(8):
        spot = room.random_along(width, wall)
        if spot is not None and room.wall_free(spot[0], spot[1], width, 0.9, 0.95 + width * 0.6):
            fittings.wall_television(room, spot[0], spot[1], width, 0.95)
            return


def coffee_table(room: Room, sofa: Stand) -> None:
    """Low table and rug before a sofa."""
    model = room.pick("coffee")
    reach = (sofa.size[2] + model.size[2]) / 2 + float(room.rng.uniform(0.3, 0.5))
    position = sofa.world(0.0, reach)
    area = room.footprint(position, sofa.yaw, model.size)
    if room.chance(0.75):
        fittings.rug(room, position, (2.4, 1.8), sofa.yaw)
    if room.is_free(area):
        room.take(area)
        instance = room.add_model(model, (position[0], 0.0, position[1]), sofa.yaw)
        table = Stand(position, sofa.yaw, model.size, model.size[1], instance)
        clutter(room, table, SURFACE_ROLES, int(room.rng.integers(3, 8)), region=0.9)


def table_group(room: Room, *, role: str = "dining", laid: tuple[str, ...] = SURFACE_ROLES) -> Stand | None:
    """A table with chairs around it and things on it."""
    model, chair = room.pick(role), room.pick("chair")
    w, h, d = model.size
    tint = room.tint()
    for _ in range(30):
        yaw = float(room.rng.choice([0.0, math.pi / 2])) + float(room.rng.normal(0, 0.05))
        x, z = float(room.rng.uniform(1.0, room.width - 1.0)), float(room.rng.uniform(1.0, room.depth - 1.0))
        if room.is_free(room.footprint((x, z), yaw, (w + 0.9, h, d + 0.9))):
            break
    else:
        return None
    table = Stand((x, z), yaw, model.size, h, room.add_model(model, (x, 0.0, z), yaw))
    room.take(room.footprint((x, z), yaw, model.size))
    clutter(room, table, laid, int(room.rng.integers(3, 9)), region=0.85)
    if room.chance(0.3):
        fittings.rug(room, (x, z), (w + 1.0, d + 1.0), yaw)
    for side in range(4):
        length, reach = (w, d / 2) if side < 2 else (d, w / 2)
        seats = max(1, int(length / 0.62)) if length > 0.7 else 1
        for i in range(seats):
            if room.chance(0.15):
                continue
            offset = (i - (seats - 1) / 2) * length / seats
            distance = reach + chair.size[2] * float(room.rng.uniform(0.15, 0.6))
            local = ((offset, distance), (offset, -distance), (distance, offset), (-distance, offset))[side]
            turn = (math.pi, 0.0, -math.pi / 2, math.pi / 2)[side] + yaw + float(room.rng.uniform(-0.25, 0.25))
            cx, cz = table.world(*local)
            area = room.footprint((cx, cz), turn, chair.size)
            inside = area[0] > 0.02 and area[1] > 0.02 and area[2] < room.width - 0.02 and area[3] < room.depth - 0.02
            others = [foot for foot in room.footprints[:-1] if not _same_table(foot, room, table)]
            if inside and not any(_overlap(area, foot) for foot in others):
                # Chairs reach under the table: their outline is noted for later placing, not as furniture of its own.
                room.take(area, furniture=False)
                room.add_model(chair, (cx, 0.0, cz), turn, tint=tint)
    return table


def _same_table(area: Rect, room: Room, table: Stand) -> bool:
    return area == room.footprint(table.position, table.yaw, table.size)


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def work_place(room: Room, desk: Stand) -> None:
    """Things on a desk and a chair before it."""
    top = 0.75 if desk.size[1] > 0.95 else None
    clutter(room, desk, DESK_ROLES, int(room.rng.integers(4, 10)), top=top)
    chair = room.pick("deskchair" if room.chance(0.7) else "chair")
    x, z = desk.world(
        float(room.rng.uniform(-0.2, 0.2)), desk.size[2] / 2 + chair.size[2] / 2 + float(room.rng.uniform(0.02, 0.3))
    )
    turn = desk.yaw + math.pi + float(room.rng.uniform(-0.7, 0.7))
    area = room.footprint((x, z), turn, chair.size)
    if room.is_free(area, 0.0):
        room.take(area)
        room.add_model(chair, (x, 0.0, z), turn)
