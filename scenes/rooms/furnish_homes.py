"""Rooms-N: how the rooms of a home are furnished, one function a room kind (NYU's scene types)."""

import math

from scenes.rooms import bookcases, fittings, furnish
from scenes.rooms.geometry import Vector
from scenes.rooms.room import Room, WallUse


def bedroom(room: Room) -> None:
    """Bed with night stands, wardrobe, dresser, often a television and a desk."""
    bed = room.against_wall("bed", clear=0.35, tries=60, tint=room.tint())
    if bed is not None:
        for side in (-1, 1):
            if room.chance(0.85):
                model = room.pick("night")
                along = bed.along + side * (bed.size[0] + model.size[0] + 0.12) / 2
                night = room.against_wall("night", wall=bed.wall, along=along, model=model, tries=1)
                if night is not None:
                    furnish.clutter(room, night, ("table_lamp",) if room.chance(0.6) else furnish.SURFACE_ROLES, 1)
                    furnish.clutter(room, night, ("books", "can", "cup"), 1, region=0.9)
        seat = min(bed.top, 0.5)
        if bed.size[1] < 0.85 or room.chance(0.4):
            for _ in range(int(room.rng.integers(0, 3))):
                x, z = bed.world(
                    float(room.rng.uniform(-0.3, 0.3)) * bed.size[0], float(room.rng.uniform(0, 0.3)) * bed.size[2]
                )
                fittings.cushion(room, (x, seat, z), float(room.rng.uniform(-3, 3)), (0.55, 0.4))
        if room.chance(0.6):
            fittings.rug(room, bed.position, (bed.size[0] + 1.0, bed.size[2] + 0.6), bed.yaw)
    if room.chance(0.55):
        furnish.television_corner(room, None if bed is None else bed.wall ^ 1)
    for role, probability in (("wardrobe", 0.7), ("dresser", 0.7), ("desk", 0.4), ("armchair", 0.45), ("crib", 0.08)):
        if not room.chance(probability):
            continue
        stand = room.against_wall(role, clear=0.3, tint=room.tint() if role == "armchair" else None)
        if stand is None:
            continue
        if role == "dresser":
            furnish.clutter(room, stand, furnish.SURFACE_ROLES, int(room.rng.integers(3, 8)))
        elif role == "desk":
            furnish.work_place(room, stand)
    if room.chance(0.7):
        bookcases.bookcase(room)
    if room.chance(0.3):
        room.against_wall("hanging_clothes", tries=8)


def living_room(room: Room) -> None:
    """Sofa, coffee table, television, armchairs, bookcases; a table group where there is room."""
    sofa = room.against_wall("sofa", clear=1.0, tries=60, tint=room.tint())
    if sofa is not None:
        furnish.on_seat(room, sofa, int(room.rng.integers(0, 4)), 0.42)
        furnish.coffee_table(room, sofa)
        furnish.television_corner(room, sofa.wall ^ 1)
        if room.chance(0.3):
            second = room.against_wall("sofa", clear=0.4, tries=20, tint=room.tint())
            if second is not None:
                furnish.on_seat(room, second, int(room.rng.integers(0, 3)), 0.42)
    else:
        furnish.television_corner(room)
    for role, probability in (
        ("armchair", 0.8), ("armchair", 0.4), ("dresser", 0.4), ("floor_lamp", 0.5), ("piano", 0.12),
        ("fireplace", 0.15),
    ):  # fmt: skip
        if room.chance(probability):
            stand = room.against_wall(role, clear=0.25, tint=room.tint() if role == "armchair" else None)
            if stand is not None and role in ("dresser", "piano"):
                furnish.clutter(room, stand, furnish.SURFACE_ROLES, int(room.rng.integers(3, 8)))
    for _ in range(int(room.rng.integers(1, 3))):
        bookcases.bookcase(room)
    if room.chance(0.4):
        room.against_wall("shelf")
    if room.width * room.depth > 22 and room.chance(0.7):
        furnish.table_group(room)


def dining_room(room: Room) -> None:
    """Table with chairs under a lamp, dresser."""
    table = furnish.table_group(room)
    if table is not None and room.chance(0.6):
        model = room.pick("hanging_lamp")
        x, z = table.position
        room.add_model(model, (x, room.height - model.size[1], z), table.yaw)
    for role, probability in (("dresser", 0.8), ("cabinet", 0.3), ("sofa", 0.3), ("wardrobe", 0.2), ("armchair", 0.4)):
        if room.chance(probability):
            stand = room.against_wall(role, clear=0.2, tint=room.tint() if role in ("sofa", "armchair") else None)
            if stand is not None and role == "dresser":
                furnish.clutter(room, stand, furnish.SURFACE_ROLES, int(room.rng.integers(3, 8)))
    if room.chance(0.6):
        bookcases.bookcase(room)
    if room.chance(0.3):
        furnish.television_corner(room)


def office(room: Room) -> None:
    """Desks with chairs, bookcases, a board."""
    for _ in range(int(room.rng.integers(1, 4))):
        desk = room.against_wall("desk", clear=0.65, tries=30)
        if desk is not None:
            furnish.work_place(room, desk)
    for _ in range(int(room.rng.integers(1, 4))):
        bookcases.bookcase(room)
    for role, probability in (("shelf", 0.4), ("wardrobe", 0.3), ("sofa", 0.3), ("armchair", 0.4), ("safe", 0.1)):
        if room.chance(probability):
            room.against_wall(role, clear=0.2, tint=room.tint() if role in ("sofa", "armchair") else None)
    if room.chance(0.35):
        for label, width in (("whiteboard", 1.6), ("cork board", 1.0)):
            spot = room.random_along(width)
            if spot is not None and room.wall_free(spot[0], spot[1], width, 0.9, 2.0):
                fittings.board(room, spot[0], spot[1], width, label)
                break


def kitchen(room: Room) -> None:
    """One or two rows of base units with upper cabinets, sink, stove, hood and fridge; a table where there is room."""
    tint = room.tint() if room.chance(0.6) else None
    first, second = longest_free_walls(room)[:2]
    kitchen_row(room, first, ["fridge", "lower", "sinkcab", "lower", "stove", "lower", "lower", "lower", "lower"], tint)
    if room.chance(0.8):
        kitchen_row(room, second, ["lower", "lower", "washer", "lower", "lower", "lower"], tint)
    if min(room.width, room.depth) > 2.6:
        furnish.table_group(room, laid=(*furnish.COUNTER_ROLES, *furnish.SURFACE_ROLES))
    if room.chance(0.4):
        room.on_floor("stool")


def longest_free_walls(room: Room) -> list[int]:
    """The walls by the length on which nothing stands or opens below counter height, longest first."""

    def free(wall: int) -> float:
        taken = (use.length for use in room.wall_uses if use.wall == wall and use.low < 0.9)
        return room.wall_length(wall) - sum(taken)

    return sorted(range(4), key=free, reverse=True)


def kitchen_row(room: Room, wall: int, units: list[str], tint: Vector | None) -> None:
    """Base units side by side along a wall, stepping over doors, with hood and upper cabinets above."""
    x, limit = 0.04, room.wall_length(wall) - 0.04
    for role in units:
        model = room.pick(role)
        dyed = None if role in ("fridge", "stove", "washer") else tint
        stand = None
        while stand is None and x + model.size[0] <= limit:
            along = x + model.size[0] / 2
            stand = room.against_wall(role, wall=wall, along=along, model=model, tries=1, tint=dyed, margin=0.0)
            x += 0.06 if stand is None else model.size[0] + 0.002
        if stand is None:
            continue
        if role == "lower":
            furnish.clutter(room, stand, furnish.COUNTER_ROLES, int(room.rng.integers(2, 5)))
        elif role == "stove":
            room.on_wall("hood", min(1.65, room.height - 0.55), wall=wall, along=stand.along)
            furnish.clutter(room, stand, ("pot", "kettle"), int(room.rng.integers(0, 3)))
    _upper_cabinets(room, wall, tint)


def _upper_cabinets(room: Room, wall: int, tint: Vector | None) -> None:
    """Hang cabinets side by side wherever a base unit stands below and the wall is free."""
    bases = [use for use in room.wall_uses if use.wall == wall and 0.7 < use.high < 1.0 and use.low == 0.0]
    if not bases:
        return
    x, low = min(use.along - use.length / 2 for use in bases), 1.42
    end = max(use.along + use.length / 2 for use in bases)
    while True:
        model = room.pick("upper")
        width, height, depth = model.size
        if x + width > end + 0.05:
            return
        center = x + width / 2
        above_base = any(abs(use.along - center) < use.length / 2 for use in bases)
        if above_base and room.wall_free(wall, center, width, low, low + height, gap=-0.01):
            (ux, uz), yaw = room.wall_pose(wall, center, depth, 0.005)
            room.add_model(model, (ux, low, uz), yaw, tint=tint)
            room.wall_uses.append(WallUse(wall, center, width, low, low + height))
            x += width + 0.002
        else:
            x += 0.1


def bathroom(room: Room) -> None:
    """Bathtub or shower, toilet, basin, washing machine, towels."""
    tub = room.against_wall("bathtub" if room.chance(0.7) or not room.has("shower") else "shower", tries=40)
    if tub is not None and room.has("showercurtain") and room.chance(0.4):
        model = room.pick("showercurtain")
        x, z = tub.world(0.0, tub.size[2] / 2 - 0.1)
        room.add_model(model, (x, 0.25, z), tub.yaw, tint=room.tint())
    toilet = room.against_wall("toilet", clear=0.4, tries=40)
    if toilet is not None and room.has("toiletbrush"):
        room.against_wall("toiletbrush", wall=toilet.wall, loose=True)
    basin = room.against_wall("basin" if room.chance(0.5) else "vanity", clear=0.4, tries=40)
    if basin is not None:
        if basin.size[1] < 1.0 and room.wall_free(basin.wall, basin.along, 0.6, 1.0, 2.0):
            fittings.board(room, basin.wall, basin.along, 0.6, "mirror")
        furnish.clutter(room, basin, furnish.BATH_ROLES, 3, region=0.95)
    for role, probability in (("washer", 0.5), ("bidet", 0.3), ("basket", 0.6), ("dresser", 0.3), ("radiator", 0.3)):
        if room.chance(probability):
            stand = room.against_wall(role, tries=20)
            if stand is not None and role in ("washer", "dresser"):
                furnish.clutter(room, stand, (*furnish.BATH_ROLES, "folded"), 4)
    for _ in range(int(room.rng.integers(1, 4))):
        room.on_wall("towel", float(room.rng.uniform(0.9, 1.3)))
    if room.chance(0.8):
        model = room.pick("bathmat")
        x, z = float(room.rng.uniform(0.6, room.width - 0.6)), float(room.rng.uniform(0.6, room.depth - 0.6))
        room.add_model(model, (x, 0.0, z), float(room.rng.choice([0.0, math.pi / 2])))


def playroom(room: Room) -> None:
    """Bookcases, bean bags, rug, television and many things on the floor."""
    for _ in range(2):
        bookcases.bookcase(room)
    for role in ("sofa", "beanbag", "dresser", "shelf"):
        stand = room.against_wall(role, clear=0.2, tint=room.tint() if role in ("sofa", "beanbag") else None)
        if stand is not None and role in ("dresser",):
            furnish.clutter(room, stand, (*furnish.SURFACE_ROLES, "gift"), 5)
    fittings.rug(room, (room.width / 2, room.depth / 2), (2.4, 2.0))
    furnish.television_corner(room)
    if room.chance(0.5):
        furnish.table_group(room)
    furnish.floor_clutter(room, int(room.rng.integers(5, 10)))
