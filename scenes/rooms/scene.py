"""From a room's description to triangles grouped by material, each triangle with its label and its instance."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Int32

from scenes.rooms import catalogue
from scenes.rooms.geometry import Mesh, Real, Vector, concatenate
from scenes.rooms.objfile import Material, load_parts

UNLABELLED = "unlabelled"
# Parts of a model that NYU would name otherwise than the whole, found by the name of their material.
PART_LABELS = {"book": "books", "pillow": "pillow", "cushion": "pillow"}
WHOLES_WITH_PARTS = {"shelf", "wardrobe", "cabinet", "bed", "dresser"}
# Opacities below this are glass; nearly invisible parts are helpers of the modeller, left out.
GLASS, INVISIBLE = 0.8, 0.05


@dataclass(frozen=True)
class Surface:
    """How a piece looks.

    Attributes:
        colour: sRGB 0..1, used where there is no texture.
        texture: procedural texture (kind, seed), or None.
        uv_scale: repeats of the texture per unit of the mesh's texture coordinates.
        gloss: 0 matt, 1 satin, 2 polished.
        radiance: emitted radiance (front side); 0 for all but lights and the view through windows. Where there is a
            texture, it is multiplied with it.
    """

    colour: Vector = (0.7, 0.7, 0.7)
    texture: tuple[str, int] | None = None
    uv_scale: float = 1.0
    gloss: int = 0
    radiance: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Piece:
    """A mesh made by the layout itself (walls, books, pictures, …)."""

    mesh: Mesh
    surface: Surface
    label: str
    instance: int


@dataclass(frozen=True)
class Placement:
    """A furniture model put somewhere: base centre at `position`, front facing +z turned by `yaw`."""

    model: str
    position: Vector
    yaw: float
    label: str
    instance: int
    scale: Real = 1.0
    tint: Vector | None = None


@dataclass(frozen=True)
class Coat:
    """What triangles must share to be one mesh of the renderer: gloss, texture, transparency, emission.

    `texture` is ("procedural", kind, seed) or ("file", library, path); `opacity` 1 or that of glass.
    """

    texture: tuple[str, str, str] | None
    gloss: int
    opacity: float
    radiance: Vector = (0.0, 0.0, 0.0)


@dataclass
class Batch:
    """Triangles of one coat, with per-triangle data."""

    meshes: list[Mesh] = field(default_factory=list)
    colours: list[Vector] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    instances: list[int] = field(default_factory=list)

    def add(self, mesh: Mesh, colour: Vector, label: int, instance: int) -> None:
        """Append a mesh of one colour (sRGB), label and instance."""
        self.meshes.append(mesh)
        self.colours.append(colour)
        self.labels.append(label)
        self.instances.append(instance)

    def mesh(self) -> Mesh:
        """All triangles."""
        return concatenate(self.meshes)

    def per_triangle(self, values: list[int]) -> Int32[np.ndarray, " triangles"]:
        """(n,) int32: one value a mesh, repeated for its triangles."""
        return np.repeat(np.array(values, np.int32), [mesh.triangles for mesh in self.meshes])

    def vertex_colours(self) -> Float32[np.ndarray, "corners 3"]:
        """(3n, 3) linear RGB of every corner."""
        counts = [3 * mesh.triangles for mesh in self.meshes]
        return np.repeat(to_linear(np.array(self.colours, np.float32)), counts, axis=0)


def to_linear(srgb: Float[np.ndarray, "*any"]) -> Float32[np.ndarray, "*any"]:
    """SRGB 0..1 to linear reflectance, kept within what real surfaces have."""
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.clip(linear, 0.005, 0.88).astype(np.float32)


def _part_colour(material: Material, tint: Vector | None) -> Vector:
    colour = np.array(material.diffuse)
    # Only what the modeller left white or grey is upholstery or paint that may have another colour.
    if tint is not None and np.ptp(colour) < 0.1 and colour.mean() > 0.3:
        colour = colour * np.array(tint)
    r, g, b = (float(value) for value in colour)
    return r, g, b


def _part_gloss(material: Material) -> int:
    if material.specular < 0.08:
        return 0
    return 2 if material.shininess > 60 else 1


def batches(placed: list[Piece | Placement], label_ids: dict[str, int]) -> dict[Coat, Batch]:
    """All triangles of a room by coat.

    Args:
        placed: what stands in the room.
        label_ids: local id of every label name; names that are missing are added, in order of appearance.
    """
    grouped: dict[Coat, Batch] = {}
    for item in placed:
        if isinstance(item, Piece):
            surface = item.surface
            texture = None if surface.texture is None else ("procedural", surface.texture[0], str(surface.texture[1]))
            coat = Coat(texture, surface.gloss, 1.0, surface.radiance)
            mesh = Mesh(item.mesh.positions, item.mesh.normals, item.mesh.uv * np.float32(surface.uv_scale))
            label = label_ids.setdefault(item.label, len(label_ids))
            grouped.setdefault(coat, Batch()).add(mesh, surface.colour, label, item.instance)
        else:
            _add_model(grouped, item, label_ids)
    return grouped


def _add_model(grouped: dict[Coat, Batch], item: Placement, label_ids: dict[str, int]) -> None:
    library = catalogue.LIBRARIES[item.model[0]]
    role = catalogue.models()[item.model].role
    for part in load_parts(item.model):
        material = part.material
        if material.opacity < INVISIBLE or (material.opacity < GLASS and role == "window"):
            continue
        name = item.label
        if role in WHOLES_WITH_PARTS and item.label != UNLABELLED:
            named = [label for word, label in PART_LABELS.items() if word in part.name.lower()]
            name = named[0] if named else name
        texture = None if material.texture is None else ("file", library, material.texture)
        opacity = 1.0 if material.opacity >= GLASS else 0.35
        coat = Coat(texture if opacity == 1.0 else None, _part_gloss(material), opacity)
        label = label_ids.setdefault(name, len(label_ids))
        mesh = part.mesh.placed(item.position, item.yaw, item.scale)
        grouped.setdefault(coat, Batch()).add(mesh, _part_colour(material, item.tint), label, item.instance)
