"""Cityscapes in its own layout: labels as train ids, disparity as depth, neighbours."""

import json

import numpy as np
import pytest
import street_trees as trees

from zdlib.data import street_classes
from zdlib.data.sequences import ClipReader, PairReader
from zdlib.data.sets.cityscapes import CityscapesReader
from zdlib.errors import ZDError

# As the data set's own table lists them: name, id, train id.
TABLE = """road 7 0, sidewalk 8 1, building 11 2, wall 12 3, fence 13 4, pole 17 5, traffic light 19 6,
traffic sign 20 7,
vegetation 21 8, terrain 22 9, sky 23 10, person 24 11, rider 25 12, car 26 13, truck 27 14, bus 28 15, train 31 16,
motorcycle 32 17, bicycle 33 18"""
NAME = "frankfurt_000000_000294"


def test_ids_and_names_are_the_data_set_s():
    ids = np.arange(256, dtype=np.uint8)[None]
    expected = np.full(256, 255)
    for entry in TABLE.replace("\n", " ").split(","):
        name, number, train = entry.strip().rsplit(" ", 2)
        expected[int(number)] = int(train)
        assert street_classes.NAMES[int(train)] == name
    np.testing.assert_array_equal(street_classes.to_train_ids(ids)[0], expected)
    train_ids = np.array([[0, 13, 18, 255]], np.uint8)
    np.testing.assert_array_equal(street_classes.to_file_ids(train_ids), [[7, 26, 33, 4]])


def test_a_frame(tmp_path):
    tree = trees.cityscapes(tmp_path)
    reader = CityscapesReader(tmp_path)
    assert reader.names == [NAME, "frankfurt_000001_000019"]
    assert reader.scenes == ["frankfurt_000000", "frankfurt_000001"]
    sample = reader[0]
    np.testing.assert_array_equal(sample.image, trees.picture(294))
    assert sample.labels[5].tolist() == [0] * 8 + [13] * 8 + [255] * 8 + [0] * 8
    assert sample.labels[0, 30] == 255
    assert sample.intrinsics.tolist() == [[40, 0, 15.5], [0, 41, 11], [0, 0, 1]]
    np.testing.assert_allclose(sample.depth, tree.metres, rtol=1e-6)
    assert (sample.depth[0, :4] == 0).all(), "no disparity"
    assert (sample.depth[1, :4] == 0).all(), "a disparity of 0 is infinitely far"
    assert sample.depth[5, 0] == pytest.approx(0.2 * 40 / 1)


def test_pairs_and_clips(tmp_path):
    trees.cityscapes(tmp_path)
    reader = CityscapesReader(tmp_path)
    assert isinstance(reader, PairReader)
    assert isinstance(reader, ClipReader)
    pair = reader.pair(0)
    np.testing.assert_array_equal(pair.right, trees.picture(1294))
    assert (pair.name, pair.baseline) == (NAME, 0.2)
    assert pair.disparity[5, 0] == pytest.approx(1)
    assert reader.clip_targets() == [0]
    clip = reader.clip(0)
    np.testing.assert_array_equal(clip.images, np.stack([trees.picture(frame) for frame in (293, 294, 295)]))
    assert clip.labels[5, 9] == 13
    assert clip.poses is None
    with pytest.raises(ZDError, match=r"frankfurt_000001_000018_leftImg8bit\.png: no such neighbour"):
        reader.clip(1)
    with pytest.raises(ZDError, match="add 0"):
        reader.clip(0, (1,))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("camera.json", r"camera\.json: .*: "),
        ("disparity.png", r"disparity\.png: not a readable image"),
        ("gtFine_labelIds.png", r"labelIds\.png: not a readable image"),
        ("leftImg8bit.png", r"leftImg8bit\.png: not a readable image"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, kind, message):
    trees.cityscapes(tmp_path)
    next(path for path in tmp_path.rglob(f"{NAME}_{kind}") if "sequence" not in str(path)).write_bytes(b"{")
    with pytest.raises(ZDError, match=message) as caught:
        CityscapesReader(tmp_path)[0]
    assert "\n" not in str(caught.value)


def test_files_of_another_kind_are_one_line(tmp_path):
    tree = trees.cityscapes(tmp_path)
    labels = tmp_path / f"gtFine/val/frankfurt/{NAME}_gtFine_labelIds.png"
    trees.save_png(labels, np.zeros((3, 5), np.uint8))
    with pytest.raises(ZDError, match=r"labelIds\.png: 5×3 pixels, its picture has 32×24"):
        CityscapesReader(tmp_path)[0]
    trees.save_png(labels, np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(ZDError, match="expected a grey 8-bit PNG of label ids"):
        CityscapesReader(tmp_path)[0]
    trees.save_png(tree.depth, np.zeros((24, 32), np.uint16))
    with pytest.raises(ZDError, match="no pixel has a disparity"):
        CityscapesReader(tmp_path).pair(0)
    camera = tmp_path / f"camera/val/frankfurt/{NAME}_camera.json"
    for content in ({}, {**trees.CAMERA, "extrinsic": {"baseline": 0}}, {**trees.CAMERA, "intrinsic": {"fx": "wide"}}):
        camera.write_text(json.dumps(content))
        with pytest.raises(ZDError, match=r"camera\.json: "):
            CityscapesReader(tmp_path).pair(0)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ZDError, match="no such folder"):
        CityscapesReader(tmp_path / "x")
    with pytest.raises(ZDError, match="no frame found, expected leftImg8bit/train"):
        CityscapesReader(tmp_path, "train")
    tree = trees.cityscapes(tmp_path)
    tree.depth.unlink()
    with pytest.raises(ZDError, match=r"disparity\.png: no such file"):
        CityscapesReader(tmp_path)
    CityscapesReader(tmp_path, complete=False)[1]
    tree.image.rename(tree.image.with_name("holiday_leftImg8bit.png"))
    with pytest.raises(ZDError, match="is not called CITY_SEQUENCE_FRAME"):
        CityscapesReader(tmp_path)
