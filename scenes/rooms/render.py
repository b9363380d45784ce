"""Path tracing with Mitsuba 3: colour, exact depth, labels, instances, normals.

Mitsuba and its denoiser are an extra (`pip install mitsuba mitsuba-oidn`, Debian package libllvm19); nothing but this
module imports them.
"""

import glob
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64, UInt8

from scenes.rooms.camera import Camera
from scenes.rooms.geometry import Vector
from scenes.rooms.objfile import load_texture
from scenes.rooms.scene import Batch, Coat, Piece, Placement, batches, to_linear
from scenes.rooms.textures import texture
from zdlib.errors import ZDError

LLVM_VARIABLE = "DRJIT_LIBLLVM_PATH"
ROUGHNESS = {1: 0.25, 2: 0.1}
MAX_DEPTH, ROULETTE_DEPTH = 4, 3
# Light that reaches a room from nowhere in particular: keeps the darkest corners from being black.
AMBIENT = 0.06
FIREFLY = 40.0
GUIDE_SPP = 4


def _llvm_path() -> str:
    """LibLLVM for Dr.Jit: the environment's, or the newest that Debian installed (older than 17 fails on new CPUs)."""
    if LLVM_VARIABLE in os.environ:
        return os.environ[LLVM_VARIABLE]
    for version in (19, 18, 17, 20, 21):
        found = sorted(glob.glob(f"/usr/lib/*/libLLVM*{version}*.so*") + glob.glob(f"/usr/lib/*/libLLVM.so.{version}*"))
        if found:
            return found[-1]
    raise ZDError(f"libLLVM: not found: install the Debian package libllvm19 or point {LLVM_VARIABLE} to libLLVM.so")


@cache
def mitsuba() -> Any:
    """The `mitsuba` module, set to its LLVM variant, one thread.

    Raises:
        ZDError: Mitsuba, its denoiser or LLVM is missing.
    """
    os.environ[LLVM_VARIABLE] = _llvm_path()
    try:
        import drjit
        import mitsuba
        import mitsuba_oidn  # noqa: F401
    except ImportError as error:
        raise ZDError(
            f"{error.name}: not installed: pip install mitsuba mitsuba-oidn (or the extra `rooms`)"
        ) from error
    mitsuba.set_variant("llvm_ad_rgb")
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    drjit.set_thread_count(1)
    return mitsuba


@dataclass(frozen=True)
class GroundTruth:
    """What the rays through the pixel centres hit.

    Attributes:
        depth: (h, w) float64 metres along the optical axis, 0 = nothing.
        label: (h, w) int32 local label ids.
        instance: (h, w) int32.
        normal: (h, w, 3) float32 geometric normals in room coordinates, towards the camera.
        glass: (h, w) bool, transparent surfaces and the view through windows.
    """

    depth: Float64[np.ndarray, "h w"]
    label: Int32[np.ndarray, "h w"]
    instance: Int32[np.ndarray, "h w"]
    normal: Float[np.ndarray, "h w 3"]
    glass: Bool[np.ndarray, "h w"]


def _bsdf(coat_texture: tuple[str, str, str] | None, gloss: int, opacity: float) -> Any:
    """Material of a coat.

    Not kept for the next scene: Dr.Jit traces a call into every material that is alive, so kept ones make each
    rendering slower than the one before.
    """
    mi = mitsuba()
    if coat_texture is None:
        reflectance: dict[str, Any] = {"type": "mesh_attribute", "name": "vertex_color"}
    else:
        reflectance = {"type": "bitmap", "bitmap": _bitmap(coat_texture), "raw": True, "wrap_mode": "repeat"}
    matt: dict[str, Any] = {"type": "diffuse", "reflectance": reflectance}
    if gloss == 0:
        plain = matt
    elif coat_texture is None:
        # Mitsuba's plastic cannot take colours from vertices (it needs their mean): a thin mirror over a matt base.
        polish = {"type": "roughconductor", "material": "none", "alpha": ROUGHNESS[gloss]}
        plain = {"type": "blendbsdf", "weight": 0.05, "base": matt, "polish": polish}
    else:
        plain = {"type": "roughplastic", "diffuse_reflectance": reflectance, "alpha": ROUGHNESS[gloss]}
    both = {"type": "twosided", "inner": plain}
    return mi.load_dict(both if opacity == 1.0 else {"type": "mask", "opacity": opacity, "inner": both})


def _bitmap(coat_texture: tuple[str, str, str], gain: Vector = (1.0, 1.0, 1.0)) -> Any:
    source, first, second = coat_texture
    image = texture(first, int(second)) if source == "procedural" else load_texture(first, second)
    return mitsuba().Bitmap(np.ascontiguousarray(to_linear(image) * np.array(gain, np.float32)))


class RenderScene:
    """A room loaded into Mitsuba."""

    def __init__(self, placed: list[Piece | Placement], label_ids: dict[str, int]) -> None:
        """Load `placed`; names missing from `label_ids` are added to it."""
        mi = mitsuba()
        import drjit as dr

        self._dr = dr
        description: dict[str, Any] = {"type": "scene"}
        description["ambient"] = {"type": "constant", "radiance": {"type": "rgb", "value": AMBIENT}}
        grouped = batches(placed, label_ids)
        labels, instances, glass, offsets, total = [], [], [], [], 0
        for number, (coat, batch) in enumerate(grouped.items()):
            description[f"mesh{number}"] = _mesh(f"mesh{number}", coat, batch)
            labels.append(batch.per_triangle(batch.labels))
            instances.append(batch.per_triangle(batch.instances))
            see_through = coat.opacity < 1 or (coat.texture is not None and coat.texture[1] == "outdoor")
            glass.append(np.full(len(labels[-1]), see_through))
            offsets.append(total)
            total += len(labels[-1])
        self.labels, self.instances, self.glass = map(np.concatenate, (labels, instances, glass))
        self.scene = mi.load_dict(description)
        by_name: dict[str, Any] = {shape.id(): shape for shape in self.scene.shapes()}
        self._offset = np.zeros(1 << 16, np.int64)
        for number, offset in enumerate(offsets):
            number_in_renderer: Any = dr.reinterpret_array(mi.UInt32, mi.ShapePtr(by_name[f"mesh{number}"]))
            self._offset[int(number_in_renderer[0]) & 0xFFFF] = offset

    def cast(
        self, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Int64[np.ndarray, " n"], Float32[np.ndarray, "n 3"]]:
        """First hits of rays.

        Args:
            origins: (n, 3) metres.
            directions: (n, 3) unit vectors.

        Returns:
            (n,) distance (0 = nothing), (n,) triangle number (0 where nothing), (n, 3) geometric normal.
        """
        mi, dr = mitsuba(), self._dr
        ray = mi.Ray3f(mi.Point3f(*origins.T.astype(np.float32)), mi.Vector3f(*directions.T.astype(np.float32)))
        hit = self.scene.ray_intersect(ray)
        valid = np.array(hit.is_valid())
        shape = np.array(dr.reinterpret_array(mi.UInt32, hit.shape)) & 0xFFFF
        triangle = np.where(valid, self._offset[shape] + np.array(hit.prim_index), 0)
        return np.where(valid, np.array(hit.t), 0.0), triangle, np.array(hit.n).T

    def ground_truth(self, camera: Camera) -> GroundTruth:
        """Exact depth and labels through the pixel centres of `camera`."""
        directions, cosine = camera.rays()
        origins = np.broadcast_to(np.array(camera.origin), directions.shape)
        distance, triangle, normal = self.cast(origins, directions)
        shape = (camera.height, camera.width)
        hit = distance > 0
        normal = np.where((normal * directions).sum(1, keepdims=True) > 0, -normal, normal)
        return GroundTruth(
            (distance * cosine).reshape(shape),
            np.where(hit, self.labels[triangle], np.int32(0)).reshape(shape),
            np.where(hit, self.instances[triangle], np.int32(-1)).reshape(shape),
            normal.reshape(*shape, 3),
            (hit & self.glass[triangle]).reshape(shape),
        )

    def radiance(self, camera: Camera, spp: int, seed: int) -> Float32[np.ndarray, "h w 3"]:
        """(h, w, 3) float32 linear radiance, path-traced with `spp` samples a pixel and denoised."""
        mi = mitsuba()
        import mitsuba_oidn

        sensor = _sensor(camera)
        colour = np.array(mi.render(self.scene, sensor=sensor, integrator=_integrator("path"), spp=spp, seed=seed))
        colour = np.nan_to_num(colour, nan=0, posinf=0).clip(0, FIREFLY)
        # Guides for the denoiser come from a pass of their own: in one pass Mitsuba would trace every path twice.
        guides = np.array(mi.render(self.scene, sensor=sensor, integrator=_integrator("aov"), spp=GUIDE_SPP, seed=seed))
        albedo, normal = guides[..., 0:3], guides[..., 3:6]
        clean = mitsuba_oidn.denoise(
            np.ascontiguousarray(colour, np.float32),
            albedo=np.ascontiguousarray(albedo.clip(0, 1), np.float32),
            normal=np.ascontiguousarray(normal, np.float32),
            hdr=True,
        )
        return np.array(clean)


@cache
def _integrator(kind: str) -> Any:
    if kind == "aov":
        return mitsuba().load_dict({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"})
    return mitsuba().load_dict({"type": "path", "max_depth": MAX_DEPTH, "rr_depth": ROULETTE_DEPTH})


def _sensor(camera: Camera) -> Any:
    mi = mitsuba()
    matrix = camera.pose().copy()
    # Mitsuba's camera looks along +z with x to the left and y up; ours has x to the right and y down.
    matrix[:3, 0] *= -1
    matrix[:3, 1] *= -1
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": camera.hfov_degrees,
            "fov_axis": "x",
            "near_clip": 0.02,
            "to_world": mi.ScalarTransform4f(matrix),
            "film": {
                "type": "hdrfilm",
                "width": camera.width,
                "height": camera.height,
                "rfilter": {"type": "box"},
                "pixel_format": "rgb",
            },
            "sampler": {"type": "independent"},
        }
    )


def _mesh(name: str, coat: Coat, batch: Batch) -> Any:
    mi = mitsuba()
    soup = batch.mesh()
    properties = mi.Properties()
    properties["bsdf"] = _bsdf(coat.texture if not any(coat.radiance) else None, coat.gloss, coat.opacity)
    if any(coat.radiance):
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": _emission(coat)})
    mesh = mi.Mesh(
        name,
        len(soup.positions),
        soup.triangles,
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=properties,
    )
    parameters = mi.traverse(mesh)
    parameters["vertex_positions"] = np.ascontiguousarray(soup.positions, np.float32).ravel()
    parameters["vertex_normals"] = np.ascontiguousarray(soup.normals, np.float32).ravel()
    uv = soup.uv * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)
    parameters["vertex_texcoords"] = np.ascontiguousarray(uv, np.float32).ravel()
    parameters["faces"] = np.arange(len(soup.positions), dtype=np.uint32)
    mesh.add_attribute("vertex_color", 3, batch.vertex_colours().ravel())
    parameters.update()
    return mesh


def _emission(coat: Coat) -> dict[str, Any]:
    if coat.texture is None:
        return {"type": "rgb", "value": list(coat.radiance)}
    return {"type": "bitmap", "bitmap": _bitmap(coat.texture, coat.radiance), "raw": True, "wrap_mode": "clamp"}


def develop(radiance: Float32[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Camera response: white balance, exposure, a shoulder that keeps windows from burning out, sRGB.

    Args:
        radiance: (h, w, 3) linear.
        rng: small variation of white balance and exposure, as between photographs.

    Returns:
        (h, w, 3) uint8.
    """
    mean = radiance.reshape(-1, 3).mean(0)
    balance = (mean.mean() / np.maximum(mean, 1e-4)) ** 0.6 * rng.uniform(0.96, 1.04, 3)
    luminance = radiance @ np.array([0.2126, 0.7152, 0.0722])
    key = np.exp(np.log(luminance + 1e-3).mean())
    exposed = radiance * balance * (rng.uniform(0.26, 0.38) / max(key, 1e-3))
    # Reinhard's extended curve: linear in the dark, white at eight times the scene's key value.
    white = 5.0
    mapped = np.clip(exposed * (1 + exposed / white**2) / (1 + 0.75 * exposed), 0, 1)
    encoded = np.where(mapped <= 0.0031308, 12.92 * mapped, 1.055 * np.maximum(mapped, 1e-8) ** (1 / 2.4) - 0.055)
    return (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)
