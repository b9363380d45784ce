"""Render the clips of both sets: one seed, one street, one clip; resumable clip by clip."""

import gc
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes.streets import labels, lidar
from scenes.streets.camera import Camera, kitti_camera, right_of
from scenes.streets.geometry import Array
from scenes.streets.layout import build_street
from scenes.streets.render import Scene
from scenes.streets.shader import Shader, response
from scenes.streets.traffic import Mount
from scenes.streets.world import Street

NEAREST, FARTHEST, STEPS = 1.001, 250.0, 1000.0
"""Depths outside are stored as 0; metres = exp(code / STEPS), so that a step is 0.1 %."""
OCCLUDED, MOVING = 1, 2
"""Bits of the mask."""


@dataclass(frozen=True)
class Plan:
    """How a set is rendered.

    Attributes:
        name: `streets_k` or `streets_v`.
        used_in: `K` or `V`, see `Family` and `Model`.
        camera, mount: intrinsics; height and pitch.
        baseline: metres; 0 = no right camera.
        frames: in a clip, 0.1 s apart.
        samples: per pixel.
        splits: first seed and number of clips of every split. First seeds are multiples of 40, so that every
            split has all seasons and weathers in turn.
        scanner: whether frames have a scan.
    """

    name: str
    used_in: str
    camera: Camera
    mount: Mount
    baseline: float
    frames: int
    samples: int
    splits: dict[str, tuple[int, int]]
    scanner: bool

    def seeds(self) -> Iterator[tuple[int, str]]:
        """Seed and split of every clip, in such an order that all splits fill up evenly."""
        shares = [
            ((number + 0.5) / count, first + number, split)
            for split, (first, count) in self.splits.items()
            for number in range(count)
        ]
        yield from ((seed, split) for _, seed, split in sorted(shares))


PLANS = {
    "streets_k": Plan(
        name="streets_k",
        used_in="K",
        camera=kitti_camera(416, 128),
        mount=Mount(1.65, np.radians(-2.2)),
        baseline=0.54,
        frames=3,
        samples=32,
        splits={"test": (3000, 30), "val": (2000, 10), "train": (1000, 112)},
        scanner=True,
    ),
    "streets_v": Plan(
        name="streets_v",
        used_in="V",
        camera=Camera(640, 192, 500.0, 319.5, 86.5),
        mount=Mount(1.25, np.radians(-0.5)),
        baseline=0.0,
        frames=1,
        samples=32,
        splits={"test": (5000, 64)},
        scanner=False,
    ),
}


def encode_depth(depth: Array) -> NDArray[np.uint16]:
    """Metres as codes, 0 where there is nothing or what is nearer than 1 m or farther than 250 m."""
    valid = (depth > NEAREST) & (depth < FARTHEST)
    return np.where(valid, np.round(STEPS * np.log(np.maximum(depth, 1))), 0).astype(np.uint16)


def occlusion(depth: Array, camera: Camera, baseline: float, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) what the right camera does not see: hidden by something (`seen` is false) or outside its image.

    Sky (depth 0) is never marked, also where something hides it from the right camera.
    """
    valid = depth > 0
    column = np.arange(camera.width) - camera.focal * baseline / np.where(valid, depth, 1e6)
    return valid & (~seen | (column < 0))


def depth_agreement(left: Array, right: Array, camera: Camera, baseline: float, hidden: NDArray[np.bool_]) -> Array:
    """Relative differences of both cameras' depth at corresponding places that both see.

    The right depth is interpolated (its inverse, between the two pixels beside the place), unless these two
    belong to different surfaces (more than 3 % apart).
    """
    valid = (left > 0) & ~hidden
    rows, columns = np.nonzero(valid)
    place = columns - camera.focal * baseline / left[valid]
    before = np.clip(np.floor(place).astype(int), 0, camera.width - 2)
    weight = np.clip(place - before, 0, 1)
    a, b = right[rows, before], right[rows, before + 1]
    smooth = (a > 0) & (b > 0) & (np.abs(a - b) < 0.03 * np.minimum(a, b))
    inverse = (1 - weight[smooth]) / a[smooth] + weight[smooth] / b[smooth]
    return np.abs(1 / inverse / left[valid][smooth] - 1)


def _objects(street: Street, instances: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """What is countable and seen: id, class, model, whether it moves, size, poses (object to world)."""
    seen = set(np.unique(instances).tolist())
    return [
        {
            "id": thing.ident,
            "class": labels.NAMES[thing.label],
            "model": thing.model,
            "moving": thing.moving,
            "size": [round(value, 2) for value in thing.size],
            "pose": np.round(thing.poses, 4).tolist(),
        }
        for thing in street.things
        if thing.ident in seen and thing.ident
    ]


def _truth(plan: Plan, street: Street, scene: Scene, frame: int, rng: np.random.Generator) -> dict[str, Array]:
    """Everything of a frame but its images."""
    pose, camera = street.camera[frame], plan.camera
    depth, label, instance = scene.truth(camera, pose)
    moving = [thing.ident for thing in street.things if thing.moving]
    mask = np.isin(instance, moving) * MOVING
    arrays: dict[str, Array] = {}
    if plan.baseline:
        eye = right_of(pose, plan.baseline)
        points = camera.unproject(np.where(depth > 0, depth, 1), pose)
        hidden = occlusion(depth, camera, plan.baseline, scene.visible(points, eye[:3, 3]).reshape(depth.shape))
        other, _, _ = scene.truth(camera, eye)
        difference = depth_agreement(depth, other, camera, plan.baseline, hidden)
        arrays["agreement"] = np.array([np.median(difference), (difference <= 0.01).mean()])
        mask = mask + hidden * OCCLUDED
    if plan.scanner:
        arrays["lidar"] = encode_depth(lidar.scan(scene, pose, rng))
    arrays |= {"depth": encode_depth(depth), "label": label, "mask": mask.astype(np.uint8)}
    return arrays | {"instance": instance.astype(np.uint8)}


def render_clip(plan: Plan, seed: int, style: str | None = None) -> dict[str, Any]:
    """Everything of a clip.

    Returns:
        `image` (frames, cameras, h, w, 3) uint8; `depth`, `label`, `instance`, `mask` (frames, h, w) of the
        left camera; `lidar` (frames, 64, n); `agreement` (frames, 2): median relative difference of left and
        right depth, share within 1 %; `pose` (frames, 4, 4); `meta`: JSON.
    """
    start = time.process_time()
    street = build_street(seed, plan.used_in, plan.frames, plan.mount, style)
    if street.idents > 255:
        raise ValueError(f"seed {seed}: {street.idents} instances do not fit in 8 bits")
    scene, rng = Scene(street), np.random.default_rng([seed, 5])
    shader = Shader(scene)
    frames, radiances = [], []
    for frame in range(plan.frames):
        scene.set_frame(frame)
        frames.append(_truth(plan, street, scene, frame, rng))
        pose = street.camera[frame]
        poses = [pose, right_of(pose, plan.baseline)] if plan.baseline else [pose]
        for side, eye in enumerate(poses):
            radiances.append(shader.radiance(plan.camera, eye, plan.samples, seed * 64 + frame * 2 + side))
    develop = response(radiances, rng)
    arrays: dict[str, Any] = {key: np.stack([frame[key] for frame in frames]) for key in frames[0]}
    images = np.array([develop(radiance) for radiance in radiances])
    arrays["image"] = images.reshape(plan.frames, -1, *images.shape[1:])
    arrays["pose"] = street.camera
    meta = {
        "style": street.style.name,
        "season": street.light.season,
        "weather": street.light.weather,
        "speed": street.ego_speed,
        "objects": _objects(street, arrays["instance"]),
        "models": scene.models,
        "samples": plan.samples,
        "seconds": round(time.process_time() - start, 1),
    }
    return arrays | {"meta": np.array(json.dumps(meta))}


def clip_path(plan: Plan, folder: Path, seed: int) -> Path:
    """Where `render_clips` keeps a clip."""
    return folder / f"{plan.name}_{seed:05d}.npz"


def render_clips(plan: Plan, folder: Path) -> Iterator[tuple[int, str, float]]:
    """Render what is missing in `folder`; yields seed, kind of street, CPU seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, _ in plan.seeds():
        path = clip_path(plan, folder, seed)
        if path.exists():
            continue
        clip = render_clip(plan, seed)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **clip)
        temporary.replace(path)
        meta = json.loads(str(clip["meta"]))
        yield seed, meta["style"], meta["seconds"]
        # Scenes hold reference cycles through Mitsuba and are large.
        del clip
        gc.collect()
