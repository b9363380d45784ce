"""A room under construction: its shell, what is placed in it, and where there is still space.

Walls: 0 at z = 0, 1 at z = depth, 2 at x = 0, 3 at x = width; positions along a wall are x (0, 1) or z (2, 3).
"""

import math
from dataclasses import dataclass

import numpy as np

from scenes.rooms import catalogue
from scenes.rooms.catalogue import Model
from scenes.rooms.geometry import Mesh, Pair, Real, Rect, Vector
from scenes.rooms.scene import UNLABELLED, Piece, Placement, Surface

Footprint = Rect
Size = Vector
Tint = Vector

TINTS: tuple[Tint, ...] = (
    (1, 1, 1),
    (0.75, 0.2, 0.15),
    (0.25, 0.35, 0.6),
    (0.35, 0.5, 0.3),
    (0.8, 0.65, 0.4),
    (0.3, 0.3, 0.32),
    (0.6, 0.45, 0.6),
    (0.55, 0.4, 0.3),
)
# Annotators leave odd things without a label; so do we, for this share of the small and loose objects.
UNLABELLED_SHARE = 0.3


@dataclass(frozen=True)
class WallUse:
    """A stretch of wall that is taken: centre and length along the wall, from `low` to `high` metres."""

    wall: int
    along: Real
    length: Real
    low: Real
    high: Real


@dataclass(frozen=True)
class Stand:
    """A placed object on which others may stand, or in front of which something belongs.

    Attributes:
        position: (x, z) of its centre. yaw: radians. size: metres. top: height of its upper surface.
        wall, along: the wall it stands against and where (-1 if it stands free).
        instance: its number in the room.
    """

    position: Pair
    yaw: float
    size: Size
    top: Real
    instance: int
    wall: int = -1
    along: Real = 0.0

    def world(self, x: Real, z: Real) -> Pair:
        """A point given in the object's own frame (z to its front) in room coordinates."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return self.position[0] + c * x + s * z, self.position[1] - s * x + c * z


class Room:
    """Rectangular room of `width` (x) by `depth` (z) by `height` (y) metres, to be filled."""

    def __init__(self, rng: np.random.Generator, used_in: str, size: Size) -> None:
        self.rng = rng
        self.used_in = used_in
        self.width, self.height, self.depth = size
        self.placed: list[Piece | Placement] = []
        self.footprints: list[Footprint] = []
        self.furniture_footprints: list[Footprint] = []
        self.wall_uses: list[WallUse] = []
        self.holes: list[WallUse] = []
        self._instances = 0

    # Bookkeeping

    def new_instance(self) -> int:
        """The next instance number."""
        self._instances += 1
        return self._instances

    def chance(self, probability: Real) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def pick(self, role: str) -> Model:
        """A model for `role` among those of this data set."""
        candidates = catalogue.models_of(role, self.used_in)
        return candidates[int(self.rng.integers(len(candidates)))]

    def has(self, role: str) -> bool:
        """Whether this data set has a model for `role`."""
        return bool(catalogue.models_of(role, self.used_in))

    def tint(self) -> Tint:
        """A random colour for upholstery or paint."""
        return TINTS[int(self.rng.integers(len(TINTS)))]

    def wall_length(self, wall: int) -> float:
        """Length of a wall, metres."""
        return self.width if wall < 2 else self.depth

    def add(self, mesh: Mesh, surface: Surface, label: str, instance: int) -> None:
        """Put a mesh, already in room coordinates."""
        self.placed.append(Piece(mesh, surface, label, instance))

    def add_model(
        self,
        model: Model,
        position: Vector,
        yaw: Real,
        *,
        label: str | None = None,
        scale: Real = 1.0,
        tint: Tint | None = None,
        loose: bool = False,
    ) -> int:
        """Put a model; `loose` ones may end up unlabelled. Gives its instance number."""
        name = label or model.label
        if loose and self.chance(UNLABELLED_SHARE):
            name = UNLABELLED
        instance = self.new_instance()
        self.placed.append(Placement(model.id, position, yaw, name, instance, scale, tint))
        return instance

    # Free space

    def footprint(self, position: Pair, yaw: Real, size: Size) -> Footprint:
        """Axis-aligned outline (x0, z0, x1, z1) of an object turned by `yaw`."""
        c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
        half_x, half_z = (c * size[0] + s * size[2]) / 2, (s * size[0] + c * size[2]) / 2
        return position[0] - half_x, position[1] - half_z, position[0] + half_x, position[1] + half_z

    def is_free(self, area: Footprint, margin: Real = 0.02) -> bool:
        """Whether an area is inside the room and clear of all that stands on the floor."""
        x0, z0, x1, z1 = area
        if x0 < -0.01 or z0 < -0.01 or x1 > self.width + 0.01 or z1 > self.depth + 0.01:
            return False
        return all(
            x1 + margin <= a or x0 - margin >= c or z1 + margin <= b or z0 - margin >= d
            for a, b, c, d in self.footprints
        )

    def take(self, area: Footprint, *, furniture: bool = True) -> None:
        """Mark floor as taken, by furniture or (door swings, window sides) by nothing that can be seen."""
        self.footprints.append(area)
        if furniture:
            self.furniture_footprints.append(area)

    def wall_free(self, wall: int, along: Real, length: Real, low: Real, high: Real, gap: Real = 0.05) -> bool:
        """Whether a stretch of wall is free between two heights."""
        if along - length / 2 < 0.03 or along + length / 2 > self.wall_length(wall) - 0.03:
            return False
        return all(
            use.wall != wall
            or abs(use.along - along) >= (use.length + length) / 2 + gap
            or low >= use.high + 0.02
            or high <= use.low - 0.02
            for use in self.wall_uses
        )

    def wall_pose(self, wall: int, along: Real, depth: Real, gap: Real = 0.02) -> tuple[Pair, float]:
        """Centre (x, z) and yaw of an object of `depth` with its back to the wall."""
        reach = depth / 2 + gap
        if wall == 0:
            return (along, reach), 0.0
        if wall == 1:
            return (along, self.depth - reach), math.pi
        if wall == 2:
            return (reach, along), math.pi / 2
        return (self.width - reach, along), -math.pi / 2

    def random_along(self, length: Real, wall: int | None = None) -> tuple[int, float] | None:
        """A random wall (or the given one) and a place on it for something of `length`; None if it is too long."""
        chosen = int(self.rng.integers(4)) if wall is None else wall
        room = self.wall_length(chosen) - length - 0.08
        if room < 0:
            return None
        return chosen, length / 2 + 0.04 + float(self.rng.random()) * room

    # Placing furniture

    def against_wall(
        self,
        role: str,
        *,
        wall: int | None = None,
        along: Real | None = None,
        model: Model | None = None,
        clear: Real = 0.0,
        tries: int = 25,
        tint: Tint | None = None,
        scale: Real = 1.0,
        loose: bool = False,
        gap: Real = 0.02,
        margin: Real = 0.02,
    ) -> Stand | None:
        """Stand a model on the floor with its back to a wall; `clear` metres before it stay free at that time."""
        model = model or self.pick(role)
        w, h, d = (scale * value for value in model.size)
        for _ in range(tries):
            spot = self.random_along(w, wall) if along is None or wall is None else (wall, along)
            if spot is None:
                continue
            side, t = spot
            (x, z), yaw = self.wall_pose(side, t, d, gap)
            area = self.footprint((x, z), yaw, (w, h, d))
            dx, dz = math.sin(yaw) * clear, math.cos(yaw) * clear
            wanted = (
                area[0] + min(0.0, dx),
                area[1] + min(0.0, dz),
                area[2] + max(0.0, dx),
                area[3] + max(0.0, dz),
            )
            if not self.is_free(wanted, margin) or not self.wall_free(side, t, w, 0.0, h, gap=0.0):
                continue
            self.take(area)
            self.wall_uses.append(WallUse(side, t, w, 0.0, h))
            instance = self.add_model(model, (x, 0.0, z), yaw, tint=tint, scale=scale, loose=loose)
            return Stand((x, z), yaw, (w, h, d), h, instance, side, t)
        return None

    def on_wall(
        self, role: str, low: Real, *, wall: int | None = None, along: Real | None = None, scale: Real = 1.0
    ) -> Stand | None:
        """Hang a model on a wall with its lower border at `low`."""
        model = self.pick(role)
        w, h, d = (scale * value for value in model.size)
        for _ in range(12):
            spot = self.random_along(w, wall) if along is None or wall is None else (wall, along)
            if spot is None or low + h > self.height - 0.02:
                return None
            side, t = spot
            if not self.wall_free(side, t, w, low, low + h):
                continue
            (x, z), yaw = self.wall_pose(side, t, d, 0.005)
            self.wall_uses.append(WallUse(side, t, w, low, low + h))
            instance = self.add_model(model, (x, low, z), yaw, scale=scale)
            return Stand((x, z), yaw, (w, h, d), low + h, instance, side, t)
        return None

    def on_floor(
        self,
        role: str,
        *,
        near: Pair | None = None,
        spread: Real = 1.0,
        yaw: Real | None = None,
        tries: int = 20,
        tint: Tint | None = None,
        margin: Real = 0.02,
        loose: bool = False,
        model: Model | None = None,
    ) -> Stand | None:
        """Stand a model anywhere on the free floor, or within about `spread` metres of `near`."""
        model = model or self.pick(role)
        for _ in range(tries):
            if near is None:
                x, z = float(self.rng.uniform(0.2, self.width - 0.2)), float(self.rng.uniform(0.2, self.depth - 0.2))
            else:
                x, z = near[0] + float(self.rng.normal(0, spread / 2)), near[1] + float(self.rng.normal(0, spread / 2))
            turn = float(self.rng.uniform(-math.pi, math.pi)) if yaw is None else yaw
            area = self.footprint((x, z), turn, model.size)
            if not self.is_free(area, margin):
                continue
            self.take(area)
            instance = self.add_model(model, (x, 0.0, z), turn, tint=tint, loose=loose)
            return Stand((x, z), turn, model.size, model.size[1], instance)
        return None

    def spots_on(
        self, stand: Stand, sizes: list[Pair], *, region: Real = 1.0, margin: Real = 0.02
    ) -> list[tuple[int, float, float]]:
        """Where objects with the given (width, depth) fit on top of `stand` without touching one another.

        Returns:
            (index into `sizes`, x, z) in the stand's own frame, for those that fit.
        """
        taken: list[Rect] = []
        found = []
        for index, (w, d) in enumerate(sizes):
            free_x, free_z = stand.size[0] * region - w - 2 * margin, stand.size[2] * region - d - 2 * margin
            if free_x < 0 or free_z < 0:
                continue
            for _ in range(14):
                x, z = (float(self.rng.random()) - 0.5) * free_x, (float(self.rng.random()) - 0.5) * free_z
                if all(abs(x - a) > (w + c) / 2 + margin or abs(z - b) > (d + e) / 2 + margin for a, b, c, e in taken):
                    taken.append((x, z, w, d))
                    found.append((index, x, z))
                    break
        return found
