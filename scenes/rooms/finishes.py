"""Random colours and textures of things, and which of the small ones stay without a label."""

from scenes.rooms.geometry import Mesh, Real, Vector
from scenes.rooms.room import UNLABELLED_SHARE, Room
from scenes.rooms.scene import UNLABELLED, Surface

TEXTURE_SEEDS = 48
Colour = Vector
FRAME_COLOURS: tuple[Colour, ...] = (
    (0.05, 0.04, 0.03),
    (0.3, 0.17, 0.08),
    (0.6, 0.6, 0.6),
    (0.5, 0.4, 0.15),
    (0.9, 0.9, 0.88),
)


def seeded(room: Room, kind: str) -> tuple[str, int]:
    """A random procedural texture of `kind`."""
    return kind, int(room.rng.integers(TEXTURE_SEEDS))


def random_colour(room: Room, low: Real = 0.1, high: Real = 0.85) -> Colour:
    """A colour of random hue and lightness, mostly muted as things in rooms are."""
    grey = float(room.rng.uniform(low, high))
    strength = 0.7 * float(room.rng.random()) ** 1.5
    r, g, b = (grey + strength * (float(value) - grey) for value in room.rng.uniform(low, high, 3))
    return r, g, b


def choice(room: Room, colours: tuple[Colour, ...]) -> Colour:
    """One of the colours."""
    return colours[int(room.rng.integers(len(colours)))]


def loose_piece(room: Room, mesh: Mesh, surface: Surface, label: str) -> None:
    """A small thing that annotators may have left unlabelled."""
    name = UNLABELLED if room.chance(UNLABELLED_SHARE) else label
    room.add(mesh, surface, name, room.new_instance())
