"""What a renderer needs of a scene, and the street while it is being built. No renderer in here."""

from dataclasses import dataclass, field

import numpy as np

from scenes.streets import fleet
from scenes.streets.geometry import WHITE, Array, Colour, Curve, Soup, box, tube
from scenes.streets.labels import VEGETATION
from scenes.streets.occupancy import Occupancy
from scenes.streets.sky import Light
from scenes.streets.style import Style


@dataclass
class Thing:
    """A model put somewhere.

    Attributes:
        model: id of models.csv, or `rider:KIND:SEED`.
        label: train id.
        ident: instance number, 0 for stuff (trees, bins).
        poses: (frames or 1, 4, 4) object to world; the object's front is +y, its origin on the ground.
        paint: colour of paint or leaves, sRGB; None = as the model is.
        moving: whether its poses differ; never in a single frame.
        bare: a tree without leaves.
        size: x, y, z in metres, filled in by the renderer.
    """

    model: str
    label: int
    ident: int
    poses: Array
    paint: Colour | None = None
    moving: bool = False
    bare: bool = False
    size: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass
class Gap:
    """Where a side street meets a road: place along it, half width, radius of the corners, metres."""

    s: float
    half: float
    radius: float


@dataclass
class Side:
    """One side of a road; distances from its middle line, metres.

    Attributes:
        sign: +1 right, -1 left.
        edge: end of the lanes. kerb: end of the parking lane. front: where plots begin.
        walk0, walk1: beginning of verge or sidewalk, and its end.
        verge: width of the grass between `walk0` and the sidewalk.
        gaps: side streets, in order.
        spans: pieces (from, to) along the road between side streets.
        parking: whether there is a parking lane.
    """

    sign: int
    edge: float
    kerb: float
    walk0: float
    walk1: float
    front: float
    verge: float
    gaps: list[Gap]
    spans: list[tuple[float, float]]
    parking: bool

    def near_gap(self, s: float, margin: float) -> bool:
        """Whether s is within `margin` metres of a side street."""
        return any(abs(s - gap.s) < gap.half + margin for gap in self.gaps)


@dataclass
class Branch:
    """A side street."""

    curve: Curve
    half: float
    s: float
    sign: int


@dataclass
class Street:
    """A scene: what is rendered, and what the builders tell each other.

    Attributes:
        rng: decides everything.
        used_in: `K` or `V`.
        style, light: kind of street and weather.
        times: (frames,) seconds.
        occupancy: ground that is taken.
        soups: triangles by material; textures: sRGB images by material.
        things: models.
        walls: materials of houses. trees: the kinds that grow here. tints: colours of their leaves.
        curve: the main road. crossings: (s, "both" | "left" | "right"). sides: by sign.
        branches: side streets.
        fleet: cars (model, paint) that drive and park here; the last one is the van, if the set has one.
        camera: (frames, 4, 4) left camera to world, axes x right, y down, z forward.
        ego_s, ego_lane, ego_speed: its places along the road, distance of its lane from the middle (metres),
            speed (m/s).
        idents: number of instances so far.
    """

    rng: np.random.Generator
    used_in: str
    style: Style
    light: Light
    times: Array
    occupancy: Occupancy
    soups: dict[str, Soup] = field(default_factory=dict)
    textures: dict[str, Array] = field(default_factory=dict)
    things: list[Thing] = field(default_factory=list)
    walls: list[str] = field(default_factory=list)
    tints: dict[str, Colour | None] = field(default_factory=dict)
    trees: list[str] = field(default_factory=list)
    crossings: list[tuple[float, str]] = field(default_factory=list)
    sides: dict[int, Side] = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)
    curve: Curve = field(default=None)  # type: ignore[assignment]
    fleet: list[tuple[str, Colour | None]] = field(default_factory=list)
    camera: Array = field(default_factory=lambda: np.eye(4)[None])
    ego_s: Array = field(default_factory=lambda: np.zeros(1))
    ego_lane: float = 0.0
    ego_speed: float = 0.0
    idents: int = 0

    def soup(self, material: str) -> Soup:
        """The triangles of a material."""
        return self.soups.setdefault(material, Soup())

    def add_tube(
        self,
        material: str,
        ends: tuple[Array, Array],
        radii: tuple[float, float],
        label: int,
        colour: Colour = WHITE,
    ) -> None:
        """A tapered cylinder."""
        corners, uv = tube(*ends, *radii)
        self.soup(material).quads(corners, uv, label, colour)

    def add_box(
        self,
        material: str,
        size: tuple[float, float, float],
        pose: Array,
        label: int,
        colour: Colour = WHITE,
        centre: tuple[float, float, float] = (0, 0, 0),
        uv_scale: float = 1.0,
    ) -> None:
        """A box; `centre` in the frame of `pose`."""
        corners, uv = box(size, pose, centre, uv_scale)
        self.soup(material).quads(corners, uv, label, colour)

    def place(
        self,
        model: str,
        pose: Array,
        label: int = VEGETATION,
        paint: Colour | None = None,
        bare: bool = False,
    ) -> None:
        """Put a model that is no instance (a plant, a bench)."""
        self.things.append(Thing(model, label, 0, np.asarray(pose)[None], paint, bare=bare))

    def add_instance(self, model: str, poses: Array, label: int | None = None, paint: Colour | None = None) -> None:
        """Put something countable; it moves if it has several poses that differ."""
        self.idents += 1
        label = fleet.label(fleet.models()[model].role) if label is None else label
        moving = len(poses) > 1 and not np.allclose(poses, poses[:1])
        self.things.append(Thing(model, label, self.idents, poses, paint, moving))
