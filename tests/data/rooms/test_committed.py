"""The committed rooms: what the data set promises, checked on the files themselves."""

import csv

import numpy as np
import pytest

from scenes.rooms import catalogue, datasheet, layout
from scenes.rooms.planes import PLANE_LABELS
from zdlib.data import classes
from zdlib.data.rooms.store import open_store
from zdlib.paths import resolve

FOLDER = resolve("data/rooms")


@pytest.fixture(scope="module")
def rooms_n():
    return open_store(FOLDER / "rooms_n.h5")


@pytest.fixture(scope="module")
def rooms_i():
    return open_store(FOLDER / "rooms_i.h5")


def test_sizes(rooms_n, rooms_i):
    assert rooms_n.splits.count("train") >= 480
    assert rooms_n.splits.count("test") >= 200
    assert (rooms_n.height, rooms_n.width) == (240, 320)
    assert len(rooms_i) >= 60
    assert (rooms_i.height, rooms_i.width) == (480, 640)
    assert set(rooms_i.splits) == {"test"}
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert max(sizes) < 45e6
    assert sum(sizes) < 60e6


def test_splits_share_no_scene_and_seeds_no_data_set(rooms_n, rooms_i):
    train, test = (
        {scene for scene, split in zip(rooms_n.scenes, rooms_n.splits, strict=True) if split == part}
        for part in ("train", "test")
    )
    assert not train & test
    assert not set(rooms_n.seeds) & set(rooms_i.seeds)


def test_every_class_has_one_percent_of_the_training_pixels(rooms_n):
    shares = datasheet.class_shares(rooms_n, "train")
    assert set(shares) == set(classes.CLASS_NAMES)
    for name, share in shares.items():
        assert share >= 0.01, name
    assert 0.01 <= shares["unlabelled"] <= 0.04


def test_depths_reach_from_near_to_far(rooms_n, rooms_i):
    for split in ("train", "test"):
        summary = datasheet.depth_summary(rooms_n, split)
        assert summary["nearest"] <= 0.7
        assert summary["farthest"] >= 8
    assert datasheet.depth_summary(rooms_i, "test")["images beyond 10 m"] >= 10


def test_cameras(rooms_n, rooms_i):
    first = rooms_n[0].intrinsics
    assert first[0, 0] == pytest.approx(518.86 / 2)
    assert first[0, 2] == pytest.approx(159.5)
    hfov = 2 * np.degrees(np.arctan(320 / rooms_i[0].intrinsics[0, 0]))
    assert hfov == pytest.approx(59.5, abs=0.1)  # another camera than NYU's 63.3 degrees


def test_stored_scenes_are_those_of_their_seeds(rooms_n, rooms_i):
    for store, name in ((rooms_n, "rooms_n"), (rooms_i, "rooms_i")):
        for i in range(0, len(store), 61):
            kind, _ = layout.build_room(store.seeds[i], name)
            assert kind == store.scene_types[i]
            assert store.scenes[i].startswith(kind)


def points(image):
    rows, columns = np.indices(image.depth.shape)
    k, depth = image.intrinsics, image.depth.astype(np.float64)
    x, z = (columns - k[0, 2]) / k[0, 0] * depth, -(rows - k[1, 2]) / k[1, 1] * depth
    return np.stack([x, depth, z], -1)


def test_planes_fit_the_stored_depth(rooms_i):
    found = dict.fromkeys(PLANE_LABELS, 0)
    for i in range(0, len(rooms_i), 5):
        image = rooms_i[i]
        cloud = points(image)
        for kind, (numbers, rows) in image.planes.items():
            assert len(rows) == numbers.max()
            for number, row in enumerate(rows, 1):
                on = numbers == number
                found[kind] += 1
                assert on.sum() == row[7]
                assert np.linalg.norm(row[4:7]) == pytest.approx(1)
                assert np.array_equal(row[:3], row[4:7])
                # Half a step of the stored depth along rays up to 36 degrees off the axis, and 1.5 mm of its own.
                assert np.abs(cloud[on] @ row[:3] + row[3]).max() < 0.0025
                # The side that is seen is the side the normal points to.
                assert row[3] > 0
    assert all(count >= 5 for count in found.values()), found


def test_masks_and_edges(rooms_i):
    transparent = edges = 0
    for image in rooms_i:
        assert np.array_equal(image.mask_invalid == 1, image.depth > 0)
        assert set(np.unique(image.mask_transp)) <= {0, 1}
        windows = np.isin(image.labels, [rooms_i.label_names.index("window")])
        transparent += int((image.mask_transp[windows] == 0).sum())
        edges += float(image.edges.mean())
    assert transparent > 0
    assert 0.005 < edges / len(rooms_i) < 0.2


def test_every_model_is_credited_and_serves_one_data_set():
    with open(FOLDER / "CREDITS.csv", newline="", encoding="utf-8") as file:
        credited = {row["model_id"]: row for row in csv.DictReader(file)}
    assert len(credited) > 200
    for model, row in credited.items():
        assert row["creator"]
        assert row["licence"] == catalogue.LICENCES[catalogue.LIBRARIES[model[0]]]
        assert row["used_in"] == catalogue.models()[model].used_in
    for name in ("rooms_n", "rooms_i"):
        for seed in sorted(set(open_store(FOLDER / f"{name}.h5").seeds))[::12]:
            assert layout.models_used(layout.build_room(seed, name)[1].placed) <= set(credited)


@pytest.mark.slow
def test_datasheet_numbers_are_current():
    text = (FOLDER / "DATASHEET.md").read_text(encoding="utf-8")
    assert datasheet.numbers(FOLDER) in text
