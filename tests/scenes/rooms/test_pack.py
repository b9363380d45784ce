import json

import numpy as np
import pytest

from scenes.rooms import pack
from scenes.rooms.camera import Camera
from zdlib.data.rooms.store import open_store
from zdlib.errors import ZDError

NAMES = ["unlabelled", "floor", "vase"]


def save(folder, name, seed, view, kind="bedroom", names=NAMES, models=("B77",)):
    """A tilted look at a floor, with glass in a corner."""
    camera = Camera((1.0, 1.5, 0.0), 0.0, -0.6, 0.0, 32, 24, 26.0)
    directions, cosine = camera.rays()
    depth = np.where(directions[:, 1] < 0, -1.5 / directions[:, 1] * cosine, 0).reshape(24, 32).clip(0, 40)
    label = np.where(depth > 0, 1, 0).astype(np.uint8)
    label[:2, :2] = 2
    glass = np.zeros((24, 32), bool)
    glass[:2, :2] = True
    meta = {"kind": kind, "seed": seed, "view": view, "label_names": names, "models": list(models), "spp": 8}
    np.savez_compressed(
        folder / f"{name}_{seed:05d}_{view}.npz",
        image=np.full((24, 32, 3), 90, np.uint8),
        depth=depth.astype(np.float32),
        label=label,
        instance=label.astype(np.int16),
        normal=np.tile(np.float16([0, 1, 0]), (24, 32, 1)),
        glass=glass,
        K=camera.intrinsics(),
        pose=camera.pose(),
        meta=np.array(json.dumps(meta)),
    )
    return depth


def test_splits_are_spread_over_every_kind():
    kinds = dict.fromkeys(range(20), "bedroom") | dict.fromkeys(range(20, 30), "kitchen")
    given = pack.scene_names_and_splits(kinds, 0.3)
    assert given[0][0] == "bedroom_0001"
    assert given[29][0] == "kitchen_0010"
    for kind, count in (("bedroom", 6), ("kitchen", 3)):
        splits = [split for seed, (_, split) in given.items() if kinds[seed] == kind]
        assert splits.count("test") == count
    assert {split for _, split in pack.scene_names_and_splits(kinds, 1.0).values()} == {"test"}


def test_names_of_several_scenes_become_one_list(tmp_path):
    depth = save(tmp_path, "rooms_n", 3, 0)
    save(tmp_path, "rooms_n", 3, 1)
    save(tmp_path, "rooms_n", 4, 0, names=["unlabelled", "vase", "floor"], models=("S3",))
    used = pack.pack("rooms_n", tmp_path, tmp_path / "n.h5")
    assert used == {"B77": {"rooms_n"}, "S3": {"rooms_n"}}
    store = open_store(tmp_path / "n.h5")
    assert store.label_names == ("unlabelled", "floor", "vase")
    assert store.scenes == ["bedroom_0001", "bedroom_0001", "bedroom_0002"]
    assert np.abs(store[0].depth - depth).max() < 0.00051
    assert store[2].labels[0, 0] == 1  # this scene's local id 2 is the list's "floor"
    assert store.generator["spp"] == [8]


def test_rooms_i_gets_masks_planes_and_edges(tmp_path):
    save(tmp_path, "rooms_i", 1, 0)
    pack.pack("rooms_i", tmp_path, tmp_path / "i.h5")
    image = open_store(tmp_path / "i.h5")[0]
    assert image.split == "test"
    assert np.array_equal(image.mask_invalid == 1, image.depth > 0)
    assert not image.mask_transp[:2, :2].any()
    assert image.mask_transp[2:].all()
    numbers, rows = image.planes["floor"]
    assert rows[0, 3] == pytest.approx(1.5, abs=1e-3)
    assert np.count_nonzero(numbers) == rows[0, 7]
    assert image.planes["wall"][1].shape == (0, 8)


def test_nothing_rendered_names_the_command(tmp_path):
    with pytest.raises(ZDError, match="generate"):
        pack.pack("rooms_n", tmp_path, tmp_path / "n.h5")
