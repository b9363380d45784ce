"""Render the rooms: one scene of a seed, two views of it, resumable image by image."""

import gc
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenes.rooms import layout
from scenes.rooms.camera import Camera, Look, Taste, candidates, choose_views
from scenes.rooms.render import GroundTruth, RenderScene, develop
from scenes.rooms.room import Room
from scenes.rooms.scene import UNLABELLED
from zdlib.files import atomic_path

PROBE = (40, 30)
CANDIDATES = 48
RARE = {
    "books": 0.6,
    "television": 2.6,
    "picture": 1.0,
    "sofa": 1.7,
    "bed": 1.2,
    "ceiling": 0.6,
    "chair": 0.4,
    "table": 0.4,
    "desk": 0.4,
}


@dataclass(frozen=True)
class Plan:
    """How a data set is rendered.

    Attributes:
        name: `rooms_n` or `rooms_i`.
        width, height, focal: camera, pixels.
        views: images per scene.
        spp: samples a pixel.
        first_seed, scenes: seeds `first_seed … first_seed + scenes - 1`.
        far: depths beyond this are avoided where the room allows, metres.
        test_share: of the scenes.
    """

    name: str
    width: int
    height: int
    focal: float
    views: int
    spp: int
    first_seed: int
    scenes: int
    far: float
    test_share: float


PLANS = {
    "rooms_n": Plan("rooms_n", 320, 240, 518.86 / 2, 2, 8, 1000, 352, 9.9, 0.295),
    "rooms_i": Plan("rooms_i", 640, 480, 560.0, 2, 8, 5000, 34, 40.0, 1.0),
}


@dataclass(frozen=True)
class View:
    """One image to be rendered: the loaded room, the camera, and what its names mean."""

    scene: RenderScene
    room: Room
    kind: str
    seed: int
    number: int
    camera: Camera
    label_names: list[str]


def open_scene(plan: Plan, seed: int, kind: str | None = None) -> tuple[str, Room, RenderScene, list[str]]:
    """Build and load the room of a seed."""
    name, room = layout.build_room(seed, plan.name, kind)
    label_ids = {UNLABELLED: 0}
    scene = RenderScene(room.placed, label_ids)
    return name, room, scene, list(label_ids)


def choose_cameras(plan: Plan, seed: int, room: Room, scene: RenderScene, label_names: list[str]) -> list[Camera]:
    """The views of a room: the best of many random ones, seen through a low-resolution probe in one go."""
    rng = np.random.default_rng([seed, 2])
    size = (room.width, room.height, room.depth)
    cameras = candidates(rng, size, room.footprints, CANDIDATES, (plan.width, plan.height, plan.focal))
    probes = [camera.resized(*PROBE) for camera in cameras]
    rays = [probe.rays() for probe in probes]
    directions = np.concatenate([direction for direction, _ in rays])
    cosine = np.concatenate([cosines for _, cosines in rays])
    origins = np.repeat(np.array([probe.origin for probe in probes]), PROBE[0] * PROBE[1], axis=0)
    distance, triangle, _ = scene.cast(origins, directions)
    depth = (distance * cosine).reshape(len(cameras), -1)
    labels = scene.labels[triangle].reshape(len(cameras), -1)
    instances = scene.instances[triangle].reshape(len(cameras), -1)
    looks = []
    for i in range(len(cameras)):
        counts = np.bincount(labels[i], minlength=len(label_names)) / labels.shape[1]
        shares = {name: float(share) for name, share in zip(label_names, counts, strict=True)}
        looks.append(Look(depth[i], shares, len(np.unique(instances[i]))))
    near = float(np.random.default_rng([seed, 3]).uniform(0.35, 1.1))
    taste = Taste(RARE, near=near, far=plan.far, depth_weight=0.05 if plan.name == "rooms_n" else 0.12)
    return choose_views(cameras, looks, taste, plan.views)


def views(plan: Plan, seed: int, kind: str | None = None) -> Iterator[View]:
    """The views of the room of a seed, in order."""
    name, room, scene, label_names = open_scene(plan, seed, kind)
    for number, camera in enumerate(choose_cameras(plan, seed, room, scene, label_names)):
        yield View(scene, room, name, seed, number, camera, label_names)


def render_view(plan: Plan, view: View) -> dict[str, Any]:
    """Everything of one image: `image`, `depth`, `label`, `instance`, `normal`, `glass`, `K`, `pose`, `meta` (JSON)."""
    truth: GroundTruth = view.scene.ground_truth(view.camera)
    radiance = view.scene.radiance(view.camera, plan.spp, seed=2 * view.seed + view.number)
    image = develop(radiance, np.random.default_rng([view.seed, view.number, 4]))
    meta = {
        "kind": view.kind,
        "seed": view.seed,
        "view": view.number,
        "label_names": view.label_names,
        "models": sorted(layout.models_used(view.room.placed)),
        "spp": plan.spp,
    }
    return {
        "image": image,
        "depth": truth.depth.astype(np.float32),
        "label": truth.label.astype(np.uint8),
        "instance": truth.instance.astype(np.int16),
        "normal": truth.normal.astype(np.float16),
        "glass": truth.glass,
        "K": view.camera.intrinsics(),
        "pose": view.camera.pose(),
        "meta": np.array(json.dumps(meta)),
    }


def render_scenes(plan: Plan, folder: Path, *, part: int = 0, parts: int = 1) -> Iterator[tuple[int, int]]:
    """Render what is missing in `folder` (one .npz an image), seeds `part`, `part + parts`, …; yields seed and view."""
    for seed in range(plan.first_seed + part, plan.first_seed + plan.scenes, parts):
        targets = [folder / f"{plan.name}_{seed:05d}_{number}.npz" for number in range(plan.views)]
        if all(target.exists() for target in targets):
            continue
        for view in views(plan, seed):
            if not targets[view.number].exists():
                content = render_view(plan, view)
                with atomic_path(targets[view.number]) as temporary:
                    np.savez_compressed(temporary, **content)
            yield seed, view.number
            del view
        # Scenes hold reference cycles through Mitsuba; see `_bsdf` for why they must go before the next one comes.
        gc.collect()
