"""A street in Mitsuba: Embree answers rays; exact depth, labels and instances.

Mitsuba's own renderer spends 5 s of CPU per call on tracing its materials. Here one Dr.Jit function shades
(shader.py): no virtual calls and every constant opaque, so one kernel, compiled once per process, serves all
scenes and cameras.
"""

import glob
import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes.streets.camera import Camera
from scenes.streets.geometry import Array
from scenes.streets.labels import SKY
from scenes.streets.tables import GLASS, Mesh, Tables
from scenes.streets.world import Street
from zdlib.errors import ZDError

LLVM_VARIABLE = "DRJIT_LIBLLVM_PATH"
LLVM_VERSIONS = (19, 18, 17, 20, 21)
"""Older ones abort on new processors."""
SHAPES = 8192
"""More than a scene has meshes, groups and instances."""


@cache
def mitsuba() -> Any:
    """Mitsuba on LLVM, on one thread.

    Raises:
        ZDError: LLVM or Mitsuba is missing.
    """
    if LLVM_VARIABLE not in os.environ:
        os.environ[LLVM_VARIABLE] = _llvm_path()
    try:
        import drjit
        import mitsuba as mi
        import mitsuba_oidn  # noqa: F401
    except ImportError as error:
        raise ZDError(f"{error.name}: not installed: see scenes/streets/README.md") from error
    mi.set_variant("llvm_ad_rgb")
    mi.set_log_level(mi.LogLevel.Error)
    drjit.set_thread_count(1)
    return mi


def _llvm_path() -> str:
    for version in LLVM_VERSIONS:
        paths = sorted(glob.glob(f"/usr/lib/*/libLLVM*{version}*.so*") + glob.glob(f"/usr/lib/*/libLLVM.so.{version}*"))
        if paths:
            return paths[-1]
    raise ZDError(f"LLVM {min(LLVM_VERSIONS)} or newer: not found: install libllvm19 or set {LLVM_VARIABLE}")


class Scene:
    """A street loaded into Mitsuba (geometry) and into flat arrays (everything else).

    Attributes:
        models: ids of the models that were loaded.
        arrays: what the shader gathers from, see `_load_arrays`.
        embree: Mitsuba's scene.
    """

    def __init__(self, street: Street) -> None:
        mi = mitsuba()
        tables = Tables(street)
        self.models = sorted(tables.models)
        self._meshes: dict[str, Any] = {}
        self._first: dict[str, int] = {}
        self._things = [thing for group in tables.groups for thing in group.things]
        self._group_of = [g for g, group in enumerate(tables.groups) for _ in group.things]
        description: dict[str, Any] = {"type": "scene"}
        for mesh in tables.meshes:
            description[mesh.name] = self._mesh(mesh)
        number = 0
        for g, group in enumerate(tables.groups):
            members = {mesh.name: self._mesh(mesh) for mesh in group.meshes}
            description[f"group{g}"] = {"type": "shapegroup", **members}
            for thing in group.things:
                transform = mi.ScalarTransform4f(thing.poses[0])
                reference = {"type": "ref", "id": f"group{g}"}
                description[f"inst{number}"] = {"type": "instance", "to_world": transform, "g": reference}
                number += 1
        self.embree = mi.load_dict(description)
        self._parameters = mi.traverse(self.embree)
        self._number_shapes(tables)
        self._load_arrays(street, tables)
        self._now = -1
        self.set_frame(0)

    def _mesh(self, mesh: Mesh) -> Any:
        mi = mitsuba()
        made = mi.Mesh(mesh.name, len(mesh.points), len(mesh.points) // 3)
        parameters = mi.traverse(made)
        parameters["vertex_positions"] = np.ascontiguousarray(mesh.points).ravel()
        parameters["faces"] = np.arange(len(mesh.points), dtype=np.uint32)
        parameters.update()
        self._meshes[mesh.name], self._first[mesh.name] = made, mesh.first
        return made

    def _number_shapes(self, tables: Tables) -> None:
        """From Dr.Jit's numbers of shapes to first triangles and to instances."""
        mi = mitsuba()
        import drjit as dr

        def number(shape: Any) -> int:
            return int(np.array(dr.reinterpret_array(mi.UInt32, mi.ShapePtr(shape)))[0])

        self._table, self._instance = np.zeros(SHAPES, np.uint32), np.zeros(SHAPES, np.uint32)
        for name, mesh in self._meshes.items():
            self._table[number(mesh)] = self._first[name]
        by_name = {shape.id(): shape for shape in self.embree.shapes()}
        for k in range(len(self._things)):
            self._instance[number(by_name[f"inst{k}"])] = k + 1
        # A hit on an instance names no mesh, only its number within the group, in the order of the names.
        base = np.cumsum([0] + [len(group.meshes) for group in tables.groups])
        firsts = [mesh.first for group in tables.groups for mesh in group.meshes]
        self._inside = np.array(firsts or [0], np.uint32)
        self._start = np.array([0] + [base[g] for g in self._group_of], np.uint32)
        self._labels, self._kinds = tables.columns["lab"], tables.columns["kind"]
        self._thing_labels = np.array([0] + [thing.label for thing in self._things], np.uint8)
        self._thing_idents = np.array([0] + [thing.ident for thing in self._things], np.uint16)

    def _load_arrays(self, street: Street, tables: Tables) -> None:
        mi = mitsuba()
        import drjit as dr

        def floats(values: Array) -> Any:
            return mi.Float(np.ascontiguousarray(values, np.float32).ravel())

        def integers(values: Array) -> Any:
            return mi.UInt32(np.ascontiguousarray(values, np.uint32).ravel())

        def vector(kind: Any, values: Array) -> Any:
            return kind(*[mi.Float(float(value)) for value in values])

        sky, light = street.light.sky, street.light
        mean = sky[: sky.shape[0] // 2].reshape(-1, 3).mean(0)
        columns = tables.columns
        self.arrays: dict[str, Any] = {
            "table": integers(self._table),
            "instance": integers(self._instance),
            "inside": integers(self._inside),
            "start": integers(self._start),
            "normals": floats(columns["n"]),
            "uv": floats(columns["uv"]),
            "colours": floats(columns["col"]),
            "kinds": integers(columns["kind"]),
            "textures": integers(tables.textures[columns["tex"]]),
            "texels": floats(tables.texels),
            "sky": floats(sky),
            "sun": vector(mi.Vector3f, light.sun),
            "power": vector(mi.Color3f, light.sun_colour),
            "mean": vector(mi.Color3f, mean),
            "haze": mi.Float(-1 / light.visibility),
            "sky_width": mi.UInt32(sky.shape[1]),
            "sky_height": mi.UInt32(sky.shape[0]),
        }
        for key in ("sun", "power", "mean", "haze", "sky_width", "sky_height"):
            dr.make_opaque(self.arrays[key])

    def set_frame(self, frame: int) -> None:
        """Move everything to where it is in a frame."""
        if frame == self._now:
            return
        mi = mitsuba()
        self._now = frame
        rotations = np.zeros((len(self._things) + 1, 9), np.float32)
        rotations[0] = np.eye(3).ravel()
        for k, thing in enumerate(self._things):
            pose = thing.poses[min(frame, len(thing.poses) - 1)]
            rotations[k + 1] = (pose[:3, :3] / np.linalg.norm(pose[:3, :3], axis=0)).ravel()
            if len(thing.poses) > 1:
                self._parameters[f"inst{k}.to_world"] = mi.Transform4f(mi.Matrix4f(pose))
        self._parameters.update()
        self.arrays["rotations"] = mi.Float(rotations.ravel())

    def cast(
        self, origin: Array, directions: Array
    ) -> tuple[Array, NDArray[np.uint8], NDArray[np.uint16], NDArray[np.bool_]]:
        """First hits of rays from one point.

        Args:
            origin: (3,) metres.
            directions: (n, 3) unit vectors.

        Returns:
            (n,) distance (0 = nothing), label (255 = void), instance (0 = stuff), glass.
        """
        mi = mitsuba()
        import drjit as dr

        columns = [mi.Float(np.ascontiguousarray(column, np.float32)) for column in directions.T]
        ray = mi.Ray3f(mi.Point3f(*[float(value) for value in origin]), mi.Vector3f(*columns))
        hit = self.embree.ray_intersect_preliminary(ray, coherent=True)
        valid, shape = hit.is_valid(), dr.reinterpret_array(mi.UInt32, hit.shape)
        instance = dr.reinterpret_array(mi.UInt32, hit.instance)
        # Together, or every copy would trace the rays anew.
        dr.eval(valid, hit.t, shape, instance, hit.prim_index, hit.shape_index)
        ok, triangle = np.array(valid), np.array(hit.prim_index)
        thing = np.where(ok, self._instance[np.where(ok, np.array(instance), 0)], 0)
        own = np.where(ok, self._table[np.where(ok, np.array(shape), 0)] + triangle, 0)
        member = np.where(thing > 0, self._start[thing] + np.where(ok, np.array(hit.shape_index), 0), 0)
        triangle = np.where(thing > 0, self._inside[member] + triangle, own)
        triangle = np.where(ok, triangle, 0)
        label = np.where(thing > 0, self._thing_labels[thing], self._labels[triangle])
        label = np.where(ok, label, SKY).astype(np.uint8)
        glass = ok & (self._kinds[triangle] == GLASS)
        return np.where(ok, np.array(hit.t), 0.0), label, np.where(ok, self._thing_idents[thing], 0), glass

    def truth(self, camera: Camera, pose: Array) -> tuple[Array, NDArray[np.uint8], NDArray[np.uint16]]:
        """(h, w) planar depth in metres (0 = sky), label, instance through the pixel centres."""
        directions, cosine = camera.rays()
        distance, label, instance, _ = self.cast(pose[:3, 3], directions @ pose[:3, :3].T)
        shape = (camera.height, camera.width)
        depth = (distance * cosine).astype(np.float32)
        return depth.reshape(shape), label.reshape(shape), instance.reshape(shape)

    def visible(self, points: Array, eye: Array) -> NDArray[np.bool_]:
        """(n,) whether world points (n, 3) are seen from `eye`."""
        gap = points - eye
        distance = np.linalg.norm(gap, axis=-1)
        hit, _, _, _ = self.cast(eye, gap / np.maximum(distance, 1e-6)[:, None])
        return (hit == 0) | (hit > distance * 0.995 - 0.03)
