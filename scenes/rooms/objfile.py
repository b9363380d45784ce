"""Read furniture models (Wavefront OBJ + MTL inside a zip archive) as triangles grouped by material."""

import io
import posixpath
from dataclasses import dataclass, field
from functools import cache
from zipfile import ZipFile

import numpy as np
from jaxtyping import Float32
from PIL import Image

from scenes.rooms import catalogue
from scenes.rooms.geometry import Mesh

# Texture files of some models are photographs of several megapixels; rooms are looked at in a few hundred pixels.
TEXTURE_LIMIT = 256
# A few models have texture coordinates of a billion: left-overs of an export, not repeats.
UV_LIMIT = 1000


@dataclass
class Material:
    """Wavefront material: `diffuse` is sRGB 0..1, `texture` the path of its colour map inside the archive."""

    diffuse: tuple[float, float, float] = (0.7, 0.7, 0.7)
    specular: float = 0.0
    shininess: float = 0.0
    opacity: float = 1.0
    texture: str | None = None


@dataclass(frozen=True)
class Part:
    """All triangles of a model that share one material; metres, base centre at the origin, front facing +z."""

    name: str
    material: Material
    mesh: Mesh


@dataclass
class _Obj:
    vertices: list[list[str]] = field(default_factory=list)
    texcoords: list[tuple[str, str]] = field(default_factory=list)
    normals: list[list[str]] = field(default_factory=list)
    corners: dict[str, list[tuple[int, int, int, bool]]] = field(default_factory=dict)
    materials: dict[str, Material] = field(default_factory=dict)


def _read_materials(archive: ZipFile, path: str) -> dict[str, Material]:
    if path not in archive.NameToInfo:
        return {}
    found: dict[str, Material] = {}
    current = Material()
    for line in archive.read(path).decode("latin-1").splitlines():
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == "newmtl":
            current = found.setdefault(line.split(None, 1)[1].strip(), Material())
        elif key == "Kd":
            current.diffuse = (float(words[1]), float(words[2]), float(words[3]))
        elif key == "Ks":
            current.specular = max(float(word) for word in words[1:4])
        elif key == "Ns":
            current.shininess = float(words[1])
        elif key == "d":
            current.opacity = float(words[1])
        elif key == "Tr":
            current.opacity = 1 - float(words[1])
        elif key == "map_Kd":
            texture = posixpath.join(posixpath.dirname(path), line.split(None, 1)[1].strip())
            if texture in archive.NameToInfo:
                current.texture = texture
    return found


def _corner(word: str, counts: tuple[int, int, int], smooth: bool) -> tuple[int, int, int, bool]:
    """`v/vt/vn` (1-based, or negative from the end) as 0-based indices, -1 where absent."""
    fields = [int(text) if text else 0 for text in [*word.split("/"), "", ""][:3]]
    v, vt, vn = (
        index - 1 if index > 0 else (count + index if index < 0 else -1)
        for index, count in zip(fields, counts, strict=True)
    )
    return v, vt, vn, smooth


def _parse(archive: ZipFile, path: str) -> _Obj:
    obj, material, smooth = _Obj(), "default", False
    for line in archive.read(path).decode("latin-1").splitlines():
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == "v":
            obj.vertices.append(words[1:4])
        elif key == "vt":
            obj.texcoords.append((words[1], words[2] if len(words) > 2 else "0"))
        elif key == "vn":
            obj.normals.append(words[1:4])
        elif key == "usemtl":
            material = line.split(None, 1)[1].strip() if len(words) > 1 else "default"
        elif key == "s":
            smooth = words[1] not in ("off", "0")
        elif key == "mtllib":
            library = posixpath.join(posixpath.dirname(path), line.split(None, 1)[1].strip())
            obj.materials.update(_read_materials(archive, library))
        elif key == "f":
            counts = (len(obj.vertices), len(obj.texcoords), len(obj.normals))
            polygon = [_corner(word, counts, smooth) for word in words[1:]]
            fan = obj.corners.setdefault(material, [])
            for i in range(1, len(polygon) - 1):
                fan += [polygon[0], polygon[i], polygon[i + 1]]
    return obj


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


@cache
def load_parts(model_id: str) -> tuple[Part, ...]:
    """Triangles of a model, scaled to the catalogue's size, grouped by material."""
    entry = catalogue.entries()[model_id]
    archive = catalogue.archive(catalogue.LIBRARIES[model_id[0]])
    obj = _parse(archive, entry["model"].lstrip("/"))
    vertices = np.array(obj.vertices, float)
    texcoords = np.array(obj.texcoords, float).reshape(-1, 2)
    normals = np.array(obj.normals, float).reshape(-1, 3)
    if "modelRotation" in entry:
        turn = np.array([float(word) for word in entry["modelRotation"].split()]).reshape(3, 3)
        vertices, normals = vertices @ turn.T, normals @ turn.T
    used = np.unique(np.concatenate([np.array(corners)[:, 0] for corners in obj.corners.values()]))
    low, high = vertices[used].min(0), vertices[used].max(0)
    size = np.array(catalogue.models()[model_id].size)
    scale = size / np.maximum(high - low, 1e-9)
    vertices = (vertices - (low + high) / 2) * scale
    vertices[:, 1] += size[1] / 2
    normals = normals / scale
    parts = []
    for name, listed in obj.corners.items():
        corners = np.array(listed)
        points = vertices[corners[:, 0]]
        face = np.cross(points[1::3] - points[0::3], points[2::3] - points[0::3])
        proper = np.repeat(np.linalg.norm(face, axis=1) > 1e-12, 3)
        corners, points, face = corners[proper], points[proper], face[proper[::3]]
        if not len(corners):
            continue
        shading = _shading_normals(corners, face, len(vertices), normals)
        uv = np.zeros((len(corners), 2))
        mapped = corners[:, 1] >= 0
        uv[mapped] = texcoords[corners[mapped, 1]]
        uv[np.abs(uv).max(axis=1) > UV_LIMIT] = 0
        mesh = Mesh(points.astype(np.float32), shading.astype(np.float32), uv.astype(np.float32))
        parts.append(Part(name, obj.materials.get(name, Material()), mesh))
    return tuple(parts)


def _shading_normals(corners: np.ndarray, face: np.ndarray, vertices: int, given: np.ndarray) -> np.ndarray:
    """The file's normals where it has them; elsewhere smooth ones inside smoothing groups, flat ones outside."""
    summed = np.zeros((vertices, 3))
    np.add.at(summed, corners[:, 0], np.repeat(face, 3, 0))
    flat = np.repeat(_unit(face), 3, 0)
    smooth = _unit(summed[corners[:, 0]])
    near_flat = (smooth * flat).sum(1, keepdims=True) > 0.6
    normals = np.where(near_flat & corners[:, 3:4].astype(bool), smooth, flat)
    has = corners[:, 2] >= 0
    if has.any():
        normals[has] = _unit(given[corners[has, 2]])
    zero = np.linalg.norm(normals, axis=1) < 0.5
    normals[zero] = flat[zero]
    return normals


@cache
def load_texture(library: str, path: str) -> Float32[np.ndarray, "h w 3"]:
    """(h, w, 3) float32 sRGB 0..1 colour map of a model, at most `TEXTURE_LIMIT` pixels a side."""
    with Image.open(io.BytesIO(catalogue.archive(library).read(path))) as image:
        small = image.convert("RGB")
    small.thumbnail((TEXTURE_LIMIT, TEXTURE_LIMIT))
    return np.asarray(small, np.float32) / 255
