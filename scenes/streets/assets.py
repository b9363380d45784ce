"""Sweet Home 3D's furniture libraries (Debian's sweethome3d-furniture) as triangles in metres.

The package holds `.sh3f` archives (zip files) of Wavefront models with a catalogue of sizes and creators.
`STREETS_FURNITURE` names another folder of archives, `STREETS_CACHE` a folder that keeps parsed models.
Object frame: x right, y forward, z up, origin in the middle of the footprint.
"""

import io
import os
import pickle
import posixpath
import re
from dataclasses import astuple, dataclass, field
from functools import cache
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image

from scenes.streets.geometry import Array
from zdlib.errors import ZDError

FOLDER = Path("/usr/share/sweethome3d/furniture")
LIBRARIES = {
    "B": ("BlendSwap-CC-BY", "CC BY 3.0"),
    "K": ("KatorLegaz", "CC BY 3.0 US"),
    "R": ("Reallusion", "CC BY 3.0 US"),
    "S": ("Scopia", "CC BY 3.0"),
}
TEXTURE_LIMIT = 448


@dataclass
class Material:
    """Wavefront material: `diffuse` sRGB 0..1, `texture` the path of its colour map inside the archive."""

    diffuse: tuple[float, float, float] = (0.7, 0.7, 0.7)
    specular: float = 0.0
    opacity: float = 1.0
    texture: str | None = None


@dataclass(frozen=True)
class Part:
    """The triangles of a model that share a material: (3n, 3) points and normals, (3n, 2) uv."""

    name: str
    material: Material
    points: Array
    normals: Array
    uv: Array


@dataclass
class _Obj:
    vertices: list[list[str]] = field(default_factory=list)
    uv: list[tuple[str, str]] = field(default_factory=list)
    normals: list[list[str]] = field(default_factory=list)
    corners: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    materials: dict[str, Material] = field(default_factory=dict)


@cache
def archive(library: str) -> ZipFile:
    """The open archive of a library (its letter).

    Raises:
        ZDError: it is not there.
    """
    path = Path(os.environ.get("STREETS_FURNITURE") or FOLDER) / f"{LIBRARIES[library][0]}.sh3f"
    if not path.is_file():
        raise ZDError(f"{path}: no such file: install Debian's sweethome3d-furniture or set STREETS_FURNITURE")
    return ZipFile(path)


@cache
def catalogue(library: str) -> dict[str, dict[str, str]]:
    """Properties of every model of a library by id (letter and number)."""
    text = archive(library).read("PluginFurnitureCatalog.properties").decode("latin-1")
    entries: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if match := re.match(r"\s*(\w+)#(\d+)\s*=\s*(.*)", line):
            value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), match[3].strip())
            entries.setdefault(f"{library}{match[2]}", {})[match[1]] = value
    return entries


def credit(model: str) -> tuple[str, str, str, str]:
    """Name, creator, licence and library of a model."""
    library, licence = LIBRARIES[model[0]]
    entry = catalogue(model[0])[model]
    return entry["name"], entry.get("creator", "Scopia"), licence, f"Sweet Home 3D {library}"


def texture(model: str, path: str) -> Array:
    """(h, w, 3) sRGB 0..1 colour map of a model, at most `TEXTURE_LIMIT` pixels a side."""
    with Image.open(io.BytesIO(archive(model[0]).read(path))) as image:
        small = image.convert("RGB")
    small.thumbnail((TEXTURE_LIMIT, TEXTURE_LIMIT))
    return np.asarray(small, np.float32) / 255


@cache
def load(model: str) -> tuple[tuple[Part, ...], tuple[float, float, float]]:
    """Parts of a model and its size (x, y, z) in metres, kept in `STREETS_CACHE` if that is set."""
    folder = os.environ.get("STREETS_CACHE")
    kept = Path(folder) / f"{model}.pkl" if folder else None
    if kept and kept.is_file():
        raw, size = pickle.loads(kept.read_bytes())
        return tuple(Part(name, Material(*material), *arrays) for name, material, *arrays in raw), size
    parts, size = _build(model)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        plain = [(p.name, astuple(p.material), p.points, p.normals, p.uv) for p in parts]
        temporary = kept.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(pickle.dumps((plain, size)))
        temporary.replace(kept)
    return parts, size


def _build(model: str) -> tuple[tuple[Part, ...], tuple[float, float, float]]:
    entry = catalogue(model[0])[model]
    obj = _parse(archive(model[0]), entry["model"].lstrip("/"))
    vertices, normals = np.array(obj.vertices, float), np.array(obj.normals, float).reshape(-1, 3)
    uv = np.array(obj.uv, float).reshape(-1, 2)
    if entry.get("modelRotation"):
        turn = np.array([float(word) for word in entry["modelRotation"].split()]).reshape(3, 3)
        vertices, normals = vertices @ turn.T, normals @ turn.T
    used = np.unique(np.concatenate([np.array(corners)[:, 0] for corners in obj.corners.values()]))
    low, high = vertices[used].min(0), vertices[used].max(0)
    size = np.array([float(entry[key]) for key in ("width", "height", "depth")]) / 100
    scale = size / np.maximum(high - low, 1e-9)
    vertices, normals = (vertices - (low + high) / 2) * scale, normals / scale
    vertices[:, 1] += size[1] / 2
    # The catalogue has y up and the front towards +z.
    axes = np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0.0]])
    vertices, normals = vertices @ axes.T, normals @ axes.T
    parts = []
    for name, listed in obj.corners.items():
        if (part := _part(name, np.array(listed), obj, vertices, normals, uv)) is not None:
            parts.append(part)
    return tuple(parts), (float(size[0]), float(size[2]), float(size[1]))


def _part(name: str, corners: Array, obj: _Obj, vertices: Array, normals: Array, uv: Array) -> Part | None:
    points = vertices[corners[:, 0]]
    face = np.cross(points[1::3] - points[::3], points[2::3] - points[::3])
    proper = np.linalg.norm(face, axis=1) > 1e-12
    corners, points, face = corners[np.repeat(proper, 3)], points[np.repeat(proper, 3)], face[proper]
    if not len(corners):
        return None
    shading = np.repeat(face / np.linalg.norm(face, axis=1, keepdims=True), 3, 0)
    if (given := corners[:, 2] >= 0).any():
        own = normals[corners[given, 2]]
        shading[given] = own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
    coordinates = np.zeros((len(corners), 2))
    if (mapped := corners[:, 1] >= 0).any():
        coordinates[mapped] = uv[corners[mapped, 1]]
    material = obj.materials.get(name, Material())
    return Part(name, material, points.astype(np.float32), shading.astype(np.float32), coordinates.astype(np.float32))


def _parse(source: ZipFile, path: str) -> _Obj:
    obj, material = _Obj(), "default"
    for line in source.read(path).decode("latin-1").splitlines():
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == "v":
            obj.vertices.append(words[1:4])
        elif key == "vt":
            obj.uv.append((words[1], words[2] if len(words) > 2 else "0"))
        elif key == "vn":
            obj.normals.append(words[1:4])
        elif key == "usemtl":
            material = line.split(None, 1)[1].strip() if len(words) > 1 else "default"
        elif key == "mtllib":
            library = posixpath.join(posixpath.dirname(path), line.split(None, 1)[1].strip())
            obj.materials.update(_materials(source, library))
        elif key == "f":
            counts = (len(obj.vertices), len(obj.uv), len(obj.normals))
            polygon = [_corner(word, counts) for word in words[1:]]
            fan = obj.corners.setdefault(material, [])
            for i in range(1, len(polygon) - 1):
                fan += [polygon[0], polygon[i], polygon[i + 1]]
    return obj


def _corner(word: str, counts: tuple[int, int, int]) -> tuple[int, int, int]:
    """`v/vt/vn` (1-based, or negative from the end) as 0-based numbers, -1 where absent."""
    fields = [int(text) if text else 0 for text in [*word.split("/"), "", ""][:3]]
    v, vt, vn = (
        number - 1 if number > 0 else (count + number if number < 0 else -1)
        for number, count in zip(fields, counts, strict=True)
    )
    return v, vt, vn


def _materials(source: ZipFile, path: str) -> dict[str, Material]:
    materials: dict[str, Material] = {}
    if path not in source.NameToInfo:
        return materials
    current = Material()
    for line in source.read(path).decode("latin-1").splitlines():
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == "newmtl":
            current = materials.setdefault(line.split(None, 1)[1].strip(), Material())
        elif key == "Kd":
            current.diffuse = (float(words[1]), float(words[2]), float(words[3]))
        elif key == "Ks":
            current.specular = max(float(word) for word in words[1:4])
        elif key == "d":
            current.opacity = float(words[1])
        elif key == "Tr":
            current.opacity = 1 - float(words[1])
        elif key == "map_Kd":
            name = posixpath.join(posixpath.dirname(path), line.split(None, 1)[1].strip())
            current.texture = name if name in source.NameToInfo else None
    return materials
