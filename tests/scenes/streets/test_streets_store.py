import dataclasses
import json
import pickle
import zlib

import h5py
import numpy as np
import pytest

from scenes.streets import acceptance, lidar, pack
from scenes.streets.camera import Camera, right_of
from scenes.streets.generate import MOVING, OCCLUDED, PLANS, clip_path, encode_depth
from scenes.streets.sky import noise
from zdlib.data.streets.store import Store, open_store
from zdlib.errors import ZDError
from zdlib.paths import resolve

CAMERA = Camera(96, 32, 60.0, 47.5, 15.5)
PLAN = dataclasses.replace(PLANS["streets_k"], camera=CAMERA, frames=2, splits={"train": (40, 1), "test": (80, 1)})
WALL, STEP = 8.0, 2.0
OBJECTS = [{"id": 1, "class": "car", "model": "S59", "moving": True, "size": [1.9, 4.2, 1.5], "pose": []}]


def picture(texture, x, depth, right=0.0):
    """Columns x of a textured wall, `depth` metres before a camera `right` metres beside the left one."""
    columns = (x - CAMERA.cx) * depth / WALL + CAMERA.cx + right * CAMERA.focal / WALL
    rows = (np.arange(CAMERA.height) - CAMERA.cy) * depth / WALL + CAMERA.cy
    grid = np.meshgrid(columns, rows)
    return (255 * acceptance.sample(texture, grid[0] + 40, grid[1] + 20)).astype(np.uint8)


def rendered_clip(seed):
    """Two frames before a wall; the camera moves towards it."""
    rng, x = np.random.default_rng(seed), np.arange(CAMERA.width)
    texture = np.stack([noise(rng, 80, 200, 1.0, 2)] * 3, -1)
    depths, poses = (WALL, WALL - STEP), np.stack([np.eye(4), np.eye(4)])
    poses[1, 2, 3] = STEP
    size = (CAMERA.height, CAMERA.width)
    pairs = [[picture(texture, x, d, side) for side in (0.0, PLAN.baseline)] for d in depths]
    mask = np.zeros((2, *size), np.uint8)
    mask[:, :, :5] |= OCCLUDED
    mask[:, 30:, 90:] |= MOVING
    ranges = np.zeros((2, 64, len(lidar.AZIMUTHS)))
    beams = lidar.beams()
    for frame, depth in enumerate(depths):
        ranges[frame] = (depth - lidar.POSITION[2]) / beams[..., 2]
    meta = {"style": "city", "season": "spring", "weather": "clear", "speed": 5.0, "models": ["S59"]}
    return {
        "image": np.array(pairs),
        "depth": np.stack([encode_depth(np.full(size, d)) for d in depths]),
        "label": np.full((2, *size), 2, np.uint8),
        "instance": (mask & MOVING > 0).astype(np.uint8),
        "mask": mask,
        "lidar": encode_depth(ranges),
        "agreement": np.full((2, 2), 0.5),
        "pose": poses,
        "meta": np.array(json.dumps(meta | {"objects": OBJECTS, "samples": 32})),
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pack.PLANS, "streets_k", PLAN)
        for seed in (40, 80):
            np.savez(clip_path(PLAN, folder, seed), **rendered_clip(seed))
        assert pack.pack("streets_k", folder, folder / "k.h5") == {"S59": {"streets_k"}}
    return folder / "k.h5"


def test_what_is_packed_is_read(path):
    store = open_store(path)
    assert (store.name, len(store), store.frames, store.width, store.height) == ("Streets-K", 2, 2, 96, 32)
    assert store.splits == ["train", "test"]
    assert store.seeds == [40, 80]
    assert store.of_split("test") == [1]
    assert store.class_names[13] == "car"
    assert np.array_equal(store.intrinsics, CAMERA.intrinsics)
    original = rendered_clip(80)
    frame, clip = store.frame(1, 1), store.clip(1)
    assert np.abs(frame.left.astype(int) - original["image"][1, 0]).mean() < 3
    assert np.abs(frame.right.astype(int) - original["image"][1, 1]).mean() < 3
    assert np.allclose(frame.depth, WALL - STEP, rtol=6e-4)
    assert frame.occluded.sum() == 5 * 32
    assert frame.moving.sum() == 2 * 6 == frame.instances.sum()
    assert (frame.labels == 2).all()
    assert np.array_equal(frame.pose, original["pose"][1])
    assert clip.objects == OBJECTS
    assert (clip.split, clip.seed, clip.style, clip.season, clip.speed) == ("test", 80, "city", "spring", 5.0)
    assert np.allclose(store.agreement(), 0.5)


def test_a_scan_projects_to_the_depth_of_the_wall(path):
    store = open_store(path)
    frame = store.frame(0, 0)
    assert (frame.points[:, 0] > 0).all()
    sparse = store.lidar_depth(frame.points)
    assert 0.05 < (sparse > 0).mean() < 0.9
    assert np.abs(sparse[sparse > 0] - WALL).max() < 0.02


def test_of_two_echoes_in_a_pixel_the_nearer_one_counts(path):
    store = open_store(path)
    points = np.float32([[10, 0, 0], [20, 0, 0], [-5, 0, 0]])
    sparse = store.lidar_depth(points)
    assert sparse[sparse > 0].tolist() == pytest.approx([10 + lidar.POSITION[2]])


def test_a_store_survives_pickling_with_its_file_open(path):
    store = open_store(path)
    store.frame(0)
    again = pickle.loads(pickle.dumps(store))
    assert np.array_equal(again.frame(0).depth, store.frame(0).depth)


def test_the_same_clips_give_the_same_bytes(path, monkeypatch):
    monkeypatch.setitem(pack.PLANS, "streets_k", PLAN)
    pack.pack("streets_k", path.parent, path.parent / "again.h5")
    assert (path.parent / "again.h5").read_bytes() == path.read_bytes()


def test_defects_are_one_line(path, tmp_path):
    with pytest.raises(ZDError, match="no such file"):
        Store(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(ZDError, match="not a readable HDF5 file"):
        Store(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(ZDError, match="no store of streets"):
        Store(tmp_path / "other.h5")
    with pytest.raises(ZDError, match="clip 2 frame 0"):
        open_store(path).frame(2)
    broken = tmp_path / "broken.h5"
    broken.write_bytes(path.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["depth"][0, 0] = np.frombuffer(b"no picture", np.uint8)
        file["objects"][0] = np.frombuffer(zlib.compress(b"{"), np.uint8)
        del file["label"]
    with pytest.raises(ZDError, match="depth"):
        open_store(broken).frame(0, 0)
    with pytest.raises(ZDError, match="label"):
        open_store(broken).frame(1, 0)
    with pytest.raises(ZDError, match="objects of clip 0"):
        open_store(broken).clip(0)
    with pytest.raises(ZDError, match="no clip of streets_k"):
        list(pack.rendered(PLANS["streets_k"], tmp_path))


def test_the_acceptance_test_accepts_true_geometry_and_refuses_a_wrong_baseline(path):
    store = open_store(path)
    results = acceptance.table(store)
    assert results.loc["left and right", "pairs"] == 4
    assert results.loc["neighbouring frames", "pairs"] == 2
    assert results["minimum at the truth"].tolist() == [1, 1]
    assert acceptance.accepted(results)
    assert results.loc["left and right", "L1"] < 0.03
    store.baseline *= 1.1
    assert not acceptance.accepted(acceptance.table(store))


def test_projection_into_the_right_camera_is_the_disparity():
    motion = np.linalg.inv(right_of(np.eye(4), 0.5))
    depth = np.full((32, 96), 6.0)
    x, y, z = acceptance.project(depth, CAMERA.intrinsics, motion)
    assert np.allclose(np.arange(96) - x, CAMERA.focal * 0.5 / 6)
    assert np.allclose(y, np.arange(32)[:, None])
    assert np.allclose(z, 6)


@pytest.mark.parametrize(("name", "splits"), [("streets_k", {"train", "val", "test"}), ("streets_v", {"test"})])
def test_the_committed_stores(name, splits):
    path, plan = resolve(f"data/streets/{name}.h5"), PLANS[name]
    store = open_store(path)
    assert path.stat().st_size < 40e6
    assert set(store.splits) == splits
    assert sorted(store.seeds) == sorted(set(store.seeds))
    of_seed = dict(plan.seeds())
    assert all(of_seed[seed] == split for seed, split in zip(store.seeds, store.splits, strict=True))
    assert np.allclose(store.intrinsics, plan.camera.intrinsics)
    frame = store.frame(len(store) - 1, store.frames - 1)
    assert frame.left.shape == (plan.camera.height, plan.camera.width, 3)
    assert (frame.right is None) == (name == "streets_v") == (frame.points is None)
    sky = frame.labels == 10
    assert not frame.depth[sky].any()
    assert (frame.depth[~sky] > 0).mean() > 0.98
