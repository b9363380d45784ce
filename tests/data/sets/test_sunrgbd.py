import numpy as np
import pytest
import scipy.io
import trees

from zdlib.data.sets.sunrgbd import SPLIT, SunRGBDReader, rotate_right
from zdlib.errors import ZDError


def test_depth_is_rotated_back():
    numbers = np.array([[0, 1, 7, 8, 8191, 8192, 9501, 65535]], np.uint16)
    stored = np.vectorize(trees.rotated_left)(numbers).astype(np.uint16)
    assert stored[0, 1] == 8  # millimetres below 8192 are stored times eight
    np.testing.assert_array_equal(rotate_right(stored), numbers)


def test_the_authors_folders(tmp_path):
    trees.sunrgbd(tmp_path)
    reader = SunRGBDReader(tmp_path)
    assert reader.layout == "official"
    assert reader.names == [
        "kv1_NYUdata_NYU0001",
        "kv2_kinect2data_000002_2014-05-26_14-23-37_2605_rgbf000103-resize",
    ]
    sample = reader[0]
    assert sample.depth[5, 5:7].tolist() == pytest.approx([9.501, 60.003])
    assert sample.scene_type == "home_office"
    assert sample.intrinsics.tolist() == [[518.9, 0, 325.6], [0, 519.5, 253.7], [0, 0, 1]]
    assert (SunRGBDReader(tmp_path, filled=True)[0].depth == 2).all()


def test_intrinsics_and_scene_are_optional(tmp_path):
    tree = trees.sunrgbd(tmp_path)
    folder = tree.image.parent.parent
    (folder / "scene.txt").unlink()
    (folder / "intrinsics.txt").write_text("518.9 0 325.6")
    with pytest.raises(ZDError, match=r"NYU0001/intrinsics\.txt: not nine numbers: unpack SUNRGBD\.zip"):
        SunRGBDReader(tmp_path)[0]
    (folder / "intrinsics.txt").unlink()
    sample = SunRGBDReader(tmp_path)[0]
    assert sample.intrinsics is None
    assert sample.scene_type == ""


def test_zoedepth_s_folders(tmp_path):
    tree = trees.sunrgbd_flat(tmp_path)
    reader = SunRGBDReader(tmp_path)
    assert (reader.layout, reader.names) == ("zoedepth", ["img-000001", "img-000002"])
    np.testing.assert_allclose(reader[0].depth, tree.metres, rtol=1e-6)
    assert reader[0].intrinsics is None


def test_depth_that_is_still_rotated_is_recognised(tmp_path):
    tree = trees.sunrgbd_flat(tmp_path)
    stored = np.vectorize(trees.rotated_left)(trees.units(1000)).astype(np.uint16)
    trees.save_png(tree.depth, stored)
    with pytest.raises(ZDError, match=r"img-000001\.png: every number is a multiple of 8: .* rotated right by 3 bits"):
        SunRGBDReader(tmp_path)[0]


@pytest.mark.parametrize(
    "content", [None, b"<html>", {"alltrain": ["/n/fs/sun3d/data/SUNRGBD/kv1"]}, {"alltest": np.array([["x"]], object)}]
)
def test_a_broken_list_is_one_line(tmp_path, content):
    trees.sunrgbd(tmp_path)
    (tmp_path / SPLIT).unlink()
    if isinstance(content, bytes):
        (tmp_path / SPLIT).write_bytes(content)
    elif content is not None:
        scipy.io.savemat(tmp_path / SPLIT, content)
    with pytest.raises(ZDError, match=r"allsplit\.mat: no (such file|readable list).*unpack SUNRGBD\.zip"):
        SunRGBDReader(tmp_path)


def test_missing_files_are_counted(tmp_path):
    tree = trees.sunrgbd(tmp_path)
    tree.depth.unlink()
    tree.image.unlink()
    with pytest.raises(ZDError, match=r"NYU0001/image/NYU0001\.jpg: no such file \(and 1 more files\)"):
        SunRGBDReader(tmp_path)
