"""The shader: sun, sky, one bounce, mirrors, translucent leaves, haze; and the camera's response."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes.streets.camera import Camera
from scenes.streets.geometry import Array
from scenes.streets.render import Scene, mitsuba
from scenes.streets.tables import GLASS, GLOSS, LAMP, LEAF, WET

BLUR = 0.8
"""Standard deviation of the lens's and the sensor's point spread, pixels."""
BATCH = 16
"""Samples per pixel in one call of the kernel."""
SUN_SIZE, BRIGHTEST = 0.009, 12.0
LEAF_SHADE = 3.0
"""Length of the rays that tell how much of the sky a leaf sees, metres."""


class Shader:
    """Radiance along rays through a scene."""

    def __init__(self, scene: Scene) -> None:
        import drjit as dr

        self._scene, self._mi, self._dr = scene, mitsuba(), dr

    def _hit(self, ray: Any, u: Any, active: Any = True, coherent: bool = False) -> tuple[Any, Any, Any, Any, Any]:
        """Valid, position, normal towards the ray, albedo, kind of first hits; u: two random numbers."""
        mi, dr, g = self._mi, self._dr, self._scene.arrays
        hit = self._scene.embree.ray_intersect_preliminary(ray, coherent=coherent, active=active)
        valid = hit.is_valid()
        instance = dr.gather(mi.UInt32, g["instance"], dr.reinterpret_array(mi.UInt32, hit.instance), valid)
        alone, within = valid & (instance == 0), valid & (instance > 0)
        member = dr.gather(mi.UInt32, g["start"], instance, within) + hit.shape_index
        shape = dr.reinterpret_array(mi.UInt32, hit.shape)
        inner = dr.gather(mi.UInt32, g["inside"], member, within)
        triangle = dr.select(within, inner, dr.gather(mi.UInt32, g["table"], shape, alone)) + hit.prim_index
        b1, b2 = hit.prim_uv.x, hit.prim_uv.y
        normal, uv = mi.Vector3f(0), mi.Vector2f(0)
        for i, weight in enumerate((1 - b1 - b2, b1, b2)):
            normal += weight * dr.gather(mi.Vector3f, g["normals"], triangle * 3 + i, valid)
            uv += weight * dr.gather(mi.Vector2f, g["uv"], triangle * 3 + i, valid)
        rows = [dr.gather(mi.Vector3f, g["rotations"], instance * 3 + i, valid) for i in range(3)]
        normal = dr.normalize(mi.Vector3f(*[dr.dot(row, normal) for row in rows]))
        normal = dr.select(dr.dot(normal, ray.d) > 0, -normal, normal)
        offset, width, height = (dr.gather(mi.UInt32, g["textures"], triangle * 3 + i, valid) for i in range(3))
        # Random half texels: bilinear filtering on average.
        x = (uv.x * mi.Float(width) + u[0] - 0.5) / mi.Float(width)
        y = ((1 - uv.y) * mi.Float(height) + u[1] - 0.5) / mi.Float(height)
        column = dr.minimum(mi.UInt32((x - dr.floor(x)) * mi.Float(width)), width - 1)
        row = dr.minimum(mi.UInt32((y - dr.floor(y)) * mi.Float(height)), height - 1)
        albedo = dr.gather(mi.Color3f, g["texels"], offset + row * width + column, valid)
        albedo *= dr.gather(mi.Color3f, g["colours"], triangle, valid)
        return valid, ray.o + ray.d * hit.t, normal, albedo, dr.gather(mi.UInt32, g["kinds"], triangle, valid)

    def _sky(self, direction: Any, u: Any) -> Any:
        mi, dr, g = self._mi, self._dr, self._scene.arrays
        y = dr.acos(dr.clip(direction.z, -1, 1)) / dr.pi * mi.Float(g["sky_height"]) + u[0] - 0.5
        turn = dr.atan2(direction.y, direction.x) / (2 * dr.pi)
        x = (turn - dr.floor(turn)) * mi.Float(g["sky_width"]) + u[1] - 0.5
        row = mi.UInt32(dr.clip(y, 0, mi.Float(g["sky_height"]) - 1))
        column = mi.UInt32(dr.clip(x, 0, mi.Float(g["sky_width"]) - 1))
        return dr.gather(mi.Color3f, g["sky"], row * g["sky_width"] + column)

    def _sunlight(self, point: Any, normal: Any, leaf: Any, sun: Any, active: Any) -> Any:
        """The sun's share of irradiance / pi; leaves also take it from behind."""
        mi, dr = self._mi, self._dr
        cosine = dr.dot(normal, sun)
        front, back = dr.maximum(cosine, 0), dr.maximum(-cosine, 0)
        share = dr.select(leaf, 0.62 * front + 0.42 * back, front)
        ray = mi.Ray3f(point + dr.select(cosine > 0, normal, -normal) * 3e-3 + sun * 1e-3, sun)
        dark = self._scene.embree.ray_test(ray, active=active & (share > 0))
        return dr.select(dark, 0, share / dr.pi)

    def _scatter(self, ray: Any, normal: Any, kind: Any, random: Callable[[], Any]) -> tuple[Any, Any, Any, Any]:
        """Direction of the next ray, its weights for mirrored and for diffuse light, and Fresnel's share."""
        mi, dr = self._mi, self._dr
        leaf, wet = kind == LEAF, kind == WET
        mirror = (kind == GLOSS) | (kind == GLASS) | wet
        grazing = (1 - dr.abs(dr.dot(normal, ray.d))) ** 5
        fresnel = dr.select(kind == GLASS, 0.08, 0.045) + 0.92 * grazing
        fresnel = dr.select(mirror, dr.select(wet, 0.02 + 0.5 * grazing, fresnel), 0)
        up = mi.Frame3f(normal).to_world(mi.warp.square_to_cosine_hemisphere(mi.Point2f(random(), random())))
        up = dr.select(leaf & (random() < 0.42), -up, up)
        chosen = mirror & (random() < 0.5)
        rough = dr.select(kind == GLOSS, 0.05, dr.select(wet, 0.16, 0.015))
        jitter = mi.Vector3f(random() - 0.5, random() - 0.5, random() - 0.5)
        reflected = dr.normalize(ray.d - 2 * dr.dot(ray.d, normal) * normal + rough * jitter)
        below = dr.minimum(dr.dot(reflected, normal), 0)
        reflected = reflected - 2 * below * normal
        mirrored = dr.select(chosen, 2 * fresnel, 0)
        diffuse = dr.select(mirror, dr.select(chosen, 0, 2 * (1 - fresnel)), 1)
        return dr.select(chosen, reflected, up), mirrored, diffuse, fresnel

    def _trace(self, ray: Any, rng: Any) -> tuple[Any, Any, Any]:
        """Radiance, albedo and normal seen along primary rays."""
        mi, dr, g = self._mi, self._dr, self._scene.arrays
        random = rng.next_float32
        valid, point, normal, albedo, kind = self._hit(ray, (random(), random()), True, True)
        behind = self._sky(ray.d, (random(), random()))
        jitter = mi.Vector3f(random() - 0.5, random() - 0.5, random() - 0.5)
        sun_direction = dr.normalize(g["sun"] + SUN_SIZE * jitter)
        sun = self._sunlight(point, normal, kind == LEAF, sun_direction, valid)
        direction, mirrored, diffuse, fresnel = self._scatter(ray, normal, kind, random)
        half = dr.maximum(dr.dot(normal, dr.normalize(sun_direction - ray.d)), 0)
        lobe = dr.select(kind == WET, half**60 * 2.5, half**250 * 10.0)
        highlight = dr.select((fresnel > 0) & (sun > 0), fresnel * lobe, 0)
        start = point + dr.select(dr.dot(normal, direction) > 0, normal, -normal) * 3e-3
        # Inside foliage a whole bounce is slow and noisy: there, what is near only shades the sky.
        leaf = kind == LEAF
        bounce = self._hit(mi.Ray3f(start, direction), (random(), random()), valid & ~leaf)
        valid2, point2, normal2, albedo2, kind2 = bounce
        shaded = self._scene.embree.ray_test(mi.Ray3f(mi.Ray3f(start, direction), LEAF_SHADE), active=valid & leaf)
        foliage = kind2 == LEAF
        lit = self._sunlight(point2, normal2, foliage, g["sun"], valid2 & ~foliage)
        light2 = g["power"] * dr.select(foliage, 0.1, lit) + g["mean"] * (0.32 + 0.18 * normal2.z)
        arriving = dr.select(valid2, albedo2 * light2, self._sky(direction, (random(), random())))
        arriving = dr.select(shaded, albedo * g["mean"] * 0.5, arriving)
        lamp = dr.select(kind == LAMP, 2.5, 0.0)
        radiance = albedo * sun * g["power"] * (1 - fresnel) + highlight * g["power"]
        radiance += (mi.Color3f(mirrored) + diffuse * albedo) * arriving + lamp * albedo
        clear = dr.exp(dr.norm(point - ray.o) * g["haze"])
        radiance = dr.select(valid, radiance * clear + (1 - clear) * g["mean"], behind)
        return radiance, dr.select(valid, albedo, dr.minimum(behind, 1)), dr.select(valid, normal, 0)

    def _batch(self, camera: Camera, pose: Array, samples: int, seed: int) -> Array:
        """(h, w, 9) sums over samples of radiance, albedo, normal."""
        mi, dr = self._mi, self._dr

        def opaque(value: float) -> Any:
            return dr.opaque(mi.Float, float(value))

        index = dr.arange(mi.UInt32, camera.width * camera.height * samples)
        pixel = index // samples
        rng = mi.PCG32(initstate=dr.opaque(mi.UInt64, seed), initseq=mi.UInt64(index))
        width = dr.opaque(mi.UInt32, camera.width)
        row = pixel // width
        # Samples spread around the pixel's centre like the point spread: a Gaussian by Box and Muller.
        radius = BLUR * dr.sqrt(-2 * dr.log(1 - rng.next_float32()))
        sine, cosine = dr.sincos(2 * dr.pi * rng.next_float32())
        x, y = mi.Float(pixel - row * width) + radius * cosine, mi.Float(row) + radius * sine
        focal = opaque(camera.focal)
        local = mi.Vector3f((x - opaque(camera.cx)) / focal, (y - opaque(camera.cy)) / focal, 1.0)
        m = [[opaque(pose[a, b]) for b in range(4)] for a in range(3)]
        world = mi.Vector3f(*[m[a][0] * local.x + m[a][1] * local.y + m[a][2] * local.z for a in range(3)])
        ray = mi.Ray3f(mi.Point3f(m[0][3], m[1][3], m[2][3]), dr.normalize(world))
        radiance, albedo, normal = self._trace(ray, rng)
        radiance = dr.clip(dr.select(radiance == radiance, radiance, 0), 0, BRIGHTEST)
        # Before the sums, or each of the nine channels would trace anew.
        dr.eval(radiance, albedo, normal)
        channels = [channel for image in (radiance, albedo, normal) for channel in (image.x, image.y, image.z)]
        sums = [dr.block_sum(channel, samples) for channel in channels]
        dr.eval(*sums)
        return np.stack([np.array(channel) for channel in sums], -1).reshape(camera.height, camera.width, 9)

    def radiance(self, camera: Camera, pose: Array, samples: int, seed: int) -> Array:
        """(h, w, 3) float32 linear radiance, denoised."""
        import mitsuba_oidn

        per_call = min(samples, BATCH)
        calls = -(-samples // per_call)
        total = np.zeros((camera.height, camera.width, 9))
        for call in range(calls):
            total += self._batch(camera, pose, per_call, seed * 1000 + call)
        mean = np.ascontiguousarray(total / (per_call * calls), np.float32)
        colour, albedo, normal = (np.ascontiguousarray(mean[..., i : i + 3]) for i in (0, 3, 6))
        return np.array(mitsuba_oidn.denoise(colour, albedo=albedo.clip(0, 1), normal=normal, hdr=True))


def response(radiances: list[Array], rng: np.random.Generator) -> Callable[[Array], NDArray[np.uint8]]:
    """Exposure and white balance of a clip from all its frames: a function from radiance to uint8 sRGB."""
    pixels = np.concatenate([radiance.reshape(-1, 3) for radiance in radiances])
    mean = pixels.mean(0)
    balance = (mean.mean() / np.maximum(mean, 1e-4)) ** 0.4 * rng.uniform(0.97, 1.03, 3)
    luminance = pixels @ np.array([0.2126, 0.7152, 0.0722])
    gain = rng.uniform(0.30, 0.40) / np.exp(np.log(luminance + 1e-3).mean())

    def develop(radiance: Array) -> NDArray[np.uint8]:
        exposed = radiance * balance * gain
        mapped = np.clip(exposed * (1 + exposed / 12.0) / (1 + 0.85 * exposed), 0, 1)
        encoded = np.where(mapped <= 0.0031308, 12.92 * mapped, 1.055 * np.maximum(mapped, 1e-8) ** (1 / 2.4) - 0.055)
        return (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)

    return develop
