"""A street as flat arrays: meshes, and what the shader looks up by the number of a triangle."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenes.streets import assets, fleet
from scenes.streets.geometry import Array, Colour, Soup
from scenes.streets.riders import rider
from scenes.streets.world import Street, Thing

MATT, LEAF, GLOSS, GLASS, LAMP, WET = range(6)
MATERIALS = {"pane": GLASS, "lamp": LAMP, "hedge": LEAF}
WET_MATERIALS = ("asphalt", "asphalt2", "parking", "paint")
WET_DARKER = 0.55
FOLIAGE_PARTS = ("Leaves", "Twig", "leaves", "hedgetextured")
GLASS_WORDS = ("glass", "cristal", "window", "vidrio")
LIVERIES = ("S361", "B122", "S212", "S173", "S247")
"""Vehicles whose texture is their paint."""
GLASS_COLOUR = (0.06, 0.07, 0.075)


def to_linear(colour: ArrayLike) -> Array:
    """SRGB 0..1 to linear."""
    value = np.asarray(colour)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


@dataclass
class Mesh:
    """Triangles of one material: name, (3n, 3) points, the number of its first triangle in the tables."""

    name: str
    points: Array
    first: int


@dataclass
class Group:
    """A model with its paint, and the things that are copies of it."""

    meshes: list[Mesh]
    things: list[Thing]


class Tables:
    """Collects the triangles of a street.

    Attributes:
        meshes: triangles that are in the world's frame; groups: models and their copies.
        models: ids of the models that were loaded.
        columns: by triangle (one row each): n (9), uv (6), col (3), tex, kind, lab.
        textures: (offset, width, height) by number; texels: (m, 3) linear.
    """

    def __init__(self, street: Street) -> None:
        self.meshes: list[Mesh] = []
        self.groups: list[Group] = []
        self.models: set[str] = set()
        self._rows: dict[str, list[Array]] = defaultdict(list)
        self._count = 0
        self._textures: list[tuple[int, int, int]] = [(0, 1, 1)]
        self._texels: list[Array] = [np.ones((1, 3), np.float32)]
        self._texture_numbers: dict[object, int] = {}
        self._wet = street.light.wet
        for material, soup in street.soups.items():
            self.meshes.append(self._soup(street, material, soup))
        copies: dict[tuple[str, Colour | None, bool], list[Thing]] = defaultdict(list)
        for thing in street.things:
            copies[thing.model, thing.paint, thing.bare].append(thing)
        for number, ((model, paint, bare), things) in enumerate(copies.items()):
            meshes, size = self._model(f"g{number:03d}", model, paint, bare)
            for thing in things:
                thing.size = size
            self.groups.append(Group(meshes, things))
        self.columns = {key: np.concatenate(parts) for key, parts in self._rows.items()}
        self.textures = np.array(self._textures, np.uint32)
        self.texels = np.concatenate(self._texels)

    def _soup(self, street: Street, material: str, soup: Soup) -> Mesh:
        points, normals, uv, colours, lab = soup.arrays()
        image = street.textures.get("atlas" if material == "pane" else material)
        texture = 0 if image is None else self._texture("atlas" if material == "pane" else material, to_linear(image))
        kind, linear = MATERIALS.get(material, MATT), to_linear(colours)
        if self._wet and (material in WET_MATERIALS or material.startswith("paving")):
            linear = linear * WET_DARKER if material != "paint" else linear
            kind = WET if material in WET_MATERIALS else kind
        return self._add(f"s_{material}", points, (normals, uv, linear), texture, kind, lab)

    def _add(
        self,
        name: str,
        points: Array,
        corners: tuple[Array, Array, Array],
        texture: int,
        kind: int,
        lab: NDArray[np.uint8] | None = None,
    ) -> Mesh:
        """Append triangles; `corners`: normals, uv and linear colours of every corner."""
        count = len(points) // 3
        normals, uv, colours = corners
        self._rows["n"].append(np.asarray(normals, np.float32).reshape(-1, 9))
        self._rows["uv"].append(np.asarray(uv, np.float32).reshape(-1, 6))
        self._rows["col"].append(np.clip(colours, 0.003, 0.85)[::3].astype(np.float32))
        self._rows["tex"].append(np.full(count, texture, np.uint32))
        self._rows["kind"].append(np.full(count, kind, np.uint8))
        self._rows["lab"].append(np.zeros(count, np.uint8) if lab is None else lab)
        self._count += count
        return Mesh(name, np.asarray(points, np.float32), self._count - count)

    def _texture(self, key: object, image: Array) -> int:
        if key not in self._texture_numbers:
            self._texture_numbers[key] = len(self._textures)
            height, width = image.shape[:2]
            self._textures.append((sum(len(part) for part in self._texels), width, height))
            self._texels.append(np.clip(image, 0.004, 0.85).reshape(-1, 3).astype(np.float32))
        return self._texture_numbers[key]

    def _model(
        self, group: str, model: str, paint: Colour | None, bare: bool
    ) -> tuple[list[Mesh], tuple[float, float, float]]:
        if model.startswith("rider"):
            _, kind, seed = model.split(":")
            return self._rider(f"{group}m000", kind, int(seed))
        parts, size = assets.load(model)
        self.models.add(model)
        meshes = []
        for number, part in enumerate(parts):
            foliage = fleet.models()[model].role in ("tree", "bush") and part.name in FOLIAGE_PARTS
            # Spokes are a picture with holes, which the shader does not know.
            if part.material.opacity < 0.04 or (model == "S246" and part.name == "textured") or (bare and foliage):
                continue
            colour, texture, surface = self._look(model, part, paint, foliage)
            colours = np.repeat(to_linear(colour)[None], len(part.points), 0)
            name = f"{group}m{number:03d}"
            meshes.append(self._add(name, part.points, (part.normals, part.uv, colours), texture, surface))
        return meshes, size

    def _rider(self, name: str, kind: str, seed: int) -> tuple[list[Mesh], tuple[float, float, float]]:
        soup = Soup()
        for (corners, uv), colour in rider(kind, seed):
            soup.quads(corners, uv, 0, colour)
        points, normals, flat, colours, _ = soup.arrays()
        x, y, z = (float(extent) for extent in np.ptp(points, axis=0))
        return [self._add(name, points, (normals, flat, to_linear(colours)), 0, MATT)], (x, y, z)

    def _look(self, model: str, part: assets.Part, paint: Colour | None, foliage: bool) -> tuple[Colour, int, int]:
        """Colour (sRGB), texture and kind of a part of a model."""
        entry, material = fleet.models()[model], part.material
        vehicle, word = entry.role in fleet.VEHICLES, part.name.lower()
        colour: Colour = material.diffuse
        kind = LEAF if foliage else MATT
        if vehicle and (material.opacity < 0.7 or any(glass in word for glass in GLASS_WORDS)):
            return GLASS_COLOUR, 0, GLASS
        if vehicle and paint is not None and part.name.startswith(entry.paint):
            colour, kind = paint, GLOSS
        elif vehicle and material.specular > 0.3:
            kind = GLOSS
        textured = not vehicle or part.name == "textured" or model in LIVERIES
        if material.texture is None or kind == GLOSS or not textured:
            return colour, 0, kind
        tint = paint if foliage else None
        key = (model[0], material.texture, tint, foliage)
        if key not in self._texture_numbers:
            image = to_linear(assets.texture(model, material.texture))
            self._texture(key, _foliage(image, tint, entry.role == "tree") if foliage else image)
        return (1.0, 1.0, 1.0), self._texture_numbers[key], kind


def _foliage(image: Array, tint: Colour | None, tree: bool) -> Array:
    """Leaves as photographed, brightened; or their lightness in another colour."""
    if tint is None:
        return np.clip(image * (1.5 if tree else 0.75), 0, 0.7)
    grey = image @ np.array([0.35, 0.45, 0.2], np.float32)
    return np.clip((grey / max(float(grey.mean()), 1e-3) * 0.17)[..., None] * np.array(tint, np.float32), 0, 0.7)
